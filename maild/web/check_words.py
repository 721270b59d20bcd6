"""Checks of SMTP accounts in words: which steps there are, how each went, what a failure means and
what one can do, and what the server offers.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from maild.domain.smtp_reply import ErrorClass, Stage
from maild.models import ProviderCheck, SmtpAccount
from maild.transports.smtp_server import Capabilities
from maild.web import filters
from maild.web.badges import Badge

OK = Badge("ok", "check", "ok")
FAILED = Badge("failed", "cross", "bad")
UNDER_WAY = Badge("under way", "arrow", "info")
NOT_REACHED = Badge("not reached", "minus", "neutral")
NOT_YET = Badge("to come", "clock", "neutral")
LEFT_OUT = Badge("left out", "minus", "neutral")

TITLES: dict[Stage, str] = {
    Stage.DNS: "Look up the name",
    Stage.CONNECT: "Connect",
    Stage.TLS: "Encrypt (TLS)",
    Stage.BANNER: "Wait for the greeting",
    Stage.EHLO: "Ask what it offers (EHLO)",
    Stage.AUTH: "Sign in (AUTH)",
}
NOT_ENCRYPTED = "The server does not offer STARTTLS, so all goes over the line in the clear."
SUBMISSIONS_PORT = 465


@dataclass(frozen=True, slots=True)
class Line:
    """A step of a check: `text` is what the server or maild said; `meaning` and `advice` stand at
    the one that failed.
    """

    stage: Stage
    title: str
    badge: Badge
    text: str = ""
    ms: float | None = None
    meaning: str = ""
    advice: str = ""


@dataclass(frozen=True, slots=True)
class Offer:
    """Something that the server offers, or does not, and what that means here."""

    name: str
    words: str
    is_offered: bool = True


def lines(check: ProviderCheck, account: SmtpAccount) -> list[Line]:
    """Each step that there is for this account, in order, with how it went or stands."""
    steps: dict[Stage, list[Mapping[str, Any]]] = {}
    for step in check.steps:
        steps.setdefault(Stage(step["stage"]), []).append(step)
    is_over = check.finished_at is not None
    found: list[Line] = []
    is_waiting = False  # a step before is not done
    for stage in _plan(account, steps):
        if taken := steps.get(stage):
            found.append(_line(stage, taken, check))
            is_waiting = is_waiting or found[-1].badge != OK
        elif stage is Stage.TLS and (Stage.AUTH in steps or check.is_valid):
            found.append(Line(stage, TITLES[stage], LEFT_OUT, NOT_ENCRYPTED))
        elif is_over:
            found.append(Line(stage, TITLES[stage], NOT_REACHED))
        else:
            is_next = not is_waiting and check.started_at is not None
            found.append(Line(stage, TITLES[stage], UNDER_WAY if is_next else NOT_YET))
            is_waiting = True
    return found


def _plan(account: SmtpAccount, steps: Mapping[Stage, object]) -> list[Stage]:
    is_tls_first = account.security == "tls" or (
        account.security == "auto" and account.port == SUBMISSIONS_PORT
    )
    plan = [Stage.DNS, Stage.CONNECT]
    if is_tls_first:
        plan += [Stage.TLS, Stage.BANNER, Stage.EHLO]
    else:
        plan += [Stage.BANNER, Stage.EHLO]
        if account.security != "none":
            plan.append(Stage.TLS)
    if account.username or Stage.AUTH in steps:
        plan.append(Stage.AUTH)
    return plan


def _line(stage: Stage, taken: Sequence[Mapping[str, Any]], check: ProviderCheck) -> Line:
    """A step that was taken, perhaps twice: EHLO is said again once the line is encrypted."""
    last = taken[-1]
    ms = sum(step["ms"] for step in taken)
    if last["ok"]:
        return Line(stage, TITLES[stage], OK, last["text"], ms)
    meaning, advice = explain(stage, check.result.get("error_class"), last["text"])
    return Line(stage, TITLES[stage], FAILED, last["text"], ms, meaning, advice)


@dataclass(frozen=True, slots=True)
class _Case:
    """What a failure means and what one can do, where it is at this stage (None: any), is of this
    class (None: any), and its text holds `mark`.
    """

    meaning: str
    advice: str
    stage: Stage | None = None
    error_class: ErrorClass | None = None
    mark: str = ""

    def fits(self, stage: Stage, error_class: str | None, said: str) -> bool:
        return (
            self.stage in (None, stage)
            and self.error_class in (None, error_class)
            and self.mark in said
        )


_TRUST_ADVICE = (
    "have the authority added to the trusted ones of the machine where maild's workers run."
)
_CASES = (
    _Case(
        "The server's certificate is out of date, so nobody can be sure that it is the right"
        " server.",
        "The provider has to renew it. If the clock of this maild's machine is wrong, set that.",
        mark="has expired",
    ),
    _Case(
        "The certificate is for other names than this host: it may be another server.",
        "Use the host name that the provider's pages give, and no IP address or alias.",
        mark="hostname mismatch",
    ),
    _Case(
        "The certificate does not name this IP address.",
        "Use the host name that the certificate is for.",
        mark="ip address mismatch",
    ),
    _Case(
        "The server vouches for itself: no authority that this machine trusts has signed its"
        " certificate.",
        f"Have the server use a certificate of a public authority, or {_TRUST_ADVICE}",
        mark="self-signed",
    ),
    _Case(
        "The certificate was signed by an authority that this machine does not know, or the server"
        " does not send the certificates in between.",
        f"Have the server send its whole chain, or {_TRUST_ADVICE}",
        mark="unable to get local issuer",
    ),
    _Case(
        "The line is not encrypted, and a password is never sent in the clear.",
        "Set the security to STARTTLS or TLS. A server that offers neither should get no password.",
        stage=Stage.AUTH,
        error_class=ErrorClass.TLS,
    ),
    _Case(
        "The server does not encrypt on this port.",
        "Try port 465 with the security TLS. Without any encryption, mail and password can be read"
        " on the way.",
        mark="not offer starttls",
    ),
    _Case(
        "The server speaks plain text where TLS was expected.",
        "On port 587 or 25 set the security to STARTTLS; TLS from the start belongs to port 465.",
        mark="wrong version number",
    ),
    _Case(
        "The server speaks plain text where TLS was expected.",
        "On port 587 or 25 set the security to STARTTLS; TLS from the start belongs to port 465.",
        mark="record layer failure",
    ),
    _Case(
        "The line could not be encrypted.",
        "maild wants TLS 1.2 or newer, and a certificate that holds. Ask the provider which its"
        " server has. If the port is not 465, set the security to STARTTLS.",
        stage=Stage.TLS,
    ),
    _Case(
        "The name leads into a private network, where accounts of workspaces may not go.",
        "Name a public host, or have whoever runs this maild add the network to"
        " ALLOWED_PRIVATE_NETWORKS.",
        stage=Stage.DNS,
        mark="allowed_private_networks",
    ),
    _Case(
        "Nobody knows an address for this host name.",
        "Look for a slip of the pen in the host, and compare it with the provider's pages.",
        stage=Stage.DNS,
    ),
    _Case(
        "The machine is there, and nothing listens on this port.",
        "Look at the port: 587 with STARTTLS, 465 with TLS, or 2525 are usual. If it is right, the"
        " server is down.",
        stage=Stage.CONNECT,
        mark="refused",
    ),
    _Case(
        "No answer comes from there: the server is away, or a firewall swallows the connection.",
        "Many hosters block outgoing mail ports: ask yours, or try port 2525 where the provider has"
        " it.",
        stage=Stage.CONNECT,
    ),
    _Case(
        "The server offers no way to sign in that maild knows.",
        "Many offer one only when the line is encrypted: set the security to STARTTLS or TLS. Or"
        " leave user name and password out, if it wants none.",
        stage=Stage.AUTH,
        mark="no way to sign in",
    ),
    _Case(
        "The server does not accept the user name and password.",
        "Type both again. Many providers want an API key, or a password made for SMTP alone, and"
        " not the one that you log in with. If they are right, ask whether the account may send by"
        " SMTP from here.",
        stage=Stage.AUTH,
    ),
    _Case(
        "The server took the connection and said nothing.",
        "On port 465 the line is encrypted from the start: set the security to TLS there, and to"
        " STARTTLS elsewhere.",
        error_class=ErrorClass.TIMEOUT,
    ),
    _Case(
        "The server does not want to talk to us now.",
        "Its own words above say why. If they speak of too many connections, or of this machine's"
        " address, ask the provider.",
    ),
)
"""The first that fits is told; the last fits everything. OpenSSL's words come first, which say
most.
"""


def explain(stage: Stage, error_class: str | None, text: str) -> tuple[str, str]:
    """What a failure at this step means, and what one can do about it."""
    said = text.lower()
    case = next(case for case in _CASES if case.fits(stage, error_class, said))
    return case.meaning, case.advice


def offers(capability_lines: Sequence[str]) -> list[Offer]:
    """What the server offers in answer to EHLO, in words; what matters and is missing, too."""
    found = Capabilities.from_ehlo("\n".join(["", *capability_lines]))
    told = [_size(found.size_limit)]
    told.append(
        Offer("PIPELINING", "Takes several commands at once, so mail goes out faster.")
        if found.pipelining
        else Offer("PIPELINING", "Each command waits for its answer, so mail goes slower.", False)
    )
    if found.auth:
        told.append(Offer("AUTH", f"Signs in with {', '.join(sorted(found.auth))}."))
    told.append(
        Offer("8BITMIME", "Takes text beyond ASCII as it is.")
        if found.eight_bit
        else Offer("8BITMIME", "Text beyond ASCII is encoded on the way.", False)
    )
    told.append(
        Offer("SMTPUTF8", "Takes addresses with letters beyond ASCII before the @.")
        if found.smtputf8
        else Offer("SMTPUTF8", "Addresses beyond ASCII before the @ cannot be sent to.", False)
    )
    if found.enhanced_status_codes:
        told.append(Offer("ENHANCEDSTATUSCODES", "Says more exactly why it refuses something."))
    if found.starttls:
        told.append(Offer("STARTTLS", "Offers to encrypt."))
    return told


def others(capability_lines: Sequence[str]) -> list[str]:
    """What the server offers besides, as it says it: maild makes no use of it."""
    known = {"SIZE", "PIPELINING", "AUTH", "8BITMIME", "SMTPUTF8", "ENHANCEDSTATUSCODES"}
    known.add("STARTTLS")
    return [
        line
        for line in capability_lines
        if line.strip() and line.upper().replace("=", " ").split()[0] not in known
    ]


def days_left(valid_until: str, *, now: datetime) -> int:
    """Whole days that a certificate still holds."""
    return (datetime.fromisoformat(valid_until) - now).days


def _size(limit: int | None) -> Offer:
    if limit is None:
        return Offer("SIZE", "Does not say how large a message may be.", False)
    if limit == 0:
        return Offer("SIZE", "Says that it has no fixed limit for the size of a message.")
    return Offer("SIZE", f"Takes messages of up to {filters.size(limit)}.")
