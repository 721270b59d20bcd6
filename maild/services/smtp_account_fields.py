"""What can be said of an SMTP account, and whether it may: names, hosts, limits, and reasons.

Not in charge of storing it (`smtp_accounts`), nor of what its host leads to, which the dial sees.
"""

import ipaddress
import re
import uuid
from dataclasses import dataclass

from maild import config
from maild.domain import networks, submission
from maild.domain.address import to_wire
from maild.domain.bounce_mail import verp
from maild.errors import FieldError, InvalidFields, summarise
from maild.models import SmtpAccount
from maild.models.smtp_account import DEFAULT_ACCOUNT
from maild.services import addresses

SECURITY = ("auto", "starttls", "tls", "none")
ENCRYPTED = ("starttls", "tls")
"""Where nothing goes over the line in the clear, whatever the server offers."""
NAME_MAX_CHARS = submission.ACCOUNT_MAX_CHARS
REASON_MAX_CHARS = 500
CONNECTIONS_DEFAULT, CONNECTIONS_MAX = 10, 1_000
PER_SECOND_MAX = 1_000_000
PRIORITY_DEFAULT, PRIORITY_MAX = 100, 1_000

_HOST_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,253}[A-Za-z0-9.])?")


@dataclass(frozen=True, slots=True)
class NewSmtpAccount:
    """An SMTP account as a person describes it. `username` and `password` come together or not
    at all.

    `max_connections` and `max_per_second` are of all workers together; `priority` is the order of
    fail-over, lower first. Bounces go to addresses made of `return_path`, one for each message.
    """

    name: str
    host: str
    port: int
    from_email: str
    security: str = "auto"
    username: str | None = None
    password: str | None = None
    max_connections: int = CONNECTIONS_DEFAULT
    max_per_second: float | None = None
    priority: int = PRIORITY_DEFAULT
    return_path: str | None = None


def guard() -> networks.Guard:
    """Where the hosts that workspaces name may lead to."""
    return networks.Guard(config.current().allowed_private_networks)


def _is_ip_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def check(account: NewSmtpAccount, *, stored: SmtpAccount | None = None) -> None:
    """Raises InvalidFields with all that is wrong.

    With `stored`, the password of that row goes on being used.
    """
    errors = []
    if not (account.name.strip() and account.name.isprintable()):
        errors.append(FieldError("name", "must be printable characters, and not spaces alone"))
    elif account.name == DEFAULT_ACCOUNT:
        errors.append(FieldError("name", "is what the account of the environment is called"))
    elif len(account.name) > NAME_MAX_CHARS:
        errors.append(FieldError("name", f"is longer than {NAME_MAX_CHARS} characters"))
    errors += _check_host(account.host)
    if not 1 <= account.port <= 65_535:
        errors.append(FieldError("port", "must be a port from 1 to 65535"))
    if account.security not in SECURITY:
        errors.append(FieldError("security", "must be one of " + ", ".join(SECURITY)))
    if stored is not None:
        errors += _check_kept_password(account, stored)
    elif bool(account.username) != bool(account.password):
        errors.append(FieldError("password", "username and password must be given together"))
    for name in ("username", "password"):
        if any(c in (getattr(account, name) or "") for c in "\r\n\0"):
            errors.append(FieldError(name, "must not contain a line break or NUL"))
    errors += _check_limits(account)
    try:
        addresses.parse(account.from_email)
    except ValueError as error:
        errors.append(FieldError("from_email", str(error)))
    if account.return_path is not None:
        errors += _check_return_path(account.return_path)
    if errors:
        raise InvalidFields(summarise(errors), errors=errors)


def _check_kept_password(account: NewSmtpAccount, stored: SmtpAccount) -> list[FieldError]:
    """A password goes on to the server that it was given for, and over no line that is less safe
    than before: otherwise whoever may change an account could have its password sent to themselves.
    """
    if not account.username:
        return []
    if stored.password_encrypted is None:
        return [FieldError("password", "username and password must be given together")]
    is_elsewhere = (account.host, account.port) != (stored.host, stored.port)
    if is_elsewhere or (account.security != stored.security and account.security not in ENCRYPTED):
        message = "type it again: it would go to another server, or over a line that is less safe"
        return [FieldError("password", message)]
    return []


def _check_host(host: str) -> list[FieldError]:
    """What can be said before a name is looked up; the dial looks at what it leads to."""
    if not (_HOST_NAME.fullmatch(host) or _is_ip_address(host)):
        return [FieldError("host", "must be a host name or an IP address")]
    objection = guard().objection_to_host(host)
    if objection:
        message = (
            f"is {objection}, and must be public. Name a public host, or have whoever runs this"
            " instance add the network to ALLOWED_PRIVATE_NETWORKS"
        )
        return [FieldError("host", message)]
    address = networks.literal(host)
    if address is not None and not _is_ip_address(host):
        return [FieldError("host", f"must be written as an IP address is: {address}")]
    return []


def _check_return_path(return_path: str) -> list[FieldError]:
    """Each message has an address made of it, which must fit, and suit servers without SMTPUTF8."""
    try:
        wire = to_wire(addresses.parse(return_path).text)
    except ValueError as error:
        return [FieldError("return_path", str(error))]
    if not wire.isascii():
        return [FieldError("return_path", "must be ASCII before the @")]
    try:
        fits = len(verp.address(wire, uuid.UUID(int=0))) <= addresses.MAX_CHARS
    except ValueError:
        fits = False
    if not fits:
        message = "leaves no room for a message's id before the @, where 37 characters are the most"
        return [FieldError("return_path", message)]
    return []


def _check_limits(account: NewSmtpAccount) -> list[FieldError]:
    errors = []
    if not 1 <= account.max_connections <= CONNECTIONS_MAX:
        errors.append(FieldError("max_connections", f"must be from 1 to {CONNECTIONS_MAX}"))
    rate = account.max_per_second
    if rate is not None and not 0 < rate <= PER_SECOND_MAX:
        message = f"must be more than 0, and {PER_SECOND_MAX} at most; leave it out for no limit"
        errors.append(FieldError("max_per_second", message))
    if not 0 <= account.priority <= PRIORITY_MAX:
        errors.append(FieldError("priority", f"must be from 0 to {PRIORITY_MAX}"))
    return errors


def check_reason(reason: str) -> list[FieldError]:
    """What is wrong with the reason that a person gives."""
    if not reason.strip():
        return [FieldError("reason", "must not be empty")]
    complaints = submission.check_line("reason", reason, max_chars=REASON_MAX_CHARS)
    return [FieldError(name, message) for name, message in complaints]
