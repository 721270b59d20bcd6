"""Who is told of incidents: the channels of a workspace, what each was told, and trying one.

Everybody sees the channels, without their secrets; admins change them.
"""

from flask import Blueprint, redirect, request, url_for
from werkzeug.wrappers import Response as BaseResponse
from wtforms import BooleanField, HiddenField, RadioField, SelectField, StringField
from wtforms.fields.choices import SelectChoice, SelectMultipleField
from wtforms.widgets import CheckboxInput, ListWidget

from maild import db
from maild.domain.incident import Severity
from maild.domain.notification import OF_INCIDENTS, ChannelKind, NotificationStatus, Occasion
from maild.domain.role import ADMINS
from maild.errors import Conflict, InvalidFields, RateLimited
from maild.models import NotificationChannel
from maild.services import notification_channels, notifications
from maild.services.notification_channels import NewChannel
from maild.web import access, paging, render, template_forms, toasts, verified
from maild.web.badges import Badge
from maild.web.forms import Form, text

PAGE_ROWS = 25

KINDS: dict[ChannelKind, str] = {
    ChannelKind.WEBHOOK: "Webhook",
    ChannelKind.SLACK: "Slack",
    ChannelKind.EMAIL: "E-mail",
}
OCCASIONS: dict[Occasion, str] = {
    Occasion.OPENED: "It opens",
    Occasion.ESCALATED: "It gets worse",
    Occasion.RESOLVED: "It is resolved",
    Occasion.REOPENED: "It comes back",
    Occasion.TEST: "Test",
}
SEVERITIES: dict[Severity, str] = {
    Severity.MINOR: "everything",
    Severity.MAJOR: "major and critical ones",
    Severity.CRITICAL: "critical ones alone",
}
STATUS: dict[NotificationStatus, Badge] = {
    NotificationStatus.WAITING: Badge("waiting", "clock", "info"),
    NotificationStatus.SENT: Badge("sent", "check", "ok"),
    NotificationStatus.FAILED: Badge("failed", "cross", "bad"),
    NotificationStatus.FOLDED: Badge("told with another", "minus", "neutral"),
}
_OFF, _SWITCHED_OFF = Badge("off", "pause", "neutral"), Badge("switched off", "ban", "bad")
_FAILING = Badge("failing", "alert", "bad")
_WORKS, _NEW = Badge("works", "check", "ok"), Badge("not used yet", "clock", "neutral")

blueprint = Blueprint("notifications", __name__, url_prefix="/ui/settings/notifications")


class ChannelForm(Form):
    name = StringField("Name")
    kind = RadioField("How", choices=[SelectChoice(k.value, words) for k, words in KINDS.items()])
    url = StringField("Address on the web")
    email = SelectField("Member")
    min_severity = SelectField(
        "Tell of", choices=[SelectChoice(s.value, words) for s, words in SEVERITIES.items()]
    )
    occasions = SelectMultipleField(
        "When",
        choices=[SelectChoice(o.value, OCCASIONS[o]) for o in OF_INCIDENTS],
        widget=ListWidget(prefix_label=False),
        option_widget=CheckboxInput(),
    )
    is_active = BooleanField("On")
    version = HiddenField()


@blueprint.get("")
@db.connection()
def index() -> BaseResponse:
    """The channels, and what they were told lately; the latter asks for itself while some of it is
    under way.
    """
    return _list_page()


@blueprint.post("")
@access.allow(ADMINS)
@db.connection()
def add() -> BaseResponse:
    """Add a channel. What a webhook is signed with is in this answer, and nowhere else."""
    verified.require()
    form = _form()
    try:
        row, secret = notification_channels.add(
            access.current_workspace_id(), _read(form, is_active=True), by=access.actor()
        )
    except (InvalidFields, Conflict) as error:
        _show(form, error)
        return _list_page(form)
    if secret is not None:
        return _secret_page(row, secret)
    toasts.show(f"“{row.name}” is told from now on. Send it a test to be sure.", kind="ok")
    return redirect(url_for("notifications.show", channel_id=row.id), 303)


@blueprint.get("/<int:channel_id>")
@db.connection()
def show(channel_id: int) -> BaseResponse:
    """A channel: how it does, the form that changes it, and what it was told."""
    return _page(channel_id)


@blueprint.post("/<int:channel_id>")
@access.allow(ADMINS)
@db.connection()
def change(channel_id: int) -> BaseResponse:
    """Save what was changed."""
    verified.require()
    form = _form()
    try:
        row = notification_channels.change(
            access.current_workspace_id(),
            channel_id,
            _read(form, is_active=bool(form.is_active.data)),
            version=template_forms.parse_number(form.version.data) or 0,
            by=access.actor(),
        )
    except InvalidFields as error:
        _show(form, error)
        return _page(channel_id, form)
    except Conflict as error:
        form.show(error)
        return _page(channel_id, form, status=409)
    toasts.show(f"“{row.name}” is saved.", kind="ok")
    return redirect(url_for("notifications.show", channel_id=channel_id), 303)


@blueprint.post("/<int:channel_id>/test")
@access.allow(ADMINS)
@db.connection()
def test(channel_id: int) -> BaseResponse:
    """Send a test; the page shows what comes of it."""
    verified.require()
    try:
        notification_channels.test(access.current_workspace_id(), channel_id, by=access.actor())
    except (Conflict, RateLimited) as error:
        toasts.show(error.detail, kind="bad")
    else:
        toasts.show("The test is on its way. What comes of it is shown below.")
    return redirect(url_for("notifications.show", channel_id=channel_id), 303)


