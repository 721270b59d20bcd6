"""What becomes of the rows of a part of a file, for all of them in one statement: `foresee` says
it, `put` does it.

Rows are judged in the order of `Verdict`. Whether an address is suppressed or has opted out is
looked up in `suppressions` and `unsubscribes`, and neither is written: an import ends nothing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from peewee import IntegrityError

from maild.db import database
from maild.domain.contact import TOPICS_MAX
from maild.errors import Unavailable
from maild.models import Job
from maild.services import contact_import_rows
from maild.services.contact_import_rows import Options

WORK_MEMORY = "32MB"
"""What PostgreSQL may take for a step of a statement: more than a part has."""
TRIES_MAX = 5
"""So often a part is tried where somebody else makes the same contacts at the same moment."""


class Verdict(StrEnum):
    """What becomes of a row: exactly one, the first that applies."""

    SUPPRESSED = "suppressed"
    """Marketing, or all mail, must not go there."""
    UNSUBSCRIBED = "unsubscribed"
    """They have left marketing, or all mail."""
    DUPLICATE = "duplicate"
    """An earlier row of the file has the address."""
    INVALID_VALUE = "invalid_value"
    """They would have more topics than a contact may have."""
    NEW = "new"
    UPDATED = "updated"
    UNCHANGED = "unchanged"


REFUSED = frozenset({Verdict.SUPPRESSED, Verdict.UNSUBSCRIBED, Verdict.INVALID_VALUE})


@dataclass(slots=True)
class Outcome:
    """How many rows have come to what. `joined` of them, whatever their verdict, are on the list
    now and were not; `changed` has those that an undo can take back. `refused` names the others.
    """

    counts: dict[Verdict, int] = field(default_factory=dict)
    joined: int = 0
    changed: int = 0
    refused: dict[int, Verdict] = field(default_factory=dict)


# Every row is a few steps into indexes, in the order in which everybody locks contacts. The
# subqueries stay where they are (OFFSET 0, LIMIT 1, FOR UPDATE): the planner knows too little of
# how many rows a part has and how many are known, and what it would join on that ground may take
# minutes.
#
# Who is named again, though nothing of them changes, is not of one import alone any more: that is
# noted once, so that taking that import back leaves them.
#
# An address that left only a topic, or only hears no important mail, is imported; the topics that
# it left it does not ask for again.
_JUDGED = """
WITH given AS MATERIALIZED (
    SELECT v.line::int AS line, lower(v.email COLLATE "pg_c_utf8") AS email, v.name,
        v.attributes::jsonb AS attributes, string_to_array(v.topics, %(between)s) AS topics,
        v.consent_source, v.consent_at::timestamptz AS consent_at, v.consent_proof
    FROM unnest(
        string_to_array(%(line)s, %(end)s), string_to_array(%(email)s, %(end)s),
        string_to_array(%(name)s, %(end)s, %(null)s),
        string_to_array(%(attributes)s, %(end)s, %(null)s),
        string_to_array(%(topics)s, %(end)s, %(null)s),
        string_to_array(%(consent_source)s, %(end)s, %(null)s),
        string_to_array(%(consent_at)s, %(end)s, %(null)s),
        string_to_array(%(consent_proof)s, %(end)s, %(null)s)
    ) AS v (line, email, name, attributes, topics, consent_source, consent_at, consent_proof)
    ORDER BY 2
), judged AS MATERIALIZED (
    SELECT j.*, CASE
        WHEN j.is_suppressed THEN 'suppressed'
        WHEN j.is_unsubscribed THEN 'unsubscribed'
        WHEN j.line = ANY (%(duplicates)s::int[]) THEN 'duplicate'
        WHEN cardinality(j.topics) > %(topics_max)s THEN 'invalid_value'
        WHEN j.id IS NULL THEN 'new'
        WHEN %(updates)s AND (j.is_newer OR (j.name, j.attributes, j.topics)
            IS DISTINCT FROM (j.old_name, j.old_attributes, j.old_topics)) THEN 'updated'
        ELSE 'unchanged' END AS verdict
    FROM (
    SELECT g.line, g.email, k.id, k.version,
        (SELECT 1 FROM suppressions s
            WHERE s.workspace_id = %(workspace)s AND s.email = g.email AND s.removed_at IS NULL
                AND (s.stream IS NULL OR s.stream = 'marketing')
                AND (s.expires_at IS NULL OR s.expires_at > now())
            LIMIT 1) IS NOT NULL AS is_suppressed,
        (SELECT 1 FROM unsubscribes u
            WHERE u.workspace_id = %(workspace)s AND u.email = g.email AND u.removed_at IS NULL
                AND u.topic IS NULL AND (u.stream IS NULL OR u.stream = 'marketing')
            LIMIT 1) IS NOT NULL AS is_unsubscribed,
        k.id IS NOT NULL AND (SELECT 1 FROM audience_members m
            WHERE m.audience_id = %(audience)s AND m.contact_id = k.id
            LIMIT 1) IS NOT NULL AS is_member,
        k.name AS old_name, k.attributes AS old_attributes, k.topics AS old_topics,
        k.consent_source AS old_source, k.consent_at AS old_at, k.consent_proof AS old_proof,
        coalesce(g.name, k.name) AS name,
        coalesce(k.attributes, '{}') || coalesce(g.attributes, '{}') AS attributes,
        CASE WHEN g.topics IS NULL OR g.topics <@ k.topics THEN coalesce(k.topics, '{}')
            ELSE ARRAY(
                SELECT t.name FROM unnest(g.topics || k.topics) AS t (name)
                WHERE t.name = ANY (k.topics) OR NOT EXISTS (
                    SELECT FROM unsubscribes u
                    WHERE u.workspace_id = %(workspace)s AND u.email = g.email
                        AND u.removed_at IS NULL AND u.topic = t.name
                        AND (u.stream IS NULL OR u.stream = 'marketing'))
                GROUP BY t.name ORDER BY t.name COLLATE "C") END AS topics,
        n.is_newer,
        CASE WHEN n.is_newer THEN g.consent_source ELSE k.consent_source END AS consent_source,
        CASE WHEN n.is_newer THEN g.consent_at ELSE k.consent_at END AS consent_at,
        CASE WHEN n.is_newer THEN g.consent_proof ELSE k.consent_proof END AS consent_proof
    FROM given g
    LEFT JOIN LATERAL (
        SELECT c.id, c.version, c.name, c.attributes, c.topics, c.consent_source, c.consent_at,
            c.consent_proof
        FROM contacts c WHERE c.workspace_id = %(workspace)s AND c.email = g.email
        OFFSET 0 {lock}
    ) AS k ON true
    CROSS JOIN LATERAL (
        SELECT g.consent_at IS NOT NULL AND (k.consent_at IS NULL OR g.consent_at > k.consent_at)
            AS is_newer
    ) AS n
    OFFSET 0) AS j
), counted AS (
    SELECT verdict, count(*)::int AS count,
        array_agg(line) FILTER (WHERE verdict = ANY (%(refused)s)) AS lines
    FROM judged GROUP BY verdict
)
"""


def _of_judged(statement: str, *, lock: str = "") -> str:
    """The statement, with `judged` for the rows and what becomes of each."""
    return _JUDGED.replace("{lock}", lock) + statement


_FORESEE = _of_judged("""
SELECT verdict, count, lines FROM counted
""")
_PUT = _of_judged(
    """
