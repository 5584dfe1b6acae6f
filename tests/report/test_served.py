"""`lake report` and `lake ui` as commands, and what the server answers."""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Browser
from support.browsing import new_page
from support.fake_source import FakeSource
from support.ledger_days import ago, export, lake
from support.serving import serving
from support.shown_lake import DAYS, NAMES, ShownLake, shown_lake

from lake.query.cached_store import CachedStore
from lake.report import gather
from lake.report.counts import COUNTS_S, CachedSources
from lake.report.data import month_scripts
from lake.report.serving import Fresh, Pages, serve
from lake.store import ObjectStat

PATIENCE_S = 60
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def made(tmp_path: Path) -> ShownLake:
    """For tests that change it."""
    return shown_lake(tmp_path)


@pytest.fixture(scope="module")
def still(tmp_path_factory: pytest.TempPathFactory) -> ShownLake:
    """For tests that change nothing."""
    return shown_lake(tmp_path_factory.mktemp("lake"))


@contextmanager
def served(made: ShownLake, source: FakeSource | None = None) -> Iterator[int]:
    """The port."""
    source_of = (lambda _: source) if source else None
    fresh = Fresh(made.settings, made.store, source_of, 92)
    server = serve(Pages(fresh.site), 0)
    with serving(server):
        yield server.server_port


def answer(
    port: int, path: str, host: str | None = None, method: str = "GET"
) -> tuple[int, str, http.client.HTTPMessage]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE_S)
    connection.request(method, path, headers={"Host": host or f"127.0.0.1:{port}"})
    response = connection.getresponse()
    text = response.read().decode()
    connection.close()
    return response.status, text, response.headers


def state_of(port: int, name: str, day: object) -> str:
    """As the calendar's data have it."""
    assert answer(port, "/")[0] == 200
    text = answer(port, "/data/calendar.js")[1]
    match = re.fullmatch(r'lakeData\("calendar",(.*)\);\n', text)
    assert match
    calendar = json.loads(match[1])
    dataset = next(dataset for dataset in calendar["datasets"] if dataset["name"] == name)
    at = (day.date - ago(DAYS).date).days  # type: ignore[attr-defined]
    assert calendar["first"] == str(ago(DAYS))
    return str(calendar["states"][dataset["states"][at]][0])


def test_each_load_shows_the_lake_as_it_is(made: ShownLake) -> None:
    with served(made) as port:
        assert state_of(port, "events", ago(3)) == "missing"
        export(made.store, made.settings, "events", [ago(3)])
        assert state_of(port, "events", ago(3)) == "verified"
        assert state_of(port, "lines", ago(2)) == "verified"
        made.object("lines", ago(2)).unlink()
        assert state_of(port, "lines", ago(2)) == "damaged"
        made.manifest("lines", ago(2)).unlink()
        assert state_of(port, "lines", ago(2)) == "missing"


def test_only_this_machine_by_its_own_names_may_read(still: ShownLake) -> None:
    with served(still) as port:
        for host in ("lake.example", f"lake.example:{port}", "127.0.0.1.nip.io", "[::1]", ""):
            status, text, _ = answer(port, "/", host or " ")
            assert (status, text) == (421, "another host's name\n"), host
        assert answer(port, "/", f"localhost:{port}")[0] == 200
        for path in ("/../lake.toml", "/%2e%2e/lake.toml", "/site/../../files.py", "/lake.toml",
                     "/data/days/events/2026-99.js", "/data/days/nothing/2026-01.js",
                     "/data/trends/999.js"):  # fmt: skip
            assert answer(port, path)[0] == 404, path
        for method in ("POST", "PUT", "DELETE"):
            assert answer(port, "/", method=method)[0] == 501
        _, text, headers = answer(port, "/", method="HEAD")
        assert text == ""
        assert headers["Cache-Control"] == "no-store"
        assert headers["X-Frame-Options"] == "DENY"


