"""Whom the rules of segments mean: how many, some of them, and all of them in pages.

Everything is asked at the moment: rules have no members of their own. Each statement is cut off
after a moment, with words for whoever asked.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from maild.db import database
from maild.errors import SearchTooLong
from maild.models import Contact
from maild.services import contact_standings, message_log, workspaces
from maild.services.contact_standings import Standing
from maild.services.segment_rules import Rules

SAMPLE = 10
NEWEST = 5_000
"""Among so many contacts a sample is looked for at first."""
TIMEOUT_MS = message_log.SEARCH_TIMEOUT_MS
WORK_MEMORY = "64MB"
"""So that the members of a list, and those who must not be mailed, fit into tables in memory: each
contact is looked up there. Some millions do.
"""
TOO_LONG = (
    f"These rules took longer than {TIMEOUT_MS // 1000} seconds to look up. Begin with a rule that"
    " leaves few contacts, such as a list, or try again."
)

# As `contact_standings` has it for the contacts of a page; here it is asked for very many at once.
_CAN_BE_MAILED = """
    c.status = 'active' AND c.email NOT IN (
        SELECT email FROM suppressions
        WHERE workspace_id = %s AND removed_at IS NULL
            AND (stream IS NULL OR stream = 'marketing')
            AND (expires_at IS NULL OR expires_at > now())
        UNION ALL
        SELECT email FROM unsubscribes
        WHERE workspace_id = %s AND removed_at IS NULL AND topic IS NULL
            AND (stream IS NULL OR stream = 'marketing'))
"""
# Most rules mean ten of the newest already. Those which do not mean few: then all of their numbers
# are kept, and the newest picked out, for no index knows where they are.
_NEWEST = """
SELECT c.id
FROM (SELECT * FROM contacts WHERE workspace_id = %s ORDER BY id DESC LIMIT %s) AS c
WHERE {condition}
ORDER BY c.id DESC LIMIT %s
"""
_LOOK = """
SELECT number, mailable, ARRAY(SELECT id FROM unnest(ids) AS id ORDER BY id DESC LIMIT %s)
FROM (
    SELECT count(*) AS number, count(*) FILTER (WHERE {can_be_mailed}) AS mailable,
        array_agg(c.id) FILTER (WHERE %s) AS ids
    FROM contacts c LEFT JOIN contact_engagements e ON e.contact_id = c.id
    WHERE c.workspace_id = %s AND ({condition})
) AS meant
""".replace("{can_be_mailed}", _CAN_BE_MAILED)  # nosec B608
_COUNT_EACH = """
SELECT {columns} FROM contacts c LEFT JOIN contact_engagements e ON e.contact_id = c.id
WHERE c.workspace_id = %s
"""
_PAGE = """
SELECT c.id FROM contacts c WHERE c.workspace_id = %s AND ({condition}) AND c.id < %s
ORDER BY c.id DESC LIMIT %s
"""
_ID_MAX = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Look:
    """Whom rules mean now: how many, how many of them a campaign may mail (but for the topics that
    they have left), and the newest SAMPLE, with the standing of each by its id.
    """

    count: int
    mailable_count: int
    sample: list[Contact]
    standings: dict[int, Standing]


@dataclass(frozen=True, slots=True)
class Page:
    """Contacts, newest first, with the standing of each by its id; `older` is the id after which
    the next page begins.
    """

    contacts: list[Contact]
    standings: dict[int, Standing]
    older: int | None


def look(workspace_id: int, rules: Rules) -> Look:
    """Count them. Raises Conflict (the rules have problems), NotFound (the workspace),
    SearchTooLong.
    """
    condition, among_all = rules.condition(), rules.condition(is_for_all=True)
    with _bounded():
        newest = database.execute_sql(
            _NEWEST.replace("{condition}", condition.sql),
            (workspace_id, NEWEST, *condition.values, SAMPLE),
        ).fetchall()
        ids = [id_ for (id_,) in newest]
        is_rare = len(ids) < SAMPLE
        values = (SAMPLE, workspace_id, workspace_id, is_rare, workspace_id, *among_all.values)
        count, mailable_count, all_ids = database.execute_sql(
            _LOOK.replace("{condition}", among_all.sql), values
        ).fetchone()
        if not count:
            workspaces.require(workspace_id)
        sample = _load(workspace_id, all_ids if is_rare else ids)
        standings = contact_standings.look_up(workspace_id, sample)
    return Look(count, mailable_count, sample, standings)


def count_each(workspace_id: int, several: Sequence[Rules]) -> list[int | None]:
    """How many each of them means, in one statement that goes through the contacts once; None for
    those with problems. Raises SearchTooLong.
    """
    conditions = [None if rules.problems else rules.condition(is_for_all=True) for rules in several]
    asked = [condition for condition in conditions if condition is not None]
    if not asked:
        return [None] * len(several)
    columns = ", ".join(f"count(*) FILTER (WHERE {condition.sql})" for condition in asked)
    values = tuple(value for condition in asked for value in condition.values)
    with _bounded():
        counts = iter(
            database.execute_sql(
                _COUNT_EACH.replace("{columns}", columns), (*values, workspace_id)
            ).fetchone()
        )
    return [None if condition is None else next(counts) for condition in conditions]


def list_page(
    workspace_id: int, rules: Rules, *, limit: int = 50, older_than: int | None = None
) -> Page:
    """The newest whom they mean, or those before an id. Raises Conflict (the rules have problems),
    SearchTooLong.
    """
    condition = rules.condition()
    before = _ID_MAX if older_than is None else older_than
    with _bounded():
        rows = database.execute_sql(
            _PAGE.replace("{condition}", condition.sql),
            (workspace_id, *condition.values, before, limit + 1),
        ).fetchall()
        shown = _load(workspace_id, [id_ for (id_,) in rows[:limit]])
        standings = contact_standings.look_up(workspace_id, shown)
    return Page(shown, standings, older=shown[-1].id if len(rows) > limit else None)


@contextmanager
def _bounded() -> Iterator[None]:
    try:
        with message_log.bounded(TIMEOUT_MS):
            database.execute_sql(
                "SELECT set_config('work_mem', %s, true),"
                " set_config('max_parallel_workers_per_gather', '1', true)",
                (WORK_MEMORY,),
            )
            yield
    except SearchTooLong as error:
        raise SearchTooLong(TOO_LONG) from error


def _load(workspace_id: int, ids: Sequence[Any]) -> list[Contact]:
    """The newest first."""
    if not ids:
        return []
    query = Contact.select().where(Contact.workspace_id == workspace_id, Contact.id << list(ids))
    return list(query.order_by(Contact.id.desc()))
