"""FerretDB on SQLite files: another server that speaks MongoDB's wire protocol.

Belongs here: its flags. Does not: building it (golang, deploy/tools/ferretdb).
"""

from __future__ import annotations

from lake.servers.mongo import answers_ping
from lake.servers.ports import LOOPBACK
from lake.servers.recipe import Launch, Recipe, ServerSite


def _launch(site: ServerSite) -> Launch:
    address = f"{LOOPBACK}:{site.ports['mongo']}"
    site.data.mkdir(parents=True, exist_ok=True)
    return Launch(
        command=[str(site.program), f"--listen={address}", f"--directory={site.data}"],
        endpoint={"uri": f"mongodb://{address}"},
        ready=lambda: answers_ping(f"mongodb://{address}"),
    )


RECIPE = Recipe(ports=("mongo",), launch=_launch)