def test_another_page_can_not_load_the_data(browser: Browser, still: ShownLake) -> None:
    with served(still) as port, new_page(browser) as page:
        statuses: list[int] = []
        page.on("response", lambda response: statuses.append(response.status))
        page.set_content(
            "<script>function lakeData(name, value) { window.taken = value }</script>"
            f'<script src="http://127.0.0.1:{port}/data/calendar.js"></script>'
        )
        assert page.evaluate("window.taken") is None
        assert answer(port, "/data/calendar.js")[0] == 200  # it is there, for the page itself
    assert set(statuses) <= {403}


def test_the_served_page_is_the_page(browser: Browser, still: ShownLake) -> None:
    with served(still) as port, new_page(browser) as page:
        problems: list[str] = []
        page.on("console", lambda message: problems.append(message.text))
        page.goto(f"http://127.0.0.1:{port}/")
        page.wait_for_selector("[role=gridcell]")
        page.locator(f'[aria-label^="lines, {ago(2)}"]').click()
        page.wait_for_selector("dialog[open] dt")
        assert still.claim("lines", ago(2))["sha256"] in page.locator("dialog").inner_text()
        page.locator("#trend-plots [role=status]").wait_for(state="detached")
        assert problems == []


def test_a_lake_that_can_not_be_read_has_a_page_with_the_reason(made: ShownLake) -> None:
    with served(made) as port:
        (made.root / "retention").mkdir()
        (made.root / "retention/retired.json").write_text("{<b>")
        status, text, _ = answer(port, "/")
        assert status == 502
        assert "the record of retired days can&#x27;t be read" in text
        assert "<b>" not in text


def test_sources_show_late_days_and_are_not_asked_again_at_once(still: ShownLake) -> None:
    source = FakeSource(rows={str(ago(number)): 3 for number in range(1, DAYS + 1)})
    source.rows[str(ago(2))] = 4
    with served(still, source) as port:
        assert state_of(port, "lines", ago(2)) == "late"
        assert state_of(port, "lines", ago(1)) == "verified"
        number = len(source.calls)
        assert number
        assert state_of(port, "lines", ago(2)) == "late"
        assert len(source.calls) == number


def test_counts_are_kept_for_five_minutes(still: ShownLake) -> None:
    source, now = FakeSource(rows={str(ago(1)): 3}), [0.0]
    cached = CachedSources(lambda _: source, lambda: now[0])
    events = still.settings.dataset_named("events")
    assert cached("mongo").count(events, ago(1)).rows == 3
    source.rows[str(ago(1))] = 4
    now[0] = COUNTS_S - 1
    assert cached("mongo").count(events, ago(1)).rows == 3
    now[0] = COUNTS_S
    assert cached("mongo").count(events, ago(1)).rows == 4


def test_unchanged_objects_are_read_once(made: ShownLake) -> None:
    reads: list[str] = []

    class Counting:
        def __getattr__(self, name: str) -> object:
            return getattr(made.store, name)

        def read(self, key: str) -> bytes:
            reads.append(key)
            return made.store.read(key)

    store = CachedStore(Counting())  # type: ignore[arg-type]
    key = f"manifests/lines/{ago(2)}.json"
    for _ in range(2):
        assert any(stat.key == key for stat in store.list("manifests/lines/"))
        assert store.read(key) == made.store.read(key)
    assert reads == [key]
    made.store.write(key, b"{}")
    list(store.list("manifests/lines/"))
    assert store.read(key) == b"{}"
    assert reads == [key, key]


def test_many_changed_manifests_are_read_at_once(made: ShownLake) -> None:
    bulk_reads: list[str] = []

    def bulk(folder: str, stats: Sequence[ObjectStat]) -> Iterator[tuple[str, bytes]]:
        bulk_reads.append(folder)
        for stat in stats:
            yield stat.key, made.store.read(stat.key)

    extra = [ago(number) for number in range(DAYS + 1, DAYS + 20)]
    export(made.store, made.settings, "lines", extra)
    store = CachedStore(made.store, bulk)
    for _ in range(2):
        for stat in store.list("manifests/lines/"):
            assert stat.key.startswith("manifests/lines/")
        key = f"manifests/lines/{ago(2)}.json"
        assert store.read(key) == made.store.read(key)
    made.store.write(key, b"{}")  # one that has changed is read by itself
    list(store.list("manifests/lines/"))
    assert store.read(key) == b"{}"
    assert bulk_reads == ["manifests/lines/"]


