"""What became of a campaign: its report, the recipients behind each figure, and all of them as a
file.
"""

import contextlib
from typing import Any

from flask import Blueprint, Response, request, url_for
from werkzeug.datastructures import MultiDict
from werkzeug.wrappers import Response as BaseResponse

from maild import db
from maild.domain import serial_cursor
from maild.domain.campaign import RecipientStatus, Variant
from maild.domain.role import READERS
from maild.errors import InvalidFields, InvalidRequest, SearchTooLong
from maild.services import (
    campaign_contents,
    campaign_exports,
    campaign_ledger,
)
from maild.services.campaign_ledger import DEEDS, Figures, Filter, Slice
from maild.web import access, campaign_words, paging, render
from maild.web import campaigns as pages
from maild.web.campaign_words import Deed
from maild.web.filter_form import FilterForm
from maild.web.suppressions import csv_file

PAGE_ROWS = 50
REASON_MAX_CHARS = 1_000
REASONS_MAX = 50
"""Of one status: each set of fields that contacts lack is a reason of its own."""
FIELDS = ("status", "reason", "variant", "did")
CHOICES: dict[str, Any] = {
    "statuses": [(one.value, badge.word) for one, badge in campaign_words.RECIPIENTS.items()],
    "variants": [(one.value, f"Subject {one.value.upper()}") for one in Variant],
    "deeds": list(campaign_words.DEEDS.items()),
}
_GONE_OUT = (
    RecipientStatus.SENT,
    RecipientStatus.DELIVERED,
    RecipientStatus.BOUNCED,
    RecipientStatus.UNKNOWN,
)

blueprint = Blueprint("campaign_reports", __name__, url_prefix="/ui/campaigns/<int:campaign_id>")


@blueprint.get("/report")
@db.connection()
def show(campaign_id: int) -> Response:
    """Figures and rates: of all, by subject and by domain, and why mail came back."""
    row = pages.find(campaign_id)
    domains: dict[str, Slice] | None = None
    with campaign_ledger.bounded():
        figures, parts = campaign_ledger.figures(row), campaign_ledger.by_variant(row)
    with contextlib.suppress(SearchTooLong), campaign_ledger.bounded():
        domains = campaign_ledger.by_domain(row)
    by_status = figures.by_status
    reached = by_status[RecipientStatus.SENT] + by_status[RecipientStatus.DELIVERED]
    content = campaign_contents.find(row)
    return render.page(
        "pages/campaign_report.html",
        **pages.head(row, tab="report"),
        figures=figures,
        reached=reached,
        gone_out=sum(by_status[one] for one in _GONE_OUT),
        deeds=campaign_words.list_deeds(figures.engagement, reached),
        parts=[
            (name, parts[name], _deeds(parts[name]), content.subject(name) if content else "")
            for name in (*Variant, None)
            if name in parts
        ]
        if row.test_percent is not None
        else [],
        domains=None
        if domains is None
        else [(name, part, _deeds(part)) for name, part in domains.items()],
        reasons=[
            (status, *_reasons(figures, status))
            for status in (
                RecipientStatus.BOUNCED,
                RecipientStatus.FAILED,
                RecipientStatus.SUPPRESSED,
                RecipientStatus.UNKNOWN,
            )
            if by_status[status]
        ],
        recipients=campaign_words.RECIPIENTS,
        reason_words=campaign_words.reason,
    )


@blueprint.get("/recipients")
@db.connection()
def list_recipients(campaign_id: int) -> Response:
    """The rows behind a figure, in pages."""
    row, form = pages.find(campaign_id), _read(request.args)
    after = _after()
    page = None
    if not form.errors:
        page = campaign_ledger.list_page(
            row.workspace_id, row.id, filter_=form.filter_, limit=PAGE_ROWS, after=after
        )
    return render.page_or_partial(
        "pages/campaign_recipients.html",
        "partials/campaign_recipients.html",
        **pages.head(row, tab="recipients"),
        form=form,
        page=page,
        url=url_for("campaign_reports.list_recipients", campaign_id=row.id),
        is_first=not after,
        next=paging.mark(page.next_after) if page and page.next_after else None,
        recipients=campaign_words.RECIPIENTS,
        reason_words=campaign_words.reason,
        deeds_of=_deeds_of,
        **CHOICES,
    )


@blueprint.post("/recipients/export")
@access.allow(READERS)
def export(campaign_id: int) -> BaseResponse:
    """All that the filter finds, as a file. The audit log keeps who took it."""
    form = _read(request.form)
    if form.errors:
        raise InvalidFields("The filter cannot be used. Mend it in the list, and export again.")
    with db.connection():
        row = pages.find(campaign_id)
    lines = campaign_exports.open_file(
        row.workspace_id, row.id, filter_=form.filter_, asked=form.query(), by=access.actor()
    )
    return csv_file(lines, f"campaign-{row.id}.csv")


def _read(args: "MultiDict[str, str]") -> FilterForm[Filter]:
    """The filter in a query string. `reason` given and empty asks for those without one."""
    values = {name: args.get(name, "").strip() for name in FIELDS}
    errors = {
        name: "must be one of " + ", ".join(allowed)
        for name, allowed in (
            ("status", tuple(RecipientStatus)),
            ("variant", tuple(Variant)),
            ("did", DEEDS),
        )
        if values[name] and values[name] not in allowed
    }
    if "\0" in values["reason"] or len(values["reason"]) > REASON_MAX_CHARS:
        errors["reason"] = "cannot be a reason"
    if errors:
        return FilterForm(values, Filter(), errors)
    return FilterForm(
        values,
        Filter(
            status=RecipientStatus(values["status"]) if values["status"] else None,
            reason=values["reason"] or None,
            variant=Variant(values["variant"]) if values["variant"] else None,
            did=values["did"] or None,
        ),
    )


def _after() -> int:
    """The row behind which the page begins. Raises InvalidRequest."""
    given = request.args.get("after")
    if not given:
        return 0
    try:
        return serial_cursor.parse(given)
    except ValueError as error:
        raise InvalidRequest(f"after: {error}. Start again from the first page.") from error


def _reasons(figures: Figures, status: RecipientStatus) -> tuple[dict[str | None, int], int]:
    """The most frequent reasons, and how many recipients have another one."""
    all_ = list(figures.reasons(status).items())
    return dict(all_[:REASONS_MAX]), sum(count for _, count in all_[REASONS_MAX:])


def _deeds(part: Slice) -> list[Deed]:
    return campaign_words.list_deeds(part.engagement, part.reached_count)


def _deeds_of(row: object) -> list[tuple[str, object]]:
    """What a recipient did, in words, with the time of each."""
    return [
        (words, getattr(row, f"{name}_at"))
        for name, words in campaign_words.DEEDS.items()
        if getattr(row, f"{name}_at") is not None
    ]
