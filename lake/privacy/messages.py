"""Error messages of a dataset with column rules, without the values that they quote.

Belongs here: which part of a message may be a value. Does not: secrets of the configuration
(lake.base.redaction), which errors there are.

Errors of a source quote queries and answers, and in these values stand between quotes: labels in
selectors, lines in filters, texts in a server's own message. Each quoted text that the dataset's
configuration does not have itself is left out. An unforeseen error has any text; of it only the
kind and the place in the code are kept.
"""

from __future__ import annotations

import logging
import re
import traceback
from collections.abc import Iterator
from contextlib import contextmanager

from lake.base.errors import LakeError, PermanentError

LEFT_OUT = "…"
_TALKATIVE = ("pymongo.command", "urllib3.connectionpool")
# A quote opens behind anything but a letter or digit, so that the ' of "don't" does not; one that
# is not closed reaches to the end.
_QUOTED = re.compile(
    r'"(?:[^"\\]|\\.)*(?:"|$)|`[^`]*(?:`|$)|(?<![A-Za-z0-9])b?\'(?:[^\'\\]|\\.)*(?:\'|$)', re.DOTALL
)
_PERCENT_QUOTED = re.compile(r"%22.*?(?:%22|$)|%60.*?(?:%60|$)|%27.*?(?:%27|$)", re.DOTALL)


def without_values(text: str, known: str) -> str:
    """The text without quoted texts, but for those that `known`, the configuration, has."""

    def shown(match: re.Match[str]) -> str:
        quoted = match[0].removeprefix("b")
        return match[0] if quoted[1:-1] in known else f"{quoted[0]}{LEFT_OUT}{quoted[0]}"

    return _QUOTED.sub(shown, _PERCENT_QUOTED.sub(LEFT_OUT, text))


def quiet_libraries() -> None:
    """Turns off the logs of client libraries, which contain requests and answers."""
    for name in _TALKATIVE:
        logger = logging.getLogger(name)
        if logger.getEffectiveLevel() < logging.INFO:
            logger.setLevel(logging.INFO)


@contextmanager
def no_values(known: str) -> Iterator[None]:
    """Within the block errors quote no values; `known` is what they may quote.

    The errors that caused them are not kept: they quote values, too.
    """
    try:
        yield
    except LakeError as error:
        error.what = without_values(error.what, known)
        error.parts = {
            # A remedy is a text of the code, with commands between backticks.
            name: part if name == "remedy" else without_values(part, known)
            for name, part in error.parts.items()
        }
        error.args = (error.what,)
        if hasattr(error, "text"):
            error.text = without_values(str(error.text), known)
        raise _alone(error) from None
    except Exception as error:  # noqa: BLE001  whatever it is, its text may be a value
        place = traceback.extract_tb(error.__traceback__)[-1]
        raise PermanentError(
            "an unforeseen error, its text is left out: the dataset has column rules",
            where=f"{place.filename}, line {place.lineno}",
            found=type(error).__name__,
        ) from None


def _alone(error: LakeError) -> LakeError:
    error.__cause__ = error.__context__ = None
    return error
