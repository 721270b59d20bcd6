"""SMTP accounts: what is saved, and how each of them does."""

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, Field, StrictFloat, StrictInt

from maild.api.schemas.base import Input, SearchText, StepOut, WorkspaceId
from maild.domain.breaker import State
from maild.services import smtp_account_fields as rules
from maild.services.account_health import Word


class SmtpAccountIn(Input):
    name: str = Field(description="As people and messages name it; each once.")
    host: str = Field(description="A name or an address, which must be public.")
    port: StrictInt = Field(description="1 to 65535.")
    from_email: str = Field(description="Kept and shown; messages name their own sender.")
    username: str | None = Field(None, description="Null: it does not sign in.")
    password: str | None = Field(None, description="Kept encrypted; never comes back.")
    security: Literal["auto", "starttls", "tls", "none"] = Field(
        "auto",
        description="`auto` encrypts where the server offers it; `tls` does from the first byte.",
    )
    max_connections: StrictInt = Field(
        rules.CONNECTIONS_DEFAULT,
        ge=1,
        le=rules.CONNECTIONS_MAX,
        description="Connections at once, of all workers together.",
    )
    max_per_second: StrictFloat | None = Field(
        None, description="Messages a second, of all workers together; null: as fast as it goes."
    )
    priority: StrictInt = Field(
        rules.PRIORITY_DEFAULT,
        ge=0,
        le=rules.PRIORITY_MAX,
        description="The order of fail-over: lower first.",
    )
    return_path: str | None = Field(
        None,
        description="Where bounces go to: each message gets an envelope sender of its own made of"
        " this address, `bounces+<id>@example.com`; null: the sender of each message.",
    )
    workspace_id: WorkspaceId | None = None


class SmtpAccountOut(BaseModel):
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
    paused_at: datetime | None
    pause_reason: str | None
    created_at: datetime | None = Field(description="Null for the account of the environment.")
    updated_at: datetime | None


class SmtpAccountSaved(SmtpAccountOut):
    status: Literal["saved_encrypted"] = "saved_encrypted"


class BreakerOut(BaseModel):
    """Whether mail goes through an account: `closed` is the good state."""

    state: State
    reason: str | None = Field(description="The words of the latest fault.")
    error_class: str | None
    opened_at: datetime | None
    retry_at: datetime | None = Field(description="When an open breaker lets a canary try.")


class AccountFreezeOut(BaseModel):
    """The freeze that stops an account for this workspace."""

    id: int
    reason: str
    expires_at: datetime


class SmtpAccountHealth(SmtpAccountOut):
    health: Word
    freeze: AccountFreezeOut | None = Field(description="Null: no freeze stops it.")
    breaker: BreakerOut
    last_fault_at: datetime | None
    tries_last_hour: int | None = Field(
        description="Dials, and messages offered; null for the account that workspaces share."
    )
    faults_last_hour: int | None = Field(description="Those that failed by the provider's fault.")


class SmtpAccountList(BaseModel):
    workspace_id: int
    count: int
    accounts: list[SmtpAccountHealth] = Field(
        description="The account of the environment, `default`, first; then by name."
    )


class SmtpAccountName(Input):
    name: SearchText = Field(description="`default` is the account of the environment.")
    workspace_id: WorkspaceId | None = None


class SmtpAccountActivated(BaseModel):
    workspace_id: int
    name: str
    status: Literal["active"] = "active"


class SmtpAccountPause(SmtpAccountName):
    reason: str = Field(description="Shown to whoever asks why; 500 characters at most.")


class SmtpAccountResume(SmtpAccountName):
    reason: str | None = Field(None, description="500 characters at most.")


class SmtpAccountSwitched(BaseModel):
    workspace_id: int
    name: str
    status: Literal["paused", "resumed"]
    paused_at: datetime | None
    pause_reason: str | None


class SmtpAccountDeleted(BaseModel):
    workspace_id: int
    name: str
    status: Literal["deleted"] = "deleted"


class TlsOut(BaseModel):
    version: str
    cipher: str


class SmtpAccountValid(BaseModel):
    """The account works. One that does not is a problem with the code `smtp_validation_failed`."""

    valid: bool
    provider: str = Field(description="The account's name.")
    tls: TlsOut | None = Field(description="Null: not encrypted.")
    auth: str | None = Field(description="The mechanism that signed in; null: none was needed.")
    capabilities: list[str] = Field(description="What the server offers in its answer to EHLO.")
    steps: list[StepOut]
