"""The job that takes an attribute away from all contacts of a workspace. Its name is free again
when the last value has gone.
"""

from maild.db import database
from maild.domain.actor import Actor
from maild.models import Job
from maild.services import audit, contact_attributes, jobs
from maild.services.jobs import Handler, Step

DELETE = "contacts.delete_attribute"
CHUNK = 5_000
USES_MAX = 10_000
"""What a page counts of the contacts that have a value; there may be more."""

# The rows are walked in the order of their ids, whether they have a value or not.
_STEP = """
WITH walked AS MATERIALIZED (
    SELECT id, attributes ? %(name)s AS has_it FROM contacts
    WHERE workspace_id = %(workspace)s AND id > %(after)s ORDER BY id LIMIT %(limit)s
), locked AS MATERIALIZED (
    SELECT c.id FROM contacts c JOIN walked ON walked.id = c.id WHERE walked.has_it
    ORDER BY c.email FOR NO KEY UPDATE OF c
), done AS (
    UPDATE contacts c
    SET attributes = c.attributes - %(name)s, version = c.version + 1, updated_at = now()
    FROM locked WHERE c.id = locked.id
    RETURNING c.id
)
SELECT (SELECT count(*) FROM walked), (SELECT max(id) FROM walked), (SELECT count(*) FROM done)
"""
_USES = """
SELECT count(*) FROM (
    SELECT FROM contacts WHERE workspace_id = %s AND attributes ? %s LIMIT %s) AS counted
"""


def start(workspace_id: int, name: str, *, by: Actor) -> Job:
    """Take an attribute and all its values away, soon; nobody gives it a value from now on.
    Audited. Raises NotFound, and Conflict where too many jobs are open.
    """
    with database.atomic():
        row = contact_attributes.take_away(workspace_id, name)
        job = jobs.start(
            workspace_id,
            kind=DELETE,
            params={"name": name},
            told={"attribute": name},
            by=by,
        )
        audit.record(
            workspace_id,
            by,
            action="contact_attribute.deleted",
            target=f"attribute {name}",
            before={"kind": row.kind},
            after={"job_id": job.id},
        )
    return job


def count_uses(workspace_id: int, name: str) -> int:
    """How many contacts have a value of it, up to USES_MAX and one more."""
    values = (workspace_id, name, USES_MAX + 1)
    return int(database.execute_sql(_USES, values).fetchone()[0])


def _delete(job: Job) -> Step:
    name = job.params["name"]
    values = {
        "workspace": job.workspace_id,
        "name": name,
        "after": job.cursor or 0,
        "limit": CHUNK,
    }
    seen, last, done = database.execute_sql(_STEP, values).fetchone()
    is_done = seen < CHUNK
    if is_done:
        contact_attributes.forget(job.workspace_id, name)
    return Step(cursor=last or job.cursor, is_done=is_done, done=done)


jobs.register(
    DELETE,
    Handler(_delete, no_undo="The values are gone: import or send them again."),
)
