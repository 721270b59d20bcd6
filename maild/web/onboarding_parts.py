"""What each step of the wizard shows. A builder takes the wizard, and the forms that came back with
their complaints; `live` in what it returns is what the step's poll watches besides the evidence.
"""

import uuid
from collections.abc import Callable, Mapping
from typing import Any

from flask import request
from wtforms import StringField

from maild import config
from maild.domain import smtp_presets
from maild.domain.dns_finding import CheckName
from maild.domain.dns_finding import State as DnsState
from maild.errors import NotFound
from maild.models import SmtpAccount
from maild.models.smtp_account import DEFAULT_ACCOUNT, ENVIRONMENT
from maild.services import (
    domains,
    messages,
    policies,
    provider_tests,
    sandboxes,
    smtp_account_fields,
    smtp_accounts,
    webhook_endpoints,
    workspaces,
)
from maild.services.onboarding_steps import StepId, Wizard
from maild.web import (
    access,
    code_samples,
    policy_words,
    provider_checks,
    provider_forms,
    verified,
)
from maild.web import (
    webhook_endpoints as endpoint_pages,
)
from maild.web.badges import Badge
from maild.web.code_samples import Call
from maild.web.forms import Form
from maild.web.provider_forms import AccountForm
from maild.web.webhook_endpoints import EndpointForm
from maild.web.workspaces import NameForm

RULE_ADDRESSES = (
    ("bounce@example.com", "comes back for good, and is suppressed"),
    ("complain@example.com", "is delivered, and then called spam"),
    ("tempfail@example.com", "is refused for now, and tried again"),
)
"""Of the sandbox, to try what goes wrong (`local/inbox_rules.py`)."""


DOMAINS_SHOWN = 5
CHECKING = Badge("being checked", "clock", "neutral")
VERDICTS: dict[bool | None, Badge] = {
    True: Badge("ready", "check", "ok"),
    False: Badge("not ready", "alert", "warn"),
    None: Badge("the DNS did not answer", "question", "unsure"),
}
DNS_STATES: dict[str, Badge] = {
    DnsState.OK: Badge("in order", "check", "ok"),
    DnsState.WARN: Badge("could be better", "alert", "warn"),
    DnsState.BAD: Badge("not in order", "cross", "bad"),
    DnsState.UNKNOWN: Badge("unknown", "question", "unsure"),
}


class DomainForm(Form):
    domain = StringField("Domain")
    dkim_selector = StringField("DKIM selector")


class TestForm(Form):
    from_email = StringField("From")
    to_email = StringField("To")


def _workspace(wizard: Wizard, *, name_form: NameForm | None = None) -> dict[str, Any]:
    row = workspaces.get(access.current_workspace_id())
    return {
        "name_form": name_form or NameForm(formdata=None, name=row.name),
        "member_count": wizard.facts["member_count"],
        "inbox_url": _own_inbox_url(),
    }


def _own_inbox_url() -> str | None:
    """Where the mail is that maild itself sends, if that goes to the sandbox's inbox."""
    settings = config.current()
    sandbox = settings.sandbox
    if sandbox is None:
        return None
    is_same = (settings.smtp.host, settings.smtp.port) == (
        sandbox.smtp_addr.host,
        sandbox.smtp_addr.port,
    )
    return sandbox.web_url if is_same else None


def _provider(
    wizard: Wizard,
    *,
    account_form: AccountForm | None = None,
    account: SmtpAccount | None = None,
    problem: str = "",
    problem_link: tuple[str, str] | None = None,
) -> dict[str, Any]:
    accounts = smtp_accounts.list_all(access.current_workspace_id())
    preset = smtp_presets.find(request.args.get("preset"))
    account = account or _at_hand(accounts)
    described = provider_checks.describe(account.id) if account is not None else {}
    check = described.get("check")
    sandbox = next((one for one in accounts if sandboxes.is_of_sandbox(one)), None)
    return {
        **described,
        "account_at_hand": account,
        "accounts": accounts,
        "problem": problem,
        "problem_link": problem_link,
        "presets": smtp_presets.PRESETS,
        "preset": preset,
        "form": account_form or provider_forms.blank(preset),
        "is_form_open": account_form is not None or "preset" in request.args,
        "has_sandbox": sandbox is not None or sandboxes.is_offered(),
        "sandbox_account": sandbox,
        "inbox_url": _inbox_url(),
        "name_max_chars": smtp_account_fields.NAME_MAX_CHARS,
        "has_password": False,
        "is_password_meant": False,
        "live": (
            account and (account.id, account.is_active),
            check and (check.id, check.finished_at, check.is_valid),
        ),
    }


def _at_hand(accounts: list[SmtpAccount]) -> SmtpAccount | None:
    """The account that is being set up: the one that is named, the active one, or the newest.

    Raises NotFound.
    """
    named = request.args.get("account")
    if named is not None:
        found = next((one for one in accounts if str(one.id) == named), None)
        if found is None:
            raise NotFound(smtp_accounts.NO_SUCH)
        return found
    active = next((one for one in accounts if one.is_active), None)
    return active or max(accounts, key=lambda one: one.id, default=None)


