"""A restored server as a data source of Grafana.

Belongs here: the provisioning file, Grafana's HTTP API for data sources. Does not: servers.

Sources: https://grafana.com/docs/grafana/latest/administration/provisioning/#data-sources
and https://grafana.com/docs/grafana/latest/developers/http_api/data_source/
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import requests
import yaml

from lake.base.errors import LakeError, PermanentError, Refused, TransientError
from lake.base.redaction import register_secret
from lake.systems.registry import system as registered

TOKEN_VARIABLE = "GRAFANA_TOKEN"  # noqa: S105  the variable's name
PROVISIONING = "grafana-datasource.yaml"
REMOVAL = "grafana-datasource-removal.yaml"
_TIMEOUT_S = 15


def data_source(system: str, day: str, url: str, tenant: str = "") -> dict[str, Any]:
    """The same in a provisioning file and in the API."""
    source: dict[str, Any] = {
        "name": f"lake {system} {day}",
        "uid": f"lake-{system}-{day}",
        "type": registered(system).grafana_type,
        "access": "proxy",
        "url": url,
        "jsonData": {},
    }
    if tenant:
        source["jsonData"] = {"httpHeaderName1": "X-Scope-OrgID"}
        source["secureJsonData"] = {"httpHeaderValue1": tenant}
    return source


@contextmanager
def write_provisioning(
    folder: Path, system: str, day: str, endpoint: Mapping[str, str], tenant: str = ""
) -> Iterator[None]:
    """Files for Grafana's `provisioning/datasources/`: one that adds the source, one that removes.

    The first is there while the block runs. Grafana has no data source for MongoDB: no files.
    """
    if not registered(system).grafana_type:
        yield
        return
    source = data_source(system, day, endpoint["url"], tenant) | {"orgId": 1, "editable": False}
    gone = {"name": source["name"], "orgId": 1}
    _write(folder / REMOVAL, {"apiVersion": 1, "deleteDatasources": [gone]})
    _write(folder / PROVISIONING, {"apiVersion": 1, "datasources": [source]})
    try:
        yield
    finally:
        (folder / PROVISIONING).unlink(missing_ok=True)


def _write(path: Path, content: dict[str, Any]) -> None:
    path.write_text(yaml.safe_dump(content, sort_keys=False), "utf-8")


@contextmanager
def added_to(
    grafana: str | None,
    system: str,
    day: str,
    endpoint: Mapping[str, str],
    tenant: str = "",
    env: Mapping[str, str] = os.environ,
) -> Iterator[None]:
    """Adds the data source to that Grafana while the block runs. None: does nothing.

    Raises Refused, TransientError, PermanentError; MongoDB is no data source of Grafana's.
    """
    if grafana is None:
        yield
        return
    if not registered(system).grafana_type:
        raise PermanentError(f"Grafana has no data source for {system}", remedy="omit --grafana")
    api = _Api(grafana, env.get(TOKEN_VARIABLE, ""))
    source = data_source(system, day, endpoint["url"], tenant)
    api.remove(source["uid"])  # what an interrupted restore left
    api.ask("POST", "/api/datasources", source)
    try:
        yield
    finally:
        api.remove(source["uid"])


class _Api:
    def __init__(self, url: str, token: str) -> None:
        self._url = url.rstrip("/")
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}
        if token:
            register_secret(token)

    def remove(self, uid: str) -> None:
        """Removes it, if it is there."""
        self.ask("DELETE", f"/api/datasources/uid/{uid}", fine=(404,))

    def ask(
        self, method: str, path: str, body: dict[str, Any] | None = None, fine: tuple[int, ...] = ()
    ) -> None:
        where = self._url + path
        try:
            answer = requests.request(
                method, where, json=body, headers=self._headers, timeout=_TIMEOUT_S
            )
        except requests.RequestException as error:
            raise TransientError("Grafana can't be reached", where=where, found=error) from None
        if not answer.ok and answer.status_code not in fine:
            raise self._refusal(answer, where)

    def _refusal(self, answer: requests.Response, where: str) -> LakeError:
        refused = f"HTTP {answer.status_code} {answer.text[:200]}"
        if answer.status_code in (401, 403):
            remedy = f"set {TOKEN_VARIABLE} to a service account's token that may edit data sources"
            return Refused("Grafana refused", where=where, found=refused, remedy=remedy)
        return PermanentError("Grafana did not accept the data source", where=where, found=refused)
