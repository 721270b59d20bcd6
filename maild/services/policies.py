"""Policies: the rules of each workspace, in versions that are never changed.

The highest version is in force; a workspace without one goes by the defaults of the instance, which
are version 0. What a version says is known for ever once it was read.
"""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from maild import config
from maild.config import Settings
from maild.db import database
from maild.domain.policy import OnLimit, Policy, StreamRules
from maild.models import PolicyVersion
from maild.services import addresses

KNOWN_MAX = 10_000
"""Versions that a process keeps."""

_known: dict[tuple[int, int], Policy] = {}
_defaults: tuple[Settings, Policy] | None = None


def default() -> Policy:
    """What holds for a workspace that has no policy of its own: version 0."""
    global _defaults  # noqa: PLW0603 - made once for the settings of this process
    settings = config.current()
    if _defaults is None or _defaults[0] is not settings:
        _defaults = settings, _from_settings(settings)
    return _defaults[1]


def get(workspace_id: int) -> Policy:
    """The policy in force, whether or not there is such a workspace."""
    return known(workspace_id, find_version_in_force(workspace_id))


def find_version_in_force(workspace_id: int) -> int:
    """The number of the version in force."""
    row = database.execute_sql(
        "SELECT max(version) FROM policies WHERE workspace_id = %s", (workspace_id,)
    ).fetchone()
    return row[0] or 0


def known(workspace_id: int, version: int) -> Policy:
    """A version that is there. Asks the database the first time only."""
    if version == 0:
        return default()
    policy = _known.get((workspace_id, version))
    if policy is None:
        row = PolicyVersion.get(
            PolicyVersion.workspace == workspace_id, PolicyVersion.version == version
        )
        if len(_known) >= KNOWN_MAX:
            _known.clear()
        policy = _known[workspace_id, version] = from_row(row)
    return policy


def from_row(row: PolicyVersion) -> Policy:
    """The rules of a stored version."""
    return Policy(
        version=row.version,
        rate_limit_workspace_per_hour=row.rate_limit_workspace_per_hour,
        rate_limit_domain_per_hour=row.rate_limit_domain_per_hour,
        on_limit=OnLimit(row.on_limit),
        blocked_recipient_domains=tuple(row.blocked_recipient_domains),
        allowed_from_domains=tuple(row.allowed_from_domains),
        transactional=StreamRules(**row.transactional),
        marketing=StreamRules(**row.marketing),
        soft_bounce_threshold=row.soft_bounce_threshold,
    )


def to_columns(policy: Policy) -> Mapping[str, Any]:
    """The rules of a policy, as a row holds them."""
    return {
        "rate_limit_workspace_per_hour": policy.rate_limit_workspace_per_hour,
        "rate_limit_domain_per_hour": policy.rate_limit_domain_per_hour,
        "on_limit": policy.on_limit.value,
        "blocked_recipient_domains": list(policy.blocked_recipient_domains),
        "allowed_from_domains": list(policy.allowed_from_domains),
        "transactional": asdict(policy.transactional),
        "marketing": asdict(policy.marketing),
        "soft_bounce_threshold": policy.soft_bounce_threshold,
    }


def _from_settings(settings: Settings) -> Policy:
    transactional, marketing = (
        StreamRules(settings.max_attempts, rules.lifetime_seconds, rules.unknown_outcome)
        for rules in (settings.transactional, settings.marketing)
    )
    return Policy(
        version=0,
        rate_limit_workspace_per_hour=settings.rate_limit_workspace_per_hour,
        rate_limit_domain_per_hour=settings.rate_limit_domain_per_hour,
        on_limit=OnLimit.REJECT,
        blocked_recipient_domains=tuple(
            addresses.parse_domain_entry(entry) for entry in settings.blocked_recipient_domains
        ),
        allowed_from_domains=(),
        transactional=transactional,
        marketing=marketing,
        soft_bounce_threshold=SOFT_BOUNCE_THRESHOLD,
    )


SOFT_BOUNCE_THRESHOLD = 5
"""Soft bounces in a row, without a delivery between them, that suppress an address."""
