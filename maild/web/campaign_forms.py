"""The form of a campaign: filled from what is saved, and read into what services take."""

import re
from datetime import datetime
from typing import Any

from wtforms import BooleanField, HiddenField, RadioField, SelectField, StringField
from wtforms.fields.choices import SelectChoice
from wtforms.fields.core import UnboundField

from maild.domain.campaign import AudienceKind, TestMetric, Variant
from maild.errors import MaildError
from maild.models import Campaign
from maild.services import audiences, segments, smtp_accounts, templates
from maild.services.templates import Filter
from maild.web import campaign_words
from maild.web.forms import Form, text

TEMPLATES_SHOWN = 200
"""The newest; an older one that is chosen already is shown besides."""
ID_MAX = 2**31 - 1
NOW, AT = "now", "at"
_NO_TIME = "none"
_BETWEEN = re.compile(r"[\s,;]+")
_DIGITS = re.compile(r"\d{1,18}", re.ASCII)


class CampaignForm(Form):
    name = StringField("Name")
    audience_kind = RadioField(
        "Who gets it", choices=[SelectChoice(*one) for one in campaign_words.KINDS.items()]
    )
    audience_id = SelectField("List", choices=[])
    segment_id = SelectField("Segment", choices=[])
    template_id = SelectField("Template", choices=[])
    subject = StringField("Subject")
    subject_b = StringField("Subject B")
    test_percent = StringField("Share in the test, in %")
    test_minutes = StringField("Wait for, in minutes")
    test_metric = SelectField(
        "The better one has more",
        choices=[SelectChoice("opens", "opens"), SelectChoice("clicks", "clicks")],
    )
    from_email = StringField("From")
    from_name = StringField("Name of the sender")
    reply_to = StringField("Reply to")
    topic = StringField("Topic")
    smtp_account = SelectField("Goes through", choices=[])
    begins = RadioField(
        "Begins",
        choices=[SelectChoice(NOW, "As soon as it is scheduled"), SelectChoice(AT, "At a time")],
    )
    send_at = StringField("Time")
    time_zone = StringField("Time zone")
    per_hour = StringField("At most so many an hour")
    ramp = StringField("At most on the first days")
    version = HiddenField()
    contact = StringField("As which contact")
    variant = SelectField(
        "Which subject", choices=[SelectChoice("a", "Subject A"), SelectChoice("b", "Subject B")]
    )
    pictures = BooleanField("Load pictures")


LABELS = {
    name: str(unbound.args[0])
    for name, unbound in vars(CampaignForm).items()
    if isinstance(unbound, UnboundField) and unbound.args
}
"""What its fields are called."""


class TestForm(Form):
    to = StringField("To")
    contact = StringField("As which contact")
    variant = SelectField(
        "Which subject", choices=[SelectChoice("a", "Subject A"), SelectChoice("b", "Subject B")]
    )


def empty(workspace_id: int, *, from_email: str) -> CampaignForm:
    """That of a new campaign."""
    form = CampaignForm(
        formdata=None,
        audience_kind=AudienceKind.EVERYONE.value,
        from_email=from_email,
        begins=NOW,
        time_zone="UTC",
        test_percent="20",
        test_minutes="240",
        test_metric=TestMetric.OPENS.value,
    )
    _offer(workspace_id, form)
    return form


def of(campaign: Campaign) -> CampaignForm:
    """With what a draft says."""
    sent_at = campaign.send_at
    form = CampaignForm(
        formdata=None,
        name=campaign.name,
        audience_kind=campaign.audience_kind.value,
        audience_id=_number(campaign.audience_id),
        segment_id=_number(campaign.segment_id),
        template_id=_number(campaign.template_id),
        subject=campaign.subject,
        subject_b=campaign.subject_b,
        test_percent=_number(campaign.test_percent) or "20",
        test_minutes=_number(campaign.test_minutes) or "240",
        test_metric=(campaign.test_metric or TestMetric.OPENS).value,
        from_email=campaign.from_email,
        from_name=campaign.from_name,
        reply_to=campaign.reply_to,
        topic=campaign.topic,
        smtp_account=campaign.smtp_account or "",
        begins=NOW if sent_at is None else AT,
        send_at="" if sent_at is None else f"{sent_at:%Y-%m-%dT%H:%M}",
        time_zone=campaign.time_zone,
        per_hour=_number(campaign.per_hour),
        ramp=", ".join(map(str, campaign.ramp or ())),
        version=str(campaign.version),
    )
    _offer(campaign.workspace_id, form)
    return form


