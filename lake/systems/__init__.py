"""The systems: one package each, with modules of the same names.

protocol    what each of them offers to the use cases
registry    the system of a name, loaded where it is used

Belongs here: what is of one system only, and what several of them share.
Does not: use cases, which name no system.
"""

from lake.config.systems import packages

SYSTEMS = tuple(packages())
