"""What an SMTP server's answer means: its parts, the class of its complaint, permanent or not.

In charge of reading one reply (RFC 5321 4.2, RFC 2034, RFC 3463). Not in charge of taking it from a
socket (`transports.smtp_wire`), nor of what is done about it (retry, suppression, fail-over).
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

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


class ErrorClass(StrEnum):
    """What went wrong, in one word; whose fault it is stands beside it."""

    INVALID_RECIPIENT = "invalid_recipient"  # the recipient's: no such mailbox
    INVALID_DOMAIN = "invalid_domain"  # the recipient's: the domain does not take mail
    INACTIVE_MAILBOX = "inactive_mailbox"  # the recipient's: disabled or suspended
    MAILBOX_FULL = "mailbox_full"  # the recipient's: over quota
    RATE_LIMITED = "rate_limited"  # ours: too much, too fast, for this path
    POLICY = "policy"  # ours: refused by a rule of the receiver
    SPAM_CONTENT = "spam_content"  # the message's: its content looks like spam
    REPUTATION = "reputation"  # ours: the sending address or domain is not trusted
    GREYLISTED = "greylisted"  # nobody's: unknown senders are asked to come again
    AUTH = "auth"  # ours: the provider does not accept the credentials
    TLS = "tls"  # the provider's: no encryption, or a certificate that is not valid
    DNS = "dns"  # the provider's: a name cannot be resolved
    CONNECTION = "connection"  # the provider's: refused, dropped, or closing (421)
    TIMEOUT = "timeout"  # the provider's: no answer in time
    PROTOCOL = "protocol"  # the provider's: an answer that makes no sense, or a missing feature
    MESSAGE_TOO_LARGE = "message_too_large"  # the message's
    UNKNOWN = "unknown"  # the answer does not say


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
    """`is_permanent`: the same message will be refused again, whichever path it takes."""

    error_class: ErrorClass
    is_permanent: bool


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


# Before a message is offered every refusal is about the path: the provider, or our account there.
_PATH_STAGES = {
    Stage.BANNER: ErrorClass.CONNECTION,
    Stage.EHLO: ErrorClass.CONNECTION,
    Stage.TLS: ErrorClass.TLS,
    Stage.AUTH: ErrorClass.AUTH,
}

# Codes that say it all, whatever stands beside them.
_BY_CODE = {
    421: ErrorClass.CONNECTION,  # RFC 5321 3.8: closing the channel
    432: ErrorClass.AUTH,  # RFC 4954 6
    530: ErrorClass.AUTH,
    534: ErrorClass.AUTH,
    535: ErrorClass.AUTH,
    538: ErrorClass.AUTH,
    521: ErrorClass.CONNECTION,  # RFC 7504 3: this host takes no mail at all
    556: ErrorClass.INVALID_DOMAIN,  # RFC 7504 4
}

# RFC 3463 3 and the IANA registry of enhanced status codes: subject.detail, then subject alone.
_BY_ENHANCED_CODE = {
    "1.1": ErrorClass.INVALID_RECIPIENT,
    "1.2": ErrorClass.INVALID_DOMAIN,
    "1.3": ErrorClass.INVALID_RECIPIENT,
    "1.6": ErrorClass.INVALID_RECIPIENT,  # moved, no forwarding address
    "1.7": ErrorClass.POLICY,  # the sender's address
    "1.8": ErrorClass.POLICY,
    "1.10": ErrorClass.INVALID_DOMAIN,  # RFC 7505: null MX
    "2.1": ErrorClass.INACTIVE_MAILBOX,
    "2.2": ErrorClass.MAILBOX_FULL,
    "2.3": ErrorClass.MESSAGE_TOO_LARGE,
    "3.2": ErrorClass.CONNECTION,
    "3.4": ErrorClass.MESSAGE_TOO_LARGE,
    "4": ErrorClass.CONNECTION,
    "4.3": ErrorClass.DNS,
    "4.4": ErrorClass.DNS,
    "4.5": ErrorClass.RATE_LIMITED,
    "4.7": ErrorClass.TIMEOUT,  # the next hop gave up
    "5": ErrorClass.PROTOCOL,
    "5.3": ErrorClass.RATE_LIMITED,  # too many recipients
    "6": ErrorClass.PROTOCOL,
    "7": ErrorClass.POLICY,
    "7.8": ErrorClass.AUTH,
    "7.10": ErrorClass.TLS,
    "7.11": ErrorClass.TLS,
    "7.28": ErrorClass.RATE_LIMITED,
}

# Codes without an enhanced code mean different things at different stages: RFC 5321 4.2.2, 4.3.2.
_BY_STAGE = {
    (Stage.RCPT_TO, 550): ErrorClass.INVALID_RECIPIENT,
    (Stage.RCPT_TO, 551): ErrorClass.INVALID_RECIPIENT,
    (Stage.RCPT_TO, 553): ErrorClass.INVALID_RECIPIENT,
    (Stage.RCPT_TO, 552): ErrorClass.MAILBOX_FULL,
    (Stage.MAIL_FROM, 550): ErrorClass.POLICY,
    (Stage.MAIL_FROM, 553): ErrorClass.POLICY,
    (Stage.MAIL_FROM, 552): ErrorClass.MESSAGE_TOO_LARGE,  # RFC 1870 6.1
    (Stage.FINAL_DOT, 552): ErrorClass.MESSAGE_TOO_LARGE,  # RFC 1870 6.3
    (Stage.MAIL_FROM, 454): ErrorClass.RATE_LIMITED,  # Amazon SES: "454 Throttling failure"
    (Stage.FINAL_DOT, 454): ErrorClass.RATE_LIMITED,
}

# Faults of the path: another time, or another provider, may well take the same message.
_PATH_CLASSES = frozenset(
    {ErrorClass.AUTH, ErrorClass.TLS, ErrorClass.CONNECTION, ErrorClass.RATE_LIMITED}
)

_SPEAKS_OF_VOLUME = re.compile(r"\brate|too (many|much|fast)|throttl", re.IGNORECASE)


def classify(reply: Reply, stage: Stage) -> Verdict:
    """What a refusal means. A reply that is no refusal is out of place, hence PROTOCOL."""
    if reply.code < 400:
        return Verdict(ErrorClass.PROTOCOL, is_permanent=False)
    error_class = _error_class(reply, stage)
    is_of_the_path = stage in _PATH_STAGES or error_class in _PATH_CLASSES
    return Verdict(error_class, is_permanent=reply.code >= 500 and not is_of_the_path)


def _error_class(reply: Reply, stage: Stage) -> ErrorClass:
    if reply.code in _BY_CODE:
        return _BY_CODE[reply.code]
    if stage in _PATH_STAGES:
        return _PATH_STAGES[stage]
    if reply.enhanced_code:
        subject_and_detail = reply.enhanced_code[2:]
        subject = subject_and_detail.partition(".")[0]
        if reply.code < 500 and subject == "7":
            # "Not now" to a recipient is greylisting (RFC 6647 2.4), unless it speaks of volume.
            is_greylisting = (
                stage is Stage.RCPT_TO
                and reply.code in {450, 451}
                and not _SPEAKS_OF_VOLUME.search(reply.text)
            )
            return ErrorClass.GREYLISTED if is_greylisting else ErrorClass.RATE_LIMITED
        found = _BY_ENHANCED_CODE.get(subject_and_detail) or _BY_ENHANCED_CODE.get(subject)
        if found:
            return found
    if 500 <= reply.code <= 504 or reply.code == 555:  # RFC 5321 4.2.4: not understood
        return ErrorClass.PROTOCOL
    return _BY_STAGE.get((stage, reply.code), ErrorClass.UNKNOWN)
