"""Freezes in words: what stands still, how much waits, and until when."""

from datetime import datetime

from maild.domain.freeze import NEVER, FreezeKind
from maild.models import Freeze
from maild.services.freeze_backlogs import Backlog
from maild.services.freeze_watch import HELD_MAX, Standing
from maild.web import filters, words


def name(kind: FreezeKind, target: str | None, key_name: str | None = None) -> str:
    """`all mail`, `marketing mail`, `mail through “main”`, `mail of the API key “shop”`."""
    if kind is FreezeKind.API_KEY:
        return f"mail of the API key “{key_name}”" if key_name else f"mail of API key {target}"
    return words.frozen(kind, target)


def held(standing: Standing) -> str | None:
    """`1,204 messages are held`; None where that says nothing: a frozen SMTP account holds none."""
    if standing.kind is FreezeKind.SMTP_ACCOUNT:
        return None
    count = standing.held_count
    if not count:
        return "nothing is held so far"
    more = "+" if count >= HELD_MAX else ""
    return (
        f"{count:,}{more} message{'' if count == 1 else 's'} {'is' if count == 1 else 'are'} held"
    )


def waiting(backlog: Backlog) -> str:
    """`1,204 messages wait`."""
    return count(backlog.count, is_more=backlog.is_more, verb="wait")


def count(number: int, *, is_more: bool, verb: str) -> str:
    """`no message waits`, `1 message waits`, `10,000 messages or more wait`; `verb` is for many."""
    if not number and not is_more:
        return f"no message {verb}s"
    more = " or more" if is_more else ""
    if number == 1 and not is_more:
        return f"1 message {verb}s"
    return f"{number:,} messages{more} {verb}"


def ended(freeze: Freeze) -> str:
    """How a freeze came to its end."""
    if freeze.lifted_by is None or freeze.lifted_at == freeze.expires_at:
        return "Its time was over"
    why = f": “{freeze.lift_reason}”" if freeze.lift_reason else ""
    return f"Lifted by {freeze.lifted_by}{why}"


def until(at: datetime, *, now: datetime) -> str:
    """`14:05 UTC`, or `somebody lifts it`, in a sentence."""
    if at >= NEVER:
        return "somebody lifts it"
    return filters.moment(at, now=now)
