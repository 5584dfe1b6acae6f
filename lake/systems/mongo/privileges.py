"""What the connection's user may do, as MongoDB lists it.

Belongs here: reading privileges. Does not: trying a command, what follows (diagnosis, lake.doctor).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pymongo.database import Database
from pymongo.errors import OperationFailure

_NO_SUCH_COMMAND, _NOT_IMPLEMENTED, _UNAUTHORIZED = 59, 238, 13


def lacking(
    database: Database[dict[str, Any]], collection: str, actions: Sequence[str]
) -> list[str] | None:
    """Those of the actions that the user lacks on the collection. Empty also where there is no
    user, for a server that is read without one restricts nothing; None where the server does not
    list privileges. Raises what pymongo raises.
    """
    try:
        answer = database.command("connectionStatus", showPrivileges=True)
    except OperationFailure as error:
        if error.code in (_NO_SUCH_COMMAND, _NOT_IMPLEMENTED, _UNAUTHORIZED):
            return None
        raise
    info = answer.get("authInfo", {})
    if not info.get("authenticatedUsers"):
        return []
    privileges = info.get("authenticatedUserPrivileges")
    if not privileges:  # without any the user could not have logged in for anything
        return None
    allowed = {
        action
        for privilege in privileges
        if _covers(privilege.get("resource", {}), database.name, collection)
        for action in privilege.get("actions", ())
    }
    return [action for action in actions if not allowed & {action, "anyAction"}]


def _covers(resource: Mapping[str, Any], database: str, collection: str) -> bool:
    """An empty name is any database, or any collection but the server's own."""
    if resource.get("anyResource"):
        return True
    return resource.get("db") in ("", database) and resource.get("collection") in ("", collection)
