"""`lake completion`.

Belongs here: the scripts of the shells, and where they are installed. Does not: which words are
completed (completing), how a shell takes them (completion_words).
"""

from __future__ import annotations

import os
import shlex
from pathlib import Path

import click
from click.shell_completion import get_completion_class

from lake.base.causes import cause
from lake.base.errors import PermanentError, UsageError
from lake.process.scratch import replaced_at_once

_MARK = "# completion of monitoring-lake"
_ZSH_BEGINS = "(( $+functions[compdef] )) || { autoload -Uz compinit && compinit }\n"


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.option("--install", is_flag=True, help="Installs the script for this user.")
def completion(shell: str, install: bool) -> None:
    """Prints or installs the shell completion for lake.

    Tab then completes commands, options, datasets, trends and days, without any network
    request: all days of a lake in a directory, for a lake on S3 those that the last query listed.

    --install writes the script below $XDG_DATA_HOME (default: ~/.local/share) and adds one line
    that reads it to ~/.bashrc or ~/.zshrc. For fish it writes to fish's own completions
    directory. Run it again after an update.

    \b
    Example:  lake completion bash --install
    """
    script = script_of(shell)
    if not install:
        click.echo(script)
        return
    file, start = _places(shell)
    try:
        with replaced_at_once(file) as part:
            part.write_text(script, "utf-8")
        added = start is not None and _add_line(start, file)
    except OSError as error:
        raise PermanentError(
            "the completion can't be installed",
            where=error.filename or file,
            found=cause(error),
            remedy=f"write it elsewhere, and let the shell read it: lake completion {shell} > FILE",
        ) from error
    click.echo(str(file))
    if start is not None:
        click.echo(f"{start}{'' if added else ' already reads it'}")
    click.echo("Open a new shell to complete `lake`.", err=True)


def script_of(shell: str) -> str:
    """click's script for the command `lake`."""
    from lake.cli.main import COMPLETE, root  # noqa: PLC0415

    known = get_completion_class(shell)
    assert known is not None  # noqa: S101  click has the three
    # The command is what the user types, wherever it lies.
    complete = known(root, {}, "lake", COMPLETE)
    script = complete.source_template % complete.source_vars()
    return (_ZSH_BEGINS if shell == "zsh" else "") + script


def _places(shell: str) -> tuple[Path, Path | None]:
    """The script's file, and the shell's start file that is to read it."""
    try:
        home = Path.home()
    except RuntimeError as error:
        raise UsageError(
            "this user has no home directory",
            expected="HOME, or an entry in /etc/passwd",
            remedy=f"let the shell read the script: lake completion {shell} > FILE",
        ) from error
    if shell == "fish":
        config = Path(os.environ.get("XDG_CONFIG_HOME") or home / ".config")
        return config / "fish/completions/lake.fish", None
    data = Path(os.environ.get("XDG_DATA_HOME") or home / ".local/share")
    start = home / ".bashrc" if shell == "bash" else _zsh_home(home) / ".zshrc"
    return data / f"monitoring-lake/completion.{shell}", start


def _zsh_home(home: Path) -> Path:
    return Path(os.environ.get("ZDOTDIR") or home)


def _add_line(start: Path, file: Path) -> bool:
    """Whether the line was not there yet. The user's own bytes stay as they are, and all of them
    where the disk is full.
    """
    content = start.read_bytes() if start.exists() else b""
    quoted = shlex.quote(str(file))
    line = os.fsencode(f"[ -r {quoted} ] && . {quoted}  {_MARK}")
    lines = content.removesuffix(b"\n").split(b"\n") if content else []
    if line in lines:
        return False
    kept = [other for other in lines if not other.endswith(_MARK.encode())]
    with replaced_at_once(start) as part:
        part.write_bytes(b"\n".join([*kept, line]) + b"\n")
    return True
