"""Checks of a template as a whole, with what only the workspace knows: its attributes, its domains.

The rules themselves are pure (`domain/template_checks.py`, `domain/source_findings.py`). Nobody is
asked but the database.
"""

from collections.abc import Iterator

from maild.domain import template_checks as rules
from maild.domain.dns_finding import State
from maild.domain.policy import Verdict
from maild.domain.policy import check_sender as check_domain
from maild.domain.template import Finding, Severity, Source
from maild.models import Domain
from maild.services import addresses, contact_attributes, policies
from maild.services.template_sources import Compiled


def check(
    workspace_id: int, source: Source, compiled: Compiled, *, from_email: str | None = None
) -> list[Finding]:
    """All that is to be said of a template, gravest first; with `from_email` also of the sender.
    Raises NotFound (the workspace).
    """
    attributes = [one.name for one in contact_attributes.list_all(workspace_id)]
    found = rules.check(
        source,
        html=compiled.html,
        text=compiled.text,
        fields=compiled.fields,
        found=compiled.findings,
        attributes=attributes,
    )
    if from_email is None:
        return found
    return rules.in_order([*found, *check_sender(workspace_id, from_email)])


def check_sender(workspace_id: int, from_email: str) -> Iterator[Finding]:
    """Whether mail from an address will be taken for its domain's own, as far as is known."""
    try:
        domain = addresses.parse(from_email).text.rpartition("@")[2].lower()
    except ValueError as error:
        yield Finding(
            Severity.STOP,
            "bad_sender",
            f"The sender {error}.",
            "Give one address: shop@example.com.",
        )
        return
    if check_domain(policies.get(workspace_id), domain).verdict is not Verdict.PASS:
        yield Finding(
            Severity.STOP,
            "forbidden_sender",
            f"The policy does not allow mail from {domain}.",
            "Send from another domain, or have an admin change the policy.",
        )
    row = Domain.get_or_none(Domain.workspace == workspace_id, Domain.name == domain)
    if row is None:
        yield Finding(
            Severity.WARN,
            "unknown_domain",
            f"{domain} is not among your sending domains.",
            "Add it, and see what SPF, DKIM and DMARC need.",
        )
        return
    for name in ("spf", "dkim", "dmarc"):
        result = row.results.get(name) or {}
        if result.get("state") == State.BAD:
            yield Finding(
                Severity.WARN,
                "not_aligned",
                f"{name.upper()} of {domain} is not in order: {result.get('summary', '')}",
                "The page of the domain says which record to publish.",
            )
