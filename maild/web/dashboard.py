"""The dashboard, a person's home: how each of their workspaces does, what happened since their last
visit, and the next step of the workspace that the console shows.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from flask import Blueprint, url_for
from werkzeug.wrappers import Response as BaseResponse

from maild import db
from maild.domain.role import ADMINS
from maild.services import glances, handovers, onboarding, onboarding_steps
from maild.services.glances import Glance, Word
from maild.services.workspaces import Membership
from maild.web import access, filters, handover, render
from maild.web.badges import Badge
from maild.web.handover import count

CARDS_MAX = 9
"""Beyond so many, workspaces that need nobody are folded away."""

blueprint = Blueprint("dashboard", __name__, url_prefix="/dashboard")

BADGES: dict[Word, Badge] = {
    Word.NEEDS_YOU: Badge("needs you", "alert", "warn"),
    Word.WELL: Badge("well", "check", "ok"),
    Word.QUIET: Badge("quiet", "minus", "neutral"),
}

_URGENCY = (Word.NEEDS_YOU, Word.WELL, Word.QUIET)


@dataclass(frozen=True, slots=True)
class Figure:
    """A figure of a workspace that matters, in words, and the place where it is looked into."""

    text: str
    place: str
    tone: str = "neutral"


@dataclass(frozen=True, slots=True)
class Card:
    """A workspace, and how it does."""

    membership: Membership
    glance: Glance
    figures: Sequence[Figure]

    @property
    def badge(self) -> Badge:
        return BADGES[self.glance.word]


@dataclass(frozen=True, slots=True)
class Way:
    """On which page, for admins, something is done, and the words of the way there."""

    endpoint: str
    words: str

    @property
    def url(self) -> str:
        return url_for(self.endpoint)


WAYS: dict[str, Way] = {
    "api_key_created": Way("api_keys.index", "API keys"),
    "colleague_invited": Way("invitations.index", "Invitations"),
    "provider_failover_ready": Way("provider_forms.new", "Add an account"),
}
"""By the ids of the extras (`services/onboarding.py`)."""


@blueprint.get("")
@access.personal
@db.connection()
def index() -> BaseResponse:
    """The page; also for who belongs to no workspace."""
    visitor = access.visitor()
    if visitor.workspace is None:
        return render.page("pages/dashboard_empty.html")
    cards = _list_cards(visitor.workspaces)
    needing = sum(card.glance.word is Word.NEEDS_YOU for card in cards)
    shown = _pick(cards, current_id=visitor.workspace.id)
    wizard = onboarding_steps.find(visitor.workspace.id)
    news = handovers.read(
        [one.id for one in visitor.workspaces],
        last_visit_at=visitor.last_visit_at,
        person=visitor.email,
        audited_ids=[one.id for one in visitor.workspaces if one.role in ADMINS],
    )
    return render.page(
        "pages/dashboard.html",
        shown=shown,
        folded=[card for card in cards if card not in shown],
        needing_count=needing,
        news=news,
        groups=handover.tell(news),
        names={one.id: one.name for one in visitor.workspaces},
        wizard=wizard,
        extras=onboarding.list_extras(wizard.facts),
        ways=WAYS,
        places=_places(),
    )


def _list_cards(memberships: Sequence[Membership]) -> list[Card]:
    """What needs somebody first; otherwise by name, as the memberships are."""
    found = glances.list_all([one.id for one in memberships])
    cards = [Card(one, found[one.id], _figures(found[one.id])) for one in memberships]
    return sorted(cards, key=lambda card: _URGENCY.index(card.glance.word))


def _pick(cards: Sequence[Card], *, current_id: int) -> list[Card]:
    """Those that are shown at once: all that need somebody, the current one, and others while there
    is room.
    """
    wanted = [
        card.glance.word is Word.NEEDS_YOU or card.membership.id == current_id for card in cards
    ]
    room = max(0, CARDS_MAX - sum(wanted))
    shown = []
    for card, is_wanted in zip(cards, wanted, strict=True):
        if is_wanted:
            shown.append(card)
        elif room:
            shown.append(card)
            room -= 1
    return shown


def _figures(glance: Glance) -> list[Figure]:
    """What a card tells, what needs somebody first; nothing that is zero."""
    due = f"due, the oldest for {filters.span(glance.oldest_due_seconds or 0)}"
    lost = "missing" if glance.missing_count > 0 else "too many"
    rows = (
        (glance.incident_count, "incident", "incidents", "incidents", "bad"),
        (
            abs(glance.missing_count),
            f"accepted message {lost}",
            f"accepted messages {lost}",
            "overview",
            "bad",
        ),
        (glance.unknown_count, "unknown outcome", "unknown outcomes", "unknown", "unsure"),
        (glance.dead_letter_count, "dead letter", "dead letters", "dead_letters", "warn"),
        (
            glance.broken_count,
            "SMTP account out of use",
            "SMTP accounts out of use",
            "providers",
            "bad",
        ),
        (glance.freeze_count, "freeze in force", "freezes in force", "freezes", "warn"),
        (
            glance.due_count,
            f"message {due}",
            f"messages {due}",
            "queued",
            "bad" if glance.is_stuck else "neutral",
        ),
        (
            glance.failed_count,
            "message failed in the last hour",
            "messages failed in the last hour",
            "failed",
            "bad" if glance.is_failing else "neutral",
        ),
    )
    return [
        Figure(count(number, one, many), place, tone)
        for number, one, many, place, tone in rows
        if number
    ]


def _places() -> dict[str, str]:
    """The pages that the dashboard leads to, each of whichever workspace is shown then."""
    statuses = ("unknown", "queued")
    logs = {status: url_for("logs.index", status=status) for status in statuses}
    pages = ("overview", "incidents", "dead_letters", "freezes", "providers", "audit")
    return {
        **logs,
        "failed": url_for("logs.index", status="failed", range="1h"),
        **{page: url_for(f"{page}.index") for page in pages},
    }
