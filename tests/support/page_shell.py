"""The commands of a page, run one after the other as somebody who reads it would.

Belongs here: lines of a block, a shell for them, what is not run and why. Does not: what a page's
names stand for in a test, what is expected.

`lake` runs within the test's process. A command that a container, a cluster or root would run is
run without them.
"""

from __future__ import annotations

import io
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path
from unittest import mock

from lake.cli import main
from support.documented import ROOT, CodeBlock

# Of lines that no test machine can run. `bash -n` and click read them all the same.
NOT_RUN = {
    r"docker (compose (build|up|stop|exec)\b|exec |cp ).*": "needs Docker",
    r"kubectl .*": "needs a cluster",
    r"terraform .*": "needs AWS, and the registry of providers",
    r"aws s3 .*": "needs AWS",
    r"lake iceberg --catalog glue .*": "needs AWS Glue",
    r"useradd .*": "adds a user to the machine",
    r"systemctl .*": "needs systemd as the first process",
    r"(\S*/)?pip install .*": "needs a package index",
    r"python3 -m venv .*": "makes what the tests run in",
    r"source .venv/bin/activate": "the tests run in it",
    r"pyspark .*": "needs PySpark: make spark",
    r"dagster dev .*": "serves until it is ended; tests/cli/test_dagster_command.py loads the same",
    r"make (demo|test|check|docs)": "runs for minutes, this test included: make --dry-run",
    r"\.venv/bin/python scripts/dashboards": "writes into the checkout; see test_grafana",
    r"mongosh .*": "is not installed here; test_runbook counts with pymongo",
}
# What runs a command elsewhere: without it, the command is one for this machine.
_WRAPPERS = (
    (r"docker compose run --rm (-T )?--entrypoint sh (lake|code)", "sh"),
    (r"docker compose run --rm (-T )?lake", "lake"),
    (r"kubectl \S+ \S+ exec deployment/code -- ", ""),
    (r"^sudo (-u \S+ )?", ""),
    (r"(?<=[ ^])-o \S+ -g \S+ ", ""),
    (r"^\S*/bin/lake ", "lake "),
    (r"^[\d*/]+( [\d*/]+){4} +", ""),  # cron's times
)
_SERVES = re.compile(r"^lake (?:ui|.* --serve)\b")
_READY = re.compile(r'^\{"|http://127\.0\.0\.1:\d+')
_WITHIN_S = 90
_SHOWN = 1500  # characters of each output, where a command fails


def lines_of(block: CodeBlock) -> list[str]:
    """Its commands, each in one line, without comments behind them."""
    joined = re.sub(r"\\\n\s*", "", block.text).splitlines()
    stripped = (re.sub(r"\s+# .*$", "", line).strip() for line in joined)
    return [line for line in stripped if line and not line.startswith("#")]


def why_not_run(line: str) -> str | None:
    """None of a line that is run."""
    shapes = (shape for shape in NOT_RUN if re.fullmatch(shape, unwrapped(line)))
    return next((NOT_RUN[shape] for shape in shapes), None)


def unwrapped(line: str) -> str:
    for shape, own in _WRAPPERS:
        line = re.sub(shape, own, line)
    return line


def is_shell(line: str) -> bool:
    """Whether bash can parse it."""
    return subprocess.run(["bash", "-n", "-c", line], check=False).returncode == 0


@dataclass(frozen=True)
class Done:
    """A line that was run."""

    line: str
    status: int
    out: str
    err: str

    def __str__(self) -> str:
        return f"$ {self.line}\n{self.out[-_SHOWN:]}{self.err[-_SHOWN:]}exit status {self.status}"


