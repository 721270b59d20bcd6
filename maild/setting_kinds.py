"""Kinds of settings: from the text of an environment variable to its value.

Each function takes the text and raises ValueError with a sentence about it; `config` names the
setting. Nothing is read here.
"""

import base64
import binascii
import re
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from pathlib import Path
from urllib.parse import urlsplit

ENCRYPTION_KEY_BYTES = 32  # AES-256

_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")  # RFC 9110 5.6.2 token
_DURATION = re.compile(r"(\d+)(s|m|h|d)?")
_UNIT_SECONDS = {None: 1, "s": 1, "m": 60, "h": 3600, "d": 86_400}
_RETURN_PATH = re.compile(
    r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]{1,37}@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*"
)
_DOMAIN = re.compile(r"(\*\.)?([a-z0-9-]+\.)+[a-z0-9-]+")

PUBLIC_URL_MAX_CHARS = 150
_PUBLIC_URL = re.compile(
    r"https?://(?:[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?"
    r"(?:/[A-Za-z0-9_~-][A-Za-z0-9._~-]*)*/?"
)


@dataclass(frozen=True, slots=True)
class Addr:
    """A place to listen on or to reach: `host:port`."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def addr(text: str) -> Addr:
    host, separator, port = text.rpartition(":")
    if not separator or not host or not port.isdecimal() or not 1 <= int(port) <= 65_535:
        raise ValueError("must be host:port, such as 127.0.0.1:8080")
    return Addr(host.strip("[]"), int(port))


def bearer_token(text: str) -> str:
    """What comes as `Authorization: Bearer`; empty: there is none."""
    return api_key(text) if text else text


def folder(text: str) -> Path | None:
    """An absolute path; none: there is none."""
    if text == "none":
        return None
    if not Path(text).is_absolute():
        raise ValueError("must be an absolute path such as /run/maild/metrics, or none")
    return Path(text)


def optional_addr(text: str) -> Addr | None:
    return None if text == "none" else addr(text)


def dns_servers(text: str) -> tuple[Addr, ...]:
    """Addresses of DNS servers, with or without a port; none: those that the system has."""
    if text == "system":
        return ()
    found = []
    for part in text.split(","):
        one = part.strip()
        if one.count(":") != 1 and not one.startswith("["):
            one = f"[{one}]:53"
        elif one.endswith("]"):
            one = f"{one}:53"
        try:
            server = addr(one)
            ip_address(server.host)
        except ValueError:
            raise ValueError(
                f"{part.strip()!r} is no address of a DNS server such as 192.0.2.53 or"
                " 127.0.0.1:5353"
            ) from None
        found.append(server)
    return tuple(found)


def host(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9._:-]+", text):
        raise ValueError("must be a host name or an IP address, without a port")
    return text


def hosts(text: str) -> tuple[str, ...]:
    """Host names, in lower case."""
    if text == "none":
        return ()
    return tuple(host(part.strip()).lower() for part in text.split(",") if part.strip())


def ehlo_name(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9.-]+|\[[0-9A-Fa-f.:]+\]", text):  # RFC 5321 4.1.1.1
        raise ValueError("must be a domain name or an address literal such as [192.0.2.1]")
    return text


def email(text: str) -> str:
    if not re.fullmatch(r"[^@\s<>]+@[^@\s<>]+", text):
        raise ValueError("must be an e-mail address")
    return text


def return_path(text: str) -> str | None:
    """An address that leaves room for a message's id before its @; empty: none."""
    if not text:
        return None
    if not _RETURN_PATH.fullmatch(text) or len(text) > 227:
        raise ValueError("must be an ASCII e-mail address, with 37 characters before the @ at most")
    return text


def header_name(text: str) -> str:
    if not _HEADER_NAME.fullmatch(text):
        raise ValueError("must be an HTTP header name")
    return text


def api_key(text: str) -> str:
    if not re.fullmatch(r"[!-~]+", text):  # it travels in an HTTP header, RFC 9110 5.5
        raise ValueError("must be ASCII letters, digits and signs, without spaces")
    return text


def boolean(text: str) -> bool:
    known = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}
    if text.lower() not in known:
        raise ValueError("must be true or false")
    return known[text.lower()]


