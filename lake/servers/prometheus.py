"""Prometheus that scrapes nothing and takes whatever is written to it.

Belongs here: its flags and its configuration. Does not: finding the binary.
"""

from __future__ import annotations

import json

from lake.servers.ports import LOOPBACK
from lake.servers.recipe import Launch, Recipe, ServerSite, answers

_RETENTION = "100y"  # the default of 15 days deletes restored blocks at once


def _launch(site: ServerSite) -> Launch:
    url = f"http://{LOOPBACK}:{site.ports['http']}"
    config_file = site.home / "prometheus.yml"  # JSON is YAML
    config_file.write_text(json.dumps(_config(site), indent=2) + "\n", encoding="utf-8")
    own = {flag.partition("=")[0] for flag in site.options.prometheus_flags}
    storage = [
        f"--storage.tsdb.retention.time={_RETENTION}",
        "--storage.tsdb.min-block-duration=2d",
    ]
    command = [
        str(site.program),
        f"--config.file={config_file}",
        f"--web.listen-address={LOOPBACK}:{site.ports['http']}",
        f"--storage.tsdb.path={site.data}",
        *(flag for flag in storage if flag.partition("=")[0] not in own),
        "--web.enable-admin-api",
        "--web.enable-remote-write-receiver",
        "--enable-feature=native-histograms",
        *site.options.prometheus_flags,
    ]
    pages = site.program.parent.parent / "share/prometheus/web"  # Debian's layout and flag
    if pages.is_dir() and site.program.parent.name == "bin":
        command.append(f"--web.local-assets={pages}")
    return Launch(
        command=command,
        endpoint={"url": url, "data_dir": str(site.data)},
        ready=lambda: answers(f"{url}/-/ready"),
    )


def _config(site: ServerSite) -> dict[str, object]:
    window = site.options.prometheus_out_of_order
    return {
        "global": {"external_labels": dict(site.options.prometheus_external_labels)},
        "scrape_configs": [],
        "storage": {"tsdb": {"out_of_order_time_window": window}},
    }


RECIPE = Recipe(ports=("http",), launch=_launch)
