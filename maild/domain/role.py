"""What a caller may do: the roles, and the sets of them that routes allow. Pure.

Roles are no ladder: a viewer reads what a sender may not, and a sender submits what a viewer may
not. Who has which role is not decided here.
"""

from enum import StrEnum


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


def words(allow: Roles) -> str:
    """`operator or admin`, in the order of the roles."""
    return " or ".join(role for role in Role if role in allow)
