"""The demo's directory: what is reused, what is refused, what is removed."""

from __future__ import annotations

import json

import pytest

from lake.base.day import Day
from lake.base.errors import UsageError
from lake.demo.place import Place
from lake.demo.scenario import Scenario


@pytest.fixture
def place(tmp_path):
    return Place(tmp_path / "demo")


def loaded(place, days):
    window = place.prepare(days, fresh=False)
    place.mark_loaded(window)
    (place.root / "lake").mkdir()
    return window


def test_a_new_directory_gets_a_quarter_up_to_yesterday(place):
    window = place.prepare(None, fresh=False)
    assert (window.days, window.end, window.loaded) == (92, Day.today(), False)


def test_what_is_loaded_is_reused_whatever_the_day(place):
    first = loaded(place, 3).first
    mark = json.loads(place.marker.read_text()) | {"first": str(first.plus(-5))}
    place.marker.write_text(json.dumps(mark))
    window = place.prepare(None, fresh=False)
    assert (window.first, window.days, window.loaded) == (first.plus(-5), 3, True)
    assert place.prepare(3, fresh=False).loaded
    assert (place.root / "lake").is_dir()


def test_another_length_is_refused_and_keeps_all(place):
    loaded(place, 3)
    with pytest.raises(UsageError, match="another length"):
        place.prepare(4, fresh=False)
    assert (place.root / "lake").is_dir()


def test_another_scale_is_refused_and_the_same_kept(place):
    window = place.prepare(3, 5, fresh=False)
    place.mark_loaded(window)
    assert place.prepare(None, fresh=False).scale == place.prepare(3, 5, fresh=False).scale == 5
    with pytest.raises(UsageError, match="another scale"):
        place.prepare(None, 4, fresh=False)
    assert place.prepare(3, 4, fresh=True).scenario == Scenario(window.first, 3, scale=4)


def test_fresh_removes_what_is_the_demos_and_nothing_else(place):
    loaded(place, 3)
    (place.root / "thesis.txt").write_text("mine")
    window = place.prepare(4, fresh=True)
    assert (window.days, window.loaded) == (4, False)
    assert not (place.root / "lake").exists()
    assert (place.root / "thesis.txt").read_text() == "mine"


@pytest.mark.parametrize("marker", [None, "{}", '{"anything": 1}', "[1]", "no json"])
@pytest.mark.parametrize("fresh", [True, False])
def test_a_foreign_directory_is_left_alone(place, marker, fresh):
    place.root.mkdir()
    (place.root / "thesis.txt").write_text("mine")
    (place.root / "lake").mkdir()
    if marker is not None:
        place.marker.write_text(marker)
    with pytest.raises(UsageError, match="not the demo's"):
        place.prepare(None, fresh=fresh)
    assert (place.root / "thesis.txt").exists()
    assert (place.root / "lake").is_dir()


def test_an_interrupted_load_begins_anew(place):
    place.prepare(2, fresh=False)
    assert not place.prepare(2, fresh=False).loaded
