"""Setting up a workspace: the steps that somebody put off. What is done is told by the facts."""

import peewee
from playhouse.postgres_ext import DateTimeTZField

from maild.db import BaseModel
from maild.models.fields import TimestampField
from maild.models.workspace import Workspace


class OnboardingStep(BaseModel):
    """A step that was skipped; it is no more once it was resumed."""

    workspace_id: int
    workspace = peewee.ForeignKeyField(Workspace, on_delete="CASCADE", index=False)
    step = peewee.TextField()
    """Which one (`services/onboarding_steps.py`)."""
    skipped_at = DateTimeTZField()
    skipped_by = peewee.TextField()
    resumed_at = DateTimeTZField(null=True)
    resumed_by = peewee.TextField(null=True)

    class Meta:
        table_name = "onboarding_steps"
        primary_key = peewee.CompositeKey("workspace", "step")
        constraints = (
            peewee.Check("(resumed_at IS NULL) = (resumed_by IS NULL)", "onboarding_steps_resumed"),
        )


class PolicyReview(BaseModel):
    """That somebody has read a version of the policy, and is content with it; 0 stands for the
    defaults of the instance.
    """

    workspace_id: int
    workspace = peewee.ForeignKeyField(Workspace, on_delete="CASCADE", index=False)
    version = peewee.IntegerField()
    reviewed_at = TimestampField()
    reviewed_by = peewee.TextField()

    class Meta:
        table_name = "policy_reviews"
        primary_key = peewee.CompositeKey("workspace", "version")
