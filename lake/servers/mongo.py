"""A server that speaks MongoDB's wire protocol: mongod, or SecantusDB in its stead.

Belongs here: their flags, the user of a server with log-in. Does not: finding the binary.
"""

from __future__ import annotations

import pymongo
from pymongo.errors import PyMongoError

from lake.servers.ports import LOOPBACK
from lake.servers.recipe import Launch, Recipe, Site


def _launch(site: Site) -> Launch:
    uri = f"mongodb://{LOOPBACK}:{site.ports['mongo']}"
    site.data.mkdir(parents=True, exist_ok=True)
    flags = _mongod(site) if site.program.name == "mongod" else _secantus(site)
    return Launch(
        command=[str(site.program), *flags],
        endpoint={"uri": uri},
        ready=lambda: _answers(uri),
    )


def _mongod(site: Site) -> list[str]:
    flags = [
        f"--dbpath={site.data}",
        f"--bind_ip={LOOPBACK}",
        f"--port={site.ports['mongo']}",
        "--nounixsocket",
    ]
    if site.options.mongo_test_commands:
        flags += ["--setParameter", "enableTestCommands=1"]
    return flags


def _secantus(site: Site) -> list[str]:
    config_file = site.home / "secantusd.toml"  # named, so that no other one is looked for
    config_file.touch()
    flags = [
        f"--config={config_file}",
        f"--host={LOOPBACK}",
        f"--port={site.ports['mongo']}",
        f"--storage-path={site.data}",
    ]
    if site.options.mongo_test_commands:
        flags.append("--enable-test-commands")
    return flags


def _answers(uri: str) -> bool:
    try:
        with pymongo.MongoClient[dict[str, object]](
            uri, serverSelectionTimeoutMS=300, directConnection=True
        ) as client:
            client.admin.command("ping")
    except PyMongoError:
        return False
    return True


RECIPE = Recipe(ports=("mongo",), launch=_launch)
