"""botocore's sessions, which share what botocore ships.

Belongs here: the descriptions of AWS's services, parsed once a process. Each client would otherwise
parse a megabyte of JSON: 80 ms of processor time, for each store that a sensor or a command opens.
Does not: credentials, regions and endpoints, which each session looks up again.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import botocore.session
from botocore.loaders import Loader, create_loader


def new_session(profile: str | None = None) -> Any:
    """A session of botocore. Raises BotoCoreError, such as for a profile that does not exist."""
    core = botocore.session.Session(profile=profile)
    core.register_component("data_loader", _loader(core.get_config_variable("data_path")))
    return core


class _SharedLoader(Loader):  # type: ignore[misc]  # botocore has no types
    """boto3 appends its own folder for each session; clients need none of its files."""

    @property
    def search_paths(self) -> list[str]:
        """A copy."""
        return list(super().search_paths)


@cache
def _loader(data_path: str | None) -> Loader:
    """`data_path`: further folders, as in AWS_DATA_PATH."""
    return _SharedLoader(create_loader(data_path).search_paths, include_default_search_paths=False)
