"""Files that commands write where the user says: whole or as they were."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from click.testing import CliRunner
from support.full_disk import files_of_at_most

from lake.base.errors import UsageError
from lake.cli.main import root
from lake.cli.writing import write_file
from lake.report import files


@pytest.fixture(params=["/dev/shm", None], ids=["in memory", "elsewhere"])
def folder(request: pytest.FixtureRequest) -> Iterator[Path]:
    with TemporaryDirectory(dir=request.param) as name:
        yield Path(name)


def test_a_file_is_replaced_in_one_step(folder: Path) -> None:
    file, link = folder / "page", folder / "link"
    link.symlink_to(file)
    for text in ("before", "now"):
        write_file(link, text)
    with files_of_at_most(4096), pytest.raises(UsageError):
        write_file(link, "x" * 5000)
    assert file.read_text() == "now"
    assert link.is_symlink()
    assert sorted(path.name for path in folder.iterdir()) == ["link", "page"]


def test_a_page_keeps_the_permissions_of_the_one_before(tmp_path: Path) -> None:
    file = tmp_path / "page.html"
    write_file(file, "before")
    file.chmod(0o640)
    write_file(file, "now")
    assert (file.read_text(), file.stat().st_mode & 0o777) == ("now", 0o640)


def test_what_is_no_file_is_written_to(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    write_file(Path("/dev/stdout"), "a page")
    assert capfd.readouterr().out == "a page"
    with pytest.raises(UsageError):
        write_file(tmp_path / "none" / "page.html", "a page")
    assert list(tmp_path.iterdir()) == []


def test_a_dagster_home_on_a_full_disk_has_no_half_of_its_file(tmp_path: Path) -> None:
    config = tmp_path / "lake.toml"
    config.write_text('[lake]\nroot = "data"\n')
    home = tmp_path / "home"
    command = ["dagster", str(home), "--config", str(config)]
    with files_of_at_most(100):
        assert CliRunner().invoke(root, command).exit_code == 1
    assert list(home.iterdir()) == []
    assert CliRunner().invoke(root, command).exit_code == 0
    assert (home / "dagster.yaml").read_text().endswith("\n")


def test_a_report_on_a_full_disk_leaves_the_page_as_it_was(tmp_path: Path) -> None:
    page = tmp_path / "index.html"
    files._replace(page, b"before")
    with files_of_at_most(100), pytest.raises(OSError, match="too large"):
        files._replace(page, b"x" * 200)
    assert page.read_bytes() == b"before"
    assert list(tmp_path.iterdir()) == [page]
    assert page.stat().st_mode & 0o777 == 0o644
