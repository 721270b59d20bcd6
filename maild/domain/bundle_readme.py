"""What a bundle says, in plain words: for the README of its zip file, and its replies. Pure.

It is made of the document alone. Whatever others have written - subjects, replies, notes - is kept
to one line, so that nobody can write lines that look like maild's own.
"""

from collections.abc import Iterator
from typing import Any

LINE_MAX_CHARS = 400
"""Of what others have written."""
REPLIES_MAX = 200

_STATES = {
    "queued": "It waits to be sent.",
    "sending": "It was being sent just then.",
    "sent": "The provider accepted it.",
    "delivered": "The provider reports that the recipient's server took it.",
    "bounced": "It came back.",
    "complained": "The recipient called it spam.",
    "failed": "It could not be sent.",
    "suppressed": "It was not sent: the recipient must not be mailed.",
    "cancelled": "It was withdrawn before it was sent.",
    "expired": "Its time was over before it could be sent.",
    "held": "It is kept back.",
    "unknown": "Contact was lost when it was handed over: nobody knows whether it was taken.",
}


def tell(document: dict[str, Any]) -> str:
    """The README."""
    is_incident = document.get("incident") is not None
    lines = list(_incident(document) if is_incident else _message(document))
    lines += _what_is_here(document, is_incident=is_incident)
    return "\n".join(lines) + "\n"


def tell_replies(document: dict[str, Any]) -> str:
    """What servers have replied, each reply with when, to which attempt, and in which step."""
    lines = []
    for one in document["messages"] if document.get("incident") is not None else [document]:
        for attempt in one["attempts"]:
            if attempt["response"] is None:
                continue
            at = attempt["finished_at"] or attempt["started_at"]
            lines += [
                f"{at}  {line(one['message']['to_email'])}  attempt {attempt['attempt_no']}"
                f" through {line(attempt['smtp_account'])}, {attempt['stage'] or 'no step'}:",
                f"    {_reply(attempt)}",
            ]
    if not lines:
        return "No server has replied anything.\n"
    shown = lines[: 2 * REPLIES_MAX]
    if len(shown) < len(lines):
        shown.append(f"... and {(len(lines) - len(shown)) // 2} more, in bundle.json.")
    return "\n".join(shown) + "\n"


def line(text: object) -> str:
    """A text of others as part of one line."""
    flat = " ".join("".join(c if c.isprintable() else " " for c in str(text)).split())
    return flat if len(flat) <= LINE_MAX_CHARS else flat[: LINE_MAX_CHARS - 3] + "..."


def _message(document: dict[str, Any]) -> Iterator[str]:
    message = document["message"]
    yield "WHAT BECAME OF A MESSAGE"
    yield ""
    yield f"Subject:    {line(message['subject'])}"
    yield f"From:       {line(message['from_email'])}"
    yield f"To:         {line(message['to_email'])}"
    yield f"Message-ID: {line(message['message_id_header'])}"
    yield f"Accepted:   {message['created_at']}"
    yield f"State:      {message['status']}. {_STATES.get(message['status'], '')}".rstrip()
    if message["last_error"]:
        yield f"Last error: {line(message['last_error'])}"
    yield from _summary(document["summary"])
    yield ""
    yield "TIMELINE (UTC)"
    yield ""
    for at, words in sorted(_happened(document), key=lambda one: one[0]):
        yield f"{at}  {words}"


