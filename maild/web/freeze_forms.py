"""Forms of freezes: what is to stand still, why, and until when."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from wtforms import SelectField, StringField
from wtforms.fields.choices import SelectChoice

from maild import clock
from maild.domain.freeze import FreezeKind
from maild.domain.states import Stream
from maild.errors import FieldError, InvalidFields, MaildError
from maild.models import Freeze
from maild.services import api_keys, smtp_accounts
from maild.services.api_keys import State
from maild.web.forms import Form, text

KEYS_SHOWN = 50
"""So many of the newest API keys can be chosen here; the API takes any."""

UNTIL = "until"
LASTS: dict[str, tuple[str, timedelta]] = {
    "30m": ("30 minutes", timedelta(minutes=30)),
    "2h": ("2 hours", timedelta(hours=2)),
    "8h": ("8 hours", timedelta(hours=8)),
    "24h": ("24 hours", timedelta(hours=24)),
}
"""How long a freeze lasts: what the form sends, what it says, and how long that is."""
_LASTS_CHOICES = [
    *(SelectChoice(key, words) for key, (words, _) in LASTS.items()),
    SelectChoice(UNTIL, "until a time …"),
]
_NAMED = frozenset({FreezeKind.FROM_EMAIL.value, FreezeKind.RECIPIENT_DOMAIN.value})
"""Those that need a text beside the choice."""


class FreezeForm(Form):
    what = SelectField("What stands still", choices=[])
    target = StringField("Which one")
    reason = StringField("Reason")
    lasts = SelectField(
        "For how long",
        choices=_LASTS_CHOICES,
    )
    until = StringField("Until (UTC)")


class ExtendForm(Form):
    reason = StringField("Reason")
    lasts = SelectField(
        "Longer by",
        choices=_LASTS_CHOICES,
    )
    until = StringField("Until (UTC)")


class LiftForm(Form):
    reason = StringField("Reason")


def list_choices(workspace_id: int) -> list[SelectChoice]:
    """What can be frozen, in groups."""
    accounts = [smtp_accounts.DEFAULT_ACCOUNT]
    accounts += [account.name for account in smtp_accounts.list_all(workspace_id)]
    keys = [
        row
        for row in api_keys.list_page(workspace_id, limit=KEYS_SHOWN).keys
        if api_keys.state_of(row) is State.ACTIVE
    ]
    groups: dict[str, Sequence[tuple[str, str]]] = {
        "Wide": [
            ("workspace", "all mail of the workspace"),
            *((f"stream:{one.value}", f"all {one.value} mail") for one in Stream),
        ],
        "Through one SMTP account": [(f"smtp_account:{name}", f"“{name}”") for name in accounts],
        "Submitted with one API key": [
            (f"api_key:{row.id}", f"“{row.name}” ({row.prefix}…)") for row in keys
        ],
        "One address or domain": [
            ("from_email", "mail from one address …"),
            ("recipient_domain", "mail to one domain …"),
        ],
    }
    return [
        SelectChoice(value, words, optgroup=title)
        for title, choices in groups.items()
        for value, words in choices
    ]


def parse_what(what: str, target: str) -> tuple[FreezeKind, str | None]:
    """The kind and target that were chosen. Raises InvalidFields."""
    word, colon, chosen = what.partition(":")
    if word not in set(FreezeKind):
        raise _invalid("what", "choose one of these")
    kind = FreezeKind(word)
    if kind is FreezeKind.WORKSPACE:
        return kind, None
    return kind, (target if word in _NAMED and not colon else chosen) or None


def name_what(freeze: Freeze) -> dict[str, str]:
    """The fields that ask for a freeze of the same."""
    if freeze.target is None:
        return {"what": freeze.kind.value}
    if freeze.kind.value in _NAMED:
        return {"what": freeze.kind.value, "target": freeze.target}
    return {"what": f"{freeze.kind.value}:{freeze.target}"}


def read_end(form: FreezeForm | ExtendForm, *, start: datetime) -> datetime:
    """When it is to end, counted from `start` where it is said how long. Raises InvalidFields."""
    choice = text(form.lasts.data)
    if choice in LASTS:
        return start + LASTS[choice][1]
    if choice != UNTIL:
        raise _invalid("lasts", "choose one of these")
    typed = text(form.until.data).strip()
    if not typed:
        raise _invalid("until", "is needed: until when?")
    try:
        at = datetime.fromisoformat(typed)
        return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
    except (ValueError, OverflowError):
        raise _invalid("until", "must be a time in UTC such as 2025-11-22T18:30") from None


def show(form: FreezeForm | ExtendForm, error: MaildError) -> None:
    """Tell at each field what a service has said of it."""
    end = "until" if text(form.lasts.data) == UNTIL else "lasts"
    names = {"expires_at": end}
    if isinstance(form, FreezeForm) and text(form.what.data) not in _NAMED:
        names["target"] = "what"
    form.show(error, **names)


def default_until() -> str:
    """What a field for a time begins with: three hours ahead, to the minute."""
    return f"{clock.now().astimezone(UTC) + timedelta(hours=3):%Y-%m-%dT%H:%M}"


def _invalid(field: str, message: str) -> InvalidFields:
    return InvalidFields(f"{field}: {message}", errors=[FieldError(field, message)])
