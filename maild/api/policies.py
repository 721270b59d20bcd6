"""/v1/workspaces/policy: a workspace's rules, their versions, and trying others on past mail."""

from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from maild.api import schemas
from maild.api.auth import ADMINS, OPERATORS, READERS, Caller
from maild.api.endpoint import endpoint
from maild.api.query import parse_serial_cursor
from maild.domain import serial_cursor
from maild.domain.policy import Policy
from maild.domain.policy_trial import Figures, Sample
from maild.errors import Conflict
from maild.models import Message
from maild.services import policies, policy_previews
from maild.services.policies import Saved, Version
from maild.services.policy_changes import Change


@endpoint(
    "GET",
    "/v1/workspaces/policy",
    summary="The policy in force, or an earlier version",
    allow=READERS,
    query=schemas.PolicyQuery,
    answer=schemas.PolicyOut,
)
def get_policy(caller: Caller, query: schemas.PolicyQuery) -> schemas.PolicyOut:
    """Version 0 is what the instance's settings say, and is in force until a workspace saves its
    own.
    """
    workspace_id = caller.workspace_id(query.workspace_id)
    if query.version is None:
        version = policies.get_in_force(workspace_id)
    else:
        version = policies.get_version(workspace_id, query.version)
    return schemas.PolicyOut(**_version(workspace_id, version))


@endpoint(
    "POST",
    "/v1/workspaces/policy",
    summary="Change the policy: a new version, in force at once",
    allow=ADMINS,
    body=schemas.PolicyIn,
    answer=schemas.PolicySaved,
    raises=(Conflict,),
)
def save_policy(caller: Caller, body: schemas.PolicyIn) -> schemas.PolicySaved:
    """Fields that are left out stay as they are. With `version` it is 409 where somebody else has
    changed the policy since.
    """
    workspace_id = caller.workspace_id(body.workspace_id)
    saved = policies.save(
        workspace_id,
        changes=body.as_mapping(),
        version=body.version,
        reason=body.reason,
        by=caller.actor,
    )
    return _saved(workspace_id, saved)


@endpoint(
    "GET",
    "/v1/workspaces/policy/versions",
    summary="The versions of the policy, newest first, and what each changed",
    allow=READERS,
    query=schemas.PolicyVersionsQuery,
    answer=schemas.PolicyVersionPage,
)
def list_policy_versions(
    caller: Caller, query: schemas.PolicyVersionsQuery
) -> schemas.PolicyVersionPage:
    """No version is ever deleted. `changes` compares each with the one before."""
    workspace_id = caller.workspace_id(query.workspace_id)
    page = policies.list_page(
        workspace_id, limit=query.limit, older_than=parse_serial_cursor(query.cursor)
    )
    return schemas.PolicyVersionPage(
        workspace_id=workspace_id,
        count=len(page.versions),
        versions=[
            schemas.PolicyVersionOut(
                version=version.rules.version, **_story(version), changes=_changes(changes)
            )
            for version, changes in page.versions
        ],
        next_cursor=None if page.older is None else serial_cursor.write(page.older),
    )


@endpoint(
    "POST",
    "/v1/workspaces/policy/rollback",
    summary="Bring the rules of an earlier version back, as a new one",
    allow=ADMINS,
    body=schemas.PolicyRollback,
    answer=schemas.PolicySaved,
    raises=(Conflict,),
)
def roll_back_policy(caller: Caller, body: schemas.PolicyRollback) -> schemas.PolicySaved:
    """Writes a new version with the rules of an old one. Nothing is deleted."""
    workspace_id = caller.workspace_id(body.workspace_id)
    saved = policies.roll_back(
        workspace_id, version=body.version, reason=body.reason, by=caller.actor
    )
    return _saved(workspace_id, saved)


@endpoint(
    "POST",
    "/v1/workspaces/policy/preview",
    summary="Try changes of the policy on the messages of a day or a week; nothing is changed",
    allow=OPERATORS,
    body=schemas.PolicyPreviewIn,
    answer=schemas.PolicyPreviewOut,
)
def preview_policy(caller: Caller, body: schemas.PolicyPreviewIn) -> schemas.PolicyPreviewOut:
    """Runs the changed policy over real traffic of the past and tells what it would have deferred,
    rejected and let through, with samples.
    """
    workspace_id = caller.workspace_id(body.workspace_id)
    found = policy_previews.run(
        workspace_id, changes=body.policy.as_mapping(), window=body.window, within="policy."
    )
    times: dict[str, Any] = {"from": found.since, "to": found.until}
    return schemas.PolicyPreviewOut(
        workspace_id=workspace_id,
        window=body.window,
        **times,
        looked_at=found.looked_at,
        truncated=found.is_truncated,
        policy=schemas.PolicyRules(**_rules(found.tried)),
        changes=_changes(found.changes),
        **_figures(found.figures),
        in_force=schemas.PolicyInForceFigures(
            version=found.in_force.version, **_figures(found.in_force_figures)
        ),
        stopped_domains=[schemas.StoppedDomain(**asdict(domain)) for domain in found.domains],
        samples=[_sample(message, sample) for message, sample in found.samples],
    )


def _saved(workspace_id: int, saved: Saved) -> schemas.PolicySaved:
    return schemas.PolicySaved(
        **_version(workspace_id, saved.in_force),
        status="saved" if saved.is_new else "unchanged",
        changes=_changes(saved.changes),
    )


def _version(workspace_id: int, version: Version) -> dict[str, Any]:
    rules = version.rules
    return {
        "workspace_id": workspace_id,
        "version": rules.version,
        "source": "workspace" if rules.version else "instance",
        **_rules(rules),
        **_story(version),
    }


def _story(version: Version) -> dict[str, Any]:
    return {
        "created_at": version.created_at,
        "created_by": version.created_by,
        "reason": version.reason,
        "restored_version": version.restored_version,
    }


def _rules(policy: Policy) -> dict[str, Any]:
    return {
        "rate_limit_workspace_per_hour": policy.rate_limit_workspace_per_hour,
        "rate_limit_domain_per_hour": policy.rate_limit_domain_per_hour,
        "on_limit": policy.on_limit,
        "blocked_recipient_domains": list(policy.blocked_recipient_domains),
        "allowed_from_domains": list(policy.allowed_from_domains),
        "transactional": asdict(policy.transactional),
        "marketing": asdict(policy.marketing),
        "soft_bounce_threshold": policy.soft_bounce_threshold,
    }


def _changes(changes: Sequence[Change]) -> list[schemas.PolicyChangeOut]:
    return [_change(change) for change in changes]


def _change(change: Change) -> schemas.PolicyChangeOut:
    if not change.is_of_domains:
        return schemas.PolicyChangeOut(
            field=change.field,
            before=change.before,
            after=change.after,
            added=None,
            added_count=None,
            removed=None,
            removed_count=None,
        )
    return schemas.PolicyChangeOut(field=change.field, before=None, after=None, **change.told())


def _figures(figures: Figures) -> dict[str, Any]:
    return {
        "passed": figures.passed,
        "deferred": figures.deferred,
        "rejected": figures.rejected,
        "suppressed": figures.suppressed,
        "by_check": figures.by_check,
    }


def _sample(message: Message, sample: Sample) -> schemas.PolicySample:
    until = sample.deferred_until
    return schemas.PolicySample(
        outcome=sample.outcome,
        check=sample.check,
        evidence=sample.evidence,
        deferred_until=None if until is None else datetime.fromtimestamp(until, UTC),
        message_id=message.id,
        from_email=message.from_email,
        to_email=message.to_email,
        subject=message.subject,
        created_at=message.created_at,
    )
