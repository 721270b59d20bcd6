"""Which addresses of the Internet a host that a workspace names may lead to. Pure.

In charge of telling public addresses from all others, in whatever form they come, and of the guard
that is asked before anything is dialled. Not in charge of looking names up
(`transports.lookup`). The table is our own: what `ipaddress` calls global differs between patch
versions of Python.
"""

import re
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

# IANA's special-purpose address registries (RFC 6890), which name the source of each range, and
# what no host may have at all. Anycast ranges that the nearest network answers itself are in it,
# although they are "global" there: that network may be ours.
_SPECIAL_V4 = (
    ("0.0.0.0/8", "an unspecified address"),
    ("10.0.0.0/8", "a private address"),
    ("100.64.0.0/10", "a carrier's shared address"),
    ("127.0.0.0/8", "a loopback address"),
    ("169.254.0.0/16", "a link-local address"),  # clouds tell their secrets there
    ("172.16.0.0/12", "a private address"),
    ("192.0.0.0/24", "a reserved address"),  # among them anycast of PCP and TURN
    ("192.0.2.0/24", "an address for documentation"),
    ("192.31.196.0/24", "an anycast address"),
    ("192.52.193.0/24", "an anycast address"),
    ("192.88.99.0/24", "a reserved address"),
    ("192.168.0.0/16", "a private address"),
    ("192.175.48.0/24", "an anycast address"),
    ("198.18.0.0/15", "an address for benchmarks"),
    ("198.51.100.0/24", "an address for documentation"),
    ("203.0.113.0/24", "an address for documentation"),
    ("224.0.0.0/4", "a multicast address"),
    ("255.255.255.255/32", "the broadcast address"),
    ("240.0.0.0/4", "a reserved address"),
)
_SPECIAL_V6 = (
    ("::/128", "an unspecified address"),
    ("::1/128", "a loopback address"),
    ("64:ff9b:1::/48", "a private address"),  # RFC 8215: each network chooses where in it IPv4 is
    ("100::/64", "a reserved address"),
    ("2001::/23", "a reserved address"),
    ("2001:db8::/32", "an address for documentation"),
    ("2620:4f:8000::/48", "an anycast address"),
    ("3fff::/20", "an address for documentation"),
    ("fc00::/7", "a private address"),
    ("fe80::/10", "a link-local address"),
    ("fec0::/10", "a private address"),
    ("ff00::/8", "a multicast address"),
)
_TABLE_V4 = tuple((IPv4Network(network), what) for network, what in _SPECIAL_V4)
_TABLE_V6 = tuple((IPv6Network(network), what) for network, what in _SPECIAL_V6)
_GLOBAL_V6 = IPv6Network("2000::/3")  # RFC 4291 2.4: nothing else is given out

# Forms of IPv6 that have IPv4 inside: where the IPv4 address begins, in bits from the left.
_EMBEDDING = (
    (IPv6Network("::ffff:0:0/96"), (96,)),  # RFC 4291 2.5.5.2, mapped
    (IPv6Network("::/96"), (96,)),  # RFC 4291 2.5.5.1, compatible
    (IPv6Network("64:ff9b::/96"), (96,)),  # RFC 6052 2.1, NAT64
    (IPv6Network("2002::/16"), (16,)),  # RFC 3056 2, 6to4
    (IPv6Network("2001::/32"), (32, 96)),  # RFC 4380 4, Teredo: the server, and the client
)
_TEREDO = IPv6Network("2001::/32")
_LOOPBACK_V6 = IPv6Address(1)
_ALL_ONES = 0xFFFF_FFFF

_NUMBER = re.compile(r"0[xX][0-9a-fA-F]*|0[0-7]*|[1-9][0-9]*")
_NUMBER_LIMIT = 64  # characters of an address that anybody would write as numbers


@dataclass(frozen=True, slots=True)
class Guard:
    """What hosts of workspaces may lead to: public addresses, and the networks in `allowed`."""

    allowed: tuple[Network, ...] = ()

    def permits(self, address: Address) -> bool:
        return self.objection(address) is None

    def objection(self, address: Address) -> str | None:
        """What the address is, such as "a private address"; None where it may be dialled."""
        if any(address in network for network in self.allowed):
            return None
        inside = _embedded(address)
        if inside:
            return next(filter(None, map(self.objection, inside)), None)
        return _what(address)

    def objection_to_host(self, host: str) -> str | None:
        """The same for a host before it is looked up: for an address in any form, and for names of
        this machine (RFC 6761 6.3). Other names tell nothing before they are looked up.
        """
        address = literal(host)
        if address is not None:
            return self.objection(address)
        name = host.rstrip(".").lower()
        if name != "localhost" and not name.endswith(".localhost"):
            return None
        answers = (IPv4Address("127.0.0.1"), _LOOPBACK_V6)
        return None if any(self.permits(each) for each in answers) else "this machine"


def literal(host: str) -> Address | None:
    """The address that resolvers take a text for without asking anybody; None for a name.

    Beside the usual forms these are `[::1]`, a dot at the end, and what inet_aton takes: `127.1`,
    `0x7f.1`, `017700000001`, `2130706433`.
    """
    text = host.removesuffix(".")
    if text.startswith("[") and text.endswith("]"):
        text = text[1:-1]
    try:
        return ip_address(text)
    except ValueError:
        return _of_numbers(text)


def _of_numbers(text: str) -> IPv4Address | None:
    """One to four numbers, decimal, octal or hexadecimal; the last one fills what is left."""
    parts = text.split(".")
    if len(text) > _NUMBER_LIMIT or len(parts) > 4 or not all(map(_NUMBER.fullmatch, parts)):
        return None
    *heads, last = map(_number, parts)
    room = 8 * (4 - len(heads))
    if any(head > 255 for head in heads) or last >> room:
        return None
    value = last
    for place, head in enumerate(heads):
        value |= head << (24 - 8 * place)
    return IPv4Address(value)


def _number(text: str) -> int:
    if text[:2] in {"0x", "0X"}:
        return int(text[2:] or "0", 16)
    return int(text, 8 if text.startswith("0") else 10)


def _what(address: Address) -> str | None:
    """What a special address is; None for a public one."""
    if isinstance(address, IPv4Address):
        return next((what for network, what in _TABLE_V4 if address in network), None)
    for network, what in _TABLE_V6:
        if address in network:
            return what
    return None if address in _GLOBAL_V6 else "a reserved address"


def _embedded(address: Address) -> list[IPv4Address]:
    """The IPv4 addresses that an IPv6 address leads to by way of a translator or a tunnel."""
    if isinstance(address, IPv4Address) or int(address) <= 1:  # :: and ::1 are their own
        return []
    for network, starts in _EMBEDDING:
        if address in network:
            found = [int(address) >> (96 - start) & _ALL_ONES for start in starts]
            if network == _TEREDO:
                found[-1] ^= _ALL_ONES  # RFC 4380 4: the client's bits are inverted
            return [IPv4Address(value) for value in found]
    return []
