"""A sending domain: a domain that a workspace's mail comes from, and how its DNS records stand."""

import peewee
from playhouse.postgres_ext import DateTimeTZField

from maild.db import BaseModel
from maild.models.fields import JsonField, TimestampField
from maild.models.workspace import Workspace


class Domain(BaseModel):
    id = peewee.AutoField()
    workspace_id: int
    workspace = peewee.ForeignKeyField(Workspace, on_delete="CASCADE", index=False)
    name = peewee.TextField()
    """In lower case and with U-labels, as the domains of addresses are kept."""
    dkim_selector = peewee.TextField(null=True)
    """The one that its mail is signed with; None: not said, the usual ones are tried."""
    created_by = peewee.TextField()
    created_at = TimestampField()
    due_at = TimestampField()
    """When it is checked next."""
    claimed_until = DateTimeTZField(null=True)
    """Until when the worker that checks it is believed to be at work."""
    checked_at = DateTimeTZField(null=True)
    is_ready = peewee.BooleanField(null=True)
    """What the last check that could tell said; None where none could yet."""
    results = JsonField()
    """The last check, as `services/domain_checks.py` writes it; empty before the first."""
    good = JsonField()
    """By check: its records when they were last in order. Drift is measured against them."""
    drift = JsonField()
    """By check: what is not any more as it was, since when, and what it was."""
    unknown_since_at = DateTimeTZField(null=True)
    """Since when the DNS has not answered some question; None while it answers all."""

    class Meta:
        table_name = "domains"
        constraints = (
            peewee.Check("name = lower(name COLLATE \"pg_c_utf8\") AND name <> ''", "domains_name"),
        )


Domain.add_index(Domain.workspace, Domain.name, unique=True, name="domains_unique")
Domain.add_index(Domain.due_at, name="domains_due")


class DomainCheck(BaseModel):
    """What checks found, one row for as long as they find the same."""

    id = peewee.BigAutoField()
    workspace_id: int
    workspace = peewee.ForeignKeyField(Workspace, on_delete="CASCADE", index=False)
    domain_id: int
    domain = peewee.ForeignKeyField(Domain, on_delete="CASCADE", index=False)
    checked_at = TimestampField()
    last_checked_at = TimestampField()
    """The last time that the same was found."""
    is_ready = peewee.BooleanField(null=True)
    states = JsonField()
    """By check: `ok`, `warn`, `bad` or `unknown`."""
    records = JsonField()
    """By check: the records that were found."""

    class Meta:
        table_name = "domain_checks"


DomainCheck.add_index(DomainCheck.domain, DomainCheck.id, name="domain_checks_by_domain")
