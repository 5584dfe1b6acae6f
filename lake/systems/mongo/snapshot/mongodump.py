"""mongodump, where it is on PATH: its archive, as it comes, into the store.

Belongs here: the program, its arguments, its password, its exit status.
Does not: our own writer of the same layout (mongo).
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import shutil
import subprocess
from collections.abc import Mapping
from contextlib import suppress
from typing import Any
from urllib.parse import quote, quote_plus, urlsplit, urlunsplit

from bson import json_util
from pymongo.errors import ConfigurationError
from pymongo.uri_parser import parse_uri

from lake.base.errors import ConfigError, Incomplete
from lake.process.scratch import scratch_directory
from lake.servers.credentials import write_private
from lake.snapshots.collecting import Collector
from lake.systems.mongo.config import MongoSource
from lake.systems.mongo.reading.connection import explained

ARCHIVE = "mongodump.archive.gz"
OF_A_COLLECTION = ".archive.gz"
_CHUNK = 1 << 20
_NAME_CHARS = 208
_SHOWN_LINES = 3
_NAMED = re.compile(r"(^|[&;])authsource=", re.IGNORECASE)
# Mechanisms whose users are not in any database.
_EXTERNAL = frozenset({"MONGODB-X509", "MONGODB-AWS", "MONGODB-OIDC", "GSSAPI"})


def mongodump(wanted: str) -> str | None:
    """Its path, None where our own writer is to be used. Raises ConfigError."""
    program = shutil.which("mongodump") if wanted != "native" else None
    if program is None and wanted == "mongodump":
        raise ConfigError(
            "mongodump is not on PATH",
            where="[snapshots.mongo] tool",
            remedy='install the MongoDB database tools, or set tool = "native"',
        )
    return program


def dump_archive(
    tool: str,
    section: MongoSource,
    into: Collector,
    collection: str = "",
    question: dict[str, Any] | None = None,
) -> None:
    """One archive, of the database or of a collection's documents that the question names.

    It is complete only if the program ended well. Raises Incomplete, with its output.
    """
    path = file_name(collection) + OF_A_COLLECTION if collection else ARCHIVE
    with scratch_directory() as folder, into.stream(path) as out:
        # The arguments of a process are for all to see; this file is not.
        config = folder / "mongodump.yaml"
        write_private(config, json.dumps({"uri": _uri(section)}))
        command = [tool, f"--config={config}", "--archive", "--gzip"]
        if collection:
            query_file = folder / "query.json"
            query_file.write_text(
                json_util.dumps(question, json_options=json_util.CANONICAL_JSON_OPTIONS), "utf-8"
            )
            command += [f"--collection={collection}", f"--queryFile={query_file}"]
        errors = folder / "stderr"
        with (
            errors.open("wb") as stderr,
            subprocess.Popen(command, stdout=subprocess.PIPE, stderr=stderr) as dumping,
        ):
            assert dumping.stdout is not None  # noqa: S101  for the type checker
            try:
                while chunk := dumping.stdout.read(_CHUNK):
                    out.write(chunk)
            except BaseException:
                dumping.kill()  # its output is not read any more
                raise
            status = dumping.wait()
        messages = errors.read_text(errors="replace").strip().splitlines()
        if status or not out.size:
            raise Incomplete(
                "mongodump failed",
                where=tool,
                expected="exit status 0 and an archive",
                found=f"{status}, {out.size} bytes: {' '.join(messages[-_SHOWN_LINES:])}",
                remedy="see its output; nothing was stored",
            )


def _uri(section: MongoSource) -> str:
    """The source's URI with the database to dump in its path: mongodump accepts no other place.

    The path may have named the database of the users, so authSource is always set. Raises
    ConfigError.
    """
    parts = urlsplit(section.uri)
    query = parts.query
    with explained(section, "the URI for mongodump"):
        parsed = parse_uri(section.uri.replace("+srv", "", 1), validate=False)
    named = bool(_NAMED.search(query))
    if parts.scheme.endswith("+srv") and not named:
        # Its TXT record may name authSource. Where there is no record, mongodump finds none either.
        with suppress(ConfigurationError):
            parsed = parse_uri(section.uri, validate=False)
    source = _auth_source(parsed)
    if source and not named:
        query = f"{query}&authSource={quote(source, safe='$')}".lstrip("&")
    return urlunsplit((parts.scheme, parts.netloc, f"/{quote_plus(section.database)}", query, ""))


def _auth_source(parsed: Mapping[str, Any]) -> str:
    """As drivers choose it; `parsed` is the parsed URI, with the options of its TXT record."""
    mechanism = str(parsed["options"].get("authMechanism", "")).upper()
    configured, database = parsed["options"].get("authSource"), parsed["database"]
    if mechanism in _EXTERNAL:
        return str(configured or "$external")
    if mechanism == "PLAIN":
        return str(configured or database or "$external")
    return str(configured or database or "admin") if parsed["username"] else ""


def file_name(name: str) -> str:
    """mongodump's: percent-encoded; over 208 characters cut, with a hash of the whole."""
    escaped = quote_plus(name, safe="")
    if len(escaped) <= _NAME_CHARS:
        return escaped
    digest = hashlib.sha1(name.encode()).digest()  # noqa: S324  mongodump's choice
    tail = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
    return f"{escaped[:_NAME_CHARS]}%24{tail}"
