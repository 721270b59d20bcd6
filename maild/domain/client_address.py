"""From which address a request comes, behind proxies or not, and whether a list allows it. Pure.

`X-Forwarded-For` is written by whoever sends it, so it counts only where a proxy that we trust has
handed the request over, and only as far as such proxies have written it.
"""

from collections.abc import Sequence
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

HOPS_MAX = 32
"""So many proxies are looked through; nobody has more."""
_MAPPED = IPv6Network("::ffff:0:0/96")  # RFC 4291 2.5.5.2


def find(
    remote: str | None, forwarded_for: str | None, trusted: Sequence[Network]
) -> Address | None:
    """The caller's address. `remote` is the peer of the connection; None where that is none, as
    over a Unix socket.

    Behind a trusted proxy it is the right-most entry of X-Forwarded-For that is not a trusted
    proxy's. Each entry was written by the one to its right: an entry that is no address ends the
    search at that one, and where all are trusted the left-most is the caller.
    """
    caller = parse(remote or "")
    hops = (forwarded_for or "").rsplit(",", HOPS_MAX)[-HOPS_MAX:]
    while caller is not None and hops and contains(trusted, caller):
        hop = parse_hop(hops.pop())
        if hop is None:
            break
        caller = hop
    return caller


def parse(text: str) -> Address | None:
    """The address in `text`, one of IPv4 always as such; None where it is none."""
    try:
        address = ip_address(text)
    except ValueError:
        return None
    if isinstance(address, IPv6Address):
        # Without a zone (fe80::1%eth0): it means something on that host only.
        return address.ipv4_mapped or IPv6Address(int(address))
    return address


def parse_hop(text: str) -> Address | None:
    """An entry of X-Forwarded-For: an address, which some proxies write with brackets or a port."""
    text = text.strip(" \t")
    if text.startswith("["):
        inside, closed, port = text[1:].partition("]")
        is_right = closed and (not port or (port[0] == ":" and port[1:].isdecimal()))
        return parse(inside) if is_right else None
    host, colon, port = text.partition(":")
    if colon and ":" not in port and port.isdecimal():
        text = host
    return parse(text)


def parse_network(text: str) -> Network:
    """A network, or one address as a network of its own. Raises ValueError with what is wrong."""
    try:
        network = ip_network(text, strict=False)
    except ValueError:
        network = None
    if network is None or "%" in text:
        raise ValueError("must be an address or a network such as 192.0.2.0/24")
    if "/" in text and parse(text.partition("/")[0]) != parse(str(network.network_address)):
        raise ValueError(f"names an address inside the network {network}: write that")
    if isinstance(network, IPv6Network) and network.subnet_of(_MAPPED):
        start = IPv4Address(int(network.network_address) & 0xFFFF_FFFF)
        return IPv4Network((start, network.prefixlen - 96))
    return network


def household(address: Address) -> str:
    """Who is counted as one caller: an address; of IPv6 the network of one household (RFC 6177 2),
    which has it all.
    """
    if isinstance(address, IPv4Address):
        return str(address)
    return str(ip_network((address, 64), strict=False))


def neighbourhood(address: Address) -> str:
    """Roughly where somebody is, where their own address is nobody's business: the network of 256
    addresses around it, of IPv6 that of a site (RFC 6177 2).
    """
    bits = 24 if isinstance(address, IPv4Address) else 48
    return str(ip_network((address, bits), strict=False))


def contains(networks: Sequence[Network], address: Address) -> bool:
    """Whether the address lies in one of the networks."""
    return any(address in network for network in networks)
