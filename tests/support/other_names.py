"""lake.toml after a change: a dataset of another name, one more on a collection."""

from __future__ import annotations

from pathlib import Path


def renamed(config: Path, name: str = "visits") -> None:
    """The dataset `events` has that name."""
    text = config.read_text("utf-8")
    assert 'name = "events"' in text
    config.write_text(text.replace('name = "events"', f'name = "{name}"'), "utf-8")


def added(config: Path, name: str, collection: str) -> None:
    """A dataset of the collection."""
    section = f'\n[[dataset]]\nname = "{name}"\nsource = "mongo"\ncollection = "{collection}"\n'
    config.write_text(config.read_text("utf-8") + section, "utf-8")
