"""`lake cost`: what it prints, and its page in a browser."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from support.browsing import new_page
from support.ledger_days import ago, export, lake

from lake.base.errors import UsageError
from lake.config.settings import load
from lake.cost.choosing import chosen_prices
from lake.store import open_store

DAYS = 40


@pytest.fixture
def place(tmp_path: Path):
    file, settings, store = lake(tmp_path, ago(DAYS))
    for name in ("events", "lines"):
        export(store, settings, name, [ago(n) for n in range(DAYS, 0, -1)])
    store.write(f"mongo/{str(ago(1)).replace('-', '/')}/run/a.bin", b"x" * 200_000)
    return file


def test_json(place, run):
    code, out, err = run("cost", "--json", "--config", str(place))
    assert (code, err) == (0, "")
    report = json.loads(out)
    files = [path for path in (place.parent / "lake").rglob("*") if path.is_file()]
    size = sum(path.stat().st_size for path in files)
    assert (report["usage"]["objects"], report["usage"]["bytes"]) == (len(files), size)
    assert sum(cell["bytes"] for cell in report["usage"]["cells"]) == size
    months = {cell["month"] for cell in report["usage"]["cells"]}
    assert months == {str(ago(n))[:7] for n in range(1, DAYS + 1)}
    assert report["prices"]["region"] == "ap-northeast-2"
    assert "is a directory" in report["prices"]["note"]
    assert report["prices"]["note"] in report["assumptions"]
    forecast = report["forecast"]
    assert len(forecast["months"]) == 12
    assert forecast["total"] == pytest.approx(sum(month["total"] for month in forecast["months"]))
    gb_price = report["month_now"]["storage"]["STANDARD"] / (size / 2**30)
    assert gb_price == pytest.approx(0.025)
    first = forecast["months"][0]
    requests = sum(operation["cost"] for operation in forecast["first_month_requests"])
    assert first["requests"] == pytest.approx(requests)
    by_name = {operation["operation"]: operation for operation in forecast["first_month_requests"]}
    # Three datasets are exported each day of the month, five PUTs each.
    assert by_name["export"]["put"] == 3 * 5 * first["days"]
    assert by_name["query"]["get"] == 20 * 90 * 5 * first["days"]
    assert report["what_if"] is None


def test_what_if(place, run):
    change = ("--what-if", "retention.tables=10d", "--what-if", "growth=2")
    code, out, _ = run("cost", "--json", *change, "--config", str(place))
    report = json.loads(out)
    assert code == 0
    assert report["what_if"]["changes"] == ["retention.tables=10d", "growth=2"]
    assert report["what_if"]["difference"] == pytest.approx(
        report["what_if"]["total"] - report["forecast"]["total"]
    )
    # Ten days of the two datasets are left, each day twice as much as now.
    tables = {path.parent: path.stat().st_size for path in place.parent.rglob("data.parquet")}
    a_day = sum(tables.values()) / DAYS
    last = report["what_if"]["months"][-1]["bytes"]["table"]["STANDARD"]
    assert last == pytest.approx(10 * a_day * 2)
    assert report["forecast"]["months"][-1]["bytes"]["table"]["STANDARD"] > last * 10


def test_for_people(place, run):
    code, out, _ = run("cost", "--config", str(place))
    assert code == 0
    assert "by kind" in out
    assert re.search(r"^table +80 ", out, re.MULTILINE)
    assert re.search(r"^STANDARD +161 ", out, re.MULTILINE)
    months = sorted({str(ago(n))[:7] for n in range(1, DAYS + 1)})
    listed = out[out.index("by month") : out.index("growth a day")]
    assert re.findall(r"^(\d{4}-\d\d) ", listed, re.MULTILINE) == months
    assert "twelve months" in out
    assert "without taxes" in out


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("--region", "eu-central-1"), "no prices for the region eu-central-1"),
        (("--what-if", "retention.tables=soon"), "such as 90d or 1y"),
        (("--prices", "none.toml"), "the price file can't be read"),
        (("--html", "no/such/dir/x.html"), "the file can't be written"),
    ],
)
def test_wrong_arguments(place, run, arguments, expected):
    code, out, err = run("cost", *arguments, "--config", str(place))
    assert code == 2
    assert expected in err
    assert out == ""


def test_an_empty_lake(tmp_path, run):
    file, _, _ = lake(tmp_path, ago(3))
    page = tmp_path / "cost.html"
    code, out, _ = run("cost", "--config", str(file), "--html", str(page))
    assert code == 0
    assert "0 objects" in out
    assert "Capacity and cost" in page.read_text("utf-8")


TOO_WIDE = """() => [...document.querySelectorAll("svg text, .card b")].filter(text => {
    const box = text.getBoundingClientRect();
    return text.checkVisibility() && (box.left < 0 || box.right > innerWidth || box.height < 9);
}).map(text => text.textContent)"""


@pytest.mark.servers
@pytest.mark.parametrize("width", [1280, 400])
def test_the_page(place, run, browser, tmp_path, width):
    page_file = tmp_path / "cost.html"
    change = ("--what-if", "class.snapshots=GLACIER_IR")
    run("cost", "--html", str(page_file), *change, "--config", str(place))
    requested = []
    with new_page(browser, viewport={"width": width, "height": 900}) as page:
        page.on("request", lambda request: requested.append(request.url))
        page.goto(page_file.as_uri())
        assert page.locator("svg:visible").count() == 4
        assert page.locator("rect:visible").count() > 20
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert page.evaluate(TOO_WIDE) == []
    assert requested == [page_file.as_uri()]  # nothing else is fetched


SECTION = '[s3]\nendpoint_url = "{endpoint_url}"\nregion = "eu-central-1"\n'


@pytest.mark.servers
def test_a_server_that_is_not_aws(tmp_path, s3, run):
    file, _, _ = lake(tmp_path, ago(3), SECTION.format(**s3))
    file.write_text(file.read_text().replace('root = "lake"', f'root = "s3://{s3["bucket"]}"'))
    settings = load(str(file), {})
    export(open_store(settings), settings, "events", [ago(2), ago(1)])
    code, out, err = run("cost", "--json", "--config", str(file))
    report = json.loads(out)
    assert (code, err) == (0, "")
    assert report["usage"]["objects"] == 4
    assert f"{s3['endpoint_url']} is not AWS" in report["prices"]["note"]
    assert report["prices"]["region"] == "ap-northeast-2"


@pytest.mark.parametrize(
    ("region", "expected"), [("us-east-1", "us-east-1"), ("eu-central-1", None)]
)
def test_the_region_of_a_bucket_at_aws(tmp_path, monkeypatch, region, expected):
    for name in ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3"):
        monkeypatch.delenv(name, raising=False)
    file, _, _ = lake(tmp_path, ago(3), f'[s3]\nregion = "{region}"\n')
    file.write_text(file.read_text().replace('root = "lake"', 'root = "s3://a-bucket/x"'))
    settings = load(str(file), {})
    if expected:
        prices = chosen_prices(settings, open_store(settings))
        assert (prices.code, prices.note) == (expected, "")
        return
    with pytest.raises(UsageError, match="no prices for the region eu-central-1"):
        chosen_prices(settings, open_store(settings))
    assert chosen_prices(settings, open_store(settings), None, "us-east-1").code == "us-east-1"