def sent(workspace_id: int) -> CampaignForm:
    """That which was sent."""
    form = CampaignForm()
    _offer(workspace_id, form)
    return form


def read(form: CampaignForm) -> dict[str, Any]:
    """What was typed, as `campaign_fields` checks it: what is no number stays a text."""
    kind = text(form.audience_kind.data)
    is_test = bool(text(form.subject_b.data).strip())
    values: dict[str, Any] = {
        name: text(form[name].data)
        for name in (
            "name", "subject", "subject_b", "from_email", "from_name", "reply_to", "topic",
            "smtp_account", "time_zone",
        )
    }  # fmt: skip
    values |= {
        "audience_kind": kind,
        "audience_id": _id(form.audience_id.data) if kind == AudienceKind.LIST else None,
        "segment_id": _id(form.segment_id.data) if kind == AudienceKind.SEGMENT else None,
        "template_id": _id(form.template_id.data),
        "test_percent": _whole(form.test_percent.data) if is_test else None,
        "test_minutes": _whole(form.test_minutes.data) if is_test else None,
        "test_metric": text(form.test_metric.data) or None if is_test else None,
        "per_hour": _whole(form.per_hour.data),
        "ramp": [_whole(one) for one in _BETWEEN.split(text(form.ramp.data)) if one] or None,
        "send_at": _time(form.send_at.data) if form.begins.data == AT else None,
    }
    return values


def version_of(form: CampaignForm) -> int | None:
    """The version of the draft that the form was made from; None where it is none."""
    number = _whole(form.version.data)
    return number if isinstance(number, int) and number <= ID_MAX else None


def variant_of(form: "CampaignForm | TestForm", *, is_test: bool) -> Variant | None:
    """The subject that is to be shown."""
    if not is_test:
        return None
    return Variant.B if form.variant.data == Variant.B.value else Variant.A


def tell(form: CampaignForm, error: MaildError) -> None:
    """Bring what a service says to the fields that it is about."""
    days = {one.field: "ramp" for one in error.errors if one.field.startswith("ramp.")}
    form.show(error, **days)
    if not text(form.send_at.data).strip() and form.send_at.errors:
        form.send_at.errors = ["Choose the time at which it is to begin."]


def _offer(workspace_id: int, form: CampaignForm) -> None:
    """Fill the lists to choose from. What is chosen and is gone is among them, and says so."""
    _fill(
        form.audience_id,
        "Choose a list",
        [(str(row.id), row.name) for row in audiences.list_names(workspace_id)],
    )
    page = segments.list_page(workspace_id, limit=segments.SEGMENTS_MAX)
    _fill(
        form.segment_id,
        "Choose a segment",
        [(str(one.segment.id), one.segment.name) for one in page.segments],
    )
    shown = templates.list_page(workspace_id, filter_=Filter(), limit=TEMPLATES_SHOWN)
    _fill(
        form.template_id,
        "Choose a template",
        [
            (str(one.template.id), f"{one.template.name} (version {one.template.version})")
            for one in shown.templates
        ],
    )
    accounts = smtp_accounts.list_all(workspace_id)
    _fill(form.smtp_account, "Any account", [(one.name, one.name) for one in accounts])


def _fill(field: SelectField, nothing: str, found: list[tuple[str, str]]) -> None:
    chosen = text(field.data)
    choices = [SelectChoice("", nothing), *(SelectChoice(*one) for one in found)]
    if chosen and chosen not in {key for key, _ in found}:
        choices.append(SelectChoice(chosen, "(is not in this list any more)"))
    field.choices = choices


def _id(typed: str | None) -> int | None:
    number = _whole(typed)
    return number if isinstance(number, int) and number <= ID_MAX else None


def _whole(typed: str | None) -> int | str | None:
    stripped = text(typed).strip()
    if not stripped:
        return None
    return int(stripped) if _DIGITS.fullmatch(stripped) else stripped


def _time(typed: str | None) -> datetime | str:
    stripped = text(typed).strip()
    try:
        return datetime.fromisoformat(stripped)
    except ValueError:
        return stripped or _NO_TIME


def _number(value: int | None) -> str:
    return "" if value is None else str(value)
