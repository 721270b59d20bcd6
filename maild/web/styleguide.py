"""Every component in each of its states, with content as it comes: for those who build pages, and
for the tests that look at them. In production there is no such page.
"""

from datetime import datetime, timedelta

from flask import Blueprint, Response, request, url_for
from werkzeug.wrappers import Response as BaseResponse
from wtforms import (
    BooleanField,
    EmailField,
    Form,
    PasswordField,
    RadioField,
    SelectField,
    SelectMultipleField,
    StringField,
    TextAreaField,
)
from wtforms.fields.choices import SelectChoice
from wtforms.validators import DataRequired, Email, InputRequired, Optional
from wtforms.widgets import CheckboxInput, ListWidget

from maild import clock, config
from maild.domain.states import Status
from maild.errors import NotFound
from maild.web import access, badges, charts, render, toasts
from maild.web.charts import Series

SECTIONS = (
    ("buttons", "Buttons"),
    ("badges", "Badges"),
    ("forms", "Forms"),
    ("cards", "Cards and words"),
    ("tables", "Tables"),
    ("ways", "Ways"),
    ("progress", "Progress"),
    ("charts", "Charts"),
    ("overlays", "What opens"),
    ("small", "Small parts"),
)

_LONG_WORD = "an-smtp-account-with-a-name-that-goes-on-and-on-and-has-no-space-to-break-at-anywhere"
_LONG_REPLY = (
    "451 4.7.1 <ann@example.org>: Recipient address rejected: Greylisted, see"
    " http://postgrey.example/help/aVeryLongAddressWithoutAnySpaceInItForALineToBreakAt.html"
)
_SENT = (812, 790, 640, 410, 220, 130, 96, 88, 140, 380, 910, 1430, 1510, 1280, 1190, 1340, 1460)
_FAILED = (4, 2, 0, 0, 1, 0, 0, 0, 3, 5, 9, 180, 240, 31, 12, 8, 6)
_HELD = (0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 60, 300, 120, 0, 0, 0)
_TOASTS = {
    "ok": "The API key “billing” was revoked.",
    "bad": "The SMTP account did not answer within 10 s. Nothing was saved.",
    "info": "1,204 messages are on their way again. The log shows them as they go.",
}
_UNDOABLE = "ann@example.org is not suppressed any more."

blueprint = Blueprint("styleguide", __name__, url_prefix="/ui/styleguide")


def _choices(*pairs: tuple[str, str]) -> list[SelectChoice]:
    return [SelectChoice(value, words) for value, words in pairs]


class SampleForm(Form):
    """One field of each kind."""

    name = StringField("Name of the account", [DataRequired("Give it a name.")])
    email = EmailField("E-mail address", [Email("Write an address, such as ann@example.org.")])
    password = PasswordField("Password", [DataRequired("Choose one of 12 characters or more.")])
    port = SelectField(
        "Port", choices=_choices(("587", "587, STARTTLS"), ("465", "465, TLS"), ("25", "25"))
    )
    note = TextAreaField("Note", [Optional()])
    role = RadioField(
        "Role",
        [InputRequired("Choose a role.")],
        choices=_choices(
            ("viewer", "Viewer: sees everything, changes nothing"),
            ("operator", "Operator: retries, holds, suppresses"),
            ("admin", "Admin: also providers, policy, members and keys"),
        ),
    )
    events = SelectMultipleField(
        "Report",
        choices=_choices(
            ("bounced", "Bounces"), ("complained", "Complaints"), ("delivered", "Deliveries")
        ),
        widget=ListWidget(),
        option_widget=CheckboxInput(),
    )
    is_default = BooleanField("Use it for all mail that names no account")


@blueprint.before_request
def hide() -> None:
    """Raises NotFound in production."""
    if config.current().is_production:
        raise NotFound("There is nothing at this address.")


