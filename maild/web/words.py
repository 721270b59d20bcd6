"""Words for what the domain names, where several parts of a page say them."""

from maild.domain.freeze import FreezeKind
from maild.domain.policy import Route
from maild.domain.states import Stream
from maild.domain.suppression import SuppressionClass

SUPPRESSED: dict[SuppressionClass, str] = {
    SuppressionClass.HARD_BOUNCE: "suppressed as hard bounce",
    SuppressionClass.SOFT_BOUNCE: "suppressed after soft bounces",
    SuppressionClass.COMPLAINT: "suppressed after a complaint",
    SuppressionClass.MANUAL: "suppressed by hand",
}

ROUTE: dict[Route, str] = {
    Route.FIRST_CHOICE: "first choice",
    Route.FAIL_OVER: "fail-over, the accounts before it are out of use",
    Route.CANARY: "a canary, one of a few messages that try whether it works again",
    Route.AFTER_FAULTS: "after faults elsewhere",
    Route.PINNED: "as its sender asked",
}
"""What stands behind an SMTP account."""

_FROZEN: dict[FreezeKind, str] = {
    FreezeKind.WORKSPACE: "all mail",
    FreezeKind.STREAM: "{} mail",
    FreezeKind.SMTP_ACCOUNT: "mail through “{}”",
    FreezeKind.API_KEY: "mail of one API key",
    FreezeKind.FROM_EMAIL: "mail from {}",
    FreezeKind.RECIPIENT_DOMAIN: "mail to {}",
}


def suppressed(class_: str | None) -> str:
    """`suppressed as hard bounce`."""
    if class_ is None or class_ not in set(SuppressionClass):
        return "suppressed"
    return SUPPRESSED[SuppressionClass(class_)]


def unsubscribed(stream: str | None, topic: str | None) -> str:
    """`unsubscribed from topic “news”`, `unsubscribed from all marketing mail`."""
    if topic is not None:
        return f"unsubscribed from topic “{topic}”"
    if stream is None:
        return "unsubscribed from all mail"
    return f"unsubscribed from all {Stream(stream).value} mail"


def frozen(kind: str | None, target: str | None) -> str:
    """What a freeze is about: `marketing mail`, `mail to example.org`."""
    if kind is None or kind not in set(FreezeKind):
        return "some mail"
    return _FROZEN[FreezeKind(kind)].format(target or "")


def policy(version: int) -> str:
    """`policy version 3`; 0 is `the instance's defaults`."""
    return f"policy version {version}" if version else "the instance's defaults"


def start(text: str) -> str:
    """As it begins a sentence."""
    return text[:1].upper() + text[1:]
