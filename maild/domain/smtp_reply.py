"""What an SMTP server's answer means: its parts, the class of its complaint, and whose fault it is.

In charge of reading one reply (RFC 5321 4.2, RFC 2034, RFC 3463); the wordings are in
`reply_rules`. Not in charge of taking it from a socket (`transports.smtp_wire`), nor of what is
done about it (retry, suppression, fail-over). `docs/replies.md` tells the same to people.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from maild.domain.reply_classes import ErrorClass, Fault, Meaning, Proof
from maild.domain.reply_rules import meaning_of

__all__ = ["ErrorClass", "Fault", "Reply", "Stage", "Verdict", "classify", "of_contact", "parse"]

_TEXT_LIMIT = 2000
# RFC 5321 4.2: three digits, then "-" where another line follows. Some servers end with no space.
_LINE = re.compile(r"([2-5]\d\d)(?:[ -](.*))?", re.DOTALL)
_ENHANCED = re.compile(r"([245]\.\d{1,3}\.\d{1,3})(?:\s+|$)")  # RFC 3463 2


class Stage(StrEnum):
    """Where in the dialogue a reply came, or contact was lost; in the order of the dialogue."""

    DNS = "dns"  # the server's name is looked up
    CONNECT = "connect"  # TCP
    BANNER = "banner"  # the server speaks first
    EHLO = "ehlo"  # or HELO
    TLS = "tls"  # STARTTLS and the handshake
    AUTH = "auth"
    MAIL_FROM = "mail_from"
    RCPT_TO = "rcpt_to"
    DATA = "data"  # asking to send the message
    BODY = "body"  # the message on its way, up to and including the final dot
    FINAL_DOT = "final_dot"  # the message is out, the answer is not in
    QUIT = "quit"

    @property
    def words(self) -> str:
        """As people write it: `RCPT TO`."""
        return self.value.replace("_", " ").upper()


@dataclass(frozen=True, slots=True)
class Reply:
    """One reply. `text` is without the codes, its lines joined by newlines, 2,000 characters long
    at most."""

    code: int
    enhanced_code: str | None
    text: str

    def __str__(self) -> str:
        """As people write it: `550 5.1.1 User unknown`."""
        return " ".join(part for part in (str(self.code), self.enhanced_code, self.text) if part)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a refusal, or trouble without one, means for the message, the address and the path."""

    error_class: ErrorClass
    fault: Fault
    is_permanent: bool
    """The same message will be refused again, whichever path it takes."""
    suppresses: bool
    """The address must not be mailed again. Seldom without `is_permanent`: see `classify`."""
    is_path_fault: bool
    """The path's trouble, not the message's. Never permanent; it does not use up the message's
    attempts, counts against the provider's health, and another provider may take the message at
    once."""
    retry_after_seconds: int | None = None
    """The server's own "try again in", 1 to 86,400; None where it does not say."""


def parse(lines: Sequence[bytes | str]) -> Reply:
    """The reply that these lines make, with or without their line ends.

    Raises ValueError where a line does not begin with a reply code. The last line's code counts
    when they differ, which RFC 5321 4.2.1 forbids and some servers do.
    """
    code, enhanced_code = 0, None
    texts = []
    for line in lines:
        text = line.decode(errors="replace") if isinstance(line, bytes) else line
        match = _LINE.fullmatch(text.rstrip("\r\n"))
        if not match:
            raise ValueError(f"not an SMTP reply: {text[:80]!r}")
        code, text = int(match[1]), match[2] or ""
        enhanced = _ENHANCED.match(text)
        if enhanced and text[0] == match[1][0]:  # RFC 2034 4: the class repeats the first digit
            enhanced_code, text = enhanced[1], text[enhanced.end() :]
        texts.append(text.strip())
    if not texts:
        raise ValueError("not an SMTP reply: no line")
    return Reply(code, enhanced_code, "\n".join(texts)[:_TEXT_LIMIT])


# Whose fault a class is where nothing more is known.
_FAULTS = {
    ErrorClass.INVALID_RECIPIENT: Fault.RECIPIENT,
    ErrorClass.INVALID_DOMAIN: Fault.RECIPIENT,
    ErrorClass.INACTIVE_MAILBOX: Fault.RECIPIENT,
    ErrorClass.MAILBOX_FULL: Fault.RECIPIENT,
    ErrorClass.RATE_LIMITED: Fault.US,
    ErrorClass.POLICY: Fault.US,
    ErrorClass.SPAM_CONTENT: Fault.MESSAGE,
    ErrorClass.REPUTATION: Fault.US,
    ErrorClass.GREYLISTED: Fault.RECIPIENT,  # the recipient's server wants to see us again
    ErrorClass.AUTH: Fault.US,
    ErrorClass.TLS: Fault.PROVIDER,
    ErrorClass.DNS: Fault.PROVIDER,
    ErrorClass.CONNECTION: Fault.PROVIDER,
    ErrorClass.TIMEOUT: Fault.PROVIDER,
    ErrorClass.PROTOCOL: Fault.PROVIDER,
    ErrorClass.MESSAGE_TOO_LARGE: Fault.MESSAGE,
    ErrorClass.UNKNOWN: Fault.PROVIDER,
}


