"""What a filter of the log finds, as a CSV file, written little by little: however much it is, no
more than a portion is in memory, and nobody who reads slowly keeps a connection.
"""

import dataclasses
from collections.abc import Iterator
from typing import Any

from maild import clock
from maild.db import connection, database
from maild.domain.actor import Actor
from maild.errors import SearchTooLong
from maild.models import Message
from maild.services import audit, message_log, suppression_exports
from maild.services.message_log import Filter, Page

ROWS_MAX = 100_000
PORTION = message_log.PAGE_MAX
COLUMNS = (
    "id", "status", "accepted_at", "changed_at", "to_email", "from_email", "subject", "stream",
    "topic", "tags", "smtp_account", "attempts", "error_class", "last_error", "hold_reason",
    "message_id_header",
)  # fmt: skip
_MORE = (
    f"Only the newest {ROWS_MAX:,} are in this file. Narrow the time range for those before them."
)
_CUT_OFF = "The search was cut off here: it took too long. Narrow the filter, and export again."


def write(workspace_id: int, *, filter_: Filter, by: Actor, asked: str) -> Iterator[str]:
    """The lines of a file, newest message first, ROWS_MAX at most. Where there are more, or the
    search is cut off later on, the last line says so.

    The audit log keeps who took it; `asked` is the filter as its query string. Raises NotFound
    (the workspace) and SearchTooLong at once, not in the middle.
    """
    # What comes meanwhile is not of this file.
    ends = [clock.now(), *([filter_.until] if filter_.until else [])]
    filter_ = dataclasses.replace(filter_, until=min(ends))
    with connection():
        page = message_log.list_page(workspace_id, filter_=filter_, limit=PORTION)
        with database.atomic():
            audit.record(
                workspace_id,
                by,
                action="messages.exported",
                target="messages",
                after={"filter": asked},
            )
    return suppression_exports.write_rows(COLUMNS, _rows(workspace_id, filter_, page))


def _rows(workspace_id: int, filter_: Filter, page: Page) -> Iterator[list[Any]]:
    count = 0
    while True:
        for message in page.messages[: ROWS_MAX - count]:
            yield _row(message)
        count += len(page.messages)
        if page.older is None:
            return
        if count >= ROWS_MAX:
            yield [_MORE]
            return
        try:
            with connection():
                page = message_log.list_page(
                    workspace_id, filter_=filter_, limit=PORTION, older_than=page.older
                )
        except SearchTooLong:
            yield [_CUT_OFF]
            return


def _row(message: Message) -> list[Any]:
    return [
        message.id,
        message.status.value,
        message.created_at,
        message.updated_at,
        message.to_email,
        message.from_email,
        message.subject,
        message.stream.value,
        message.topic,
        " ".join(message.tags),
        message.smtp_account_name,
        message.attempt_count,
        message.error_class,
        message.last_error,
        message.hold_reason,
        message.message_id_header,
    ]
