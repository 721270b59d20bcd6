"""From claimed messages to parcels: each with its content and attachments, ready to be sent.

Small contents came along with the claim. Large ones are read one by one, and only as many as may be
held in memory at once.
"""

import uuid
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

from maild.services import claims
from maild.services.claims import Claim, Content
from maild.services.paths import Parcel

LOAD_MAX_BYTES = 32 * 1024 * 1024
"""Large contents of one slice that are held in memory at once; the others go back."""

Ask = Callable[..., Awaitable[Any]]
"""`ask(query, *arguments)` runs a query beside the event loop."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """`left` are too much for now; of `lost` the content, or a part of it, is not kept any more."""

    whole: list[Parcel]
    left: list[Claim]
    lost: list[Claim]


async def load(ask: Ask, taken: Sequence[Claim], contents: dict[uuid.UUID, Content]) -> Loaded:
    """The messages with their contents. Raises Unavailable."""
    found: list[Parcel] = []
    left: list[Claim] = []
    lost: list[Claim] = []
    size = 0
    for claim in taken:
        content = contents.get(claim.message_id)
        if content is None or content.attachment_count:
            size += claim.size_bytes
            if found and size > LOAD_MAX_BYTES:
                left.append(claim)
                continue
        if content is None:
            content = await ask(claims.load_content, claim.content_id)
        if content is None:
            lost.append(claim)
        else:
            found.append(Parcel(claim, content, [], 0.0))
    with_files = [parcel for parcel in found if parcel.content.attachment_count]
    if with_files:
        ids = list({parcel.claim.content_id for parcel in with_files})
        files = await ask(claims.load_attachments, ids)
        for parcel in with_files:
            parcel.attachments = files.get(parcel.claim.content_id, [])
    whole: list[Parcel] = []
    for parcel in found:
        if len(parcel.attachments) == parcel.content.attachment_count:
            whole.append(parcel)
        else:
            lost.append(parcel.claim)
    return Loaded(whole, left, lost)
