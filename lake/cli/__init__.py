"""The command `lake`: the use cases for a shell.

Belongs here: options, what is printed, exit statuses. Does not: what the commands do.
Heavy imports stay inside the commands: `lake --help` has to be quick.
"""

from lake.cli.main import main

__all__ = ["main"]
