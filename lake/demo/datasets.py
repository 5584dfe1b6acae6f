"""The `[[dataset]]` tables that export the demo's data.

Belongs here: which tables there are. Does not: writing lake.toml.
"""

from __future__ import annotations

from lake.demo.documents import COLLECTIONS
from lake.demo.scenario import SCRAPE_S

DATABASE = "miyou"
Table = dict[str, str]


def demo_datasets() -> list[Table]:
    """One table per dataset, keys and values as in lake.toml."""
    documents = [
        {"name": name, "source": "mongo", "collection": name, "time_field": "timestamp"}
        for name in COLLECTIONS
    ]
    metrics = [
        {
            "name": name,
            "source": "prometheus",
            "query": f'{{__name__=~"{pattern}"}}',
            "mode": "range",
            "step": f"{SCRAPE_S}s",
        }
        for name, pattern in (
            ("http_server_requests", "http_server_requests_.*"),
            ("dialogue_metrics", "dialogue_pipeline_.*|llm_.*|tts_.*"),
        )
    ]
    logs = [{"name": "container_logs", "source": "loki", "selector": '{container=~".+"}'}]
    return [*documents, *metrics, *logs]
