"""Sessions of botocore that share what it ships, and nothing else."""

from __future__ import annotations

import json
from pathlib import Path

import boto3
import pytest
from botocore.exceptions import ProfileNotFound
from botocore.loaders import JSONFileLoader

from lake.store.s3_session import new_session

_KEYS = {"region_name": "us-east-1", "aws_access_key_id": "a", "aws_secret_access_key": "b"}


@pytest.fixture(autouse=True)
def aws(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The configuration file of AWS."""
    config = tmp_path / "config"
    config.write_text("[profile one]\nregion = eu-west-1\n[profile two]\nregion = eu-west-2\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(config))
    for name in ("AWS_PROFILE", "AWS_DEFAULT_REGION", "AWS_REGION", "AWS_DATA_PATH"):
        monkeypatch.delenv(name, raising=False)
    return config


def test_what_botocore_ships_is_parsed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    parsed = []
    load = JSONFileLoader.load_file

    def recorded(self: JSONFileLoader, path: str) -> object:
        content = load(self, path)
        if content is not None:
            parsed.append(path)
        return content

    def made() -> object:
        return boto3.Session(botocore_session=new_session()).client("s3", **_KEYS)

    made()
    monkeypatch.setattr(JSONFileLoader, "load_file", recorded)
    shared, own = made(), boto3.Session().client("s3", **_KEYS)
    assert [path for path in parsed if "service-2" in path]  # by boto3's own session
    parsed.clear()
    assert made().meta.service_model.operation_names == own.meta.service_model.operation_names
    assert shared.meta.service_model.metadata == own.meta.service_model.metadata
    assert parsed == []


def test_each_session_has_its_own_profile(monkeypatch: pytest.MonkeyPatch) -> None:
    regions = [
        boto3.Session(botocore_session=new_session(name)).region_name for name in ["one", "two"]
    ]
    assert regions == ["eu-west-1", "eu-west-2"]
    monkeypatch.setenv("AWS_PROFILE", "two")
    assert boto3.Session(botocore_session=new_session()).region_name == "eu-west-2"
    with pytest.raises(ProfileNotFound):
        new_session("three")


def test_folders_do_not_become_more() -> None:
    paths = [new_session().get_component("data_loader").search_paths for _ in range(2)]
    for _ in range(3):
        boto3.Session(botocore_session=new_session())
    after = new_session().get_component("data_loader").search_paths
    assert after == paths[0] == paths[1]


def test_descriptions_of_one_s_own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    service = tmp_path / "models/own/2026-01-01"
    service.mkdir(parents=True)
    model = {"version": "2.0", "metadata": {"serviceId": "own"}, "operations": {}, "shapes": {}}
    (service / "service-2.json").write_text(json.dumps(model))
    assert "own" not in new_session().get_available_services()
    monkeypatch.setenv("AWS_DATA_PATH", str(tmp_path / "models"))
    assert "own" in new_session().get_available_services()
    assert new_session().get_service_model("own").metadata == {"serviceId": "own"}
