"""A server that speaks MongoDB's wire protocol: mongod, or SecantusDB as its stand-in.

Belongs here: their flags, the user of a server with log-in. Does not: finding the binary.
"""

from __future__ import annotations

from pathlib import Path

import pymongo
from pymongo.errors import PyMongoError

from lake.base.redaction import register_secret
from lake.servers.credentials import new_secret, write_private
from lake.servers.ports import LOOPBACK
from lake.servers.recipe import Launch, Recipe, ServerSite

_USER = "lake"


def _launch(site: ServerSite) -> Launch:
    """With `mongo_auth` the first start makes a user, the next one requires a log-in."""
    address = f"{LOOPBACK}:{site.ports['mongo']}"
    password_file = site.home / "password"
    log_in = site.options.mongo_auth and password_file.exists()
    uri = f"mongodb://{address}"
    if log_in:
        password = password_file.read_text(encoding="utf-8")
        register_secret(password)
        uri = f"mongodb://{_USER}:{password}@{address}"
    site.data.mkdir(parents=True, exist_ok=True)
    flags = _mongod(site) if site.program.name == "mongod" else _secantus(site)
    return Launch(
        command=[str(site.program), *flags, *(["--auth"] if log_in else [])],
        endpoint={"uri": uri},
        ready=lambda: answers_ping(uri),
        provision=lambda: site.options.mongo_auth and _made_user(uri, password_file),
    )


def _mongod(site: ServerSite) -> list[str]:
    flags = [
        f"--dbpath={site.data}",
        f"--bind_ip={LOOPBACK}",
        f"--port={site.ports['mongo']}",
        "--nounixsocket",
    ]
    if site.options.mongo_test_commands:
        flags += ["--setParameter", "enableTestCommands=1"]
    if not site.options.mongo_ttl:
        flags += ["--setParameter", "ttlMonitorEnabled=false"]
    return flags


def _secantus(site: ServerSite) -> list[str]:
    config_file = site.home / "secantusd.toml"  # named, so that no other one is looked for
    config_file.touch()
    flags = [
        f"--config={config_file}",
        f"--host={LOOPBACK}",
        f"--port={site.ports['mongo']}",
        f"--storage-path={site.data}",
        "--standalone",  # as the mongod above; a third less work an insert
    ]
    if site.options.mongo_test_commands:
        flags.append("--enable-test-commands")
    return flags


def answers_ping(uri: str) -> bool:
    """Whether a server answers there now."""
    try:
        with pymongo.MongoClient[dict[str, object]](
            uri, serverSelectionTimeoutMS=300, directConnection=True
        ) as client:
            client.admin.command("ping")
    except PyMongoError:
        return False
    return True


def _made_user(uri: str, password_file: Path) -> bool:
    """Whether a user had to be made."""
    if password_file.exists():
        return False
    password = new_secret()
    with pymongo.MongoClient[dict[str, object]](uri, directConnection=True) as client:
        client.admin.command("createUser", _USER, pwd=password, roles=["root"])
    write_private(password_file, password)
    return True


RECIPE = Recipe(ports=("mongo",), launch=_launch)
