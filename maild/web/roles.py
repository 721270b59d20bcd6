"""Roles as pages show them: a badge, and in words what somebody or a key may do with one."""

from collections.abc import Iterable

from wtforms.fields.choices import SelectChoice

from maild.domain.role import Role
from maild.web.badges import Badge

BADGES: dict[Role, Badge] = {
    Role.ADMIN: Badge("admin", "shield", "info"),
    Role.OPERATOR: Badge("operator", "settings", "neutral"),
    Role.VIEWER: Badge("viewer", "search", "neutral"),
    Role.SENDER: Badge("sender", "arrow", "neutral"),
}

DOES: dict[Role, str] = {
    Role.ADMIN: "does everything: providers, policy, suppressions, people and keys",
    Role.OPERATOR: "sees everything but the audit log, and acts on mail: sends, retries, holds,"
    " freezes",
    Role.VIEWER: "sees everything but the audit log, and changes nothing",
    Role.SENDER: "submits mail for an application, and sees only what it has submitted",
}
"""They follow the name of the role."""


def choices(roles: Iterable[Role]) -> list[SelectChoice]:
    """For a field in which one of these is chosen, each with what it does."""
    return [SelectChoice(role.value, f"{role.value}: {DOES[role]}") for role in roles]
