"""A session that is open while days are written again, added and removed by others.

Objects are replaced in place: with the types that a day had, 5.5 would be read as 6.
"""

from __future__ import annotations

import pytest

JULY = [f"2026-07-0{day}" for day in range(1, 5)]
TOTAL = "SELECT sum(n) AS n, count(*) AS rows FROM events"


@pytest.fixture
def lake(make_lake, table):
    lake = make_lake("events", "others")
    for day in JULY[:2]:
        lake.put("events", day, table(n=[1, 2]))
    lake.put("others", JULY[0], table(n=[7]))
    return lake


def test_a_day_of_other_types(lake, table) -> None:
    with lake.connect() as session:
        assert session.rows(TOTAL) == [{"n": 6, "rows": 4}]
        lake.put("events", JULY[0], table(n=[0.5, 5.5]))
        assert session.rows(TOTAL) == [{"n": 9.0, "rows": 4}]
        assert session.ask(TOTAL).types[0] == "DOUBLE"
        lake.put("events", JULY[0], table(n=["a"], more=[1]))
        assert session.ask("SELECT max(n), max(more) FROM events").notes
        assert session.sql("SELECT sum(more) AS m FROM events").fetchall() == [(1,)]


def test_days_that_come_and_go(lake, table) -> None:
    with lake.connect() as session:
        relation = session.sql(TOTAL)
        assert session.rows(TOTAL) == [{"n": 6, "rows": 4}]
        lake.put("events", JULY[3], table(n=[0.25]))
        answer = session.ask(TOTAL)
        assert list(answer.rows) == [(6.25, 5)]
        assert [note for note in answer.notes if JULY[2] in note]
        lake.store.delete(f"manifests/events/{JULY[0]}.json")
        lake.store.delete(f"tables/events/day={JULY[0]}/data.parquet")
        assert session.rows(TOTAL) == [{"n": 3.25, "rows": 3}]
        assert session.days("others")
        assert relation.fetchall() == [(3.25, 3)]


def test_what_has_not_changed_is_not_read_again(lake, table) -> None:
    with lake.connect() as session:
        session.rows(TOTAL)
        others = session.table("others")
        events = session.table("events")
        lake.put("events", JULY[0], table(n=[1, 2]))
        session.rows("SELECT count(*) FROM events, others")
        assert session.table("others") is others
        assert session.table("events") is not events


def test_days_behind_the_sessions_own_views_and_macros(lake, table) -> None:
    """They kept the days that their dataset had when a statement named it last."""
    with lake.connect() as session:
        session.sql("CREATE VIEW own AS SELECT day FROM events")
        session.sql("CREATE OR REPLACE TEMP MACRO called() AS TABLE FROM own")
        before = len(list(session.ask("FROM own").rows))
        for number, day in enumerate(("2026-08-01", "2026-08-02"), 1):
            lake.put("events", day, table(n=[1]))
            for statement in ("SELECT count(*) FROM own", "SELECT count(*) FROM called()"):
                assert list(session.ask(statement).rows) == [(before + number,)]
