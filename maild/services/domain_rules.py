"""What Gmail and Yahoo ask of a sending domain, with what maild itself has counted."""

from maild import config
from maild.domain import sender_rules
from maild.domain.sender_rules import Rule, Traffic
from maild.domain.traffic import Kind, Span
from maild.models import Domain
from maild.models.smtp_account import DEFAULT_ACCOUNT
from maild.services import analytics, smtp_accounts

DAYS = 7
_OPEN = {"none", "auto"}
"""Kinds of security that let mail go in the clear."""


def list_rules(row: Domain) -> list[Rule]:
    """The checklist of a domain, by its last check."""
    totals = analytics.summarise_span(row.workspace_id, span=Span("7d")).totals
    traffic = Traffic(totals[Kind.DELIVERED], totals[Kind.COMPLAINED], DAYS)
    accounts = smtp_accounts.list_all(row.workspace_id)
    cleartext = [one.name for one in accounts if one.security in _OPEN]
    if config.current().smtp.security in _OPEN and not any(one.is_active for one in accounts):
        cleartext.append(DEFAULT_ACCOUNT)
    return sender_rules.judge(row.results, traffic, cleartext=cleartext)
