"""Counting what PostgreSQL is asked."""

from collections.abc import Callable

import peewee
import pytest


def list_statements(action: Callable[[], object]) -> list[str]:
    """The statements that an action sends, without their values."""
    seen: list[str] = []
    genuine = peewee.Database.execute_sql

    def execute_sql(self: peewee.Database, sql: str, *rest: object) -> object:
        seen.append(sql)
        return genuine(self, sql, *rest)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(peewee.Database, "execute_sql", execute_sql)
        action()
    return seen


def count_statements(action: Callable[[], object]) -> int:
    """How many statements an action sends."""
    return len(list_statements(action))
