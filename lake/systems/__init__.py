"""The systems: one package each, with modules of the same names.

protocol    what each of them offers to the use cases
registry    the system of a name, loaded where it is used

Shared by several: source and unquoting (reading), labels and label_sets, rollup and rollup_labels,
expiry, restored, partitions, loading and sending (replay), rehearsed and comparison (rehearsal),
discovered and periods (`lake init`), check (`lake doctor`).

Belongs here: what is of one system only, and what several of them share.
Does not: use cases, which name no system.
"""

from lake.config.systems import packages

SYSTEMS = tuple(packages())
