"""`init`, `doctor`, `export` and `verify` on a Loki of each version that is found."""

from __future__ import annotations

import json
import tomllib

import pytest
import requests

from lake.base.day import Day
from lake.servers import start

DAY = Day.today().plus(-1)
LINES = 40


@pytest.mark.slow
def test_the_first_commands(lake, loki_program, tmp_path):
    config = {"ingester": {"flush_check_period": "100ms"}}
    with start(["loki"], programs={"loki": loki_program}, loki_config=config) as stack:
        endpoint = stack.endpoints["loki"]
        push(endpoint["url"])
        code, _, err = lake("init", "--loki", endpoint["url"], "--root", "data")
        assert (code, err) == (0, "")
        file = tmp_path / "lake.toml"
        (table,) = tomllib.loads(file.read_text())["dataset"]
        assert table["selector"] == '{container=~".+"}'
        snapshots = "[snapshots.loki]\ndata_dir = '{data_dir}'\nconfig_file = '{config_file}'\n"
        file.write_text(file.read_text() + snapshots.format(**endpoint))

        code, out, _ = lake("doctor", "--json")
        report = json.loads(out)
        failed = [check for check in report["checks"] if check["state"] == "fail"]
        assert (code, failed) == (0, [])
        loki = [check["found"] for check in report["checks"] if check["subject"] == "loki"]
        assert any(loki_program.version in text for text in loki)

        code, out, err = lake("export", "--day", str(DAY), "--json")
        assert code == 0, err
        assert [partition["rows"] for partition in json.loads(out)["partitions"]] == [2 * LINES]
        assert lake("verify", "--source")[0] == 0
        code, out, _ = lake(
            "query", "--json", f"SELECT DISTINCT level FROM {table['name']}_with_level"
        )
        assert (code, json.loads(out)) == (0, [{"level": "warn"}])


def push(url: str) -> None:
    streams = [
        {
            "stream": {"container": name},
            "values": [
                [str(DAY.start_ns + n * 10**9 + 1), f"level=warn n={n}"] for n in range(LINES)
            ],
        }
        for name in ("api", "web")
    ]
    answer = requests.post(f"{url}/loki/api/v1/push", json={"streams": streams}, timeout=60)
    assert answer.status_code == 204, answer.text