def _plain(error_class: ErrorClass, proof: Proof = Proof.NONE) -> Meaning:
    return Meaning(error_class, _FAULTS[error_class], proof)


def _of_path(error_class: ErrorClass) -> Meaning:
    return Meaning(error_class, _FAULTS[error_class], is_path_fault=True)


# Before a message is offered every refusal is about the path: the provider, or our account there.
_PATH_STAGES = {
    Stage.DNS: ErrorClass.DNS,
    Stage.CONNECT: ErrorClass.CONNECTION,
    Stage.BANNER: ErrorClass.CONNECTION,
    Stage.EHLO: ErrorClass.CONNECTION,
    Stage.TLS: ErrorClass.TLS,
    Stage.AUTH: ErrorClass.AUTH,
}

# Codes that say it all, whatever the enhanced code. A text may still name another fault of the path
# (530 "Must issue a STARTTLS command first"), 521 and 556 give way to any text that is known.
_PATH_CODES = {
    421: ErrorClass.CONNECTION,  # RFC 5321 3.8: closing the channel
    432: ErrorClass.AUTH,  # RFC 4954 6
    530: ErrorClass.AUTH,
    534: ErrorClass.AUTH,
    535: ErrorClass.AUTH,
    538: ErrorClass.AUTH,
}
_BY_CODE = {
    521: _of_path(ErrorClass.CONNECTION),  # RFC 7504 3: this host takes no mail at all
    556: _plain(ErrorClass.INVALID_DOMAIN, Proof.PLAIN),  # RFC 7504 4
}

# RFC 3463 3, the IANA registry of enhanced status codes, and Microsoft's and Google's own: subject
# and detail, then subject alone.
_BY_ENHANCED_CODE = {
    "1.1": _plain(ErrorClass.INVALID_RECIPIENT, Proof.WITH_CODE),
    "1.2": _plain(ErrorClass.INVALID_DOMAIN, Proof.WITH_CODE),
    "1.3": _plain(ErrorClass.INVALID_RECIPIENT, Proof.WITH_CODE),
    "1.6": _plain(ErrorClass.INACTIVE_MAILBOX, Proof.WITH_CODE),  # moved, no forwarding address
    "1.7": _plain(ErrorClass.POLICY),  # the sender's address
    "1.8": _plain(ErrorClass.POLICY),
    "1.10": _plain(ErrorClass.INVALID_DOMAIN, Proof.WITH_CODE),  # RFC 7505: null MX
    "1.90": _of_path(ErrorClass.RATE_LIMITED),  # Exchange Online: the account's daily limit
    "1.351": _plain(ErrorClass.INVALID_RECIPIENT),  # Exchange Online's guess at another's reply
    "2.1": _plain(ErrorClass.INACTIVE_MAILBOX),  # disabled: it exists, and may be opened again
    "2.2": _plain(ErrorClass.MAILBOX_FULL),
    "2.3": _plain(ErrorClass.MESSAGE_TOO_LARGE),
    # The disk of the server we talk to is full, for any message: another provider's is not.
    "3.1": _of_path(ErrorClass.CONNECTION),
    "3.4": _plain(ErrorClass.MESSAGE_TOO_LARGE),
    # From here on it is about the next hop, that is the recipient's server: not our path.
    "4": Meaning(ErrorClass.CONNECTION, Fault.RECIPIENT),
    "4.3": Meaning(ErrorClass.DNS, Fault.RECIPIENT),
    "4.4": Meaning(ErrorClass.DNS, Fault.RECIPIENT),
    # Gmail's "Daily user sending limit exceeded", https://support.google.com/a/answer/3726730
    "4.5": _of_path(ErrorClass.RATE_LIMITED),
    "4.7": Meaning(ErrorClass.TIMEOUT, Fault.RECIPIENT),
    "5": _plain(ErrorClass.PROTOCOL),
    "5.3": _of_path(ErrorClass.RATE_LIMITED),  # too many recipients
    "6": Meaning(ErrorClass.PROTOCOL, Fault.MESSAGE),
    "7": _plain(ErrorClass.POLICY),
    "7.8": _of_path(ErrorClass.AUTH),
    "7.10": _of_path(ErrorClass.TLS),
    "7.11": _of_path(ErrorClass.TLS),
    "7.13": _plain(ErrorClass.INACTIVE_MAILBOX),  # account disabled
    "7.25": _plain(ErrorClass.REPUTATION),  # RFC 7372 3.3: reverse DNS
    "7.28": _of_path(ErrorClass.RATE_LIMITED),  # Gmail: an unusual rate
    "7.57": _of_path(ErrorClass.AUTH),  # Exchange Online: client not authenticated
    "7.500": _of_path(ErrorClass.RATE_LIMITED),  # Exchange Online: server busy
    "7.501": _plain(ErrorClass.SPAM_CONTENT),
    "7.606": _plain(ErrorClass.REPUTATION),  # Exchange Online: banned sending IP
}
_BAD_ADDRESS_CODES = frozenset({"1.1", "1.2", "1.3", "1.6", "1.10"})
_SENDER_CODES = frozenset({"1.7", "1.8"})
_ABOUT_THE_RECIPIENT = frozenset(
    {ErrorClass.INVALID_RECIPIENT, ErrorClass.INVALID_DOMAIN, ErrorClass.INACTIVE_MAILBOX}
)
# Exchange Online's "550 5.4.1 Recipient address rejected: Access denied":
# https://www.spamresource.com/2023/09/microsoft-multiple-types-of-invalid.html
_NOT_IN_DIRECTORY = _plain(ErrorClass.INVALID_RECIPIENT, Proof.PLAIN)
# Subjects under which no server puts "user unknown" and means it: undefined, the mailbox (RFC 3463
# 3.3: it exists), and policy.
_DOUBTFUL_SUBJECTS = frozenset({"0", "2", "7"})

