"""What production refuses beside missing values and defaults: what is open to everybody, goes in
the clear over a network, or is a placeholder.

`RULES` has a rule for each setting that is looked at; it takes all settings, and tells what is
wrong, in sentences that begin behind the setting's name. Nothing is read here, and nobody asked:
what only a look at the running parts tells is for `services/preflight`.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network, ip_address
from urllib.parse import parse_qsl, unquote, urlsplit

from maild import setting_strength as strength
from maild.settings import Settings

PASSWORD_MIN_CHARS = 12
SMTP_PASSWORD_MIN_EFFECTIVE = 5
"""It is the provider's to make: only what everybody tries is refused."""
ENCRYPTED_MODES = frozenset({"require", "verify-ca", "verify-full"})
WIDEST_PREFIX = 4
"""A network with fewer bits than this is everybody."""

# RFC 2606 and RFC 6761: names that stand in examples and lead nowhere.
_EXAMPLE = re.compile(r"(.+\.)?(example|example\.(com|net|org)|invalid)\.?")

Rule = Callable[[Settings], Iterator[str]]


@dataclass(frozen=True, slots=True)
class Target:
    """Where a URL of PostgreSQL or Redis leads. `hosts` are those over a network; none: it stays
    on this machine.
    """

    hosts: tuple[str, ...]
    password: str | None = field(repr=False)
    is_encrypted: bool
    is_verified: bool
    """Whether the server must prove who it is."""
    has_credentials: bool
    """A password, or another proof of who we are."""


def is_here(host: str) -> bool:
    """Whether a host is this machine: a loopback address, its name, or a socket's path."""
    name = host.strip("[]").rstrip(".").lower()
    if not name or name[0] in "/@" or name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        return ip_address(name).is_loopback
    except ValueError:
        return False


def is_example(host: str) -> bool:
    """Whether a host is from an example."""
    return bool(_EXAMPLE.fullmatch(host.lower()))


def postgres_target(dsn: str) -> Target:
    """Where a libpq URL leads (PostgreSQL manual, 32.1.1.2): several hosts may stand in it, and
    what stands behind `?` comes first.
    """
    rest = dsn.partition("://")[2]
    before, _, query = rest.partition("?")
    authority = before.partition("/")[0]
    user, _, places = authority.rpartition("@")
    options = dict(parse_qsl(query, keep_blank_values=True))
    named = options.get("hostaddr") or options.get("host") or unquote(places)
    hosts = tuple(_without_port(place) for place in named.split(","))
    password = options.get("password") or unquote(user.partition(":")[2]) or None
    mode = options.get("sslmode", "prefer")
    return Target(
        hosts=tuple(host for host in hosts if not is_here(host)),
        password=password,
        is_encrypted=mode in ENCRYPTED_MODES,
        is_verified=mode in {"verify-ca", "verify-full"},
        has_credentials=bool(password or options.get("sslcert") or options.get("passfile")),
    )


def redis_target(url: str) -> Target:
    """Where a URL of Redis leads."""
    parts = urlsplit(url)
    options = dict(parse_qsl(parts.query))
    host = "" if parts.scheme == "unix" else options.get("host") or parts.hostname or ""
    password = unquote(parts.password) if parts.password else options.get("password")
    return Target(
        hosts=() if is_here(host) else (host,),
        password=password or None,
        is_encrypted=parts.scheme == "rediss",
        is_verified=parts.scheme == "rediss"
        and options.get("ssl_cert_reqs", "required") == "required",
        has_credentials=bool(password),
    )


def _without_port(place: str) -> str:
    if place.startswith("["):
        return place[1:].partition("]")[0]
    return place if place.count(":") > 1 else place.partition(":")[0]


def _clear_way(host: str) -> str:
    return f"If the network to it is private, say so: PLAINTEXT_HOSTS={host}"


def _public_url(settings: Settings) -> Iterator[str]:
    parts = urlsplit(settings.public_url)
    host = parts.hostname or ""
    # RFC 8058 3.1: the link that unsubscribes with one click is an HTTPS one.
    if parts.scheme != "https":
        yield "must begin with https:// in production: put a proxy that does TLS in front"
    if is_example(host):
        yield "is from an example; it must be where people reach this maild"
    elif is_here(host):
        yield "leads to this machine; it must be where people reach this maild"


def _signup_mode(settings: Settings) -> Iterator[str]:
    if settings.signup_mode == "open":
        yield "lets everybody sign up; set it to invite or closed, and invite: maild people invite"


def _trusted_proxies(settings: Settings) -> Iterator[str]:
    if _is_wide(settings.trusted_proxies):
        yield "trusts everybody, who could then claim any address; name the proxies' own addresses"


def _private_networks(settings: Settings) -> Iterator[str]:
    if _is_wide(settings.allowed_private_networks):
        yield "opens every network to workspaces; name the networks of your own mail servers"


def _is_wide(networks: tuple[IPv4Network | IPv6Network, ...]) -> bool:
    return any(network.prefixlen < WIDEST_PREFIX for network in networks)


