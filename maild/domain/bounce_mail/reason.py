"""Why one recipient failed: the verdict on the words that a report has for it.

In charge of choosing the statement that says most, and of how far it may be believed. What wordings
mean is known to `smtp_reply` and `reply_rules` alone.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from maild.domain.bounce_mail.statements import Statement, stage_of, statements
from maild.domain.provider_event import RejectReason
from maild.domain.reply_rules import meaning_of
from maild.domain.smtp_reply import ErrorClass, Reply, Stage, Verdict, classify

_ENHANCED = re.compile(r"(?<![\w.])([245]\.[0-7]\.\d{1,3})(?![\w]|\.\d|:\d)")  # RFC 3463 2
_STATUS = re.compile(r"\s*([245])\.(\d{1,3})\.(\d{1,3})(?!\d)")
# The word of the MTA that writes the report, after a look at its own directory or routes and not
# after a command: X.400's "unrecognised O/R name", also as Exchange numbers it, Domino's directory,
# Exim's routers, IMail's labels.
_LOCAL = re.compile(
    r"\(000C05A6\)|name is not recognized|or-name|directory|address book"
    r"|unroute?able|final delivery|^unknown (?:local )?(?:user|recipient)\s?:",
    re.IGNORECASE,
)
# "The group may not exist": a guess, in the tongues of mailbox providers.
_HEDGED = re.compile(
    r"\b(?:may (?:not|be|have)|might (?:not|be|have)|maybe|perhaps|probably|possibly"
    r"|could be|möglicherweise|vielleicht|eventuell"
    r"|peut-être|il se peut|quizás?|es posible|tal vez|talvez|possivelmente|pode não|forse|potrebbe"
    r"|misschien|mogelijk|pravděpodobně|możliwe|może|возможно|måske|muligvis|kanskje|kanske"
    r"|ehkä|saattaa|belki|mungkin|poate|lehet)\b|可能|かもしれ|수 있|恐れ",
    re.IGNORECASE,
)
# Between "host" and "not found" stands its name, which is no part of the wording.
_HOST_NAME = re.compile(
    r"\b(host|domain)( name)? ['\"<(\[]?(?:[a-z0-9-]{1,63}\.){1,10}[a-z]{2,24}\.?['\">)\]]?(?= )",
    re.IGNORECASE,
)
_GIVEN_UP = re.compile(
    r"expired|retry time|too old|too long|unable to deliver in|tried (?:for|to deliver)|for \d{1,3}"
    r" (?:days?|hours?|minutes?)|\d{1,3} (?:attempts|tries|times)|timed? ?out|giving up trying"
    r"|couldn't be delivered for|undelivered for",
    re.IGNORECASE,
)

_REASONS = {
    ErrorClass.INVALID_RECIPIENT: RejectReason.BOUNCED,
    ErrorClass.INVALID_DOMAIN: RejectReason.BOUNCED,
    ErrorClass.INACTIVE_MAILBOX: RejectReason.BOUNCED,
    ErrorClass.MAILBOX_FULL: RejectReason.BOUNCED,
    ErrorClass.RATE_LIMITED: RejectReason.BLOCKED,
    ErrorClass.POLICY: RejectReason.BLOCKED,
    ErrorClass.SPAM_CONTENT: RejectReason.SPAM,
    ErrorClass.REPUTATION: RejectReason.BLOCKED,
    ErrorClass.GREYLISTED: RejectReason.BLOCKED,
    ErrorClass.AUTH: RejectReason.BLOCKED,
    ErrorClass.TLS: RejectReason.BLOCKED,
    ErrorClass.DNS: RejectReason.TIMED_OUT,
    ErrorClass.CONNECTION: RejectReason.TIMED_OUT,
    ErrorClass.TIMEOUT: RejectReason.TIMED_OUT,
    ErrorClass.MESSAGE_TOO_LARGE: RejectReason.OTHER,
    ErrorClass.PROTOCOL: RejectReason.OTHER,
    ErrorClass.UNKNOWN: RejectReason.OTHER,
}


@dataclass(frozen=True, slots=True)
class Reason:
    """What the words come to."""

    is_hard: bool
    error_class: ErrorClass
    reject_reason: RejectReason
    text: str
    """The words that decided; empty where only the status did, or nothing."""


# How much a statement says, best first.
_REPLY_KNOWN, _REPLY_ENHANCED, _SENTENCE_KNOWN, _REPLY_BARE, _NOTHING = range(5)


def judge(texts: Sequence[str], status: str = "", *, is_prose: bool = False) -> Reason:
    """The verdict on the failure that these texts tell of, the most telling text first, and the
    Status field of the DSN (RFC 3464 2.3.4), which often is but a default of the MTA.

    `is_prose` says that there is no machine-readable part. Then nobody vouches for whose words are
    quoted, and "no such user" alone does not suppress: filters and carriers say so after the whole
    message. It does where an enhanced code x.1.x stands beside it, or RCPT was refused.
    """
    default = _specific(status)
    best: tuple[int, Statement, Verdict] | None = None
    said = next(filter(None, map(stage_of, texts[:2])), None)
    for text in texts:
        for statement in statements(text):
            weight, verdict = _weigh(statement, status, default, said)
            if best is None or weight < best[0]:
                best = (weight, statement, verdict)
        # A diagnostic is the answer, even without a reply code; prose may quote one further on.
        if best and best[0] <= (_REPLY_ENHANCED if is_prose else _SENTENCE_KNOWN):
            break
    if best is None or (best[0] >= _REPLY_BARE and default):
        code = best[1].code if best else None
        verdict = classify(Reply(code or _code_of(status), default, ""), Stage.RCPT_TO)
        return _reason(verdict, verdict.suppresses, best[1].text if best else "")
    _, statement, verdict = best
    has_given_up = any(_GIVEN_UP.search(text[:10_000]) for text in texts)
    if verdict.error_class is ErrorClass.UNKNOWN and has_given_up:
        return Reason(False, ErrorClass.TIMEOUT, RejectReason.TIMED_OUT, statement.text)
    is_hard = _is_hard(statement, verdict, statement.stage or said, default, is_prose=is_prose)
    # Tried for days, and the last answer is a transient one: RFC 3463 3.5, x.4.7.
    if has_given_up and _is_transient(statement, status):
        is_hard = False
    return _reason(verdict, is_hard, statement.text)


def _is_hard(
    statement: Statement,
    verdict: Verdict,
    stage: Stage | None,
    default: str | None,
    *,
    is_prose: bool,
) -> bool:
    if statement.code is None and _HEDGED.search(statement.text):
        return False
    found = _ENHANCED.search(statement.text)
    detail = (found[1] if found else default or "")[2:]
    if verdict.error_class is not ErrorClass.INVALID_RECIPIENT:
        return verdict.suppresses
    if detail == "2.1" and stage is Stage.RCPT_TO:
        # 5.2.1 with "user unknown": nobody takes mail there, by the code and by the words, and it
        # was the recipient that was refused, not the message.
        text = _ENHANCED.sub("", statement.text)
        return classify(Reply(statement.code or 550, None, text), Stage.RCPT_TO).suppresses
    if not is_prose or detail.startswith("1.") or stage is Stage.RCPT_TO:
        return verdict.suppresses
    is_local = not detail and bool(_LOCAL.search(statement.text))
    return is_local and classify(Reply(550, "5.1.1", statement.text), Stage.RCPT_TO).suppresses


def _weigh(
    statement: Statement, status: str, default: str | None, said: Stage | None
) -> tuple[int, Verdict]:
    text = _HOST_NAME.sub(r"\1", statement.text)
    found = _ENHANCED.search(text)
    enhanced = found[1] if found else None
    code = statement.code or _code_of(enhanced or status)
    stage = statement.stage or said or Stage.RCPT_TO
    reply = Reply(code, enhanced or default, text)
    verdict = classify(reply, stage)
    is_told = meaning_of(text, is_transient=code < 500) is not None
    if statement.code or enhanced:
        if is_told:
            return _REPLY_KNOWN, verdict
        return (_REPLY_ENHANCED if _specific(enhanced or "") else _REPLY_BARE), verdict
    return (_SENTENCE_KNOWN if is_told else _NOTHING), verdict


def _reason(verdict: Verdict, is_hard: bool, text: str) -> Reason:
    return Reason(is_hard, verdict.error_class, _REASONS[verdict.error_class], text)


def _specific(status: str) -> str | None:
    """A status code that says something: not x.0.0, which an MTA writes where it knows nothing."""
    match = _STATUS.match(status)
    if not match or (match[2], match[3]) == ("0", "0"):  # RFC 3463 3.1
        return None
    return f"{match[1]}.{match[2]}.{match[3]}"


def _code_of(status: str) -> int:
    """A reply code for a failure that is told without one."""
    return 450 if status.lstrip().startswith("4") else 550


def _is_transient(statement: Statement, status: str) -> bool:
    found = _ENHANCED.search(statement.text)
    return (found[1] if found else status.strip()).startswith("4")
