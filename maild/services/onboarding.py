"""Onboarding: how far a workspace is on its way from nothing to mail that is watched over.

Nobody ticks anything off: each step is done when the database says so, and is to do again when that
is no longer true.
"""

from dataclasses import dataclass

from maild import config
from maild.db import database
from maild.domain.role import SUBMITTERS
from maild.services.freezes import use_indexes


@dataclass(frozen=True, slots=True)
class Step:
    """`id` is what programs know it by. What is optional keeps nobody from being set up."""

    id: str
    title: str
    text: str
    is_done: bool
    is_optional: bool = False


@dataclass(frozen=True, slots=True)
class Progress:
    """The steps in their order."""

    steps: tuple[Step, ...]

    @property
    def done_count(self) -> int:
        return sum(step.is_done for step in self.steps)

    @property
    def is_set_up(self) -> bool:
        """Whether nothing is left that the workspace needs."""
        return all(step.is_done or step.is_optional for step in self.steps)

    @property
    def is_complete(self) -> bool:
        """Whether nothing at all is left."""
        return all(step.is_done for step in self.steps)

    @property
    def next(self) -> Step | None:
        """The first that is not done; what is needed goes before what is optional."""
        todo = [step for step in self.steps if not step.is_done]
        return min(todo, key=lambda step: step.is_optional, default=None)


# Each is one probe of an index, or of the few rows that a workspace has of its own.
_FACTS = """
SELECT
    EXISTS (SELECT FROM api_keys
        WHERE workspace_id = %(workspace)s AND revoked_at IS NULL
            AND (expires_at IS NULL OR expires_at > now()) AND role = ANY(%(submitters)s)),
    EXISTS (SELECT FROM smtp_accounts WHERE workspace_id = %(workspace)s),
    EXISTS (SELECT FROM smtp_accounts WHERE workspace_id = %(workspace)s AND is_active),
    EXISTS (SELECT FROM messages WHERE workspace_id = %(workspace)s AND status = 'sent')
        OR EXISTS (SELECT FROM messages WHERE workspace_id = %(workspace)s
            AND status = 'delivered')
        OR EXISTS (SELECT FROM messages WHERE workspace_id = %(workspace)s
            AND status = 'complained'),
    EXISTS (SELECT FROM provider_events WHERE workspace_id = %(workspace)s AND status = 'applied')
        OR EXISTS (SELECT FROM provider_events
            WHERE workspace_id = %(workspace)s AND status = 'replayed'),
    EXISTS (SELECT FROM policies WHERE workspace_id = %(workspace)s),
    EXISTS (SELECT FROM members WHERE workspace_id = %(workspace)s OFFSET 1)
        OR EXISTS (SELECT FROM invitations
            WHERE workspace_id = %(workspace)s AND accepted_at IS NULL AND revoked_at IS NULL),
    EXISTS (SELECT FROM smtp_accounts
        WHERE workspace_id = %(workspace)s AND paused_at IS NULL OFFSET 1)
"""


def find_progress(workspace_id: int) -> Progress:
    """How far a workspace is. Fail-over is no step where this maild has it switched off."""
    values = {"workspace": workspace_id, "submitters": [role.value for role in SUBMITTERS]}
    with database.atomic():
        use_indexes()
        row = database.execute_sql(_FACTS, values).fetchone()
    has_key, has_account, is_active, has_sent, has_reports, has_policy, has_others, has_second = row
    steps = [
        Step(
            "api_key_created",
            "Make an API key",
            "Your applications send with it.",
            has_key,
        ),
        Step(
            "smtp_account_configured",
            "Save an SMTP account",
            "The provider of your own. Until you have one, mail goes through the account that this"
            " maild was installed with.",
            has_account,
        ),
        Step(
            "active_smtp_provider_selected",
            "Make it the active one",
            "The active account carries the workspace's mail.",
            is_active,
        ),
        Step(
            "message_flow_verified",
            "Send a message",
            "It is done once a provider has taken one.",
            has_sent,
        ),
        Step(
            "webhook_flow_verified",
            "Let your provider report back",
            "Then you see what was delivered, and bounces and complaints stop mail to an address by"
            " themselves.",
            has_reports,
        ),
        Step(
            "workspace_policy_reviewed",
            "Set your policy",
            "Limits, blocked domains, how often a message is tried. Until you save one, the"
            " defaults of this maild hold.",
            has_policy,
        ),
        Step(
            "colleague_invited",
            "Invite a colleague",
            "Nobody should be on call alone.",
            has_others,
            is_optional=True,
        ),
    ]
    if config.current().auto_failover.enabled:
        steps.append(
            Step(
                "provider_failover_ready",
                "Have a second SMTP account",
                "Mail takes it while the active one is out of use.",
                has_second,
                is_optional=True,
            )
        )
    return Progress(tuple(steps))
