"""The package's files, found from a checkout and from an installed wheel."""

from __future__ import annotations

from pathlib import Path

import pytest

from lake.base import resources
from lake.base.errors import Missing
from lake.base.resources import resource_path


def test_in_this_checkout() -> None:
    assert (resource_path("deploy/tools/loki") / "go.mod").is_file()
    assert resource_path("sql").is_dir()


def test_an_installed_package_uses_its_own_copy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its neighbours in site-packages may have a folder of the same name."""
    package = tmp_path / "site-packages/lake"
    own = package / "_resources/sql/trends"
    own.mkdir(parents=True)
    (tmp_path / "site-packages/sql/trends").mkdir(parents=True)
    monkeypatch.setattr(resources, "_PACKAGE", package)
    assert resource_path("sql/trends") == own


def test_what_is_not_there_is_told() -> None:
    with pytest.raises(Missing, match="not there"):
        resource_path("deploy/tools/nothing")
