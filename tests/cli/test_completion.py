"""Completion of `lake` in shells: what they are offered, and bash itself."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pytest
from support.hand_made import hand_made_lake

from lake.cli.completion import script_of

_BIN = Path(sys.executable).parent


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory):
    lake = hand_made_lake(tmp_path_factory.mktemp("lake"), "events", "other")
    for day in ("2026-07-01", "2026-07-31"):
        lake.put("events", day, pa.table({"n": [1]}))
    lake.put("other", "2026-08-05", pa.table({"n": [1]}))
    return lake


def _environment(lake, **more: str) -> dict[str, str]:
    path = f"{_BIN}{os.pathsep}{os.environ['PATH']}"
    return {**os.environ, "PATH": path, "LAKE_CONFIG": str(lake.config), **more}


def _offered(lake, *words: str) -> list[str]:
    """As bash is answered, of the last word."""
    environment = _environment(
        lake,
        _LAKE_COMPLETE="bash_complete",
        COMP_WORDS=" ".join(("lake", *words)),
        COMP_CWORD=str(len(words)),
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
    ],
)
def test_what_is_offered(lake, words: list[str], offered: list[str]) -> None:
    assert _offered(lake, *words) == offered


def test_nothing_is_offered_where_nothing_can_be_read(lake, tmp_path: Path) -> None:
    missing = type(lake)(tmp_path / "none.toml", lake.settings, lake.store)
    assert _offered(missing, "export", "ev") == []


def test_bash_itself(lake) -> None:
    program = f"""
{script_of("bash")}
COMP_WORDS=(lake describe ev); COMP_CWORD=2
_lake_completion lake ev describe
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
    assert done.stdout.splitlines()[0] == "events"
    assert "-F _lake_completion" in done.stdout


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


def test_the_other_shells_files(lake, tmp_path: Path) -> None:
    """No zsh and no fish is run here: their scripts are click's."""
    (fish,) = _install(lake, tmp_path, "fish")
    assert Path(fish) == tmp_path / ".config/fish/completions/lake.fish"
    assert "fish_complete" in Path(fish).read_text()
    zsh, start = _install(lake, tmp_path, "zsh")
    assert f". {zsh}" in Path(start).read_text()
    assert "compdef _lake_completion lake" in Path(zsh).read_text()
