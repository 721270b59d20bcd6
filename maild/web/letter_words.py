"""Dead letters and other provider events in words: where one stands, why, and what one can do; what
applying it does; and the payload as people read it.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

from maild.domain.provider_event import DSN, GENERIC
from maild.services import dead_letter_lists, provider_events, webhook_endpoints
from maild.services.dead_letter_lists import Letter, State
from maild.services.dead_letters import Outcome, OutcomeStatus
from maild.services.feedback import ADDED, ALREADY_THERE
from maild.web import dead_letter_filter, words
from maild.web.badges import Badge

_W = dead_letter_filter.STATE_WORDS
BADGES: dict[State, Badge] = {
    State.DEAD_LETTER: Badge(_W[State.DEAD_LETTER], "alert", "bad"),
    State.RECEIVED: Badge(_W[State.RECEIVED], "clock", "info"),
    State.APPLIED: Badge(_W[State.APPLIED], "check", "ok"),
    State.REPLAYED: Badge(_W[State.REPLAYED], "retry", "ok"),
    State.IGNORED: Badge(_W[State.IGNORED], "minus", "neutral"),
    State.DISMISSED: Badge(_W[State.DISMISSED], "ban", "neutral"),
    State.DUPLICATE: Badge(_W[State.DUPLICATE], "copy", "neutral"),
}

OUTCOME: dict[OutcomeStatus, Badge] = {
    OutcomeStatus.REPLAYED: Badge("it would be applied", "check", "ok"),
    OutcomeStatus.DUPLICATE: Badge("it would be a duplicate", "copy", "neutral"),
    OutcomeStatus.SKIPPED: Badge("nothing would be done", "minus", "neutral"),
    OutcomeStatus.WAITING: Badge("it would wait a moment", "clock", "info"),
    OutcomeStatus.FAILED: Badge("it would fail again", "cross", "bad"),
}
"""What a replay would come to."""

_FORM = "application/x-www-form-urlencoded"
_STANDS: dict[State, str] = {
    State.RECEIVED: "It was read, and is applied by itself in a moment.",
    State.APPLIED: "It was read and applied.",
    State.REPLAYED: "It was a dead letter, and a replay has applied it.",
    State.IGNORED: "It was read, and nothing follows from it.",
    State.DISMISSED: "It was a dead letter, and somebody has let it be. It can be replayed.",
    State.DUPLICATE: "It says what came before, and counts once.",
}


_FAULT = "That is a fault of maild, whose log tells more. Replay it after an upgrade."
_ADVICE: dict[str, str] = {
    r"type: .* is not known": (
        "Its sender writes a word that maild does not know. Correct the sender, or replay it after"
        " an upgrade of maild. Where it matters to nobody, dismiss it."
    ),
    r"It names no recipient": (
        "Nobody can tell whom it is about. Where it is about mail of another workspace, its webhook"
        " endpoint is in the wrong one. Else dismiss it."
    ),
    re.escape(provider_events.STILL_SENDING): (
        "It came too early each time. Its message is sent by now: replay it."
    ),
    r"Whoever tried to read it was ended": (
        "It has ended its reader several times. Keep it for whoever looks after maild."
    ),
    r"The reader failed|Applying it failed|It could not be stored": _FAULT,
}
"""What one can do, by the beginning of the error."""


@dataclass(frozen=True, slots=True)
class Effect:
    """One thing that an event has done or would do; `message_id` where it is about a message."""

    text: str
    message_id: str | None = None


def provider(word: str) -> str:
    """`SendGrid`, `bounce mails`, `maild's own format`."""
    if word == GENERIC:
        return "maild's own format"
    if word == DSN:
        return "bounce mails"
    return webhook_endpoints.title_of(word)


def where_it_stands(letter: Letter) -> str:
    """A sentence or two: what became of it, and what one can do."""
    if letter.state is not State.DEAD_LETTER:
        return _STANDS[letter.state]
    is_read = letter.row.report is not None
    what = "It was read, and could not be applied" if is_read else "It could not be read"
    return f"{what}, so nothing was done. {_advise(letter.row.last_error or '')}"


def _advise(error: str) -> str:
    """What one can do about an error; what the table in docs/operations.md says, in short."""
    for known, advice in _ADVICE.items():
        if re.match(known, error):
            return advice
    return "Once the cause is mended, replay it. Where it matters to nobody, dismiss it."


def effects(told: Mapping[str, Any] | None, *, is_done: bool = True) -> list[Effect]:
    """What an event has done, or else would do, in the order of its weight; empty: nothing."""
    facts = told or {}
    found: list[Effect] = []
    if message_id := facts.get("message_id"):
        status, before = facts.get("message_status"), facts.get("message_moved_from")
        goes = "went" if is_done else "would go"
        text = (
            f"Its message {goes} from {before} to {status}" if before else f"Its message: {status}"
        )
        found.append(Effect(text, message_id))
    email = facts.get("suppressed_email") or "Its address"
    if facts.get("suppression") == ADDED:
        found.append(Effect(f"{email} is {words.suppressed(facts.get('suppression_class'))}"))
    elif facts.get("suppression") == ALREADY_THERE:
        found.append(Effect(f"{email} is suppressed already"))
    if facts.get("unsubscribe") == ADDED:
        found.append(Effect("The recipient is unsubscribed"))
    elif facts.get("unsubscribe") == ALREADY_THERE:
        found.append(Effect("The recipient is unsubscribed already"))
    if (count := facts.get("soft_bounces_in_a_row")) is not None:
        found.append(Effect(f"Soft bounces in a row: {count}"))
    return found


def outcome(done: Outcome) -> tuple[str, str]:
    """What came of a replay, and the kind of the toast that tells it."""
    if done.status is OutcomeStatus.REPLAYED:
        told = [effect.text for each in done.effects for effect in effects(each)]
        return (
            f"Replayed. {'. '.join(told)}." if told else "Replayed: nothing follows from it.",
            "ok",
        )
    why = words.start(done.error or "")
    if done.status is OutcomeStatus.WAITING:
        return f"It can be read, and is applied by itself in a moment. {why}", "info"
    if done.status is OutcomeStatus.DUPLICATE:
        return f"It is a duplicate: {done.error}.", "info"
    if done.status is OutcomeStatus.SKIPPED:
        return f"Nothing was done: {done.error}.", "bad"
    return f"It is still a dead letter. {why}", "bad"


def meanwhile(state: State) -> str:
    """To whom a letter was shown in another state than it is in by now."""
    return (
        f"Somebody else was quicker: it is “{dead_letter_filter.STATE_WORDS[state]}” by now."
        " Nothing was done; look at it again."
    )


def can_replay(letter: Letter) -> bool:
    return letter.state in dead_letter_lists.REPLAYABLE


def payload(letter: Letter) -> str:
    """What came, as people read it: JSON indented, also where it stands in a field of a form or in
    a text of JSON, as SNS has it; all else as it is.
    """
    if letter.is_cut:
        return letter.raw
    if letter.content_type.partition(";")[0].strip().lower() == _FORM and not letter.is_part:
        fields = parse_qsl(letter.raw, keep_blank_values=True)
        return "\n".join(f"{name}: {_indent(value)}" for name, value in fields) or letter.raw
    return _indent(letter.raw)


def _indent(text: str) -> str:
    value = _parse(text)
    if isinstance(value, dict):
        value = {name: _unfold(inner) for name, inner in value.items()}
    elif not isinstance(value, list):
        return text
    try:
        return json.dumps(value, indent=2, ensure_ascii=False)
    except RecursionError:
        return text


def _unfold(value: Any) -> Any:
    inner = _parse(value) if isinstance(value, str) else None
    return inner if isinstance(inner, dict | list) else value


def _parse(text: str) -> Any:
    if not text.lstrip().startswith(("{", "[")):
        return None
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None
