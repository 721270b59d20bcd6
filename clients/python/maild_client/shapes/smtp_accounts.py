"""Shapes: SMTP accounts. Written by `python -m tools.client`: do not edit."""

from __future__ import annotations

from typing import Literal, TypeAlias, TypedDict

from maild_client.shapes.shared import StepOut


class AccountFreezeOut(TypedDict):
    """The freeze that stops an account for this workspace."""

    id: int
    reason: str
    expires_at: str


class BreakerOut(TypedDict):
    """Whether mail goes through an account: `closed` is the good state."""

    state: BreakerState
    reason: str | None
    error_class: str | None
    opened_at: str | None
    retry_at: str | None


BreakerState: TypeAlias = Literal["closed", "open", "half_open"]


class SmtpAccountActivated(TypedDict):
    workspace_id: int
    name: str
    status: Literal["active"]


class SmtpAccountDeleted(TypedDict):
    workspace_id: int
    name: str
    status: Literal["deleted"]


class SmtpAccountHealth(TypedDict):
    workspace_id: int
    name: str
    host: str
    port: int
    username: str | None
    from_email: str
    security: str
    active: bool
    max_connections: int
    max_per_second: float | None
    priority: int
    return_path: str | None
    paused_at: str | None
    pause_reason: str | None
    created_at: str | None
    updated_at: str | None
    health: Word
    freeze: AccountFreezeOut | None
    breaker: BreakerOut
    last_fault_at: str | None
    tries_last_hour: int | None
    faults_last_hour: int | None


class SmtpAccountList(TypedDict):
    workspace_id: int
    count: int
    accounts: list[SmtpAccountHealth]


class SmtpAccountSaved(TypedDict):
    workspace_id: int
    name: str
    host: str
    port: int
    username: str | None
    from_email: str
    security: str
    active: bool
    max_connections: int
    max_per_second: float | None
    priority: int
    return_path: str | None
    paused_at: str | None
    pause_reason: str | None
    created_at: str | None
    updated_at: str | None
    status: Literal["saved_encrypted"]


class SmtpAccountSwitched(TypedDict):
    workspace_id: int
    name: str
    status: Literal["paused", "resumed"]
    paused_at: str | None
    pause_reason: str | None


class SmtpAccountValid(TypedDict):
    """The account works. One that does not is a problem with the code ..."""

    valid: bool
    provider: str
    tls: TlsOut | None
    auth: str | None
    capabilities: list[str]
    steps: list[StepOut]


class TlsOut(TypedDict):
    version: str
    cipher: str


Word: TypeAlias = Literal["paused", "frozen", "open", "half_open", "degraded", "healthy"]
