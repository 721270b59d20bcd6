"""Who calls: the API key of the request, its role, and the workspace it acts on.

Instance keys come from the environment and act on any workspace; keys that begin with `mk_` are a
workspace's own (`services.api_keys`) and act on that one alone.
"""

import hmac
from dataclasses import dataclass

from flask import Request, g

from maild import config
from maild.domain import client_address
from maild.domain.actor import Actor
from maild.domain.client_address import Address
from maild.domain.role import (
    ADMINS,
    EVERYBODY,
    OPERATORS,
    READERS,
    SUBMITTERS,
    Role,
    Roles,
    words,
)
from maild.errors import Forbidden, Unauthenticated
from maild.services import api_keys, failed_tries, tokens
from maild.services.failed_tries import At
from maild.services.workspaces import DEFAULT_WORKSPACE_ID

__all__ = [
    "ADMINS",
    "EVERYBODY",
    "OPERATORS",
    "READERS",
    "SUBMITTERS",
    "Caller",
    "Role",
    "Roles",
    "authenticate",
    "words",
]


@dataclass(frozen=True, slots=True)
class Caller:
    """The holder of the presented key. An instance key has no `key_id`, and is bound to no
    workspace.
    """

    role: Role
    actor: Actor
    key_id: int | None = None
    bound_workspace_id: int | None = None
    requests_per_minute: int | None = None
    """The key's own limit, if it has one; 0: it may make as many as it likes."""

    def require(self, allow: Roles) -> None:
        """Raises Forbidden where the caller's role is not one of these."""
        if self.role not in allow:
            raise Forbidden(
                f"This needs the role {words(allow)}; the key has the role {self.role}."
            )

    def workspace_id(self, named: int | None) -> int:
        """The workspace that a request acts on: the one it names, else the key's own, else the
        first. Raises Forbidden where the key is another workspace's.
        """
        if self.bound_workspace_id is None:
            return DEFAULT_WORKSPACE_ID if named is None else named
        if named not in {None, self.bound_workspace_id}:
            raise Forbidden(
                f"The key belongs to workspace {self.bound_workspace_id} and acts on no other."
                " Leave workspace_id out."
            )
        return self.bound_workspace_id


def authenticate(request: Request) -> Caller:
    """The caller of a request, by `X-API-Key` (or API_KEY_HEADER) or `Authorization: Bearer`.

    Raises Unauthenticated; TooManyRequests where the address has failed too often; Forbidden where
    the key may not be used from this address; Unavailable where only the database could tell. Every
    instance key is compared, in constant time.
    """
    settings = config.current()
    presented = _presented_key(request, settings.api_key_header)
    role = None
    for key, its_role in (
        (settings.operator_api_key, Role.OPERATOR),
        (settings.admin_api_key, Role.ADMIN),
    ):
        if hmac.compare_digest(presented.encode(), key.encode()):
            role = its_role
    if role is not None:
        return Caller(role, _actor(f"{role} key", address_of(request)))
    address = address_of(request)
    if presented.startswith(api_keys.START):
        proof = tokens.hash_of(presented)
        failed_tries.check(At.API_KEY, address, proof)
        known = api_keys.find_in_force(presented)
        if known is not None:
            failed_tries.remember(proof)
            return _holder(known, address)
    failed_tries.count(At.API_KEY, address)
    # One answer for an unknown, a revoked and an expired key: it tells nobody which keys exist.
    what = "is not known" if presented else "is missing"
    raise Unauthenticated(
        f"The API key {what}. Send it in the header {settings.api_key_header},"
        " or as Authorization: Bearer."
    )


def _holder(known: api_keys.Known, address: Address | None) -> Caller:
    if not known.allows(address):
        raise Forbidden(
            f"The key may not be used from {address or 'an unknown address'}: it is not on the"
            " key's list of addresses."
        )
    return Caller(
        known.role,
        _actor(str(known), address),
        key_id=known.id,
        bound_workspace_id=known.workspace_id,
        requests_per_minute=known.requests_per_minute,
    )


def _actor(name: str, address: Address | None) -> Actor:
    ip = None if address is None else str(address)
    return Actor(name, ip=ip, request_id=g.get("request_id"))


def address_of(request: Request) -> Address | None:
    """From where the request comes, behind proxies or not."""
    return client_address.find(
        request.remote_addr,
        request.headers.get("X-Forwarded-For"),
        config.current().trusted_proxies,
    )


def _presented_key(request: Request, header: str) -> str:
    key = request.headers.get(header, "")
    if key:
        return key
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""
