"""Policies: the rules of each workspace, in versions that are never changed.

The highest version is in force; a workspace without one goes by the defaults of the instance, which
are version 0. What the newest version says is read once; older ones are asked for seldom, and read
each time. What a change may say is in `policy_changes`, and how past mail would have fared in
`policy_previews`.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any

from maild import config, log
from maild.config import Settings
from maild.db import database
from maild.domain import submission
from maild.domain.actor import Actor
from maild.domain.policy import OnLimit, Policy, StreamRules
from maild.domain.states import EventType
from maild.errors import Conflict, FieldError, InvalidFields, NotFound
from maild.models import Event, PolicyVersion, Workspace
from maild.services import addresses, audit, policy_changes, workspaces
from maild.services.policy_changes import Change

KNOWN_MAX = 10_000
"""Workspaces of which a process keeps the newest version that it has read."""
VERSIONS_SHOWN = 20
"""The most that a page lists: each may be of thousands of domains, and is read as a whole."""
REASON_MAX_CHARS = 500
SOFT_BOUNCE_THRESHOLD = 5
"""Soft bounces in a row, without a delivery between them, that suppress an address."""

logger = log.get(__name__)

_known: dict[int, Policy] = {}
"""By workspace. One version of each: it may list thousands of domains, and there may be many."""
_defaults: tuple[Settings, Policy] | None = None


@dataclass(frozen=True, slots=True)
class Version:
    """A version with its story. Of version 0, the instance's defaults, there is nothing to tell."""

    rules: Policy
    created_at: datetime | None = None
    created_by: str | None = None
    reason: str | None = None
    restored_version: int | None = None
    """The version whose rules a rollback brought back."""


@dataclass(frozen=True, slots=True)
class Saved:
    """What is in force after a save, and what it changed; nothing, where all was so already."""

    in_force: Version
    changes: list[Change]

    @property
    def is_new(self) -> bool:
        return bool(self.changes)


@dataclass(frozen=True, slots=True)
class Page:
    """Versions, newest first, each with what changed against the one before; `older` is the
    version before which the next page begins.
    """

    versions: list[tuple[Version, list[Change]]]
    older: int | None


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
    """A version that is there. Of the newest one it asks the database the first time only."""
    if version == 0:
        return _without_limits(default()) if workspace_id == workspaces.MAILDS_OWN_ID else default()
    newest = _known.get(workspace_id)
    if newest is not None and newest.version == version:
        return newest
    policy = from_row(
        PolicyVersion.get(PolicyVersion.workspace == workspace_id, PolicyVersion.version == version)
    )
    # Other threads read and keep versions meanwhile: what is lost so is read once more.
    if newest is None or newest.version < version:
        if len(_known) >= KNOWN_MAX:
            _known.clear()
        _known[workspace_id] = policy
    return policy


def _without_limits(policy: Policy) -> Policy:
    """For maild's own mail: whoever used the limits up would keep everybody from a new password.
    How often somebody may have mail sent is limited where they ask for it.
    """
    return replace(policy, rate_limit_workspace_per_hour=None, rate_limit_domain_per_hour=None)


def forget() -> None:
    """Drop what is known, where workspaces are made anew under the same ids."""
    _known.clear()


def get_in_force(workspace_id: int) -> Version:
    """The version in force, with its story. Raises NotFound (the workspace)."""
    row = (
        PolicyVersion.select()
        .where(PolicyVersion.workspace == workspace_id)
        .order_by(PolicyVersion.version.desc())
        .first()
    )
    if row is None:
        workspaces.require(workspace_id)
        return Version(default())
    return _version(row)


def get_version(workspace_id: int, version: int) -> Version:
    """One version, with its story; 0 is the instance's defaults. Raises NotFound (the workspace, or
    the version).
    """
    row = PolicyVersion.get_or_none(
        PolicyVersion.workspace == workspace_id, PolicyVersion.version == version
    )
    if row is not None:
        return _version(row)
    workspaces.require(workspace_id)
    if version != 0:
        raise NotFound(f"There is no version {version} of this workspace's policy.")
    return Version(default())


def list_page(
    workspace_id: int, *, limit: int = VERSIONS_SHOWN, older_than: int | None = None
) -> Page:
    """The newest versions, or those before one; version 0 is not among them. Raises NotFound (the
    workspace).

    The first version is compared with what the instance's defaults are today.
    """
    query = PolicyVersion.select().where(PolicyVersion.workspace == workspace_id)
    if older_than is not None:
        query = query.where(PolicyVersion.version < older_than)
    rows = list(query.order_by(PolicyVersion.version.desc()).limit(limit + 1))
    if not rows:
        workspaces.require(workspace_id)
    # Versions have no gaps: the one after the page's end, if any, is what its last is compared to.
    versions = [_version(row) for row in rows]
    rules = [version.rules for version in versions] + [default()]
    compared = [
        (version, policy_changes.compare(rules[place + 1], version.rules))
        for place, version in enumerate(versions[:limit])
    ]
    older = rows[limit - 1].version if len(rows) > limit else None
    return Page(compared, older)


