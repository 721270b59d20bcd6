"""What a suppression or an unsubscribe has stopped, on its page, and copies of that."""

import uuid
from dataclasses import dataclass

from flask import request

from maild.domain import cursor, ids
from maild.domain.cursor import Cursor
from maild.errors import FieldError, InvalidFields, InvalidRequest, SearchTooLong
from maild.services import held_back, resending
from maild.services.held_back import Count, Page, Stopper
from maild.services.resending import Outcome, OutcomeStatus
from maild.web import access, toasts

PAGE_ROWS = 50
PREVIEW_ROWS = 10
PAGES_MAX = 10
"""So many pages of `resending.IDS_MAX` are looked through for messages that have no copy yet."""
NEWEST = "newest"
"""What the button says that sends copies of the newest, whatever is ticked."""
NOT_CHOSEN = "No message was chosen."


@dataclass(frozen=True, slots=True)
class Stopped:
    """`page` and `count` are None where it would take too long to find them; `cut` says so."""

    page: Page | None
    count: Count | None
    cut: str | None = None
    resend_max: int = resending.IDS_MAX


def look(row: Stopper, *, limit: int = PAGE_ROWS, older_than: Cursor | None = None) -> Stopped:
    """What it has stopped: how many, and one page of them."""
    try:
        page = held_back.list_page(row, limit=limit, older_than=older_than)
        return Stopped(page, held_back.count(row))
    except SearchTooLong as error:
        return Stopped(None, None, error.detail)


def older_than() -> Cursor | None:
    """Where the page of messages goes on. Raises InvalidRequest."""
    mark = request.args.get("older_than")
    try:
        return cursor.parse(mark) if mark else None
    except ValueError as error:
        raise InvalidRequest(f"older_than: {error}. Start again from the newest.") from error


def resend(row: Stopper, *, reason: str) -> None:
    """Send copies of the messages that are ticked, or of the newest that have none yet; a toast
    tells what came of it.
    """
    is_newest = request.form.get("which") == NEWEST
    chosen = _newest(row) if is_newest else _ticked()
    if not chosen:
        seen = f"{PAGES_MAX * resending.IDS_MAX:,}"
        none = f"None of the newest {seen} is without a copy." if is_newest else NOT_CHOSEN
        toasts.show(f"{none} Nothing was sent.", kind="bad")
        return
    try:
        outcomes = held_back.resend(row, chosen, reason=reason, by=access.actor())
    except InvalidFields as error:
        toasts.show(error.detail, kind="bad")
        return
    toasts.show(_say(outcomes), kind="ok" if _made(outcomes) else "bad")


def invalid(name: str, message: str) -> InvalidFields:
    """One field that cannot be used."""
    return InvalidFields(f"{name}: {message}", errors=[FieldError(name, message)])


def _newest(row: Stopper) -> list[uuid.UUID]:
    """The newest that have no copy yet, as many as can be sent at once."""
    found: list[uuid.UUID] = []
    mark: Cursor | None = None
    for _ in range(PAGES_MAX):
        page = held_back.list_page(row, limit=resending.IDS_MAX, older_than=mark)
        found += [message.id for message in page.messages if message.id not in page.copies]
        mark = page.older
        if mark is None or len(found) >= resending.IDS_MAX:
            break
    return found[: resending.IDS_MAX]


def _ticked() -> list[uuid.UUID]:
    parsed = (ids.parse_id(text) for text in request.form.getlist("id")[: resending.IDS_MAX])
    return [message_id for message_id in parsed if message_id is not None]


def _made(outcomes: list[Outcome]) -> int:
    return sum(one.status is OutcomeStatus.RESENT for one in outcomes)


def _say(outcomes: list[Outcome]) -> str:
    made = _made(outcomes)
    said = "1 copy is accepted" if made == 1 else f"{made} copies are accepted"
    left = [one for one in outcomes if one.status is not OutcomeStatus.RESENT]
    if not left:
        return f"{said}, and goes out like new mail." if made == 1 else f"{said}, as new mail."
    why = left[0].error or "it cannot be sent again"
    more = f", and {len(left) - 1} more" if len(left) > 1 else ""
    return f"{said}. Left out: 1 that {why}{more}."
