"""Shapes: Contacts. Written by `python -m tools.client`: do not edit."""

from __future__ import annotations

import datetime as dt
from typing import Literal, NotRequired, TypeAlias, TypedDict

from maild_client.shapes.shared import (
    ConsentOut,
    ContactOut,
    ContactStatus,
    FieldProblem,
    StandingOut,
)

AttributeKind: TypeAlias = Literal["text", "number", "boolean", "date"]


class AttributeList(TypedDict):
    workspace_id: int
    count: int
    attributes: list[AttributeOut]


class AttributeOut(TypedDict):
    name: str
    kind: AttributeKind
    created_by: str
    created_at: str


class AttributeRemoved(TypedDict):
    workspace_id: int
    name: str
    status: Literal["deleting"]
    job_id: int


class AttributeSaved(TypedDict):
    name: str
    kind: AttributeKind
    created_by: str
    created_at: str
    workspace_id: int


class ConfirmationOut(TypedDict):
    """Whether they were asked to confirm their address by this request."""

    asked: bool
    message_id: str | None
    detail: str | None


class ConsentIn(TypedDict):
    source: str
    at: str | dt.datetime
    proof: NotRequired[str | None]


class ContactBatchOut(TypedDict):
    workspace_id: int
    created: int
    updated: int
    unchanged: int
    rejected: int
    results: list[ContactBatchSaved | ContactBatchRejected]


class ContactBatchRejected(TypedDict):
    index: int
    error: str
    code: str
    errors: list[FieldProblem]


class ContactBatchSaved(TypedDict):
    index: int
    id: int
    email: str
    outcome: ContactOutcome


class ContactDetail(TypedDict):
    id: int
    workspace_id: int
    email: str
    name: str | None
    attributes: dict[str, str | float | bool | None]
    topics: list[str]
    status: ContactStatus
    consent: ConsentOut | None
    standing: StandingOut
    version: int
    created_by: str
    created_at: str
    updated_at: str
    audiences: list[MembershipOut]


class ContactFieldsIn(TypedDict):
    email: str
    name: NotRequired[str | None]
    attributes: NotRequired[dict[str, str | float | bool | None]]
    topics: NotRequired[list[str] | None]
    consent: NotRequired[ConsentIn | None]


ContactOutcome: TypeAlias = Literal["created", "updated", "unchanged"]


class ContactPage(TypedDict):
    workspace_id: int
    count: int
    contacts: list[ContactOut]
    next_cursor: str | None


class ContactRemoved(TypedDict):
    workspace_id: int
    id: int
    email: str
    status: Literal["deleted"]


class ContactSaved(TypedDict):
    id: int
    workspace_id: int
    email: str
    name: str | None
    attributes: dict[str, str | float | bool | None]
    topics: list[str]
    status: ContactStatus
    consent: ConsentOut | None
    standing: StandingOut
    version: int
    created_by: str
    created_at: str
    updated_at: str
    outcome: ContactOutcome
    confirmation: ConfirmationOut | None


class ImportColumn(TypedDict):
    use: (
        Literal[
            "email", "name", "attribute", "topics", "consent_at", "consent_source", "consent_proof"
        ]
        | None
    )
    name: NotRequired[str | None]
    kind: NotRequired[AttributeKind | None]


class ImportColumnOut(TypedDict):
    use: (
        Literal[
            "email", "name", "attribute", "topics", "consent_at", "consent_source", "consent_proof"
        ]
        | None
    )
    name: str | None
    kind: AttributeKind | None
    header: str | None


class ImportConsent(TypedDict):
    at: str | dt.datetime
    source: NotRequired[str | None]
    proof: NotRequired[str | None]


class ImportCounts(TypedDict):
    """`rows` = `new` + `updated` + `unchanged` + `duplicate` + `rejected`, and ..."""

    rows: int
    new: int
    updated: int
    unchanged: int
    duplicate: int
    rejected: int
    reasons: dict[str, int]


class ImportDetails(TypedDict):
    id: int
    workspace_id: int
    name: str
    size_bytes: int
    line_count: int
    created_by: str
    created_at: str
    encoding: str
    delimiter: str
    has_header: bool
    columns: list[ImportColumnOut]
    options: ImportOptions
    check: ImportJob | None
    foreseen: ImportCounts | None
    job: ImportJob | None
    counts: ImportCounts | None
    joined: int
    undo: ImportJob | None
    sample: list[list[str]]


class ImportJob(TypedDict):
    id: int
    status: JobStatus
    handled_count: int
    total_count: int | None
    error: str | None


class ImportOptions(TypedDict):
    audience_id: int | None
    audience_name: str | None
    topics: list[str]
    consent_at: str | None
    consent_source: str | None
    consent_proof: str | None
    update_known: bool
    leave_out_roles: bool
    leave_out_disposable: bool


class ImportOut(TypedDict):
    id: int
    workspace_id: int
    name: str
    size_bytes: int
    line_count: int
    created_by: str
    created_at: str
    encoding: str
    delimiter: str
    has_header: bool
    columns: list[ImportColumnOut]
    options: ImportOptions
    check: ImportJob | None
    foreseen: ImportCounts | None
    job: ImportJob | None
    counts: ImportCounts | None
    joined: int
    undo: ImportJob | None


class ImportPage(TypedDict):
    workspace_id: int
    count: int
    imports: list[ImportOut]


JobStatus: TypeAlias = Literal["queued", "running", "done", "failed", "cancelled"]


class MembershipOut(TypedDict):
    """A list that a contact is on."""

    id: int
    name: str