def _happened(document: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for attempt in document["attempts"]:
        took = f" after {attempt['duration_ms']} ms" if attempt["duration_ms"] is not None else ""
        yield (
            attempt["started_at"],
            f"attempt {attempt['attempt_no']} through {line(attempt['smtp_account'])}:"
            f" {attempt['status']}{took}. {_reply(attempt)}".rstrip(". "),
        )
    for event in document["events"]:
        yield event["created_at"], _event(event)
    for entry in document["audit"]:
        yield entry["at"], f"{line(entry['actor'])}: {entry['action']}{_because(entry['reason'])}"


def _event(event: dict[str, Any]) -> str:
    data = event["data"]
    told = [
        f"{name.replace('_', ' ')} {line(data[name])}"
        for name in ("smtp_account", "error_class", "type", "reason", "by", "name", "version")
        if isinstance(data.get(name), str | int)
    ]
    return str(event["type"]) + (f" ({', '.join(told)})" if told else "")


def _reply(attempt: dict[str, Any]) -> str:
    """As a server says it: `550 5.1.1 no such user`."""
    text = attempt["response"] or attempt["error_class"] or ""
    code, enhanced = attempt.get("smtp_code"), attempt.get("enhanced_code")
    parts = [str(code) if code else "", "" if text.startswith(enhanced or "") else enhanced, text]
    return line(" ".join(part for part in parts if part))


def _because(reason: str | None) -> str:
    return f" ({line(reason)})" if reason else ""


def _summary(summary: dict[str, int]) -> Iterator[str]:
    yield (
        f"In short:   {summary['attempted_sends']} attempts, {summary['failed_attempts']} of them"
        f" without success; {summary['related_webhook_outcomes']} reports of providers,"
        f" {summary['dead_letter_webhooks']} of them could not be applied."
    )


def _incident(document: dict[str, Any]) -> Iterator[str]:
    incident = document["incident"]
    yield f"INCIDENT {incident['id']}: {line(incident['title'])}"
    yield ""
    yield f"State:      {incident['status']}, {incident['severity']}"
    yield f"Since:      {incident['since_at']} (opened {incident['opened_at']})"
    yield f"Last seen:  {incident['last_seen_at']}"
    for name, label in (("smtp_account", "Account:   "), ("recipient_domain", "Recipients:")):
        if incident[name]:
            yield f"{label} {line(incident[name])}"
    yield f"Messages:   {incident['message_count']}, of {incident['recipient_count']} recipients"
    for name, label in (("assigned_to", "Looked after by:"), ("cause", "Cause:")):
        if incident[name]:
            yield f"{label} {line(incident[name])}"
    advice = document["advice"]
    yield ""
    yield f"Likely cause: {line(advice['likely_cause'])}"
    yield f"What to do:   {line(advice['suggested_action'])}"
    yield ""
    yield "WHAT WAS SEEN"
    yield ""
    for signal in document["signals"]:
        sample = f" For example: {line(signal['sample'])}" if signal["sample"] else ""
        about = signal["error_class"] or signal["kind"]
        yield f"- {line(about)}, messages: {signal['message_count']}.{sample}"
    yield ""
    yield "TIMELINE (UTC)"
    yield ""
    for entry in document["timeline"]:
        actor = f"{line(entry['actor'])}: " if entry["actor"] else ""
        text = f" - {line(entry['text'])}" if entry["text"] else ""
        yield f"{entry['at']}  {actor}{_entry(entry)}{text}"
    yield ""
    yield f"MESSAGES ({len(document['messages'])} of {document['message_count']} are in this file)"
    yield ""
    for one in document["messages"]:
        message = one["message"]
        error = f" {line(message['last_error'])}" if message["last_error"] else ""
        yield f"- {message['id']}  {line(message['to_email'])}: {message['status']}.{error}"


def _entry(entry: dict[str, Any]) -> str:
    return _event({"type": entry["kind"], "data": entry["data"]})


def _what_is_here(document: dict[str, Any], *, is_incident: bool) -> Iterator[str]:
    yield ""
    yield "WHAT IS IN THIS FILE"
    yield ""
    yield "README.txt      this text"
    yield "bundle.json     everything, for programs"
    yield "replies.txt     what servers have replied"
    yield "messages/       the mails as files for a mail program, as far as they are kept"
    yield "manifest.json   the hash of each of these files"
    yield ""
    if document["removed"]:
        yield "Taken out, and marked as [removed]:"
        yield from (f"- {words}" for words in document["removed"])
    else:
        yield "Nothing had to be taken out."
    yield ""
    yield "Never in it:"
    yield "- Passwords of SMTP accounts, API keys and webhook secrets."
    for words in document["left_out"]:
        yield f"- {words}"
    yield ""
    yield f"Made by maild {document['generated_by']} at {document['generated_at']}."
    yield f"SHA-256 of the document: {document['sha256']}"
    yield "To check that nothing was changed since: maild bundle verify FILE"
    if is_incident:
        yield "Keep that hash apart from the file: whoever can write a file can write its hash too."
