"""What Dagster keeps of an error: its text in the run's log, in the database, in the UI.

Belongs here: errors as Failures, without secrets. Does not: which errors there are.
"""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from contextlib import contextmanager

import dagster as dg

from lake.base.errors import LakeError, TransientError
from lake.base.redaction import redact

_interrupted: set[str] = set()  # ids of runs of this process


@contextmanager
def as_failures(run_id: str) -> Iterator[None]:
    """Within the block errors become Failures; those that a retry can't fix allow none.

    Dagster stores the texts of an exception and of its causes as they are. LakeErrors contain
    no secrets; an unforeseen exception may. Left alone, an interrupt makes Dagster
    retry the step after the retry policy's delay, and go on with the run's other steps.
    """
    if run_id in _interrupted:
        raise dg.Failure("the run was interrupted", allow_retries=False)
    try:
        yield
    except (KeyboardInterrupt, dg.DagsterExecutionInterruptedError):
        _interrupted.add(run_id)
        raise dg.Failure("the run was interrupted", allow_retries=False) from None
    except (dg.Failure, dg.RetryRequested, dg.DagsterError):
        raise
    except LakeError as error:
        raise dg.Failure(str(error), allow_retries=isinstance(error, TransientError)) from None
    except Exception as error:  # noqa: BLE001  whatever it is
        text = redact("".join(traceback.format_exception(error)))
        raise dg.Failure(f"an unforeseen error\n{text}", allow_retries=False) from None
