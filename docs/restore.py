#!/usr/bin/env python3
"""Lays a monitoring-lake snapshot out as files. Needs Python 3.8 or newer and nothing else.

A bucket's `mongo/`, `prometheus/` and `loki/` folders hold raw snapshots. Fetch such a folder with
any S3 client, then let this script check every byte and put the files where mongorestore,
Prometheus or Loki expects them:

    aws s3 sync s3://BUCKET/prometheus lake/prometheus
    python3 restore.py prometheus --objects lake --day 2026-11-22 --into incident

To fetch no more than is needed, fetch the manifests first and let the script list the rest:

    aws s3 sync s3://BUCKET/prometheus lake/prometheus --exclude '*' --include '*/manifest.json'
    python3 restore.py prometheus --objects lake --day 2026-11-22 --list

Nothing is written outside of the directory that --into names, and no file appears there before
its SHA-256 is checked. Exit status: 0 done, 1 failed, 2 wrong usage.
"""

import argparse
import datetime as dt
import hashlib
import json
import os
import pathlib
import re
import shlex
import sys

SYSTEMS = ("mongo", "prometheus", "loki")
BELOW = {"mongo": "dump", "prometheus": "prometheus/data", "loki": "loki"}
DIRECTORY = "{directory}"  # in a stored Loki configuration: where the files are restored
CHUNK = 1 << 20
ONE_DAY = dt.timedelta(days=1)
FIELDS = ("system", "day", "created_at", "objects", "files")


class Failure(Exception):
    """Ends the script with its text and exit status 1."""


def manifests(objects, system):
    """All manifests of the system under the directory, newest first."""
    snapshots = []
    for file in (objects / system).glob("*/*/*/manifest.json"):
        if re.fullmatch(r"\d{4}/\d\d/\d\d", file.parent.relative_to(objects / system).as_posix()):
            try:
                manifest = json.loads(file.read_text(encoding="utf-8"))
                missing = [name for name in FIELDS if name not in manifest]
                if missing:
                    raise ValueError("without " + ", ".join(missing))
                whole_days(manifest)
            except (ValueError, TypeError, AttributeError) as error:
                print(f"note: {file} is not a manifest ({error})", file=sys.stderr)
            else:
                snapshots.append(manifest)
    if not snapshots:
        raise Failure(
            f"no manifest of a {system} snapshot below {objects / system}\n"
            f"expected: {objects / system}/YYYY/MM/DD/manifest.json, as in the bucket"
        )
    return sorted(snapshots, key=lambda manifest: manifest["created_at"], reverse=True)


def chosen(snapshots, day, snapshot):
    """The manifest of that name, or the newest that holds the whole day."""
    for manifest in snapshots:
        if manifest["day"] == snapshot or (not snapshot and day in whole_days(manifest)):
            return manifest
    lines = [f"  {manifest['day']}: {described(manifest)}" for manifest in snapshots]
    wanted = f"named {snapshot}" if snapshot else f"that holds the whole of {day}"
    raise Failure(f"no snapshot {wanted}; there are\n" + "\n".join(lines))


def whole_days(manifest):
    """The data days that the snapshot holds whole, oldest first.

    Early manifests do not list them: such a snapshot was filed under the day that it was wanted
    for. It holds that day if the day was over, else the day before.
    """
    days = manifest.get("whole_days")
    if days is not None:
        return [day for day in sorted(days) if not may_be_cut(manifest, day)]
    own = dt.date.fromisoformat(manifest["day"])
    taken = moment(manifest["created_at"])
    day = own if midnight(own + ONE_DAY) <= taken else own - ONE_DAY
    window = manifest.get("window") or {}
    start, end = window.get("start"), window.get("end")
    # Both are also left out for a dump of a whole database and for Loki's files.
    if start is None and end is None and not any_counted(manifest.get("counts")):
        return []
    starts_later = start is not None and moment(start) >= midnight(day + ONE_DAY)
    ends_before = end is not None and moment(end) <= midnight(day)
    return [] if starts_later or ends_before else [day.isoformat()]


