"""Alertmanager that keeps alerts and sends no notifications.

Belongs here: its flags and its configuration. Does not: finding the binary.
"""

from __future__ import annotations

import json

from lake.servers.ports import LOOPBACK
from lake.servers.recipe import Launch, Recipe, ServerSite, answers

_CONFIG = {"route": {"receiver": "none"}, "receivers": [{"name": "none"}]}


def _launch(site: ServerSite) -> Launch:
    url = f"http://{LOOPBACK}:{site.ports['http']}"
    config_file = site.home / "alertmanager.yml"  # JSON is YAML
    config_file.write_text(json.dumps(_CONFIG, indent=2) + "\n", encoding="utf-8")
    _link_package(site)
    return Launch(
        command=[
            str(site.program),
            f"--config.file={config_file}",
            f"--web.listen-address={LOOPBACK}:{site.ports['http']}",
            f"--storage.path={site.data}",
            "--cluster.listen-address=",  # alone: no gossip
        ],
        endpoint={"url": url, "data_dir": str(site.data)},
        ready=lambda: answers(f"{url}/-/ready"),
    )


def _link_package(site: ServerSite) -> None:
    """Debian's program, relocated by lake.servers.debian, reads `usr/share` of its directory."""
    package, link = site.program.parent.parent, site.home / "usr"
    if package.name == "usr":
        link.unlink(missing_ok=True)
        link.symlink_to(package)


RECIPE = Recipe(ports=("http",), launch=_launch)
