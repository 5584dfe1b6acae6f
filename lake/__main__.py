"""`python -m lake`: the command without an entry point on PATH.

Belongs here: the call. Does not: anything else.
"""

from lake.cli import main

main()