@dataclass
class PageShell:
    """`names`: what stands on the page → what it is here; of two that begin alike the first is
    taken. `env` is the whole environment of the commands.
    """

    directory: Path
    env: dict[str, str]
    names: Mapping[str, str] = field(default_factory=dict)

    def run(self, line: str) -> Done:
        """Runs it as it is on the page but for the names."""
        here = self.named(unwrapped(line))
        if re.fullmatch(r"(export )?(LAKE|DAGSTER|AWS)_\w+=.*", here):
            return self._exported(here)
        if _SERVES.match(here):
            return self._served(here)
        words = [re.sub(r"^~(?=/)", self.env["HOME"], word) for word in shlex.split(here)]
        if words[0] != "lake" or {"&&", "|", "<", "2>"} & set(words):
            return self._in_bash(here)
        if ">" not in words:
            return self._called(here, words[1:])
        at = words.index(">")
        done = self._called(here, words[1:at])
        (self.directory / words[at + 1]).write_text(done.out, "utf-8")
        return done

    def named(self, text: str) -> str:
        shapes = "|".join(map(re.escape, self.names))
        return re.sub(shapes, lambda match: self.names[match[0]], text) if shapes else text

    def _called(self, line: str, words: list[str]) -> Done:
        out, err = (io.TextIOWrapper(io.BytesIO(), "utf-8", write_through=True) for _ in range(2))
        before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
        place, hook = Path.cwd(), sys.excepthook
        os.chdir(self.directory)
        try:
            with (
                mock.patch.dict(os.environ, self.env, clear=True),
                mock.patch.object(sys, "argv", ["lake", *words]),
                mock.patch.object(sys, "stdin", io.StringIO()),
                redirect_stdout(out),
                redirect_stderr(err),
            ):
                main()
        except SystemExit as done:
            status = done.code if isinstance(done.code, int) else 1
        finally:
            os.chdir(place)
            sys.excepthook = hook
            for number, handler in before.items():
                signal.signal(number, handler)
        return Done(line, status, *(str(s.buffer.getvalue(), "utf-8") for s in (out, err)))

    def _in_bash(self, line: str) -> Done:
        done = subprocess.run(
            ["bash", "-c", line],
            cwd=self.directory,
            env=self.env,
            capture_output=True,
            text=True,
            timeout=_WITHIN_S,
            check=False,
        )
        return Done(line, done.returncode, done.stdout, done.stderr)

    def _exported(self, line: str) -> Done:
        done = self._in_bash(f"set -a\n{line}\nenv --null")
        pairs = (pair.partition("=") for pair in done.out.split("\0") if pair)
        self.env.update({name: value for name, _, value in pairs if name not in ("_", "SHLVL")})
        return Done(line, done.status, "", done.err)

    def _served(self, line: str) -> Done:
        """Until it is ready; then it is ended, and its status has to be 0."""
        serving = subprocess.Popen(
            ["bash", "-c", f"exec {line}"],
            cwd=self.directory,
            env=self.env,
            stdout=subprocess.PIPE,
            stderr=(errors := (self.directory / ".errors").open("w+")),
            text=True,
        )
        printed = []
        end = time.monotonic() + _WITHIN_S
        assert serving.stdout is not None
        for text in serving.stdout:
            printed.append(text)
            if _READY.search(text) or time.monotonic() > end:
                break
        serving.send_signal(signal.SIGINT)
        rest, _ = serving.communicate(timeout=_WITHIN_S)
        with errors:
            errors.seek(0)
            err = errors.read()
        ready = any(_READY.search(text) for text in printed)
        status = serving.returncode if ready else serving.returncode or 1
        return Done(line, status, "".join([*printed, rest]), err)


def environment(home: Path, more: Mapping[str, str]) -> dict[str, str]:
    """Of commands: this Python's programs, a home of their own, no settings of the machine's."""
    kept = {n: v for n, v in os.environ.items() if not n.startswith(("LAKE_", "AWS_", "DAGSTER_"))}
    if cache := os.environ.get("LAKE_CACHE_DIR"):
        kept["LAKE_CACHE_DIR"] = cache
    programs = Path(sys.executable).parent
    return kept | {
        "HOME": str(home),
        "PATH": f"{programs}:{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        **more,
    }
