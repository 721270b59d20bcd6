"""A job: work that is too long for a request, which workers do step by step; with what it was given
and what it has changed.
"""

import peewee
from playhouse.postgres_ext import DateTimeTZField

from maild.db import BaseModel
from maild.domain.job import OPEN, JobStatus
from maild.models.fields import JsonField, TextEnumField, TimestampField
from maild.models.workspace import Workspace


class Job(BaseModel):
    id = peewee.AutoField()
    workspace_id: int
    workspace = peewee.ForeignKeyField(Workspace, on_delete="CASCADE", index=False)
    kind = peewee.TextField()
    """Which handler does it (`services/jobs.py`)."""
    params = JsonField()
    """What its handler has to know; plain JSON."""
    reason = peewee.TextField(null=True)
    created_by = peewee.TextField()
    """Who started it, as the audit log names them."""
    created_at = TimestampField()
    started_at = DateTimeTZField(null=True)
    finished_at = DateTimeTZField(null=True)
    status = TextEnumField(JobStatus)
    total_count = peewee.IntegerField(null=True)
    """How much there is to do; None where that is not known."""
    done_count = peewee.IntegerField(constraints=[peewee.SQL("DEFAULT 0")])
    skipped_count = peewee.IntegerField(constraints=[peewee.SQL("DEFAULT 0")])
    failed_count = peewee.IntegerField(constraints=[peewee.SQL("DEFAULT 0")])
    breakdown = JsonField()
    """Why something was skipped or failed, in words, and how often."""
    cursor = JsonField(null=True)
    """How far it has come, as its handler wrote it; None at the beginning."""
    error = peewee.TextField(null=True)
    """Why the latest step was not done; None where it was."""
    fault_count = peewee.SmallIntegerField(constraints=[peewee.SQL("DEFAULT 0")])
    """How often the present step was tried in vain."""
    due_at = TimestampField()
    """It is not taken before."""
    stepped_at = DateTimeTZField(null=True)
    """When it was its turn last."""
    running_seconds = peewee.FloatField(constraints=[peewee.SQL("DEFAULT 0")])
    """How long it has been running, the time before its first step and after a stop left out."""
    lease_id = peewee.UUIDField(null=True)
    """What the worker that has it must name to save a step; None while nobody has it."""
    lease_until = DateTimeTZField(null=True)
    cancelled_by = peewee.TextField(null=True)
    """Who wants it stopped, or has stopped it."""
    undo_of_id: int | None
    undo_of = peewee.ForeignKeyField("self", null=True, on_delete="SET NULL", index=False)
    """The job of which this one takes back what it changed."""

    class Meta:
        table_name = "jobs"
        constraints = (
            peewee.Check(
                "status IN ('queued', 'running', 'done', 'failed', 'cancelled')", "jobs_status"
            ),
            peewee.Check(
                "(finished_at IS NULL) = (status IN ('queued', 'running'))", "jobs_finished"
            ),
            peewee.Check("(lease_id IS NULL) = (lease_until IS NULL)", "jobs_lease"),
            peewee.Check("lease_id IS NULL OR status = 'running'", "jobs_leased_while_running"),
        )

    @property
    def is_open(self) -> bool:
        """Whether it is still to be done, or being done."""
        return self.status in OPEN

    @property
    def handled_count(self) -> int:
        """How much it has looked at, whatever became of it."""
        return self.done_count + self.skipped_count + self.failed_count


Job.add_index(Job.workspace, Job.id, name="jobs_by_workspace")
"""The list, newest first."""
Job.add_index(Job.workspace, Job.stepped_at, name="jobs_by_turn")
"""When it was a workspace's turn last."""
Job.add_index(Job.workspace, Job.id, where=peewee.SQL("finished_at IS NULL"), name="jobs_open")
Job.add_index(
    Job.workspace,
    Job.finished_at,
    where=peewee.SQL("finished_at IS NOT NULL"),
    name="jobs_by_end",
)
"""What has been kept for long enough."""
Job.add_index(
    Job.undo_of, unique=True, where=peewee.SQL("undo_of_id IS NOT NULL"), name="jobs_undone"
)
"""Nothing is undone twice."""


class JobInput(BaseModel):
    job_id: int
    job = peewee.ForeignKeyField(Job, primary_key=True, on_delete="CASCADE", index=False)
    content = peewee.BlobField()

    class Meta:
        table_name = "job_inputs"


class JobItem(BaseModel):
    """One thing that a job has changed: a message, or what has a number."""

    id = peewee.BigAutoField()
    job_id: int
    job = peewee.ForeignKeyField(Job, on_delete="CASCADE", index=False)
    message_id = peewee.UUIDField(null=True)
    target_id = peewee.BigIntegerField(null=True)
    outcome = peewee.TextField()

    class Meta:
        table_name = "job_items"
        constraints = (
            peewee.Check("(message_id IS NULL) <> (target_id IS NULL)", "job_items_one_target"),
        )


JobItem.add_index(JobItem.job, JobItem.id, name="job_items_by_job")
