"""/v1/domains: whether the DNS of sending domains is in order, and what it lacks."""

from maild import db
from maild.api import schemas
from maild.api.auth import ADMINS, OPERATORS, READERS, Caller
from maild.api.endpoint import endpoint
from maild.api.errors import bad_query
from maild.domain.dns_finding import CheckName
from maild.domain.domain_report import NEEDED, Report
from maild.errors import Conflict, RateLimited
from maild.models import Domain
from maild.services import domain_checks, domains


@endpoint(
    "POST",
    "/v1/domains/readiness",
    summary="Check any domain now, without keeping it",
    allow=OPERATORS,
    body=schemas.DomainIn,
    answer=schemas.ReadinessOut,
    connects=False,
    raises=(RateLimited,),
)
def check_domain_readiness(caller: Caller, body: schemas.DomainIn) -> schemas.ReadinessOut:
    """Looks SPF, DKIM, DMARC and MX up in the DNS now and tells what to publish for what is
    missing. Nothing is kept.
    """
    workspace_id = caller.workspace_id(body.workspace_id)
    domain_checks.count_call(workspace_id)
    with db.connection():
        subject = domain_checks.prepare(workspace_id, body.domain, dkim_selector=body.dkim_selector)
    report = domain_checks.inspect(workspace_id, subject)
    found = dict(report.find(CheckName.DKIM).facts).get("selector")
    valid = {check: report.find(check).state.is_valid for check in NEEDED}
    return schemas.ReadinessOut(
        workspace_id=workspace_id,
        domain=subject.name,
        dkim_selector=subject.selector or (str(found) if found else None),
        spf_valid=valid[CheckName.SPF],
        dkim_valid=valid[CheckName.DKIM],
        dmarc_valid=valid[CheckName.DMARC],
        ready=report.is_ready is True,
        details=_details(report),
    )


@endpoint(
    "GET",
    "/v1/domains",
    summary="The sending domains of a workspace, with what their last checks found",
    allow=READERS,
    query=schemas.DomainQuery,
    answer=schemas.DomainPage,
)
def list_domains(caller: Caller, query: schemas.DomainQuery) -> schemas.DomainPage:
    """By name. `ready` is what the last check found; ask for a new one with `POST
    /v1/domains/check`.
    """
    workspace_id = caller.workspace_id(query.workspace_id)
    page = domains.list_page(workspace_id, limit=query.limit, after=_cursor(query.cursor))
    return schemas.DomainPage(
        workspace_id=workspace_id,
        count=len(page.domains),
        domains=[_describe(row) for row in page.domains],
        next_cursor=page.after,
    )


@endpoint(
    "POST",
    "/v1/domains",
    summary="Have a sending domain looked after: checked daily, with an incident when it drifts",
    allow=ADMINS,
    body=schemas.DomainIn,
    answer=schemas.DomainOut,
    status=201,
    raises=(Conflict,),
)
def add_domain(caller: Caller, body: schemas.DomainIn) -> schemas.DomainOut:
    """It is checked soon after, then daily. An incident is opened when its records get worse."""
    workspace_id = caller.workspace_id(body.workspace_id)
    row = domains.add(workspace_id, body.domain, dkim_selector=body.dkim_selector, by=caller.actor)
    return _describe(row)


@endpoint(
    "DELETE",
    "/v1/domains",
    summary="Look after a sending domain no more",
    allow=ADMINS,
    body=schemas.DomainNamed,
    answer=schemas.DomainRemoved,
)
def remove_domain(caller: Caller, body: schemas.DomainNamed) -> schemas.DomainRemoved:
    """What was found about it is deleted."""
    workspace_id = caller.workspace_id(body.workspace_id)
    row = domains.find(workspace_id, body.domain)
    domains.remove(workspace_id, row.id, by=caller.actor)
    return schemas.DomainRemoved(workspace_id=workspace_id, domain=row.name)


@endpoint(
    "POST",
    "/v1/domains/check",
    summary="Check one of the workspace's domains now, and keep what is found",
    allow=OPERATORS,
    body=schemas.DomainNamed,
    answer=schemas.DomainOut,
    connects=False,
    raises=(RateLimited,),
)
def check_domain(caller: Caller, body: schemas.DomainNamed) -> schemas.DomainOut:
    """Asks the DNS now, keeps what it finds and sets when the next check is due."""
    workspace_id = caller.workspace_id(body.workspace_id)
    domain_checks.count_call(workspace_id)
    with db.connection():
        claimed = domain_checks.take(workspace_id, body.domain)
    report = domain_checks.inspect(workspace_id, claimed.subject)
    with db.connection():
        domain_checks.save(claimed, report)
        return _describe(domains.get(workspace_id, claimed.id))


def _cursor(text: str | None) -> str | None:
    """The name after which the page begins."""
    try:
        return domains.parse_name(text) if text else None
    except ValueError as error:
        raise bad_query("cursor", str(error)) from None


def _describe(row: Domain) -> schemas.DomainOut:
    return schemas.DomainOut(
        workspace_id=row.workspace_id,
        id=row.id,
        domain=row.name,
        dkim_selector=row.dkim_selector,
        ready=row.is_ready,
        checked_at=row.checked_at,
        next_check_at=row.due_at,
        drifted=sorted(row.drift),
        created_by=row.created_by,
        created_at=row.created_at,
        details=schemas.ReadinessDetails.model_validate(row.results) if row.results else None,
    )


def _details(report: Report) -> schemas.ReadinessDetails:
    return schemas.ReadinessDetails.model_validate(domain_checks.details(report))
