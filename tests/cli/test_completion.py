"""Completion of `lake` in shells: what they are offered, and bash itself."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pytest
from click.testing import CliRunner
from support.full_disk import files_of_at_most
from support.hand_made import hand_made_lake

from lake.cli.completion import script_of
from lake.cli.main import root

_BIN = Path(sys.executable).parent


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory):
    lake = hand_made_lake(tmp_path_factory.mktemp("lake"), "events", "other")
    for day in ("2026-07-01", "2026-07-31"):
        lake.put("events", day, pa.table({"n": [1]}))
    lake.put("other", "2026-08-05", pa.table({"n": [1]}))
    return lake


@pytest.fixture(scope="module")
def own_trends(lake):
    """Trends of the user's own, whose names a shell reads otherwise."""
    folder = lake.config.parent / "trends"
    folder.mkdir()
    statement = "SELECT day, count(*) AS n FROM docs GROUP BY ALL ORDER BY ALL\n"
    header = (
        "Trend",
        "",
        "grain: a day",
        "input: docs | documents",
        "parameters: from_day, to_day",
    )
    header = (*header, "x: day", "panel: n | bars | n")
    for name in ("own days", "own's", "own$HOME", "own\\slash", "own\nline", "-own"):
        (folder / f"{name}.sql").write_text("".join(f"-- {x}\n" for x in header) + statement)
    return ["own$HOME", "own's", "own\\slash", "own days"]


def _environment(lake, **more: str) -> dict[str, str]:
    path = f"{_BIN}{os.pathsep}{os.environ['PATH']}"
    return {**os.environ, "PATH": path, "LAKE_CONFIG": str(lake.config), **more}


def _offered(lake, *words: str, **more: str) -> list[str]:
    """As bash is answered, of the last word."""
    environment = _environment(
        lake,
        _LAKE_COMPLETE="bash_complete",
        COMP_WORDS=" ".join(("lake", *words)),
        COMP_CWORD=str(len(words)),
        **more,
    )
    done = subprocess.run(
        [_BIN / "lake"], env=environment, capture_output=True, text=True, check=True, timeout=60
    )
    return [line.removeprefix("plain,") for line in done.stdout.split()]


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        (["descr"], ["describe"]),
        (["export", "ev"], ["events"]),
        (["query", "--parq"], ["--parquet"]),
        (["trend", "http_err"], ["http_errors"]),
        (["export", "--day", "2026-07"], ["2026-07-31", "2026-07-01"]),
        (["export", "events", "--from", ""], ["2026-07-31", "2026-07-01"]),
        (["describe", "--to", "2026-08"], ["2026-08-06", "2026-08-01"]),
        (["restore", "pro"], ["prometheus"]),
        (["incident", "--dataset", "ot"], ["other"]),
        (["export", "--day", "=", "2026-07"], ["2026-07-31", "2026-07-01"]),  # as bash splits it
        (["export", "other", "--day", "="], ["2026-08-05"]),
        (["query", "--parquet", "a"], ["file,a"]),
        (["query", "a"], ["file,a"]),
        (["--config", "a"], ["file,a"]),
    ],
)
def test_what_is_offered(lake, words: list[str], offered: list[str]) -> None:
    assert _offered(lake, *words) == offered


def test_nothing_is_offered_where_nothing_can_be_read(lake, tmp_path: Path) -> None:
    missing = type(lake)(tmp_path / "none.toml", lake.settings, lake.store)
    assert _offered(missing, "export", "ev") == []


