"""Installing: once, whole, with a word when it fails."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from support.looking import exists, within

from lake.base.errors import PermanentError
from lake.servers import debian, install
from lake.servers.cache import install_once, is_complete
from lake.servers.command import run
from lake.servers.progress import PlainLines, silent

pytestmark = pytest.mark.servers

TWO_PROCESSES = """
import sys, time
from pathlib import Path
from lake.servers.cache import install_once
from lake.servers.progress import silent

def build(directory):
    assert not any(directory.iterdir())
    with open(sys.argv[2], "a") as log:
        log.write("built\\n")
    (directory / "half").touch()
    time.sleep(0.5)
    (directory / "whole").touch()

install_once("x", Path(sys.argv[1]), build, silent)
assert Path(sys.argv[1], "whole").exists()
"""


def test_two_processes_install_once(tmp_path: Path) -> None:
    arguments = [sys.executable, "-c", TWO_PROCESSES, str(tmp_path / "x-1"), str(tmp_path / "log")]
    processes = [subprocess.Popen(arguments) for _ in range(3)]
    assert [process.wait(30) for process in processes] == [0, 0, 0]
    assert (tmp_path / "log").read_text() == "built\n"


def test_an_interrupted_installation_is_done_again(tmp_path: Path) -> None:
    target = tmp_path / "x-1"

    def broken(directory: Path) -> None:
        (directory / "half").touch()
        raise RuntimeError("power cut")

    with pytest.raises(RuntimeError):
        install_once("x", target, broken, silent)
    assert not is_complete(target)

    def whole(directory: Path) -> None:
        assert not (directory / "half").exists()

    install_once("x", target, whole, silent)
    assert is_complete(target)


def test_a_failing_step_shows_its_last_words_and_the_remedy(tmp_path: Path) -> None:
    command = ["sh", "-c", "seq 100; echo no route to the registry >&2; exit 7"]
    with pytest.raises(PermanentError) as raised:
        run(command, remedy="check the network")
    text = str(raised.value)
    assert "no route to the registry" in text
    assert "exit status 7" in text
    assert "check the network" in text
    assert "\n50\n" not in text


def test_a_missing_installer_is_told(tmp_path: Path) -> None:
    with pytest.raises(PermanentError) as raised:
        run([str(tmp_path / "apt-get"), "download"], remedy="use Debian")
    assert "No such file" in str(raised.value)
    assert "use Debian" in str(raised.value)


def test_a_step_reports_while_it_runs() -> None:
    seen: list[tuple[float, str]] = []
    printed = run(
        ["sh", "-c", "echo one; sleep 0.8; echo two"],
        tick=lambda seconds, output: seen.append((seconds, output)),
        remedy="",
    )
    assert printed == "one\ntwo\n"
    assert seen
    assert seen[0][0] > 0
    assert seen[0][1] == "one\n"


def test_debian_without_the_package_tells_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    apt = tmp_path / "path/apt-get"
    apt.parent.mkdir()
    apt.write_text(
        f"#!/bin/sh\necho $@ >> {tmp_path}/calls\necho E: Unable to locate >&2; exit 100\n"
    )
    apt.chmod(0o755)
    monkeypatch.setenv("PATH", f"{apt.parent}:/bin")
    monkeypatch.setenv("LAKE_CACHE_DIR", str(tmp_path / "cache"))
    with pytest.raises(PermanentError) as raised:
        install("prometheus")
    assert "Unable to locate" in str(raised.value)
    assert "PATH" in raised.value.parts["remedy"]
    calls = (tmp_path / "calls").read_text()
    assert "download prometheus=2.42*" in calls
    # Root fetches the lists itself, others are told to.
    assert ("update" in calls) is (os.geteuid() == 0)


def test_what_is_there_is_not_installed_again(
    stack: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lake.servers.installing.install_once", None)
    binaries = [install(name) for name in ("mongo", "prometheus", "promtool", "loki", "s3")]
    assert all(binary.path.exists() for binary in binaries)


def test_an_installer_ends_with_its_parent(tmp_path: Path) -> None:
    script = "from lake.servers.command import run; run(['sleep', '86399'], remedy='')"
    parent = subprocess.Popen([sys.executable, "-c", script])
    try:
        assert within(60, lambda: bool(_sleepers()))
        (sleeper,) = _sleepers()
        parent.kill()
        assert within(60, lambda: not exists(sleeper))
    finally:
        parent.send_signal(signal.SIGKILL)
        parent.wait()


def _sleepers() -> list[int]:
    pids = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if (folder / "cmdline").read_bytes() == b"sleep\x0086399\x00":
                pids.append(int(folder.name))
        except (FileNotFoundError, ProcessLookupError):
            continue  # it ended while we looked
    return pids


def test_plain_progress_is_throttled() -> None:
    stream = io.StringIO()
    report = PlainLines(stream, every_s=3600)
    for second in range(100):
        report("loki", f"building it, {second} s")
    report("s3", "starting")
    assert stream.getvalue() == "loki: building it, 0 s\ns3: starting\n"


def test_a_program_is_relocated_or_refused(tmp_path: Path) -> None:
    """Debian's Alertmanager has a directory compiled in that an unpacked package does not have."""
    program = tmp_path / "program"
    program.write_bytes(b"\x00/usr/share/x/ui\x00more")
    debian._relocate(program, b"/usr/share/x", b"usr//share/x", "no remedy")
    assert program.read_bytes() == b"\x00usr//share/x/ui\x00more"
    with pytest.raises(PermanentError, match="differs from the pinned one"):
        debian._relocate(program, b"/usr/share/x", b"usr//share/x", "no remedy")
    for _, absolute, relative in debian._COMPILED_IN.values():
        assert len(absolute) == len(relative)
        assert not relative.startswith(b"/")