# Codes without an enhanced code mean different things at different stages: RFC 5321 4.2.2, 4.3.2.
# Nothing of this suppresses: 550 is said of everything.
_BY_STAGE = {
    (Stage.RCPT_TO, 550): _plain(ErrorClass.INVALID_RECIPIENT),
    (Stage.RCPT_TO, 551): _plain(ErrorClass.INVALID_RECIPIENT),
    (Stage.RCPT_TO, 553): _plain(ErrorClass.INVALID_RECIPIENT),
    (Stage.RCPT_TO, 552): _plain(ErrorClass.MAILBOX_FULL),
    (Stage.MAIL_FROM, 550): _plain(ErrorClass.POLICY),
    (Stage.MAIL_FROM, 553): _plain(ErrorClass.POLICY),
    (Stage.MAIL_FROM, 552): _plain(ErrorClass.MESSAGE_TOO_LARGE),  # RFC 1870 6.1
    (Stage.FINAL_DOT, 552): _plain(ErrorClass.MESSAGE_TOO_LARGE),  # RFC 1870 6.3
}
_UNKNOWN = _plain(ErrorClass.UNKNOWN)
_PROTOCOL = _plain(ErrorClass.PROTOCOL)

# An enhanced code further inside: quoted, in parentheses, or behind another code, and never a part
# of an IP address, a version or a time, which go on after the third number or begin otherwise.
_INNER_CODE = re.compile(
    r"(?:^|[(#'\"\[]|(?:^|[ >'\n])[45]\d\d[ -]['\"]?|: )"
    r"([45]\.[0-7]\.\d{1,3})(?![\w:]|\.\d)"
)  # RFC 3463 2

_COMES_AGAIN = re.compile(
    r"\b(?:again|retry|retried|resend|wait|back|reconnect|blocked|greylist\w{0,4}|graylist\w{0,4}"
    r"|defer\w{0,5}|delay\w{0,3})\b",
    re.IGNORECASE,
)
_DURATION = re.compile(
    r"(?:^|\b(?:in|for|after|wait|another|about|least|within))[ :]{1,3}"
    r"(?:(\d{1,2}):(\d\d):(\d\d)(?![\d:])"
    r"|(\d{1,6})[ -]?(s|secs?|seconds?|m|mins?|minutes?|h|hrs?|hours?)\b)",
    re.IGNORECASE,
)
_BARE_SECONDS = re.compile(r"retry[ -]after[:= ]{1,3}(\d{1,6})(?![\d.:])", re.IGNORECASE)
_UNIT_SECONDS = {"s": 1, "m": 60, "h": 3600}
_REACH = 40  # characters between "try again" and the time
_DAY_SECONDS = 86_400


def classify(reply: Reply, stage: Stage) -> Verdict:
    """What a refusal means. A reply that is no refusal is out of place, hence PROTOCOL.

    The text decides where its wording is known, then the enhanced code, then code and stage: an
    enhanced code is often false, and a code says little.

    A 4xx reply suppresses only where the text and the enhanced code 4.1.1 both say that there is no
    such mailbox: Postfix answers so for `soft_bounce` and for addresses probed in vain.
    """
    if reply.code < 400:
        return of_contact(ErrorClass.PROTOCOL)
    detail = _detail(reply)
    meaning = _meaning(reply, stage, detail)
    is_permanent = reply.code >= 500 and not meaning.is_path_fault
    return Verdict(
        meaning.error_class,
        meaning.fault,
        is_permanent=is_permanent,
        suppresses=_suppresses(reply, meaning, detail),
        is_path_fault=meaning.is_path_fault,
        retry_after_seconds=None if is_permanent else _retry_after_seconds(reply.text),
    )