def may_be_cut(manifest, day):
    """Whether Prometheus' retention may have removed blocks of the day: earlier versions listed the
    day in which the oldest block that is left begins.
    """
    start = (manifest.get("window") or {}).get("start")
    is_known = "kept_from" in (manifest.get("details") or {})
    if manifest["system"] != "prometheus" or is_known or start is None:
        return False
    begins = midnight(dt.date.fromisoformat(day)) + dt.timedelta(minutes=5)
    return moment(start) > begins


def any_counted(counts):
    """Whether one of the numbers is not 0; those of MongoDB are by collection."""
    if isinstance(counts, dict):
        return any(any_counted(count) for count in counts.values())
    return bool(counts)


def moment(text):
    return dt.datetime.fromisoformat(text.replace("Z", "+00:00"))


def midnight(day):
    return dt.datetime.combine(day, dt.time(), dt.timezone.utc)


def described(manifest):
    days = whole_days(manifest)
    held = f"holds {days[0]} to {days[-1]}" if days else "holds no whole day"
    return f"{held}, taken {manifest['created_at']}"


def files_of(manifest):
    """Path → its pieces in order. Refuses paths that lead out of the target, and gaps."""
    files = {}
    for piece in sorted(manifest["files"], key=lambda entry: entry["at"]):
        path = pathlib.PurePosixPath(piece["path"])
        if path.is_absolute() or ".." in path.parts or not path.parts:
            raise Failure(f"a path of the manifest leads out of the directory: {path}")
        pieces = files.setdefault(path, [])
        if piece["at"] != sum(entry["bytes"] for entry in pieces):
            raise Failure(f"pieces of {path} leave a gap at byte {piece['at']}")
        pieces.append(piece)
    return files


def check_objects(objects, manifest):
    """Every object's size and SHA-256."""
    for number, stored in enumerate(manifest["objects"], 1):
        file = objects / stored["key"]
        progress(f"checking objects: {number} of {len(manifest['objects'])}")
        if not file.is_file():
            raise Failure(f"an object is missing: fetch {stored['key']}")
        digest, size = hashlib.sha256(), 0
        with file.open("rb") as source:
            for chunk in iter(lambda: source.read(CHUNK), b""):
                digest.update(chunk)
                size += len(chunk)
        if (size, digest.hexdigest()) != (stored["bytes"], stored["sha256"]):
            raise Failure(
                f"{stored['key']} is not the stored object\n"
                f"expected: {stored['bytes']} bytes, sha256 {stored['sha256']}\n"
                f"found: {size} bytes, sha256 {digest.hexdigest()}\n"
                "Fetch it again; if it stays so, restore another snapshot."
            )


def write_files(objects, target, files):
    """Each file under a name of its own until all of its pieces are checked."""
    for number, (path, pieces) in enumerate(sorted(files.items()), 1):
        progress(f"writing files: {number} of {len(files)}")
        file = target / path
        file.parent.mkdir(parents=True, exist_ok=True)
        part = target / f".part-{number}"
        try:
            with part.open("wb") as out:
                for piece in pieces:
                    copy_piece(objects / piece["key"], piece, out)
            part.replace(file)
        finally:
            if part.exists():
                part.unlink()


def copy_piece(source_file, piece, out):
    digest, left = hashlib.sha256(), piece["bytes"]
    with source_file.open("rb") as source:
        source.seek(piece.get("offset", 0))
        while left:
            chunk = source.read(min(CHUNK, left))
            if not chunk:
                break
            digest.update(chunk)
            out.write(chunk)
            left -= len(chunk)
    if left or digest.hexdigest() != piece["sha256"]:
        raise Failure(f"{piece['path']}: bytes from {piece['at']} on are not those of the manifest")


def next_steps(manifest, target):
    """The command that starts the system's own program on the files."""
    return {"mongo": mongo, "prometheus": prometheus, "loki": loki}[manifest["system"]](
        manifest, target
    )


def mongo(_manifest, target):
    archives = sorted(target.rglob("*.archive.gz")) + sorted(target.rglob("*.archive"))
    host = "--uri=mongodb://127.0.0.1:27017"
    ttl = "Start that mongod with --setParameter ttlMonitorEnabled=false, or old documents expire."
    common = f"mongorestore {host} --stopOnError --bypassDocumentValidation"
    if archives:  # of one day's documents: one for each collection
        gzips = {archive: "--gzip " if archive.suffix == ".gz" else "" for archive in archives}
        return [*(f"{common} {gzips[path]}--archive={quoted(path)}" for path in archives), ttl]
    gzip = "--gzip " if any(target.rglob("*.gz")) else ""
    return [f"{common} {gzip}{quoted(target)}", ttl]


