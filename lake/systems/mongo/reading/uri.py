"""The options of a MongoDB URI, checked one by one.

Belongs here: unknown names, wrong values, files that options name. Does not: connecting.

pymongo itself ignores an unknown option, or one whose value is wrong, with a Python
warning: a connection without the TLS or the time-out that was meant.
"""

from __future__ import annotations

import logging
import re
from difflib import get_close_matches

from pymongo import common, errors
from pymongo.uri_parser import split_options

from lake.base.errors import ConfigError
from lake.config.overrides import without_secrets

_LOG = logging.getLogger(__name__)
_OF_SECONDARIES = frozenset(("readpreference", "readpreferencetags", "maxstalenessseconds"))
_TYPO = 0.85  # how similar a name is to the one that was meant


def checked(uri: str) -> str:
    """The URI without options that pymongo does not support; each of these is logged.

    Raises ConfigError for a name that is nearly right, for a wrong value, and for a file that
    can't be read.
    """
    base, mark, query = uri.partition("?")
    options = [option for option in re.split("[&;]", query) if option]
    kept = [option for option in options if _is_known(option, uri)]
    return base + mark + "&".join(kept)


def of_primary(uri: str) -> str:
    """The URI without the options that let reads go to secondaries."""
    base, mark, query = uri.partition("?")
    options = [option for option in re.split("[&;]", query) if option]
    kept = [name for name in options if name.partition("=")[0].lower() not in _OF_SECONDARIES]
    return uri if kept == options else base + (mark + "&".join(kept) if kept else "")


def unknown_options(uri: str) -> list[str]:
    """The names that pymongo does not support."""
    names = [option.partition("=")[0] for option in re.split("[&;]", uri.partition("?")[2])]
    return [name for name in names if name and name.lower() not in _known()]


def _is_known(option: str, uri: str) -> bool:
    name, equals, _ = option.partition("=")
    if not equals:
        raise _wrong(uri, "an option without a value", "name=value, joined by &", None)
    if name.lower() not in _known():
        close = get_close_matches(name.lower(), _known(), 1, _TYPO)
        if close:
            raise _wrong(uri, f"unknown option {name!r}", None, f"did you mean {close[0]}?")
        _LOG.warning("sources.mongo.uri: unknown option %r is ignored", name)
        return False
    try:
        split_options(option, validate=True, warn=False)
    except OSError as error:
        raise ConfigError(
            f"the file of {name} can't be read",
            where=f"sources.mongo.uri: {without_secrets(uri)}",
            found=f"{error.strerror}: {error.filename}",
            remedy=f"correct {name}, or make the file readable for this user",
        ) from None
    except (errors.PyMongoError, ValueError, TypeError) as error:
        raise _wrong(uri, f"wrong value for the option {name!r}", error, None) from None
    return True


def _known() -> list[str]:
    return [name.lower() for name in common.VALIDATORS]


def _wrong(uri: str, what: str, expected: object, remedy: str | None) -> ConfigError:
    return ConfigError(
        f"not a usable MongoDB URI: {what}",
        where=f"sources.mongo.uri: {without_secrets(uri)}",
        expected=expected,
        remedy=remedy or "correct the option",
    )
