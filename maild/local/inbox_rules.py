"""The inbox's orders: what it does with a recipient, told by the recipient's own address.

`tempfail@`, `permfail@` and the others rehearse every way in which a delivery goes wrong, at any
domain. A suffix after the name makes as many addresses as needed: `tempfail+1@`, `tempfail-two@`.
Everybody else is accepted. Pure: nothing is read, sent or remembered here.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

DEFAULT_DELAY_SECONDS = 5
MAX_DELAY_SECONDS = 120


class Drop(Enum):
    """When the connection is cut during the transfer of the message."""

    BEFORE_DOT = "before the final dot: nothing is stored"
    AFTER_DOT = "after the final dot: the message is stored, and no reply is sent"


@dataclass(frozen=True, slots=True)
class Report:
    """What an account of the sandbox hears of a message, in maild's own format."""

    type: str
    reason: str | None = None


DELIVERED = Report("delivered")


@dataclass(frozen=True, slots=True)
class Order:
    """What to do with one recipient. The default is to accept.

    `reply` refuses RCPT TO with this line. `once` refuses only the first try of a sender and
    recipient. `hangs_up` closes the connection after the reply. `delay_seconds` passes between the
    final dot and its reply. `drop` cuts the connection during the transfer. `reports` are what an
    account of the sandbox is told afterwards of a message that was stored.
    """

    reply: str | None = None
    once: bool = False
    hangs_up: bool = False
    delay_seconds: int = 0
    drop: Drop | None = None
    reports: tuple[Report, ...] = (DELIVERED,)


ACCEPT = Order()


def tempfail(suffix: str) -> Order:
    """Refused for now, every time: `451 4.3.0`. The message is deferred."""
    return Order(reply="451 4.3.0 Temporary failure, try again later")


def permfail(suffix: str) -> Order:
    """Refused for good: `550 5.1.1`. The message fails at once."""
    return Order(reply="550 5.1.1 Unknown user")


def throttle(suffix: str) -> Order:
    """Refused because of the rate: `450 4.7.1`, with the time after which to try again."""
    return Order(reply="450 4.7.1 Rate limited, try again in 60 seconds")


def greylist(suffix: str) -> Order:
    """Refused at the first try of a sender and recipient, `451 4.7.1`, and accepted after that."""
    return Order(reply="451 4.7.1 Greylisted, please try again", once=True)


def busy_421(suffix: str) -> Order:
    """The server has no time: `421 4.3.2`, and the connection is closed."""
    return Order(reply="421 4.3.2 Service not available, closing connection", hangs_up=True)


def authfail(suffix: str) -> Order:
    """Asks for credentials: `530 5.7.0`. A sign-in as the user `authfail` is refused with 535."""
    return Order(reply="530 5.7.0 Authentication required")


def unverified(suffix: str) -> Order:
    """Refused for good because of its sender: `550 5.7.1`. The message fails, and its recipient is
    not suppressed. Whoever signs in as the user `unverified` hears that of every recipient.
    """
    return Order(reply="550 5.7.1 The sender's domain is not verified for this account")


def slow(suffix: str) -> Order:
    """Accepted after 5 seconds; `slow+12@` takes 12 seconds, and 120 are the most."""
    digits = re.search(r"\d{1,6}", suffix)
    seconds = int(digits[0]) if digits else DEFAULT_DELAY_SECONDS
    return Order(delay_seconds=min(seconds, MAX_DELAY_SECONDS))


def drop_before_dot(suffix: str) -> Order:
    """The connection is cut in the middle of the message; nothing is stored."""
    return Order(drop=Drop.BEFORE_DOT)


def drop_after_dot(suffix: str) -> Order:
    """The message is stored, and the connection cut without a reply: an unknown outcome."""
    return Order(drop=Drop.AFTER_DOT, reports=())


def bounce(suffix: str) -> Order:
    """Accepted. In the sandbox it is reported a moment later that it came back for good."""
    return Order(reports=(Report("hard_bounced", "550 5.1.1 Unknown user"),))


def softbounce(suffix: str) -> Order:
    """Accepted. In the sandbox it is reported that it came back for now: the mailbox is full."""
    return Order(reports=(Report("soft_bounced", "452 4.2.2 Mailbox full"),))


def complain(suffix: str) -> Order:
    """Accepted. In the sandbox it is reported as delivered, and then as called spam."""
    return Order(reports=(DELIVERED, Report("complained")))


def unsubscribe(suffix: str) -> Order:
    """Accepted. In the sandbox it is reported as delivered, and then as unsubscribed."""
    return Order(reports=(DELIVERED, Report("unsubscribed")))


def silent(suffix: str) -> Order:
    """Accepted. In the sandbox nothing is ever reported of it."""
    return Order(reports=())


RULES: dict[str, Callable[[str], Order]] = {
    "tempfail": tempfail,
    "permfail": permfail,
    "throttle": throttle,
    "greylist": greylist,
    "busy-421": busy_421,
    "authfail": authfail,
    "unverified": unverified,
    "slow": slow,
    "drop-before-dot": drop_before_dot,
    "drop-after-dot": drop_after_dot,
    "bounce": bounce,
    "softbounce": softbounce,
    "complain": complain,
    "unsubscribe": unsubscribe,
    "silent": silent,
}

# A name, and a suffix that does not begin with a letter: `slow+2`, but not `slowly`.
_NAME = re.compile(f"({'|'.join(RULES)})(?![a-z])(.*)", re.IGNORECASE | re.DOTALL)


def order_for(address: str, *, username: str = "") -> Order:
    """The order that `address` gives to whoever has signed in as `username`; ACCEPT where neither
    of them gives one.
    """
    if _rule_of(username.partition("@")[0]) == "unverified":
        return unverified("")
    match = _NAME.fullmatch(address.rpartition("@")[0])
    return RULES[match[1].lower()](match[2]) if match else ACCEPT


def refuses_login(username: str) -> bool:
    """Whether a sign-in as `username` is refused, whatever its password."""
    return _rule_of(username.partition("@")[0]) == "authfail"


def explained() -> list[tuple[str, str]]:
    """(address, what happens to it) for each rule, for the help page."""
    return [(f"{name}@example.com", rule.__doc__ or "") for name, rule in RULES.items()]


def _rule_of(name: str) -> str | None:
    match = _NAME.fullmatch(name)
    return match[1].lower() if match else None