def save(
    workspace_id: int,
    *,
    changes: Mapping[str, Any],
    version: int | None = None,
    reason: str | None = None,
    by: Actor,
) -> Saved:
    """Write a version with these changes to the one in force, and let it be in force; none is
    written where all is so already.

    Raises InvalidFields; NotFound (the workspace); Conflict where another version than `version`
    is in force.
    """
    _check_reason(reason)
    checked = policy_changes.check(changes)
    with database.atomic():
        _lock(workspace_id)
        before = get_in_force(workspace_id)
        if version is not None and version != before.rules.version:
            raise Conflict(_stale(version, before))
        rules = policy_changes.apply(before.rules, checked)
        return _write(workspace_id, before, rules, reason=reason, by=by)


def roll_back(
    workspace_id: int,
    *,
    version: int,
    in_force: int | None = None,
    reason: str | None = None,
    by: Actor,
) -> Saved:
    """Write a version with the rules of an earlier one, 0 being the instance's defaults; none is
    written where they are in force already.

    Raises InvalidFields; NotFound (the workspace, or the version); Conflict where another version
    than `in_force` is.
    """
    _check_reason(reason)
    with database.atomic():
        _lock(workspace_id)
        before = get_in_force(workspace_id)
        if in_force is not None and in_force != before.rules.version:
            raise Conflict(_stale(in_force, before))
        if not 0 <= version <= before.rules.version:
            raise NotFound(f"There is no version {version} of this workspace's policy.")
        rules = known(workspace_id, version)
        return _write(workspace_id, before, rules, reason=reason, by=by, restored_version=version)


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


def to_columns(policy: Policy) -> dict[str, Any]:
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


def _write(
    workspace_id: int,
    before: Version,
    rules: Policy,
    *,
    reason: str | None,
    by: Actor,
    restored_version: int | None = None,
) -> Saved:
    changes = policy_changes.compare(before.rules, rules)
    if not changes:
        return Saved(before, [])
    rules = replace(rules, version=before.rules.version + 1)
    [row] = (
        PolicyVersion.insert(
            workspace=workspace_id,
            version=rules.version,
            reason=reason,
            restored_version=restored_version,
            created_by=by.name,
            **to_columns(rules),
        )
        .returning(PolicyVersion)
        .execute()
    )
    told = {
        "version": rules.version,
        "fields": [change.field for change in changes],
        "by": by.name,
        "reason": reason,
        "restored_version": restored_version,
    }
    told = {name: value for name, value in told.items() if value is not None}
    Event.insert(workspace=workspace_id, type=EventType.POLICY_CHANGED.value, data=told).execute()
    logger.info(EventType.POLICY_CHANGED.value, workspace_id=workspace_id, **told)
    restored = {} if restored_version is None else {"restored_version": restored_version}
    audit.record(
        workspace_id,
        by,
        action="policy.changed",
        target=f"policy {rules.version}",
        before={
            "version": before.rules.version,
            **{c.field: c.before for c in changes if not c.is_of_domains},
        },
        after={
            "version": rules.version,
            **restored,
            **{c.field: c.told() if c.is_of_domains else c.after for c in changes},
        },
        reason=reason,
    )
    return Saved(_version(row), changes)


def _lock(workspace_id: int) -> None:
    """Two that change a workspace's policy: the second waits here. Raises NotFound."""
    found = (
        Workspace.select(Workspace.id)
        .where(Workspace.id == workspace_id)
        .for_update("FOR NO KEY UPDATE")  # type: ignore[arg-type]
        .first()
    )
    if found is None:
        workspaces.require(workspace_id)


def _version(row: PolicyVersion) -> Version:
    return Version(from_row(row), row.created_at, row.created_by, row.reason, row.restored_version)


def _stale(version: int, in_force: Version) -> str:
    if in_force.created_at is None:
        story = "the defaults of the instance"
    else:
        at = in_force.created_at.isoformat(timespec="seconds").replace("+00:00", "Z")
        story = f"saved by {in_force.created_by} at {at}"
    return (
        f"Version {in_force.rules.version} of the policy is in force ({story}), not {version}."
        " Look at it, and save again with its number."
    )


def _check_reason(reason: str | None) -> None:
    if reason is None:
        return
    complaints = [
        message
        for _, message in submission.check_line("reason", reason, max_chars=REASON_MAX_CHARS)
    ]
    if not reason.strip():
        complaints.append("must not be empty")
    if complaints:
        raise InvalidFields(
            f"reason: {complaints[0]}", errors=[FieldError("reason", c) for c in complaints]
        )


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
        blocked_recipient_domains=policy_changes.fold(
            addresses.parse_domain_entry(entry) for entry in settings.blocked_recipient_domains
        ),
        allowed_from_domains=(),
        transactional=transactional,
        marketing=marketing,
        soft_bounce_threshold=SOFT_BOUNCE_THRESHOLD,
    )
