"""From a host's name to the addresses that may be dialled: one lookup, and the guard over its
answer.

In charge of never handing on an address that was not checked. Whoever dials takes an address from
here and never the name: a name that answers differently the next time (DNS rebinding) is not asked
a next time. Not in charge of dialling (`smtp_wire`), nor of which addresses are public
(`domain.networks`). Blocks for as long as the system's resolver is patient.
"""

import socket
from ipaddress import ip_address
from typing import Any

from maild.domain.networks import Guard

Address = tuple[socket.AddressFamily, Any]  # the family decides what an address looks like


class LookupFailed(Exception):
    """No address to dial; the text is for people, and tells no address that they did not name."""


def look_up(host: str, port: int, *, guard: Guard | None) -> list[Address]:
    """The addresses of a host that the guard permits, in the resolver's order (RFC 6724).

    Raises LookupFailed: there is none, or none that is permitted. Without a guard all are.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except socket.gaierror as error:
        raise LookupFailed(f"{host} cannot be resolved: {error.strerror}") from error
    except UnicodeError as error:
        raise LookupFailed(f"{host} is not a host name") from error
    except OSError as error:
        raise LookupFailed(f"{host} cannot be looked up: {error}") from error
    addresses: list[Address] = [(family, address) for family, _, _, _, address in found]
    if guard is None:
        return addresses
    permitted = [each for each in addresses if guard.permits(ip_address(each[1][0]))]
    if addresses and not permitted:
        # Not which addresses: a workspace is not told what names mean inside this network.
        raise LookupFailed(
            f"{host} leads to no address that an account may use: it must be public, or in"
            " ALLOWED_PRIVATE_NETWORKS"
        )
    return permitted