@blueprint.get("")
@access.personal
def index() -> Response:
    """All of it, on one page."""
    now = clock.now()
    good = SampleForm(data={"name": "Postmark, transactional", "role": "operator", "port": "587"})
    bad = SampleForm(data={"name": "", "email": "ann"}, prefix="bad-")
    bad.validate()
    return render.page(
        "pages/styleguide.html",
        sections=SECTIONS,
        statuses=[badges.STATUS[status] for status in Status],
        form=good,
        wrong=bad,
        rows=_rows(now),
        checklist=_checklist(),
        tiles=_tiles(),
        chart=_chart(now),
        empty_chart=charts.columns("Complaints a day, last 7 days", [], []),
        lines=[
            charts.sparkline(_SENT, "Sent an hour"),
            charts.sparkline(_FAILED, "Failed an hour"),
            charts.sparkline([0] * 12, "Complaints an hour"),
            charts.sparkline([], "Opened an hour"),
        ],
        toasts=[{"kind": kind, "text": words} for kind, words in _TOASTS.items()],
        times=[now - timedelta(seconds=12), now - timedelta(hours=3), now + timedelta(minutes=4)],
        long_word=_LONG_WORD,
        long_reply=_LONG_REPLY,
    )


@blueprint.get("/drawer")
@access.personal
def drawer() -> Response:
    """What a row opens: beside the page with scripts, a page of its own without."""
    return render.page_or_partial(
        "pages/styleguide_drawer.html", "partials/styleguide_drawer.html", long_reply=_LONG_REPLY
    )


@blueprint.post("/toast")
@access.personal
def toast() -> BaseResponse:
    """Say something, and change nothing; every sample form goes here."""
    kind = request.form.get("kind")
    if kind == "undo":
        toasts.show(_UNDOABLE, kind="ok", undo=(url_for("styleguide.toast"), {"kind": "info"}))
    elif kind in _TOASTS:
        toasts.show(_TOASTS[kind], kind=kind)
    else:
        toasts.show("Nothing was changed: this is a sample.")
    return render.go_to(url_for("styleguide.index", _anchor="overlays"))


def _rows(now: datetime) -> list[dict[str, object]]:
    active = badges.Badge("active", "check", "ok")
    paused = badges.Badge("paused", "pause", "warn")
    broken = badges.Badge("refuses the password", "cross", "bad")
    return [
        {"name": "Postmark, transactional", "state": active, "sent": 18_204, "at": now},
        {"name": "SES, newsletters", "state": paused, "sent": 4_112_090, "at": now},
        {"name": _LONG_WORD, "state": broken, "sent": 0, "at": None},
    ]


def _checklist() -> list[dict[str, str]]:
    here = url_for("styleguide.index")
    return [
        {"title": "Make a workspace", "state": "done", "text": "Acme shop, an hour ago"},
        {
            "title": "Connect an SMTP account",
            "state": "done",
            "text": "Postmark answered in 212 ms",
        },
        {
            "title": "Prove that the domain is yours",
            "state": "next",
            "text": "Two records are missing at example.com.",
            "url": here,
            "words": "Show the records",
        },
        {"title": "Send a test message", "state": "todo", "url": here, "words": "Skip to it"},
        {"title": "Let the provider report back", "state": "todo"},
    ]


def _tiles() -> list[dict[str, object]]:
    return [
        {"label": "Due now", "value": "1,204", "note": "waiting for a worker"},
        {
            "label": "Oldest due",
            "value": "4 m 10 s",
            "note": "how long it has waited",
            "tone": "warn",
        },
        {
            "label": "Failed",
            "value": "31",
            "note": "in the last hour",
            "tone": "bad",
            "url": "#tiles",
        },
        {"label": "Workers", "value": "2", "note": "mail-1, mail-2"},
    ]


def _chart(now: datetime) -> charts.Columns:
    hours = [now - timedelta(hours=back) for back in reversed(range(len(_SENT)))]
    return charts.columns(
        "Messages an hour, last 17 hours (UTC)",
        [f"{hour:%H}:00" for hour in hours],
        [
            Series("sent", "ok", _SENT),
            Series("held", "warn", _HELD),
            Series("failed", "bad", _FAILED),
        ],
        line=Series("accepted", "info", [count + 4 for count in _SENT]),
    )