@blueprint.post("/<int:channel_id>/secret")
@access.allow(ADMINS)
@db.connection()
def renew_secret(channel_id: int) -> BaseResponse:
    """Another secret; it is in this answer, and nowhere else."""
    verified.require()
    workspace_id = access.current_workspace_id()
    try:
        secret = notification_channels.rotate_secret(workspace_id, channel_id, by=access.actor())
    except Conflict as error:
        toasts.show(error.detail, kind="bad")
        return redirect(url_for("notifications.show", channel_id=channel_id), 303)
    row = notification_channels.get(workspace_id, channel_id)
    return _secret_page(row, secret, is_renewed=True)


@blueprint.post("/<int:channel_id>/remove")
@access.allow(ADMINS)
@db.connection()
def remove(channel_id: int) -> BaseResponse:
    """Take a channel away."""
    row = notification_channels.remove(access.current_workspace_id(), channel_id, by=access.actor())
    toasts.show(f"“{row.name}” is removed: nothing is told there any more.", kind="ok")
    return redirect(url_for("notifications.index"), 303)


def state_of(row: NotificationChannel) -> Badge:
    """How a channel does."""
    if not row.is_active:
        return _SWITCHED_OFF if row.off_reason else _OFF
    if row.failing_since is not None:
        return _FAILING
    return _WORKS if row.last_sent_at else _NEW


def _form(**values: object) -> ChannelForm:
    form = ChannelForm(**({"formdata": None, **values} if values else {}))
    addresses = notification_channels.list_addresses(access.current_workspace_id())
    form.email.choices = [SelectChoice("", "Choose a member"), *map(SelectChoice, addresses)]
    return form


def _read(form: ChannelForm, *, is_active: bool) -> NewChannel:
    kind = text(form.kind.data)
    target = text(form.email.data if kind == ChannelKind.EMAIL else form.url.data).strip()
    return NewChannel(
        name=text(form.name.data).strip(),
        kind=kind,
        # Left empty, an address stays; a new channel needs one.
        target=target or None,
        min_severity=text(form.min_severity.data),
        occasions=form.occasions.data or [],
        is_active=is_active,
    )


def _show(form: ChannelForm, error: InvalidFields | Conflict) -> None:
    is_mail = text(form.kind.data) == ChannelKind.EMAIL
    form.show(error, target="email" if is_mail else "url")


def _list_page(form: ChannelForm | None = None) -> BaseResponse:
    workspace_id = access.current_workspace_id()
    older_than = paging.older_than()
    page = notifications.list_page(workspace_id, limit=PAGE_ROWS, before=older_than)
    mark = render.digest([(row.id, row.status, row.outcome) for row in page.notifications])
    if form is None and render.has_seen(mark):
        return render.nothing_new()
    rows = notification_channels.list_all(workspace_id)
    blank = _form(
        kind=ChannelKind.WEBHOOK.value,
        min_severity=Severity.MAJOR.value,
        occasions=[one.value for one in OF_INCIDENTS],
    )
    return render.page_or_partial(
        "pages/settings_notifications.html",
        "partials/notifications.html",
        status=422 if form else 200,
        channels=[(row, state_of(row)) for row in rows],
        failing=[row for row in rows if state_of(row) in (_FAILING, _SWITCHED_OFF)],
        form=form or blank,
        is_open=form is not None,
        locked_why=verified.find_lock(),
        is_newest=older_than is None,
        is_lonely=False,
        poll_url=url_for("notifications.index", seen=mark),
        **_told(page),
        **_words(),
    )


def _page(channel_id: int, form: ChannelForm | None = None, *, status: int = 422) -> BaseResponse:
    workspace_id = access.current_workspace_id()
    row = notification_channels.get(workspace_id, channel_id)
    page = notifications.list_page(
        workspace_id, channel_id=channel_id, limit=PAGE_ROWS, before=paging.older_than()
    )
    mark = render.digest([(one.id, one.status, one.outcome) for one in page.notifications])
    if form is None and render.has_seen(mark):
        return render.nothing_new()
    stored = _form(
        name=row.name,
        kind=row.kind.value,
        url="",
        email=row.target,
        min_severity=row.min_severity.value,
        occasions=row.occasions,
        is_active=row.is_active,
        version=str(row.version),
    )
    return render.page_or_partial(
        "pages/notification_channel.html",
        "partials/notifications.html",
        status=status if form else 200,
        channel=row,
        state=state_of(row),
        form=form or stored,
        is_open=form is not None,
        locked_why=verified.find_lock(),
        is_lonely=True,
        is_poll=form is None and render.wants_partial(),
        poll_url=url_for("notifications.show", channel_id=channel_id, seen=mark),
        **_told(page),
        **_words(),
    )


def _secret_page(
    row: NotificationChannel, secret: str, *, is_renewed: bool = False
) -> BaseResponse:
    return render.page(
        "pages/notification_secret.html",
        channel=row,
        secret=secret,
        is_renewed=is_renewed,
        old_valid_hours=notification_channels.OLD_VALID_HOURS,
    )


def _told(page: notifications.Page) -> dict[str, object]:
    return {
        "rows": [(row, STATUS[row.status]) for row in page.notifications],
        "older": paging.mark(page.older),
        "is_live": any(row.status is NotificationStatus.WAITING for row in page.notifications),
        "here": request.path,
    }


def _words() -> dict[str, object]:
    return {
        "kinds": KINDS,
        "severities": SEVERITIES,
        "occasion_words": OCCASIONS,
        "name_max_chars": notification_channels.NAME_MAX_CHARS,
        "url_max_chars": notification_channels.URL_MAX_CHARS,
    }
