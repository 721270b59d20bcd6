"""Who calls: the API key of the request, its role, and the workspace it acts on."""

import hmac
from dataclasses import dataclass
from enum import StrEnum

from flask import Request, g

from maild import config
from maild.domain.actor import Actor
from maild.errors import Forbidden, Unauthenticated


class Role(StrEnum):
    """What a key may do."""

    SENDER = "sender"
    """Submits messages, and reads those that it has submitted."""
    VIEWER = "viewer"
    """Reads everything of its workspace, and changes nothing."""
    OPERATOR = "operator"
    """Sees and acts on mail."""
    ADMIN = "admin"
    """Changes how maild works: providers, policy, suppressions, keys."""


Roles = frozenset[Role]

EVERYBODY: Roles = frozenset(Role)
SUBMITTERS: Roles = frozenset({Role.SENDER, Role.OPERATOR, Role.ADMIN})
READERS: Roles = frozenset({Role.VIEWER, Role.OPERATOR, Role.ADMIN})
OPERATORS: Roles = frozenset({Role.OPERATOR, Role.ADMIN})
ADMINS: Roles = frozenset({Role.ADMIN})
"""Who may do what, for `endpoint(allow=...)`."""

DEFAULT_WORKSPACE_ID = 1


@dataclass(frozen=True, slots=True)
class Caller:
    """The holder of the presented key."""

    role: Role
    actor: Actor

    def require(self, allow: Roles) -> None:
        """Raises Forbidden where the caller's role is not one of these."""
        if self.role not in allow:
            raise Forbidden(
                f"This needs the role {words(allow)}; the key has the role {self.role}."
            )

    def workspace_id(self, named: int | None) -> int:
        """The workspace that a request acts on: the one it names, else the first."""
        return DEFAULT_WORKSPACE_ID if named is None else named


def words(allow: Roles) -> str:
    """`operator or admin`, in the order of the roles."""
    return " or ".join(role for role in Role if role in allow)


def authenticate(request: Request) -> Caller:
    """The caller of a request, by `X-API-Key` (or API_KEY_HEADER) or `Authorization: Bearer`.

    Raises Unauthenticated. Every instance key is compared, in constant time.
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
    if role is None:
        what = "is not known" if presented else "is missing"
        raise Unauthenticated(
            f"The API key {what}. Send it in the header {settings.api_key_header},"
            " or as Authorization: Bearer."
        )
    actor = Actor(f"{role} key", ip=request.remote_addr, request_id=g.get("request_id"))
    return Caller(role, actor)


def _presented_key(request: Request, header: str) -> str:
    key = request.headers.get(header, "")
    if key:
        return key
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""