def _inbox_url() -> str | None:
    sandbox = config.current().sandbox
    return sandbox.web_url if sandbox else None


def _domain(wizard: Wizard, *, domain_form: DomainForm | None = None) -> dict[str, Any]:
    workspace_id = access.current_workspace_id()
    rows = domains.list_page(workspace_id, limit=DOMAINS_SHOWN).domains
    name = "" if rows else _own_domain(workspace_id)
    return {
        "domain_form": domain_form or DomainForm(formdata=None, domain=name),
        "domains": [
            (row, VERDICTS[row.is_ready] if row.checked_at else CHECKING, _checks(row.results))
            for row in rows
        ],
        "live": [(row.id, row.checked_at, row.is_ready) for row in rows],
    }


def _checks(results: Mapping[str, Any]) -> list[tuple[str, Badge, str]]:
    """Each check that was made: its name, how it stands, and a sentence about it."""
    return [
        (check.upper(), DNS_STATES[results[check]["state"]], results[check]["summary"])
        for check in CheckName
        if check in results
    ]


def _own_domain(workspace_id: int) -> str:
    """That of the account's own address, where it is somebody's."""
    account_id, name = _carrier(workspace_id)
    if account_id == ENVIRONMENT or name == sandboxes.NAME:
        return ""
    return provider_tests.sender_of(workspace_id, account_id).rpartition("@")[2]


def _policy(wizard: Wizard, *, problem: str = "") -> dict[str, Any]:
    in_force = policies.get_in_force(access.current_workspace_id())
    return {
        "in_force": in_force,
        "rules": policy_words.rules(in_force.rules),
        "problem": problem,
        "live": in_force.rules.version,
    }


def _test_message(wizard: Wizard, *, test_form: TestForm | None = None) -> dict[str, Any]:
    workspace_id = access.current_workspace_id()
    account_id, name = _carrier(workspace_id)
    sender = provider_tests.sender_of(workspace_id, account_id)
    visitor = access.visitor()
    named = request.args.get("message")
    form = test_form or TestForm(formdata=None, from_email=sender, to_email=visitor.email)
    return {
        "account_name": name,
        "test_form": form,
        "message": _find_message(named) if named else None,
        "send_lock": None if visitor.is_verified else verified.NEEDED,
        "key_lock": verified.find_lock(),
        "samples": samples(),
        "has_key": wizard.facts["key_name"] is not None,
        "rule_addresses": RULE_ADDRESSES,
        "inbox_url": _inbox_url(),
    }


def _find_message(named: str) -> Any:
    """Raises NotFound."""
    try:
        message_id = uuid.UUID(named)
    except ValueError:
        raise NotFound("There is no such message.") from None
    return messages.get(access.current_workspace_id(), message_id)


def samples(key: str | None = None) -> list[code_samples.Sample]:
    """Programs that send a first message from the address that tests come from."""
    workspace_id, settings = access.current_workspace_id(), config.current()
    account_id, _ = _carrier(workspace_id)
    message = {
        "from_email": provider_tests.sender_of(workspace_id, account_id),
        "to_email": access.visitor().email,
        "subject": "A first message",
        "body_text": "It works.",
    }
    url = f"{settings.public_url}/v1/messages"
    return code_samples.write(Call(url, settings.api_key_header, message, key))


def _carrier(workspace_id: int) -> tuple[int, str]:
    """The id and the name of the account that carries the workspace's mail."""
    active = next((one for one in smtp_accounts.list_all(workspace_id) if one.is_active), None)
    return (ENVIRONMENT, DEFAULT_ACCOUNT) if active is None else (active.id, active.name)


def carrier_id() -> int:
    """The id of the account that carries the mail."""
    return _carrier(access.current_workspace_id())[0]


def _webhook(wizard: Wizard, *, endpoint_form: EndpointForm | None = None) -> dict[str, Any]:
    workspace_id = access.current_workspace_id()
    account_id, name = _carrier(workspace_id)
    endpoints = webhook_endpoints.list_of_account(workspace_id, name)
    host = wizard.facts["active_host"] or config.current().smtp.host
    known = smtp_presets.of_host(host)
    newest = endpoints[-1] if endpoints else None
    described = endpoint_pages.describe(newest.id) if newest is not None else {}
    return {
        **described,
        "account_id": account_id,
        "account_name": name,
        "newest": newest,
        "known": known,
        "form": endpoint_form
        or endpoint_pages.endpoint_form(provider=known.key if known else "dsn"),
    }


BUILD: dict[StepId, Callable[..., dict[str, Any]]] = {
    StepId.WORKSPACE: _workspace,
    StepId.PROVIDER: _provider,
    StepId.DOMAIN: _domain,
    StepId.POLICY: _policy,
    StepId.TEST_MESSAGE: _test_message,
    StepId.WEBHOOK: _webhook,
}