def test_report_writes_the_page_and_prints_the_facts(
    still: ShownLake, run: Run, tmp_path: Path
) -> None:
    folder = tmp_path / "page"
    config = ("--config", str(still.config))
    code, out, err = run("report", "--html", str(folder), "--json", *config)
    assert (code, err.startswith("wrote ")) == (0, True)
    facts = json.loads(out)
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert facts["files"] == len(files)
    by_name = {dataset["dataset"]: dataset for dataset in facts["datasets"]}
    assert list(by_name) == list(NAMES)
    for name in NAMES:
        states = [state for (of, _), state in still.states.items() if of == name]
        assert by_name[name]["states"] == {state: states.count(state) for state in set(states)}
    assert by_name["events"]["held_days"] == 2
    assert by_name["lines"]["first_unproven"] == str(ago(5))
    assert by_name["events"]["first_unproven"] == str(ago(7))

    stale = folder / "data/days/lines/2020-01.js"
    stale.write_text("")
    assert run("report", "--html", str(folder), *config)[0] == 0
    assert not stale.exists()
    code, out, _ = run("report", *config)
    proven = sum(state in ("verified", "empty") for state in still.states.values())
    assert code == 0
    assert out.splitlines()[0].endswith(f": {proven} of {len(still.states)} days proven")
    # Loki keeps 5 days, Prometheus 3: of one day rows go since midnight, another is gone.
    newest = max(
        day
        for (name, day), state in still.states.items()
        if name == "events" and state in ("verified", "empty")
    )
    (events,) = [line for line in out.splitlines() if line.startswith("  events ")]
    assert f", the newest {newest};" in events
    assert "last snapshots: mongo " in out
    assert f"the source has been deleting rows of {ago(5)} for " in out
    assert f"lost: 1 day ({ago(9)}), not proven and not in the source" in out
    assert " -" not in out


def test_a_directory_that_can_not_be_written_is_an_error(
    still: ShownLake, run: Run, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    target = str(tmp_path / "file" / "page")
    code, _, err = run("report", "--html", target, "--config", str(still.config))
    assert code == 2
    assert "the page can't be written" in err


def test_ui_serves_until_it_is_stopped(still: ShownLake, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "lake", "ui", "--port", "0", "--json"]
    process = subprocess.Popen(
        [*command, "--config", str(still.config)], stdout=subprocess.PIPE, text=True, env=os.environ
    )
    try:
        assert process.stdout
        url = json.loads(process.stdout.readline())["url"]
        port = int(re.fullmatch(r"http://127\.0\.0\.1:(\d+)/", url)[1])  # type: ignore[index]
        assert answer(port, "/")[0] == 200
        taken = subprocess.run(
            [*command[:-2], str(port), "--config", str(still.config)],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert taken.returncode == 2
        assert "the port can't be listened on" in taken.stderr
    finally:
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE_S) == 0


def test_the_remedy_of_a_day_that_the_source_has_lost_is_a_snapshot(tmp_path: Path) -> None:
    """Prometheus keeps 3 days: of the fifth it has nothing."""
    _, settings, store = lake(tmp_path, ago(9))
    facts = gather(settings, store, None)
    (requests,) = [of for of in facts.datasets if of.name == "requests"]
    scripts = b"".join(month_scripts(requests, store).values()).decode()
    days = {}
    for text in scripts.splitlines():
        days |= json.loads(text.partition(",")[2].removesuffix(");"))
    export = "lake export requests --day {}"
    assert days[str(ago(2))]["remedy"] == export.format(ago(2))
    assert days[str(ago(5))]["remedy"] == export.format(ago(5)) + " --from-snapshot"