def choice(*allowed: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if text not in allowed:
            raise ValueError("must be one of " + ", ".join(allowed))
        return text

    return parse


def integer(low: int, high: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        if not re.fullmatch(r"\d{1,12}", text) or not low <= int(text) <= high:
            raise ValueError(f"must be a whole number from {low} to {high}")
        return int(text)

    return parse


def rate(text: str) -> float | None:
    """Messages a second; 0 is no limit."""
    if not re.fullmatch(r"\d{1,6}(\.\d{1,3})?", text):
        raise ValueError("must be a number such as 14 or 0.5, or 0 for no limit")
    return float(text) or None


def duration(text: str) -> int:
    match = _DURATION.fullmatch(text)
    seconds = int(match[1]) * _UNIT_SECONDS[match[2]] if match else 0
    if not 1 <= seconds <= 30 * 86_400:
        raise ValueError("must be a duration such as 90s, 5m, 2h or 1d")
    return seconds


def short_duration(text: str) -> float | None:
    """Seconds, from a duration or from milliseconds; none: None."""
    if text == "none":
        return None
    if match := re.fullmatch(r"([1-9]\d{0,5})ms", text):
        return int(match[1]) / 1000
    try:
        return float(duration(text))
    except ValueError:
        raise ValueError("must be a duration such as 500ms or 2s, or none") from None


def durations(text: str) -> tuple[int, ...]:
    return tuple(duration(part.strip()) for part in text.split(","))


_DAYS = re.compile(r"(\d{1,4})([dy])")
_SIZE = re.compile(r"(\d{1,6})([MGT])")
_UNIT_BYTES = {"M": 2**20, "G": 2**30, "T": 2**40}


def retention(low_days: int) -> Callable[[str], int | None]:
    """Days, ten years of them at most, from `30d` or `2y`; `none`: for ever."""

    def parse(text: str) -> int | None:
        if text == "none":
            return None
        match = _DAYS.fullmatch(text)
        days = int(match[1]) * {"d": 1, "y": 365}[match[2]] if match else 0
        if not low_days <= days <= 3_650:
            raise ValueError(f"must be {low_days}d to 3650d, or years such as 2y, or none for ever")
        return days

    return parse


def optional_size(text: str) -> int | None:
    """Bytes, from `500G`; none: not known."""
    if text == "none":
        return None
    match = _SIZE.fullmatch(text)
    if match is None or int(match[1]) == 0:
        raise ValueError("must be a size such as 500M, 200G or 2T, or none")
    return int(match[1]) * _UNIT_BYTES[match[2]]


def domains(text: str) -> tuple[str, ...]:
    if text == "none":
        return ()
    domains = tuple(part.strip().lower() for part in text.split(",") if part.strip())
    for domain in domains:
        if not _DOMAIN.fullmatch(domain):
            raise ValueError(f"{domain!r} is not a domain such as example.com or *.example.com")
    return domains


def public_url(text: str) -> str:
    """Where people reach maild, without a slash at the end; it goes into mail, and is written so
    that nothing in it needs quoting there.
    """
    if len(text) > PUBLIC_URL_MAX_CHARS or not _PUBLIC_URL.fullmatch(text):
        raise ValueError(
            "must be a URL such as https://mail.example.com or https://example.com/mail, with"
            f" nothing behind the path, and {PUBLIC_URL_MAX_CHARS} characters at most"
        )
    return text.rstrip("/")


def ping_url(text: str) -> str | None:
    """An address to be asked for as it is; none: nothing is."""
    if text == "none":
        return None
    try:
        parts = urlsplit(text)
        is_address = parts.scheme in {"https", "http"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_address = False
    is_plain = text.isascii() and text.isprintable() and " " not in text
    if not is_address or not is_plain or parts.username is not None:
        raise ValueError(
            "must be an address such as https://hc-ping.com/your-uuid, without a user name, or none"
        )
    return text


def optional_url(text: str) -> str | None:
    return None if text == "none" else public_url(text)


def networks(text: str) -> tuple[IPv4Network | IPv6Network, ...]:
    if text == "none":
        return ()
    parts = [part.strip() for part in text.split(",")]
    try:
        return tuple(ip_network(part) for part in parts if part)
    except ValueError as error:  # says which one
        raise ValueError(f"must be networks such as 10.1.0.0/16, or none: {error}") from None


def encryption_key(text: str) -> bytes:
    try:
        key = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise ValueError("must be base64") from None
    if len(key) != ENCRYPTION_KEY_BYTES:
        raise ValueError("must be the base64 of exactly 32 bytes: openssl rand -base64 32")
    return key


def encryption_keys(text: str) -> tuple[bytes, ...]:
    if text == "none":
        return ()
    return tuple(encryption_key(part.strip()) for part in text.split(",") if part.strip())


def url(*schemes: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        try:
            scheme = urlsplit(text).scheme
        except ValueError:
            scheme = ""
        if scheme not in schemes:
            raise ValueError(
                "must be a URL starting with " + " or ".join(f"{s}://" for s in schemes)
            )
        return text

    return parse
