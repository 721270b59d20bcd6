"""The classes into which refusals fall, whose fault each is, and how much a wording proves.

In charge of the words. What each means for message, address and path is decided in `smtp_reply`.
"""

from dataclasses import dataclass
from enum import Enum, StrEnum


class Fault(StrEnum):
    """At whose door the trouble lies, hence who can mend it."""

    RECIPIENT = "recipient"
    MESSAGE = "message"
    PROVIDER = "provider"
    US = "us"


class ErrorClass(StrEnum):
    """What went wrong, in one word; whose fault it is stands beside it."""

    INVALID_RECIPIENT = "invalid_recipient"  # the recipient's: no such mailbox
    INVALID_DOMAIN = "invalid_domain"  # the recipient's: the domain does not take mail
    INACTIVE_MAILBOX = "inactive_mailbox"  # the recipient's: disabled, suspended or closed
    MAILBOX_FULL = "mailbox_full"  # the recipient's: over quota
    RATE_LIMITED = "rate_limited"  # ours: too much, too fast, for this path
    POLICY = "policy"  # ours: refused by a rule of the receiver
    SPAM_CONTENT = "spam_content"  # the message's: its content looks like spam, or worse
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


class Proof(Enum):
    """How far a wording proves that nobody will ever read mail at the address."""

    NONE = "it does not"
    WITH_CODE = "where the enhanced code says that the address is bad"
    UNLESS_CODE = "where the enhanced code, if any, does not say something else"
    PLAIN = "whatever the codes say"


@dataclass(frozen=True, slots=True)
class Meaning:
    """What a wording says. `is_path_fault` as in `smtp_reply.Verdict`."""

    error_class: ErrorClass
    fault: Fault
    proof: Proof = Proof.NONE
    is_path_fault: bool = False
    is_temporary: bool = False  # means it only in a 4xx reply
