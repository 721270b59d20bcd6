"""The overview: is it healthy, what needs somebody, what waits, and what came last."""

from dataclasses import dataclass
from datetime import datetime

from flask import Blueprint, Response, request

from maild import config, db
from maild.models import Message, Worker
from maild.services import health, message_log, report_watch, workers
from maild.services.health import Check, QueueDepth
from maild.services.report_watch import DEAD_LETTERS_MAX, Trouble
from maild.web import access, render, reports

LATEST = 10

blueprint = Blueprint("overview", __name__, url_prefix="/ui")


@dataclass(frozen=True, slots=True)
class _Facts:
    """What only the database can tell; there is none of it while the database is away."""

    queue: QueueDepth
    workers: list[Worker]
    last_seen: datetime | None
    latest: list[Message]
    trouble: Trouble


@blueprint.get("")
def index() -> Response:
    """The page, which asks for itself again every few seconds; also while dependencies are away."""
    checks = health.list_checks()
    facts = _read() if _can_read(checks) else None
    mark = _mark(checks, facts)
    if render.has_seen(mark):
        return render.nothing_new()
    return render.page_or_partial(
        "pages/overview.html",
        "partials/overview.html",
        checks=checks,
        facts=facts,
        attention=reports.attention(facts.trouble.endpoints) if facts else [],
        dead_letters_max=DEAD_LETTERS_MAX,
        mark=mark,
        curl=_curl(access.current_workspace_id()) if facts and not facts.latest else None,
        is_key_known=_is_key_known(),
    )


def _can_read(checks: list[Check]) -> bool:
    return all(check.is_ok for check in checks if check.name in {"postgres", "migrations"})


@db.connection()
def _read() -> _Facts:
    workspace_id = access.current_workspace_id()
    return _Facts(
        queue=health.measure_queue(workspace_id),
        workers=workers.list_alive(),
        last_seen=workers.find_last_seen(),
        latest=message_log.list_page(workspace_id, limit=LATEST).messages,
        trouble=report_watch.find_trouble(workspace_id),
    )


def _mark(checks: list[Check], facts: _Facts | None) -> str:
    if facts is None:
        return render.digest(checks)
    return render.digest(
        checks,
        facts.queue,
        [worker.id for worker in facts.workers],
        [(message.id, message.updated_at) for message in facts.latest],
        facts.trouble,
    )


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
        f"curl {request.host_url}v1/messages \\\n"
        f'  -H "{settings.api_key_header}: {key}" \\\n'
        '  -H "Content-Type: application/json" \\\n'
        f'  -d \'{{"workspace_id": {workspace_id},\n'
        '       "from_email": "hello@example.com", "to_email": "ann@example.org",\n'
        '       "subject": "A first message", "body_text": "It works."}\''
    )
