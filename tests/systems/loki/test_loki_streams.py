"""Label sets and their ids."""

from __future__ import annotations

from lake.systems.loki.reading.answer import Streams


def test_an_empty_label_is_an_absent_one():
    streams = Streams()
    plain = streams.id_of({"container": "a"})
    assert streams.id_of({"container": "a", "image": ""}) == plain
    assert streams.labels() == {plain: {"container": "a"}}