def _replies(lake, words: str, *, last: int) -> list[str]:
    """What bash would insert for the word of that number, and its own line about the command."""
    program = f"""
{script_of("bash")}
COMP_WORDS=({words}); COMP_CWORD={last}
_lake_completion lake
printf '%s\\n' "${{COMPREPLY[@]}}"
complete -p lake
"""
    done = subprocess.run(
        ["bash", "--norc", "-c", program],
        env=_environment(lake),
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    return done.stdout.splitlines()


def test_bash_itself(lake) -> None:
    event, command = _replies(lake, "lake describe ev", last=2)
    assert event == "events"
    assert "-F _lake_completion" in command


def test_bash_inserts_names_as_it_has_to_read_them(lake, own_trends) -> None:
    replies = _replies(lake, "lake trend own", last=2)[:-1]
    assert sorted(replies) == sorted([r"own\$HOME", r"own\'s", r"own\\slash", r"own\ days"])
    assert [shlex.split(reply) for reply in sorted(replies)] == [[n] for n in sorted(own_trends)]
    assert _replies(lake, """lake trend '"own d'""", last=2)[:-1] == ["own days"]  # in quotes


@pytest.mark.parametrize("config", ["~/lake.toml", "$HOME/lake.toml"])
def test_a_configuration_as_it_is_typed(lake, config: str) -> None:
    home = type(lake)(lake.config.with_name("none.toml"), lake.settings, lake.store)
    words = ("--config", config, "export", "ev")
    assert _offered(home, *words, HOME=str(lake.config.parent)) == ["events"]


@pytest.mark.parametrize(
    ("shell", "last", "offered"),
    [
        ("zsh", "3", "plain\n--day=2026-08-05\n_"),
        ("fish", "--day=2026-08", "plain,--day=2026-08-05"),
    ],
)
def test_a_shell_that_replaces_the_whole_word_keeps_the_option(
    lake, shell: str, last: str, offered: str
) -> None:
    words = {"COMP_WORDS": "lake export other --day=2026-08", "COMP_CWORD": last}
    environment = _environment(lake, _LAKE_COMPLETE=f"{shell}_complete", **words)
    done = subprocess.run(
        [_BIN / "lake"], env=environment, capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.strip() == offered


def _install(lake, home: Path, shell: str) -> list[str]:
    environment = _environment(lake, HOME=str(home))
    for name in ("XDG_DATA_HOME", "XDG_CONFIG_HOME", "ZDOTDIR"):
        environment.pop(name, None)
    done = subprocess.run(
        [_BIN / "lake", "completion", shell, "--install"],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    return done.stdout.splitlines()


def test_bash_reads_what_is_installed(lake, tmp_path: Path) -> None:
    start = tmp_path / ".bashrc"
    start.write_text("alias mine=true\n")
    for _ in range(2):  # repeated after an update
        assert _install(lake, tmp_path, "bash")[0].endswith("completion.bash")
    assert start.read_text().splitlines()[0] == "alias mine=true"
    assert len(start.read_text().splitlines()) == 2
    done = subprocess.run(
        ["bash", "--rcfile", start, "-i", "-c", "complete -p lake"],
        env=_environment(lake, HOME=str(tmp_path)),
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert "-F _lake_completion" in done.stdout


def test_the_start_file_is_the_users_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Carriage returns, form feeds and bytes that are no UTF-8; a link, its permissions; a disk
    without room.
    """
    own = b"alias a=true\r\n\x0c# caf\xe9\n" + b"# long\n" * 2000
    file = tmp_path / "dotfiles"
    file.write_bytes(own)
    file.chmod(0o600)
    start = tmp_path / ".bashrc"
    start.symlink_to(file)
    monkeypatch.setenv("HOME", str(tmp_path))
    with files_of_at_most(10_000):
        refused = CliRunner().invoke(root, ["completion", "bash", "--install"])
    assert refused.exit_code == 1, refused.output
    assert file.read_bytes() == own
    for _ in range(2):
        done = CliRunner().invoke(root, ["completion", "bash", "--install"])
        assert done.exit_code == 0, done.output
    assert file.read_bytes().startswith(own)
    assert file.read_bytes().count(b"\n") == own.count(b"\n") + 1
    assert start.is_symlink()
    assert file.stat().st_mode & 0o777 == 0o600


def test_the_other_shells_files(lake, tmp_path: Path) -> None:
    """No zsh and no fish is run here: their scripts are click's."""
    (fish,) = _install(lake, tmp_path, "fish")
    assert Path(fish) == tmp_path / ".config/fish/completions/lake.fish"
    assert "fish_complete" in Path(fish).read_text()
    zsh, start = _install(lake, tmp_path, "zsh")
    assert f". {zsh}" in Path(start).read_text()
    assert "compdef _lake_completion lake" in Path(zsh).read_text()
