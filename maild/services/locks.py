"""Advisory locks of Postgres: who does what only one may do at a time."""

from collections.abc import Iterator
from contextlib import contextmanager

from maild.db import database

_NAMESPACE = 0x6D61696C  # "mail": keeps maild's locks apart from those of others in this database
_ACCEPTING = _NAMESPACE + 1  # with a workspace's id
_TRYING = _NAMESPACE + 2  # with a person's id
_CHOOSING = _NAMESPACE + 3  # with a hash of a workspace and an address

MIGRATE = 1
SWEEP = 2
REPORTS = 3
LOG_BLOCKS = 10
INCIDENTS = 11
DEPLOYMENTS = 12
RETENTION = 13


@contextmanager
def exclusive(what: int) -> Iterator[None]:
    """Wait for the lock as long as it takes, and hold it for the block."""
    database.execute_sql("SET lock_timeout = 0")
    database.execute_sql("SELECT pg_advisory_lock(%s, %s)", (_NAMESPACE, what))
    database.execute_sql("RESET lock_timeout")
    try:
        yield
    finally:
        _unlock(what)


@contextmanager
def only_one(what: int) -> Iterator[bool]:
    """Hold the lock for the block if it is free; yields whether it was."""
    row = database.execute_sql("SELECT pg_try_advisory_lock(%s, %s)", (_NAMESPACE, what)).fetchone()
    try:
        yield row[0]
    finally:
        if row[0]:
            _unlock(what)


def take_for_transaction(what: int) -> bool:
    """Whether the lock was free; it is ours then until the transaction ends."""
    row = database.execute_sql(
        "SELECT pg_try_advisory_xact_lock(%s, %s)", (_NAMESPACE, what)
    ).fetchone()
    return bool(row[0])


def wait_for_transaction(what: int) -> None:
    """Wait until the lock is free; it is ours then until the transaction ends."""
    database.execute_sql("SELECT pg_advisory_xact_lock(%s, %s)", (_NAMESPACE, what))


def take_trial(person_id: int) -> bool:
    """Whether nothing was under way that this person tries out; it is ours until the transaction
    ends.
    """
    row = database.execute_sql(
        "SELECT pg_try_advisory_xact_lock(%s, %s)", (_TRYING, person_id)
    ).fetchone()
    return bool(row[0])


def choosing_in_turn(workspace_id: int, email: str) -> None:
    """Wait until nobody else chooses what an address hears of; it is ours then until the
    transaction ends. Some other address may wait with it.
    """
    database.execute_sql(
        "SELECT pg_advisory_xact_lock(%s, hashtext(%s::text || ' ' ||"
        ' lower(%s COLLATE "pg_c_utf8")))',
        (_CHOOSING, workspace_id, email),
    )


def accepting_in_turn(workspace_id: int) -> tuple[str, tuple[int, int]]:
    """The statement, with its parameters, that waits until nobody else accepts for this workspace;
    it holds until the end of the transaction.
    """
    return "SELECT pg_advisory_xact_lock(%s, %s); ", (_ACCEPTING, workspace_id)


def _unlock(what: int) -> None:
    database.execute_sql("SELECT pg_advisory_unlock(%s, %s)", (_NAMESPACE, what))
