"""DKIM keys: what signs a domain's mail, and the record that each of them needs."""

from datetime import datetime
from typing import Annotated

from pydantic import BaseModel, Field, StrictBool, StrictInt

from maild.api.schemas.base import (
    LIMIT_MAX,
    Input,
    SearchText,
    WorkspaceId,
    WorkspaceQuery,
)
from maild.domain.dkim import Algorithm, KeyState, RecordState

DkimKeyId = Annotated[StrictInt, Field(ge=1, le=2**31 - 1, description="The key's.")]


class DkimKeyIn(Input):
    workspace_id: WorkspaceId | None = None
    domain: str = Field(description="The domain of From addresses; its subdomains are signed too.")
    algorithms: list[Algorithm] = Field(
        [Algorithm.RSA],
        min_length=1,
        max_length=len(Algorithm),
        description="One key of each. Several receivers verify only `rsa-sha256`.",
    )


class DkimKeyRotation(Input):
    workspace_id: WorkspaceId | None = None
    id: DkimKeyId


class DkimKeyActivation(Input):
    workspace_id: WorkspaceId | None = None
    id: DkimKeyId
    insist: StrictBool = Field(
        False, description="Let it sign though the DNS does not show its record: receivers fail it."
    )


class DkimKeyRetirement(Input):
    workspace_id: WorkspaceId | None = None
    id: DkimKeyId
    at_once: StrictBool = Field(
        False,
        description="Also of a key that signs or is retiring: its private half is gone, and mail"
        " that it signed and that is under way fails once its record is removed.",
    )


class DkimKeyQuery(WorkspaceQuery):
    domain: SearchText | None = Field(None, description="Only the keys of this domain.")
    limit: int = Field(50, ge=1, le=LIMIT_MAX, description="How many a page has at most.")
    cursor: SearchText | None = Field(None, description="`next_cursor` of the page before.")


class DnsRecordOut(BaseModel):
    """A record to publish. `value` is one text; `zone_value` the same in quoted strings."""

    name: str
    type: str
    value: str
    zone_value: str


class DkimKeyOut(BaseModel):
    workspace_id: int
    id: int
    domain: str = Field(description="In A-labels, as it stands in signatures.")
    selector: str
    algorithm: Algorithm
    state: KeyState
    record: DnsRecordOut
    record_state: RecordState
    record_found: str | None = Field(description="What stands there instead, or why none is known.")
    checked_at: datetime | None
    seen_at: datetime | None
    created_at: datetime
    created_by: str
    activated_at: datetime | None
    retiring_at: datetime | None
    retire_at: datetime | None = Field(description="When it is retired by itself.")
    retired_at: datetime | None


class DkimKeyList(BaseModel):
    workspace_id: int
    count: int = Field(description="Keys in this answer.")
    keys: list[DkimKeyOut]


class DkimKeyPage(DkimKeyList):
    next_cursor: str | None
