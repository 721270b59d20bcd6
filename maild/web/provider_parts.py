"""What the pages of one SMTP account share: its head, what can be done and what will happen."""

from typing import Any

from flask import url_for

from maild import config
from maild.domain.role import ADMINS, OPERATORS
from maild.domain.states import Status
from maild.errors import Conflict, NotFound, QueuedInSandbox
from maild.models.smtp_account import ENVIRONMENT
from maild.services import account_health, providers, smtp_accounts, webhook_endpoints
from maild.services.account_health import AccountHealth
from maild.services.smtp_account_fields import REASON_MAX_CHARS
from maild.web import access, provider_words
from maild.web.badges import Badge


def head(account_id: int, *, tab: str) -> dict[str, Any]:
    """The context of layouts/provider.html. Raises NotFound."""
    workspace_id = access.current_workspace_id()
    accounts = account_health.list_all(workspace_id)
    found = next((one for one in accounts if one.account.id == account_id), None)
    if found is None:
        raise NotFound(smtp_accounts.NO_SUCH)
    route = providers.list_routes([workspace_id])[workspace_id]
    active = next(one for one in accounts if one.account.is_active)
    is_own = account_id != ENVIRONMENT
    return {
        "tab": tab,
        "found": found,
        "account": found.account,
        "is_environment": not is_own,
        "health": provider_words.HEALTH[found.word],
        "role_badge": role_of(found, provider_words.course(route).account_id),
        "active_name": active.account.name,
        "on_activating": provider_words.on_activating(
            found, active.account, has_fail_over=config.current().auto_failover.enabled
        ),
        "on_pausing": provider_words.without(route, account_id),
        "pinned_count": smtp_accounts.count_pinned(found.account) if is_own else 0,
        "pinned_max": smtp_accounts.PINNED_MAX,
        "endpoint_count": len(webhook_endpoints.list_of_account(workspace_id, found.account.name)),
        "reason_max_chars": REASON_MAX_CHARS,
    }


def link_to(error: Conflict) -> tuple[str, str] | None:
    """Where to see what keeps a workspace from leaving the sandbox; None where it is not that."""
    if not isinstance(error, QueuedInSandbox):
        return None
    return url_for("logs.index", status=Status.QUEUED), "Show what is queued"


def role_of(found: AccountHealth, used_id: int | None) -> Badge:
    """What an account is to the mail of its workspace."""
    account = found.account
    if account.is_active:
        return provider_words.ACTIVE
    if account.id == used_id:
        return provider_words.STANDING_IN
    is_alone = account.is_sandbox or not config.current().auto_failover.enabled
    if account.id == ENVIRONMENT or is_alone:
        return provider_words.NOT_USED
    return provider_words.STANDING_BY


def operator_lock() -> str | None:
    """Why a button of operators is out of reach; None where it is not."""
    role = access.current_workspace().role
    return None if role in OPERATORS else access.OPERATOR_NEEDED


def admin_lock() -> str | None:
    """The same for what needs an admin."""
    return None if access.current_workspace().role in ADMINS else access.ADMIN_NEEDED
