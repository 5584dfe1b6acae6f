"""docs/third-party.md names all that is installed, in the version that is installed."""

from __future__ import annotations

import hashlib
import importlib.util
import re
from pathlib import Path

import pytest
from support.spark_jars import coordinates

from lake.servers import EXTRA_PROGRAMS, PROGRAM_NAMES
from lake.servers.binaries import pinned_version, server_of
from lake.systems import SYSTEMS
from lake.systems.registry import system as registered

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/third-party.md").read_text(encoding="utf-8")
TOOLS = ROOT / "deploy/tools"
PINS = [
    ROOT / "requirements.lock",
    ROOT / "deploy/spark/requirements.txt",
    *sorted(TOOLS.glob("*/requirements.txt")),
]
MODULES = sorted(TOOLS.glob("*/go.mod"))
FORBIDDEN = re.compile(r"(?i)affero|agpl|sspl|server side public|busl|business source")
TITLES = {
    "mongo": "SecantusDB",
    "s3": "SeaweedFS",
    "loki": "Loki",
    "logcli": "Loki",
    "prometheus": "Prometheus",
    "prometheus3": "Prometheus",
    "alertmanager": "Alertmanager",
    "cortex": "Cortex",
    "thanos": "Thanos",
    "ferretdb": "FerretDB",
}


def rows(text: str = PAGE) -> list[list[str]]:
    lines = [line for line in text.splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def required(go_mod: Path) -> set[str]:
    """`path version` of what a go.mod requires, replacements made; read line by line."""
    wanted, replaced = {}, {}
    for line in go_mod.read_text(encoding="utf-8").splitlines():
        words = line.partition("//")[0].split()
        if "=>" in words:
            at = words.index("=>")
            replaced[words[0].removeprefix("replace")] = tuple(words[at + 1 :])
        elif len(words) > 1 and words[-1].startswith("v") and "." in words[-2]:
            wanted[words[-2]] = words[-1]
    return {" ".join(replaced.get(path, (path, version))) for path, version in wanted.items()}


def section(tool: str) -> str:
    match = re.search(rf"(?ms)^### deploy/tools/{tool}: .*?(?=^###|\Z|^<!--)", PAGE)
    assert match, f"docs/third-party.md has no modules of deploy/tools/{tool}"
    return match[0]


@pytest.mark.parametrize("name", [*PROGRAM_NAMES, *EXTRA_PROGRAMS])
def test_every_program_is_listed_with_its_version(name: str) -> None:
    title, version = TITLES[server_of(name)], pinned_version(name)
    assert any(title in row[0] and row[1] == version for row in rows()), (title, version)


@pytest.mark.parametrize("file", PINS, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_every_package_is_listed_with_its_version(file: Path) -> None:
    listed = {(row[0], row[1]) for row in rows()}
    lines = file.read_text(encoding="utf-8").splitlines()
    pins = {tuple(line.split(" ")[0].split("==")) for line in lines if "==" in line.split(" ")[0]}
    assert pins
    assert not pins - listed, "run scripts/third_party.py"


def test_every_jar_is_listed_with_its_version() -> None:
    listed = {f"{row[0]}:{row[1]}" for row in rows()}
    assert len(coordinates()) == 2
    assert {*coordinates()} <= listed


@pytest.mark.parametrize("file", MODULES, ids=lambda path: path.parent.name)
def test_every_module_is_listed_with_its_version(file: Path) -> None:
    listed = re.findall(r"(?m)(?<=[ ,(])(\S+\.\S+ v\d[^\s,]*)", section(file.parent.name))
    assert len(required(file)) > 5
    assert set(listed) == required(file), "run scripts/third_party.py"
    tools = re.findall(r"(?m)^(?:tool)?\s*(\S+)/cmd/\S+$", file.read_text(encoding="utf-8"))
    assert all(f"{module} v" in PAGE for module in tools)


@pytest.mark.parametrize("name", ["uPlot.iife.min.js", "uPlot.min.css"])
def test_the_vendored_library_is_the_published_one(name: str) -> None:
    folder = ROOT / "lake/report/site/uplot"
    listed = [row for row in rows() if row[0] == f"uPlot, `{name}`"]
    digest = hashlib.sha256((folder / name).read_bytes()).hexdigest()
    assert [row[5] for row in listed] == [f"`{digest}`"]
    assert (folder / "LICENSE").read_text(encoding="utf-8").startswith("The MIT License (MIT)")


def images() -> list[list[str]]:
    """The page's rows about images, which are installed by nobody but the user."""
    match = re.search(r"(?ms)^## Images in compose\.yaml$(.*?)^## ", PAGE)
    assert match, "docs/third-party.md says nothing about images"
    return [row for row in rows(match[1]) if row[0].startswith("`")]


@pytest.mark.parametrize("system", SYSTEMS)
def test_every_image_of_a_compose_file_is_listed(system: str) -> None:
    name, _, version = registered(system).image.partition(":")
    assert "{}" in version
    assert [row[3] for row in images() if row[0] == f"`{name}`"] == ["the user"]


def test_every_licence_is_named_and_none_is_one_that_may_not_be_installed() -> None:
    for row in rows():
        assert row[2], row
        if row in images():
            continue
        assert not FORBIDDEN.search(row[2]), row
        # The one is started as a program; the other is under the LGPL, for Kubernetes only.
        named = row[0].lower().startswith("secantusdb") or row[:1] == ["psycopg2-binary"]
        assert "GPL" not in row[2] or named, row
    families = re.findall(r"(?m)^\*\*(.+?)\*\*", PAGE)
    assert len(families) > 2 * len(MODULES)
    assert not [family for family in families if FORBIDDEN.search(family) or "GPL" in family]


@pytest.mark.parametrize(
    ("text", "licence"),
    [
        ("GNU AFFERO GENERAL PUBLIC LICENSE\nVersion 3", "AGPL-3.0"),
        ("Business Source License 1.1\nChange License: Apache License, Version 2.0", "BUSL-1.1"),
        ("Server Side Public License\nVERSION 1", "SSPL-1.0"),
        ("Mozilla Public License, version 2.0", "MPL-2.0"),
        ("Apache License\n   Version 2.0, January 2004", "Apache-2.0"),
        ("Permission is hereby granted, free of charge, to any person", "MIT"),
        ("All rights reserved.", ""),
    ],
)
def test_licences_are_recognised(tmp_path: Path, text: str, licence: str) -> None:
    spec = importlib.util.spec_from_file_location("third_party", ROOT / "scripts/third_party.py")
    assert spec is not None
    assert spec.loader is not None
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    (tmp_path / "LICENSE").write_text(text)
    assert script.of_text(tmp_path) == licence
    if licence in ("AGPL-3.0", "BUSL-1.1", "SSPL-1.0", ""):
        with pytest.raises(SystemExit):
            script.allowed("example.org/module", licence)
