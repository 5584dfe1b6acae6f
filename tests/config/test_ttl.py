"""`[ttl]` in lake.toml: what is refused, and what a dataset's own table overrides."""

from __future__ import annotations

from pathlib import Path

import pytest

from lake.base.errors import ConfigError
from lake.config.settings import Settings, load
from lake.ttl.terms import ExpiryTerms, terms_of

FILE = """
[lake]
root = "lake"
[sources.mongo]
uri = "mongodb://127.0.0.1:1"
database = "d"
[[dataset]]
name = "events"
source = "mongo"
collection = "events"
[[dataset]]
name = "others"
source = "mongo"
collection = "others"
"""


@pytest.fixture
def loaded(tmp_path: Path):
    def load_with(text: str, **env: str) -> Settings:
        file = tmp_path / "lake.toml"
        file.write_text(FILE + text)
        return load(str(file), env)

    return load_with


def test_it_is_off_by_default(loaded):
    settings = loaded("")
    assert terms_of(settings, settings.dataset[0]) == ExpiryTerms(False, 90, 3, "content")


def test_a_dataset_may_differ(loaded):
    settings = loaded(
        "[ttl]\nenabled = true\ndays = 30\n[ttl.dataset.others]\nenabled = false\nmargin_days = 5\n"
        'proof = "count"\n',
        LAKE_TTL__DATASET__EVENTS__DAYS="400",
        LAKE_TTL__MARGIN_DAYS="4",
    )
    events, others = settings.dataset
    assert terms_of(settings, events) == ExpiryTerms(True, 400, 4, "content")
    assert terms_of(settings, others) == ExpiryTerms(False, 30, 5, "count")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[ttl]\nday = 3\n", ["unknown key 'day'", "did you mean days?", "margin_days"]),
        ("[ttl.dataset.events]\nday = 3\n", ["unknown key 'day'", "days, margin_days, proof"]),
        ("[ttl.dataset.event]\ndays = 30\n", ["names no dataset", "events, others"]),
        ("[ttl]\ndays = 0\n", ["at least 1"]),
        ('[ttl]\nproof = "none"\n', ["'content', 'contained' or 'count'"]),
        ("[ttl]\ndays = 3\n", ["days = 3 has to be above margin_days = 3"]),
        ("[ttl.dataset.events]\ndays = 2\n", ["[ttl.dataset.events] days = 2 has to be above"]),
        ("[ttl]\nmargin_days = 1\n", ["max_silence_hours = 36 has to be below", "24 hours"]),
    ],
)
def test_what_is_refused(loaded, text, words):
    with pytest.raises(ConfigError) as raised:
        loaded(text)
    for word in words:
        assert word in str(raised.value)
