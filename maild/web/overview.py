"""The overview: is it healthy, what needs somebody, what comes in and goes out, what waits, and how
the providers do.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from flask import Blueprint, Response, request, url_for

from maild import config, db
from maild.domain.incident import IncidentKind
from maild.domain.states import Stream
from maild.domain.traffic import Span
from maild.errors import InvalidRequest
from maild.models import ConservationCheck, Freeze, Incident, Message, Worker
from maild.services import (
    account_health,
    analytics,
    conservation,
    failures,
    glances,
    health,
    incident_inbox,
    lanes,
    message_log,
    providers,
    report_watch,
    restores,
    workers,
)
from maild.services.account_health import AccountHealth, Word
from maild.services.analytics import AccountTraffic, Summary
from maild.services.failures import Cause
from maild.services.glances import Glance
from maild.services.health import DEPTH_MAX, Check, QueueDepth
from maild.services.lanes import StreamDepth
from maild.services.report_watch import Trouble
from maild.web import (
    access,
    incident_parts,
    needs,
    provider_parts,
    provider_words,
    render,
    reports,
    traffic_chart,
)
from maild.web.badges import Badge
from maild.web.charts import Columns
from maild.web.provider_words import Course

LATEST = 10
INCIDENTS_MAX = 50
"""As many are looked at for what they tell already."""
PROVIDERS_SHOWN = 6
"""The others are on their own page, unless something is wrong with them."""
SPANS = {Span.HOUR: "1 hour", Span.DAY: "24 hours", Span.WEEK: "7 days"}
STUCK_SECONDS = {
    Stream.TRANSACTIONAL: glances.STUCK_SECONDS,
    Stream.MARKETING: glances.STUCK_MARKETING_SECONDS,
}

_FROZEN = Badge("frozen", "pause", "warn")
_STOPPED = Badge("stopped", "cross", "bad")
_BEHIND = Badge("behind", "alert", "warn")
_FLOWING = Badge("flowing", "arrow", "ok")
_WAITING = Badge("waiting", "clock", "neutral")
_EMPTY = Badge("empty", "minus", "neutral")

blueprint = Blueprint("overview", __name__, url_prefix="/ui")


@dataclass(frozen=True, slots=True)
class Lane:
    """What waits of a stream, and how it goes there."""

    depth: StreamDepth
    badge: Badge
    freeze: Freeze | None


@dataclass(frozen=True, slots=True)
class Provider:
    """An SMTP account at a glance. `traffic` is what went through it in the span that is shown;
    None: nothing.
    """

    found: AccountHealth
    role: Badge
    health: Badge
    traffic: AccountTraffic | None


@dataclass(frozen=True, slots=True)
class _Facts:
    """What only the database can tell; there is none of it while the database is away."""

    queue: QueueDepth
    drain_seconds: float | None
    lanes: list[Lane]
    summary: Summary
    chart: Columns
    course: Course
    providers: list[Provider]
    hidden_provider_count: int
    glance: Glance
    causes: list[Cause]
    incidents: list[Incident]
    classes: dict[int, set[str | None]]
    """Of the errors of each incident, where that matters."""
    conservation: "Balance | None"
    workers: list[Worker]
    last_seen: datetime | None
    latest: list[Message]
    trouble: Trouble
    has_restore: bool


@blueprint.get("")
def index() -> Response:
    """The page, which asks for itself again every few seconds; also while dependencies are away."""
    span = _read_span()
    checks = health.list_checks()
    facts = _read(span) if _can_read(checks) else None
    mark = _mark(span, checks, facts)
    if render.has_seen(mark):
        return render.nothing_new()
    is_worker_alive = bool(facts and facts.workers)
    return render.page_or_partial(
        "pages/overview.html",
        "partials/overview.html",
        span=span,
        tabs=[
            (key, words, url_for("overview.index", span=key.value)) for key, words in SPANS.items()
        ],
        checks=checks,
        facts=facts,
        needs=needs.list_all(
            facts.glance,
            facts.course,
            facts.causes,
            facts.incidents,
            facts.classes,
            is_worker_alive=is_worker_alive,
            has_restore=facts.has_restore,
        )
        if facts
        else [],
        attention=_attention(facts) if facts else [],
        balance=facts.conservation if facts else None,
        depth_max=DEPTH_MAX,
        mark=mark,
        curl=_curl(access.current_workspace_id()) if facts and not facts.latest else None,
        is_key_known=_is_key_known(),
    )


def _attention(facts: _Facts) -> list[reports.Attention]:
    """Endpoints that need somebody, but for those that an incident tells of."""
    told = {one.smtp_account for one in facts.incidents if one.kind is IncidentKind.SILENT_PROVIDER}
    left = [one for one in facts.trouble.endpoints if one.smtp_account not in told]
    return reports.attention(left)


def _read_span() -> Span:
    """The span that the URL names. Raises InvalidRequest."""
    words = request.args.get("span", Span.DAY.value)
    try:
        return Span(words)
    except ValueError:
        known = ", ".join(span.value for span in Span)
        raise InvalidRequest(f"span: must be one of {known}") from None


def _can_read(checks: list[Check]) -> bool:
    return all(check.is_ok for check in checks if check.name in {"postgres", "migrations"})


@db.connection()
def _read(span: Span) -> _Facts:
    workspace_id = access.current_workspace_id()
    depths = lanes.measure(workspace_id)
    queue = health.sum_up(depths)
    summary = analytics.summarise_span(workspace_id, span=span)
    course = provider_words.course(providers.list_routes([workspace_id])[workspace_id])
    alive = workers.list_alive()
    shown, hidden_count = _list_providers(workspace_id, course, summary)
    causes = failures.list_causes(workspace_id)
    incidents = incident_inbox.list_worst(workspace_id, limit=INCIDENTS_MAX)
    return _Facts(
        queue=queue,
        drain_seconds=analytics.estimate_drain(queue, analytics.measure_pace(workspace_id)),
        lanes=_list_lanes(
            workspace_id, depths, is_moving=bool(alive) and course.account_id is not None
        ),
        summary=summary,
        chart=traffic_chart.draw(summary, span),
        course=course,
        providers=shown,
        hidden_provider_count=hidden_count,
        glance=glances.list_all([workspace_id])[workspace_id],
        causes=causes,
        incidents=incidents,
        classes=incident_inbox.list_classes(incidents) if causes else {},
        conservation=_balance(conservation.latest(workspace_id)),
        workers=alive,
        last_seen=None if alive else workers.find_last_seen(),
        latest=message_log.list_page(workspace_id, limit=LATEST).messages,
        trouble=report_watch.find_trouble(workspace_id),
        has_restore=restores.find_open(workspace_id) is not None,
    )


def _list_lanes(workspace_id: int, depths: Sequence[StreamDepth], *, is_moving: bool) -> list[Lane]:
    """`is_moving`: a worker is alive, and an account takes mail."""
    frozen = lanes.list_freezes(workspace_id)
    return [
        Lane(
            depth, _lane_badge(depth, frozen.get(depth.stream), is_moving), frozen.get(depth.stream)
        )
        for depth in depths
    ]


def _lane_badge(depth: StreamDepth, freeze: Freeze | None, is_moving: bool) -> Badge:
    if freeze is not None:
        return _FROZEN
    if depth.due_count and not is_moving:
        return _STOPPED
    if (depth.oldest_due_seconds or 0) > STUCK_SECONDS[depth.stream]:
        return _BEHIND
    if depth.due_count or depth.sending_count:
        return _FLOWING
    return _EMPTY if depth.is_empty else _WAITING


def _list_providers(
    workspace_id: int, course: Course, summary: Summary
) -> tuple[list[Provider], int]:
    """Those worth a look, in line, and how many others there are: the environment's account is
    only told of where it has to do with this workspace's mail.
    """
    traffic = {one.name: one for one in summary.accounts}
    accounts = account_health.in_line(account_health.list_all(workspace_id))
    concerned = [
        one
        for one in accounts
        if one.account.id or one.account.is_active or one.account.name in traffic
    ]
    shown = [
        Provider(
            one,
            provider_parts.role_of(one, course.account_id),
            provider_words.HEALTH[one.word],
            traffic.get(one.account.name),
        )
        for place, one in enumerate(concerned)
        if place < PROVIDERS_SHOWN or one.word is not Word.HEALTHY
    ]
    return shown, len(concerned) - len(shown)


@dataclass(frozen=True, slots=True)
class Balance:
    """What the count of all that was ever accepted came to, in a word and a sentence."""

    word: str
    note: str
    tone: str
    checked_at: datetime | None = None


def _balance(check: ConservationCheck | None) -> Balance:
    if check is None:
        return Balance("not yet", "counted within a minute", "neutral")
    accepted, at = f"{check.accepted_count:,} accepted", check.checked_at
    if check.difference:
        lost = "missing" if check.difference > 0 else "too many"
        return Balance(f"{abs(check.difference):,} {lost}", f"of {accepted}", "bad", at)
    if conservation.is_stale(check):
        return Balance("not counted", f"{accepted}, all there when it was counted last", "warn", at)
    note = f"{accepted}, all there"
    if check.pruned_count:
        note += f" but {check.pruned_count:,} that were old"
    return Balance("whole", note, "ok" if check.accepted_count else "neutral", at)


def _mark(span: Span, checks: list[Check], facts: _Facts | None) -> str:
    """What the page says, but for what the browser keeps true by itself."""
    if facts is None:
        return render.digest(span, checks)
    return render.digest(
        span,
        checks,
        facts.queue,
        facts.drain_seconds and round(facts.drain_seconds),
        [(lane.depth, lane.badge, lane.freeze and lane.freeze.id) for lane in facts.lanes],
        facts.summary,
        facts.course,
        [_told(one) for one in facts.providers],
        facts.hidden_provider_count,
        facts.glance,
        facts.causes,
        [incident_parts.facts(incident) for incident in facts.incidents],
        facts.conservation,
        [worker.id for worker in facts.workers],
        [(message.id, message.updated_at) for message in facts.latest],
        facts.trouble,
    )


def _told(one: Provider) -> tuple[Any, ...]:
    """What the card of a provider says."""
    found = one.found
    account = found.account
    facts = account.id, account.name, account.paused_at, account.pause_reason
    counts = found.breaker, found.last_fault_at, found.try_count, found.fault_count
    return (*facts, *counts, one.role, one.health, one.traffic, found.freeze and found.freeze.id)


def _is_key_known() -> bool:
    """Whether the operator's key is the one of every development copy, which may be shown."""
    settings = config.current()
    is_everybodys = settings.operator_api_key == config.DEVELOPMENT_OPERATOR_KEY
    return is_everybodys and not settings.is_production


def _curl(workspace_id: int) -> str:
    """The command that sends a first message. It names the workspace, for the operator's key is
    good for every one, and does without a name only for the first.
    """
    settings = config.current()
    key = settings.operator_api_key if _is_key_known() else "$API_KEY"
    return (
        f"curl {settings.public_url}/v1/messages \\\n"
        f'  -H "{settings.api_key_header}: {key}" \\\n'
        '  -H "Content-Type: application/json" \\\n'
        f'  -d \'{{"workspace_id": {workspace_id},\n'
        '       "from_email": "hello@example.com", "to_email": "ann@example.org",\n'
        '       "subject": "A first message", "body_text": "It works."}\''
    )