def prometheus(manifest, target):
    config = target.parent / "prometheus.yml"
    config.write_text("{}\n", encoding="utf-8")
    version = manifest.get("server", {}).get("version", "")
    return [
        f"prometheus --config.file={quoted(config)} --storage.tsdb.path={quoted(target)} "
        "--storage.tsdb.retention.time=100y --web.listen-address=127.0.0.1:9090",
        f"The snapshot is of version {version}: take that one or a newer one.",
    ]


def loki(manifest, target):
    stored = manifest.get("details", {}).get("standalone_config")
    original = target / "source-config.yml"
    version = manifest.get("server", {}).get("version", "")
    hint = f"The snapshot is of version {version}: take that one or a newer one."
    if stored is None:
        return [
            f"Copy {original}, point its directories below {target / 'data'}, turn retention off.",
            hint,
        ]
    # Of the machine's addresses only the one that nobody else reaches.
    stored["server"].update(http_listen_address="127.0.0.1", grpc_listen_address="127.0.0.1")
    # JSON is YAML. A path may hold what JSON has to escape.
    text = json.dumps(stored, indent=1).replace(DIRECTORY, json.dumps(str(target))[1:-1])
    config = target / "loki-restored.yml"
    config.write_text(text + "\n", encoding="utf-8")
    return [f"loki -config.file={quoted(config)}", hint, "It listens on 127.0.0.1:3100."]


def quoted(path):
    """As a shell takes it."""
    return shlex.quote(str(path))


def progress(text):
    if sys.stderr.isatty():
        print(f"\r\033[K{text}", end="", file=sys.stderr, flush=True)


def day(text):
    """A day as the manifests have it."""
    if not re.fullmatch(r"\d{4}-\d\d-\d\d", text):
        raise argparse.ArgumentTypeError(f"expected YYYY-MM-DD, found {text}")
    return text


def parsed(arguments):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("system", choices=SYSTEMS)
    parser.add_argument(
        "--objects",
        required=True,
        type=pathlib.Path,
        metavar="DIR",
        help="directory that holds the bucket's objects under their keys",
    )
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument(
        "--day", type=day, metavar="D", help="UTC data day: the newest snapshot that holds it"
    )
    which.add_argument(
        "--snapshot", type=day, metavar="D", help="UTC day on which a snapshot was taken"
    )
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--into", type=pathlib.Path, metavar="DIR", help="new or empty directory")
    what.add_argument("--list", action="store_true", help="prints the keys of the objects needed")
    return parser.parse_args(arguments)


def main(arguments=None):
    options = parsed(arguments)
    manifest = chosen(manifests(options.objects, options.system), options.day, options.snapshot)
    if options.list:
        print("\n".join(stored["key"] for stored in manifest["objects"]))
        return
    if options.into.exists() and any(options.into.iterdir()):
        raise Failure(f"{options.into} is not empty: name a new directory")
    files = files_of(manifest)
    check_objects(options.objects, manifest)
    target = (options.into / BELOW[options.system]).absolute()
    target.mkdir(parents=True, exist_ok=True)
    write_files(options.objects, target, files)
    progress("")
    size = sum(file["bytes"] for file in manifest["files"])
    print(f"{options.system} snapshot of {manifest['day']}: {described(manifest)}")
    number = "1 file" if len(files) == 1 else f"{len(files)} files"
    print(f"{number}, {size:,} bytes restored to {target}, checksums verified")
    for line in next_steps(manifest, target):
        print(line)


if __name__ == "__main__":
    try:
        main()
    except Failure as failure:
        progress("")
        sys.exit(f"restore.py: {failure}")
    except OSError as failure:
        progress("")
        # A write that fails names no file.
        sys.exit(f"restore.py: {failure.strerror}: {failure.filename or 'directory of --into'}")
    except KeyboardInterrupt:
        os._exit(130)
