"""The audit log: who did what in the workspace, and whether it is still as it was written."""

import json
from collections.abc import Sequence
from dataclasses import dataclass

from flask import Blueprint, request
from werkzeug.datastructures import MultiDict
from werkzeug.wrappers import Response as BaseResponse

from maild import clock, db
from maild.domain.role import ADMINS
from maild.models import AuditEntry
from maild.services import audit, members
from maild.services.audit import Head, Verdict
from maild.web import access, audit_filter, audit_words, differences, paging, render, throttle
from maild.web.audit_filter import FilterForm
from maild.web.differences import Difference

PAGE_ROWS = 50
DIFFERENCES_MAX = 8
"""So many fields are shown of an entry; all are in what is stored of it."""
CHECK_MAX = 100_000
"""Entries of a log that is checked while somebody waits: that takes some seconds."""

blueprint = Blueprint("audit", __name__, url_prefix="/ui/settings/audit")

# Long logs keep a processor busy, and anybody may have a workspace of their own.
_checks = throttle.limiter.limit("10 per minute", key_func=lambda: str(access.visitor().id))


@dataclass(frozen=True, slots=True)
class Told:
    """An entry in words. `name` is what it was done to, where the words do not say so already."""

    entry: AuditEntry
    did: str
    name: str
    differences: Sequence[Difference]
    more_count: int
    stored: str


@dataclass(frozen=True, slots=True)
class Check:
    """The check of the whole log: what it is asked to compare with, and its outcome, if any.

    It is a form for macros/fields.html as well.
    """

    head: Head
    values: dict[str, str]
    errors: dict[str, str]
    verdict: Verdict | None = None

    @property
    def is_too_long(self) -> bool:
        return self.head.seq > CHECK_MAX


@blueprint.get("")
@access.allow(ADMINS)
@db.connection()
def index() -> BaseResponse:
    """Entries, newest first, as the filter in the URL asks for them."""
    form = audit_filter.read(request.args, now=clock.now())
    return _page(form, _check(kept=""), status=422 if form.errors else 200)


@blueprint.get("/check")
@access.allow(ADMINS)
@_checks
@db.connection()
def check() -> BaseResponse:
    """Go through the whole log of this workspace, and compare it with a head that was kept."""
    outcome = _check(kept=request.args.get("kept", "").strip(), is_run=True)
    status = 422 if outcome.errors else 200
    if render.wants_partial():
        return render.page("partials/audit_check.html", status=status, check=outcome)
    form = audit_filter.read(MultiDict(), now=clock.now())
    return _page(form, outcome, status=status)


def _check(*, kept: str, is_run: bool = False) -> Check:
    workspace_id = access.current_workspace_id()
    head, values = audit.get_head(workspace_id), {"kept": kept}
    try:
        earlier = audit.parse_head(kept) if kept else None
    except ValueError as error:
        return Check(head, values, {"kept": str(error)})
    if not is_run or head.seq > CHECK_MAX:
        return Check(head, values, {})
    verdict = audit.verify(workspace_id, kept=earlier)
    return Check(verdict.head, values, {}, verdict)


def _page(form: FilterForm, outcome: Check, *, status: int) -> BaseResponse:
    workspace_id, older_than = access.current_workspace_id(), paging.older_than()
    page = None
    if not form.errors:
        page = audit.list_page(
            workspace_id, filter_=form.filter_, limit=PAGE_ROWS, older_than=older_than
        )
    return render.page(
        "pages/settings_audit.html",
        status=status,
        form=form,
        entries=None if page is None else [_tell(entry) for entry in page.entries],
        older=paging.mark(page.older) if page else None,
        is_newest=older_than is None,
        check=outcome,
        actions=_list_actions(form),
        actors=[one.email for one in members.list_all(workspace_id)],
    )


def _list_actions(form: FilterForm) -> list[tuple[str, str]]:
    """What can be asked for, each in words. What is asked for already is among it, also where this
    version of maild does not know it.
    """
    asked = form.values["action"]
    known = dict.fromkeys(audit_words.ACTIONS)
    if asked and "action" not in form.errors:
        known[asked] = None
    return [(action, audit_words.say(action)) for action in known]


def _tell(entry: AuditEntry) -> Told:
    found = differences.tell(entry.before, entry.after)
    name = audit_words.name_of(entry.target)
    return Told(
        entry=entry,
        did=audit_words.say(entry.action),
        name="" if name == entry.actor else name,
        differences=found[:DIFFERENCES_MAX],
        more_count=max(0, len(found) - DIFFERENCES_MAX),
        stored=_stored(entry),
    )


def _stored(entry: AuditEntry) -> str:
    """What changed as it is stored, and the hashes that seal the entry."""
    facts = {
        "target": entry.target,
        "before": entry.before,
        "after": entry.after,
        "previous_hash": bytes(entry.previous_hash).hex(),
        "hash": bytes(entry.hash).hex(),
    }
    return json.dumps(facts, indent=2, ensure_ascii=False)