def _encryption_key(settings: Settings) -> Iterator[str]:
    weakness = strength.key_weakness(settings.encryption_key)
    if weakness is not None:
        yield f"{weakness}; {strength.HOW_TO_MAKE_ONE}"


def _encryption_keys_old(settings: Settings) -> Iterator[str]:
    if settings.encryption_key in settings.encryption_keys_old:
        yield "holds the current ENCRYPTION_KEY_BASE64; drop it there, or make a new current one"


def _postgres(settings: Settings) -> Iterator[str]:
    target = postgres_target(settings.postgres_dsn)
    yield from _password(target)
    yield from _hosts(target, settings, "add ?sslmode=verify-full")


def _redis(settings: Settings) -> Iterator[str]:
    target = redis_target(settings.redis_url)
    yield from _password(target)
    yield from _hosts(target, settings, "use rediss://")
    if target.is_encrypted and not target.is_verified:
        yield "switches off the check of the server's certificate; remove ssl_cert_reqs"


def _password(target: Target) -> Iterator[str]:
    if target.hosts and not target.has_credentials:
        yield f"has no password; {strength.HOW_TO_MAKE_A_PASSWORD}"
    elif target.password is not None:
        weakness = strength.weakness(target.password, min_chars=PASSWORD_MIN_CHARS)
        if weakness is not None:
            yield f"has a password that {weakness}; {strength.HOW_TO_MAKE_A_PASSWORD}"


def _hosts(target: Target, settings: Settings, encrypt: str) -> Iterator[str]:
    for host in target.hosts:
        if is_example(host):
            yield f"leads to {host}, which is from an example"
        elif not target.is_encrypted and host.lower() not in settings.plaintext_hosts:
            yield f"goes to {host} in the clear; {encrypt}. {_clear_way(host)}"


def _smtp_host(settings: Settings) -> Iterator[str]:
    if is_example(settings.smtp.host):
        yield "is from an example; it must be your provider's server"


def _smtp_password(settings: Settings) -> Iterator[str]:
    password = settings.smtp.password
    if password is None:
        return
    if strength.is_placeholder(password):
        yield "is a placeholder; your provider has the real one"
    elif strength.effective_chars(password) < SMTP_PASSWORD_MIN_EFFECTIVE:
        yield "is easy to guess; have your provider make a new one"


def _smtp_security(settings: Settings) -> Iterator[str]:
    smtp = settings.smtp
    if is_here(smtp.host) or smtp.host.lower() in settings.plaintext_hosts:
        return
    way = _clear_way(smtp.host)
    if smtp.security == "none":
        yield f"sends mail to {smtp.host} in the clear; set it to starttls or tls. {way}"
    elif smtp.security == "auto" and smtp.port != 465 and smtp.password is not None:
        yield (
            f"leaves it to {smtp.host} whether the line is encrypted; with a password, set it to"
            f" starttls or tls. {way}"
        )


def _smtp_from(settings: Settings) -> Iterator[str]:
    if is_example(settings.smtp.from_email.rpartition("@")[2]):
        yield "is from an example; it must be an address that your provider lets you send from"


def _smtp_hostname(settings: Settings) -> Iterator[str]:
    name = settings.smtp_hostname
    if is_here(name) or is_example(name):
        yield "is no name that servers accept; it must be the name of this machine in the DNS"


def _deadman(settings: Settings) -> Iterator[str]:
    if _goes_in_the_clear(settings.deadman_ping_url, settings):
        yield "is a secret, and goes out in the clear; it must begin with https://"


def _traces(settings: Settings) -> Iterator[str]:
    if _goes_in_the_clear(settings.otlp_endpoint, settings):
        host = urlsplit(settings.otlp_endpoint or "").hostname or ""
        yield f"goes to {host} in the clear; use https://. {_clear_way(host)}"


def _goes_in_the_clear(url: str | None, settings: Settings) -> bool:
    parts = urlsplit(url or "")
    host = parts.hostname or ""
    return parts.scheme == "http" and not is_here(host) and host not in settings.plaintext_hosts


RULES: dict[str, Rule] = {
    "PUBLIC_URL": _public_url,
    "SIGNUP_MODE": _signup_mode,
    "TRUSTED_PROXIES": _trusted_proxies,
    "ENCRYPTION_KEY_BASE64": _encryption_key,
    "ENCRYPTION_KEYS_OLD": _encryption_keys_old,
    "POSTGRES_DSN": _postgres,
    "REDIS_URL": _redis,
    "SMTP_PASSWORD": _smtp_password,
    "SMTP_HOST": _smtp_host,
    "SMTP_SECURITY": _smtp_security,
    "SMTP_FROM": _smtp_from,
    "SMTP_HOSTNAME": _smtp_hostname,
    "ALLOWED_PRIVATE_NETWORKS": _private_networks,
    "DEADMAN_PING_URL": _deadman,
    "OTEL_EXPORTER_OTLP_ENDPOINT": _traces,
}
