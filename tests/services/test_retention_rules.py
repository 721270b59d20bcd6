"""Nothing grows for ever: every table of the database has a pruner, goes with another, or says why
it stays small.
"""

import importlib

import pytest

from maild.db import database as db
from maild.services import migrations, retention_pruner, retention_rules
from maild.services.retention_rules import BOUNDED, GROWING, WITH

pytestmark = pytest.mark.usefixtures("database")


def tables() -> set[str]:
    rows = db.execute_sql(
        "SELECT relname FROM pg_class"
        " WHERE relkind IN ('r', 'p') AND relnamespace = 'public'::regnamespace"
    ).fetchall()
    return {name for (name,) in rows} - {migrations.TABLE}


@pytest.mark.proves("run-retention-whole")
def test_every_table_has_a_line_and_every_line_a_table() -> None:
    named = [*GROWING, *WITH, *BOUNDED]
    assert len(named) == len(set(named)), "in one place each"
    assert tables() - set(named) == set(), "say in services/retention_rules.py what ends their rows"
    assert set(named) - tables() == set()


def test_what_is_said_to_go_with_another_does() -> None:
    rows = db.execute_sql(
        "SELECT conrelid::regclass::text, confrelid::regclass::text FROM pg_constraint"
        " WHERE contype = 'f' AND confdeltype = 'c'"
    ).fetchall()
    cascades = set(rows)
    assert {(child, parent) for child, parent in WITH.items()} <= cascades
    assert set(WITH.values()) <= set(GROWING)


def test_every_pruner_is_there_and_is_called() -> None:
    called = {f"{one.__module__}.{one.__name__}" for one in retention_rules.SMALL}
    for table, growing in GROWING.items():
        module = importlib.import_module(f"maild.services.{growing.by}")
        own = ("retention_pruner", "retention_forecast", "incident_watch", "workers")
        is_called = growing.by in own or any(
            name.startswith(f"{module.__name__}.") for name in called
        )
        assert is_called, table
    assert len({rule.rule for rule in retention_pruner.RULES}) == len(retention_pruner.RULES)


def test_every_key_that_cascades_from_what_is_pruned_has_an_index() -> None:
    """Or removing a row would read the whole of another table."""
    rows = db.execute_sql(
        """
        SELECT c.conrelid::regclass::text, a.attname
        FROM pg_constraint c
        JOIN pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = c.conkey[1]
        WHERE c.contype = 'f' AND c.confrelid::regclass::text = ANY(%s)
            AND NOT EXISTS (
                SELECT FROM pg_index i WHERE i.indrelid = c.conrelid AND i.indkey[0] = c.conkey[1])
        """,
        (sorted(GROWING),),
    ).fetchall()
    assert rows == []