, added AS (
    INSERT INTO contacts (workspace_id, email, name, attributes, topics, status,
        consent_source, consent_at, consent_proof, created_by)
    SELECT %(workspace)s, email, name, attributes, topics, 'active',
        consent_source, consent_at, consent_proof, %(by)s
    FROM judged WHERE verdict = 'new' ORDER BY email
    RETURNING id
), changed AS (
    UPDATE contacts c SET name = j.name, attributes = j.attributes, topics = j.topics,
        consent_source = j.consent_source, consent_at = j.consent_at,
        consent_proof = j.consent_proof, version = c.version + 1, updated_at = now()
    FROM judged j WHERE c.id = j.id AND j.verdict = 'updated'
    RETURNING c.id, c.version, NOT j.is_member AS joins, jsonb_build_object(
        'name', j.old_name, 'attributes', j.old_attributes, 'topics', j.old_topics,
        'consent_source', j.old_source, 'consent_at', j.old_at, 'consent_proof', j.old_proof
    ) AS before
), named AS (
    UPDATE contacts c SET is_named_again = true FROM judged j
    WHERE c.id = j.id AND j.verdict = 'unchanged' AND NOT c.is_named_again
), touched AS MATERIALIZED (
    SELECT id, version, joins AND %(audience)s::int IS NOT NULL AS joins, before FROM changed
    UNION ALL
    SELECT id, version, true, '{}'::jsonb FROM judged
    WHERE verdict = 'unchanged' AND NOT is_member AND %(audience)s::int IS NOT NULL
), members AS (
    INSERT INTO audience_members (audience_id, contact_id)
    SELECT %(audience)s::int, j.id FROM (
        SELECT id FROM added WHERE %(audience)s::int IS NOT NULL
        UNION ALL
        SELECT id FROM touched WHERE joins
    ) AS j ORDER BY j.id
), noted AS (
    INSERT INTO contact_changes (job_id, contact_id, before, version, is_new_member)
    SELECT %(job)s, id, before, version, joins FROM touched ORDER BY id
), made AS (
    INSERT INTO contact_import_parts (job_id, position, contact_ids)
    SELECT %(job)s, %(position)s, array_agg(id ORDER BY id) FROM added HAVING count(*) > 0
)
SELECT verdict, count, lines FROM counted
UNION ALL
SELECT 'added', count(*)::int, NULL FROM added
UNION ALL
SELECT 'changed', count(*)::int, NULL FROM touched
UNION ALL
SELECT 'joined', count(*)::int, NULL FROM touched WHERE joins
""",
    lock="FOR NO KEY UPDATE OF c",
)


def foresee(
    workspace_id: int,
    rows: Sequence[dict[str, Any]],
    *,
    duplicates: Sequence[int],
    options: Options,
) -> Outcome:
    """What `put` would do with them."""
    if not rows:
        return Outcome()
    values = _values(workspace_id, rows, duplicates, options)
    _give_memory()
    return _outcome(database.execute_sql(_FORESEE, values).fetchall())


def put(
    workspace_id: int,
    rows: Sequence[dict[str, Any]],
    *,
    duplicates: Sequence[int],
    options: Options,
    job: Job,
    position: int,
) -> Outcome:
    """Import these rows of `contact_import_rows`, in the caller's transaction, and note what was
    changed. Raises Unavailable where others make the same contacts all the time.
    """
    if not rows:
        return Outcome()
    values = _values(workspace_id, rows, duplicates, options) | {
        "job": job.id,
        "position": position,
        "by": job.created_by,
    }
    _give_memory()
    for _ in range(TRIES_MAX):
        try:
            with database.atomic():
                return _put(values)
        except IntegrityError as error:
            # Somebody else has added one since the statement began: to the next one it is known.
            # To ask for each row what to do then (ON CONFLICT) takes a tenth longer.
            if not any(name in str(error) for name in _UNIQUE):
                raise
    raise Unavailable("Others import the same contacts at the same time. It is tried again.")


_UNIQUE = ("contacts_by_email", "audience_members_pkey")
"""What nobody has twice."""


def _put(values: Mapping[str, Any]) -> Outcome:
    found = database.execute_sql(_PUT, values).fetchall()
    outcome = _outcome(found)
    done = {word: count for word, count, _ in found}
    outcome.changed = done["added"] + done["changed"]
    outcome.joined = done["joined"] + (done["added"] if values["audience"] else 0)
    return outcome


def _give_memory() -> None:
    """Until the end of the transaction a part is kept in memory, not in files."""
    database.execute_sql("SELECT set_config('work_mem', %s, true)", (WORK_MEMORY,))


_DUPLICATES = """
WITH given AS MATERIALIZED (
    SELECT lower(v.email COLLATE "pg_c_utf8") AS email, v.line::int AS line
    FROM unnest(
        string_to_array(%(line)s, %(end)s), string_to_array(%(email)s, %(end)s)
    ) AS v (line, email)
), first AS (
    INSERT INTO contact_file_addresses (file_id, email, line)
    SELECT %(file)s, email, min(line) FROM given GROUP BY email ORDER BY email
    ON CONFLICT DO NOTHING
    RETURNING line
)
SELECT line FROM given EXCEPT SELECT line FROM first ORDER BY 1
"""


def find_duplicates(file_id: int, rows: Sequence[Mapping[str, Any]]) -> list[int]:
    """The lines of those whose address an earlier row has, of this part or of one that was asked
    about before.
    """
    if not rows:
        return []
    values = {**contact_import_rows.dump(rows), "file": file_id}
    return [line for (line,) in database.execute_sql(_DUPLICATES, values).fetchall()]


def _values(
    workspace_id: int, rows: Sequence[dict[str, Any]], duplicates: Sequence[int], options: Options
) -> dict[str, Any]:
    return {
        "workspace": workspace_id,
        **contact_import_rows.dump(rows),
        "duplicates": list(duplicates),
        "topics_max": TOPICS_MAX,
        "updates": options.updates,
        "audience": options.audience_id,
        "refused": [verdict.value for verdict in REFUSED],
    }


def _outcome(found: Sequence[tuple[str, int, list[int] | None]]) -> Outcome:
    outcome = Outcome()
    for word, count, lines in found:
        if word in set(Verdict):
            verdict = Verdict(word)
            outcome.counts[verdict] = count
            outcome.refused |= dict.fromkeys(lines or (), verdict)
    return outcome