def of_contact(error_class: ErrorClass) -> Verdict:
    """Trouble without a reply: DNS, CONNECTION, TIMEOUT, TLS or PROTOCOL. Always the path's."""
    return Verdict(
        error_class,
        _FAULTS[error_class],
        is_permanent=False,
        suppresses=False,
        is_path_fault=True,
    )


def _detail(reply: Reply) -> str:
    """Subject and detail of the enhanced code, `1.1`, wherever it stands; empty without one."""
    if reply.enhanced_code:
        return reply.enhanced_code[2:]
    inner = _INNER_CODE.search(reply.text)
    return inner[1][2:] if inner else ""


def _meaning(reply: Reply, stage: Stage, detail: str) -> Meaning:
    code, is_transient = reply.code, reply.code < 500
    told = meaning_of(reply.text, is_transient=is_transient)
    path_class = _PATH_CODES.get(code) or _PATH_STAGES.get(stage)
    if path_class:
        return _on_path(path_class, told)
    if 502 <= code <= 504:  # RFC 5321 4.2.4: not understood, whatever it is about
        return _PROTOCOL
    if told:
        return _weighed(told, reply, stage, detail)
    if code in _BY_CODE:
        return _BY_CODE[code]
    return _by_codes(code, stage, detail)


def _on_path(error_class: ErrorClass, told: Meaning | None) -> Meaning:
    """A text may say what ails the path, or that our address there is not trusted."""
    if told and told.is_path_fault:
        return told
    if told and told.error_class is ErrorClass.REPUTATION and error_class is ErrorClass.CONNECTION:
        return _of_path(ErrorClass.REPUTATION)
    return _of_path(error_class)


def _weighed(told: Meaning, reply: Reply, stage: Stage, detail: str) -> Meaning:
    """What the text says, put right where the code or the stage shows whom it is about."""
    if told.error_class in _ABOUT_THE_RECIPIENT and (
        detail in _SENDER_CODES or stage is Stage.MAIL_FROM
    ):
        return _plain(ErrorClass.POLICY)
    if detail == "4.1" and reply.code >= 500 and told.error_class is ErrorClass.POLICY:
        return _NOT_IN_DIRECTORY
    return told


def _by_codes(code: int, stage: Stage, detail: str) -> Meaning:
    subject = detail.partition(".")[0]
    if code < 500 and subject == "7" and detail not in _BY_ENHANCED_CODE:
        # "Not now" to a recipient is greylisting (RFC 6647 2.4): a known text has said otherwise.
        if stage is Stage.RCPT_TO and code in {450, 451}:
            return _plain(ErrorClass.GREYLISTED)
        if code == 454:  # RFC 4954 4.7, RFC 3207 4: not for this message
            return _of_path(ErrorClass.AUTH)
    if code == 454 and subject in {"", "7"}:
        return _of_path(ErrorClass.RATE_LIMITED)  # Amazon SES: "454 Throttling failure"
    found = _BY_ENHANCED_CODE.get(detail) or _BY_ENHANCED_CODE.get(subject)
    if found:
        return found
    if code in {500, 501, 555}:  # RFC 5321 4.2.4: not understood
        return _PROTOCOL
    return _BY_STAGE.get((stage, code), _UNKNOWN)


def _suppresses(reply: Reply, meaning: Meaning, detail: str) -> bool:
    if meaning.proof is Proof.NONE or "temporar" in reply.text.lower():
        return False
    if reply.code < 500:
        return detail == "1.1" and meaning.proof is not Proof.WITH_CODE
    if meaning.proof is Proof.PLAIN:
        return True
    if meaning.proof is Proof.WITH_CODE:
        return detail in _BAD_ADDRESS_CODES
    return detail.partition(".")[0] not in _DOUBTFUL_SUBJECTS


def _retry_after_seconds(text: str) -> int | None:
    """The time that stands shortly after "try again" or its like; a day where it is longer."""
    bare = _BARE_SECONDS.search(text)
    if bare:
        return min(int(bare[1]), _DAY_SECONDS) or None
    for verb in _COMES_AGAIN.finditer(text):
        found = _DURATION.search(text[verb.end() : verb.end() + _REACH])
        if found:
            hours, minutes, seconds, number, unit = found.groups()
            if unit:
                total = int(number) * _UNIT_SECONDS[unit[0].lower()]
            else:
                total = int(hours) * 3600 + int(minutes) * 60 + int(seconds)
            return min(total, _DAY_SECONDS) or None
    return None
