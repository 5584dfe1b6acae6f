"""`lake doctor` on replicas of a Prometheus behind one address."""

from __future__ import annotations

from support.load_balancer import balancing

from lake.servers import start

CONFIG = """
[lake]
root = "data"
[sources.prometheus]
url = "{}"
"""


def test_replicas_behind_one_address(doctor):
    with start(["prometheus"]) as first, start(["prometheus"]) as another:
        urls = [replica.endpoints["prometheus"]["url"] for replica in (first, another)]
        for behind, warned in ((urls, True), (urls[:1], False)):
            with balancing(behind) as url:
                _, checks = doctor(CONFIG.format(url))
            lines = [text for state, text in checks["prometheus"] if state == "warn"]
            assert ["servers answer at this address in turn" in line for line in lines] == (
                [True] if warned else []
            )
