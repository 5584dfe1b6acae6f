"""The Dockerfile, read by a parser of its instructions: no image is built here."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from fnmatch import fnmatch
from pathlib import Path

from lake.base.resources import resource_path

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "Dockerfile").read_text("utf-8")
Instruction = tuple[str, str]


def instructions(text: str = TEXT) -> list[Instruction]:
    """Name and arguments; continued lines joined, comments left out."""
    lines = "\n".join(line for line in text.splitlines() if not line.startswith("#"))
    joined = re.sub(r"\\\n\s*", " ", lines)
    pairs = (line.strip().partition(" ") for line in joined.splitlines() if line.strip())
    return [(name.upper(), arguments.strip()) for name, _, arguments in pairs]


def arguments_of(name: str) -> list[str]:
    return [arguments for instruction, arguments in instructions() if instruction == name]


def substituted(text: str) -> str:
    values = dict(argument.partition("=")[::2] for argument in arguments_of("ARG"))
    return re.sub(r"\$\{(\w+)\}", lambda match: values[match[1]], text)


def copied_from_the_checkout() -> list[str]:
    """Sources of the COPYs that take files from the build context."""
    plain = [copied.split() for copied in arguments_of("COPY") if not copied.startswith("--from=")]
    return [source for words in plain for source in words[:-1]]


def ignored(path: str) -> bool:
    """As .dockerignore decides: the last pattern that matches."""
    result = False
    for line in (ROOT / ".dockerignore").read_text("utf-8").splitlines():
        pattern = line.lstrip("!")
        if not pattern or pattern.startswith("#"):
            continue
        parents = [path, *map(str, Path(path).parents)][:-1]
        names = [pattern, pattern.removeprefix("**/")]
        if any(fnmatch(parent, name) for parent in parents for name in names):
            result = not line.startswith("!")
    return result


def test_each_instruction_is_one_that_docker_has():
    known = {"ARG", "CMD", "COPY", "ENV", "EXPOSE", "FROM", "HEALTHCHECK", "RUN", "USER", "WORKDIR"}
    assert {name for name, _ in instructions()} <= known


def test_the_base_is_pinned_to_a_version_and_has_the_python_of_the_tests():
    bases = {substituted(base).split(" ")[0] for base in arguments_of("FROM")}
    assert len(bases) == 1
    assert re.fullmatch(r"python:3\.11\.\d+-slim-bookworm", bases.pop())
    assert len(arguments_of("FROM")) == 2


def test_it_runs_as_a_numbered_user_that_is_not_root():
    """A number, so that Kubernetes can hold runAsNonRoot against it."""
    last = [name for name, _ in instructions()]
    user, group = map(int, substituted(arguments_of("USER")[-1]).split(":"))
    assert user > 0
    assert group > 0
    assert last.index("USER") > max(n for n, name in enumerate(last) if name == "RUN")


def test_everything_that_is_copied_is_there_and_not_ignored():
    sources = copied_from_the_checkout()
    assert len(sources) > 5
    assert [source for source in sources if not (ROOT / source).exists() or ignored(source)] == []


def test_the_wheel_has_all_its_files():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    wheel = project["tool"]["hatch"]["build"]["targets"]["wheel"]
    wanted = [*wheel["packages"], *wheel["force-include"], project["project"]["readme"]]
    copied = copied_from_the_checkout()
    missing = [w for w in wanted if not any(w == c or w.startswith(f"{c}/") for c in copied)]
    assert missing == []


def test_secrets_and_the_checkout_stay_out_of_the_build():
    for path in (".git/config", "lake.toml", "deploy/compose/.env", "deploy/compose/lake.env",
                 "deploy/compose/config/lake.toml", "deploy/compose/secrets/aws-credentials",
                 "tests/conftest.py", ".demo/lake.toml"):  # fmt: skip
        assert ignored(path), path
    assert not ignored("lake/export.py")
    assert not re.search(r"(?i)(password|secret|token|_key)\s*=", TEXT)


def test_no_package_of_the_tests_is_asked_for():
    (installed,) = (command for command in arguments_of("RUN") if "pip install" in command)
    assert substituted(installed).endswith('"."')
    assert "--constraint /pins/requirements.lock" in installed
    assert "--requirement" not in installed


def test_its_directories_belong_to_its_user():
    environment = dict(re.findall(r"(\w+)=(\S+)", " ".join(arguments_of("ENV"))))
    (made,) = (command for command in arguments_of("RUN") if command.startswith("install -d"))
    for name in ("DAGSTER_HOME", "LAKE_CACHE_DIR", "TMPDIR", "HOME"):
        assert environment[name] in made.split()
    assert resource_path("deploy/dagster/dagster.yaml").is_file()


def test_the_health_check_is_of_the_port_that_it_serves():
    (check,), (command,) = arguments_of("HEALTHCHECK"), arguments_of("CMD")[-1:]
    assert "grpc-health-check" in check
    ports = {re.search(r'"--port", "(\d+)"', text)[1] for text in (check, command)}
    assert ports == set(arguments_of("EXPOSE"))


def test_the_wheel_builds_from_what_is_copied(tmp_path: Path):
    """As the image's first stage builds it: nothing else of the checkout is needed."""
    for source in copied_from_the_checkout():
        target = tmp_path / "src" / source
        target.parent.mkdir(parents=True, exist_ok=True)
        if (ROOT / source).is_dir():
            shutil.copytree(ROOT / source, target, ignore=shutil.ignore_patterns("__pycache__"),
                            dirs_exist_ok=True)  # fmt: skip
        else:
            shutil.copy(ROOT / source, target)
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(command, cwd=tmp_path / "src", check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    assert {"lake/api.py", "assets/definitions.py"} <= names
    assert "lake/_resources/deploy/dagster/dagster.yaml" in names
    assert not [name for name in names if name.endswith((".env", "lake.toml"))]
