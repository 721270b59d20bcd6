"""Channels: whom a workspace has told of its incidents, and how.

An address on the web is a secret, since whoever has it may post there; it is kept encrypted, and
shown by its host and its last characters. What a webhook is signed with is shown once, when it is
made. Not in charge of what is told (`notifications`), nor of getting it there
(`notification_delivery`).
"""

import base64
import secrets as randomness
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import SplitResult, urlsplit

import peewee

from maild import config, log, queue
from maild.db import database
from maild.domain import submission
from maild.domain.actor import Actor
from maild.domain.display_name import find_fault
from maild.domain.incident import Severity
from maild.domain.notification import OF_INCIDENTS, ChannelKind, Occasion
from maild.errors import (
    Conflict,
    DecryptionError,
    FieldError,
    InvalidFields,
    NotFound,
    RateLimited,
    summarise,
)
from maild.models import Member, Notification, NotificationChannel, NotificationSecret, Person
from maild.services import audit, notifications, secrets, workspaces
from maild.services.smtp_account_fields import guard

CHANNELS_MAX = 20
NAME_MAX_CHARS = 80
URL_MAX_CHARS = 2_000
OLD_VALID_HOURS = 24
"""How long what a webhook was signed with before is signed with as well."""
TESTS_PER_MINUTE = 5
SECRET_BYTES = 32
SECRET_PREFIX = "whsec_"  # nosec B105

NO_SUCH = "There is no such channel in this workspace."
STALE = "Somebody has changed this channel meanwhile. Look at what it says now, and try again."

logger = log.get(__name__)


@dataclass(frozen=True, slots=True)
class NewChannel:
    """A channel as somebody describes it; nothing is checked yet. `target` is an address on the
    web, or a member's mail address; None, in a change, leaves it.
    """

    name: str
    kind: str
    target: str | None
    min_severity: str = Severity.MAJOR
    occasions: Sequence[str] = OF_INCIDENTS
    is_active: bool = True


def list_all(workspace_id: int) -> list[NotificationChannel]:
    """All channels by name; CHANNELS_MAX at most. Raises NotFound (the workspace)."""
    own = NotificationChannel.workspace == workspace_id
    rows = list(NotificationChannel.select().where(own).order_by(NotificationChannel.name))
    if not rows:
        workspaces.require(workspace_id)
    return rows


def has_active(workspace_id: int) -> bool:
    """Whether somebody is told of incidents at all."""
    theirs = (NotificationChannel.workspace == workspace_id, NotificationChannel.is_active)
    return bool(NotificationChannel.select().where(*theirs).exists())


def get(workspace_id: int, channel_id: int) -> NotificationChannel:
    """Raises NotFound, for a foreign one as well."""
    return _get(workspace_id, channel_id)


def list_addresses(workspace_id: int) -> list[str]:
    """The addresses that a mail may go to: those that members have confirmed, in order."""
    rows = (
        Person.select(Person.email)
        .join(Member, on=(Member.person == Person.id))
        .where(Member.workspace == workspace_id, Person.email_verified_at.is_null(False))
        .order_by(Person.email)
        .limit(500)
    )
    return [row.email for row in rows]


def is_address_known(workspace_id: int, email: str) -> bool:
    """Whether it is the confirmed address of a member."""
    found = (
        Person.select(Person.id)
        .join(Member, on=(Member.person == Person.id))
        .where(
            Member.workspace == workspace_id,
            Person.email == email,
            Person.email_verified_at.is_null(False),
        )
    )
    return bool(found.exists())


def add(workspace_id: int, new: NewChannel, *, by: Actor) -> tuple[NotificationChannel, str | None]:
    """A new channel, and what it signs with, where it is a webhook: it is told this once.

    Raises InvalidFields, NotFound, Conflict (CHANNELS_MAX).
    """
    kind = _check(workspace_id, new)
    assert new.target is not None
    with database.atomic():
        _take_turns(workspace_id)
        own = NotificationChannel.select().where(NotificationChannel.workspace == workspace_id)
        if own.count() >= CHANNELS_MAX:
            raise Conflict(
                f"This workspace has {CHANNELS_MAX} channels, as many as it may. Remove one that"
                " is not needed first."
            )
        _refuse_second(workspace_id, new.name.strip())
        [row] = (
            NotificationChannel.insert(
                workspace=workspace_id,
                name=new.name.strip(),
                kind=kind,
                target=_shown(kind, new.target),
                min_severity=Severity(new.min_severity),
                occasions=_in_order(new.occasions),
                is_active=new.is_active,
                created_by=by.name,
            )
            .returning(NotificationChannel)
            .execute()
        )
        secret = None
        if kind is not ChannelKind.EMAIL:
            _save_secret(row, "url", new.target.strip())
        if kind is ChannelKind.WEBHOOK:
            secret = _new_secret()
            _save_secret(row, "signing", secret)
        _record(row, by, "added", after=_told(row))
    return row, secret


def change(
    workspace_id: int,
    channel_id: int,
    new: NewChannel,
    *,
    version: int | None = None,
    by: Actor,
) -> NotificationChannel:
    """Describe a channel anew; its kind stays. One that is switched on again counts as working.

    Raises InvalidFields, NotFound, Conflict (`version` is stale).
    """
    with database.atomic():
        row = _get(workspace_id, channel_id, lock=True)
        if version is not None and version != row.version:
            raise Conflict(STALE)
        kind = _check(workspace_id, new, stored=row)
        _refuse_second(workspace_id, new.name.strip(), but=row.id)
        before = _told(row)
        values: dict[str, Any] = {
            "name": new.name.strip(),
            "min_severity": Severity(new.min_severity),
            "occasions": _in_order(new.occasions),
            "is_active": new.is_active,
            "version": NotificationChannel.version + 1,
        }
        if new.target is not None:
            values["target"] = _shown(kind, new.target)
            if kind is not ChannelKind.EMAIL:
                _delete_secrets(row, "url")
                _save_secret(row, "url", new.target.strip())
        if new.is_active and (not row.is_active or new.target is not None):
            values |= {"off_reason": None, "failing_since": None, "last_error": None}
        changed = _update(row, **values)
        after = _told(changed)
        if new.target is not None:
            after["is_target_changed"] = True
        _record(changed, by, "changed", before=before, after=after)
    return changed


def remove(workspace_id: int, channel_id: int, *, by: Actor) -> NotificationChannel:
    """Take a channel away, with what it was told; returns what it was. Raises NotFound."""
    with database.atomic():
        row = _get(workspace_id, channel_id, lock=True)
        row.delete_instance()
        _record(row, by, "removed", before=_told(row))
    return row


def rotate_secret(workspace_id: int, channel_id: int, *, by: Actor) -> str:
    """What a webhook is signed with from now on, told this once. The one before signs as well for
    OLD_VALID_HOURS; older ones end now. Raises NotFound, Conflict (no webhook).
    """
    with database.atomic():
        row = _get(workspace_id, channel_id, lock=True)
        if row.kind is not ChannelKind.WEBHOOK:
            raise Conflict("Only webhooks are signed: this channel has no secret to renew.")
        latest = _list_secrets(row, "signing")[:1]
        old = NotificationSecret.id.not_in([one.id for one in latest])
        _delete_secrets(row, "signing", old)
        NotificationSecret.update(
            expires_at=peewee.SQL("now() + interval '1 hour' * %s", (OLD_VALID_HOURS,))
        ).where(NotificationSecret.id.in_([one.id for one in latest])).execute()
        secret = _new_secret()
        _save_secret(row, "signing", secret)
        _record(row, by, "secret_rotated", after={"old_valid_hours": OLD_VALID_HOURS})
    return secret


def test(workspace_id: int, channel_id: int, *, by: Actor) -> Notification:
    """Queue a notification that says it is a test; it is tried once, at once.

    Raises NotFound, Conflict (the channel is off), RateLimited.
    """
    with database.atomic():
        row = _get(workspace_id, channel_id, lock=True)
        if not row.is_active:
            raise Conflict("This channel is off. Switch it on before you test it.")
        recent = Notification.select().where(
            Notification.channel == row.id,
            Notification.occasion == Occasion.TEST,
            Notification.created_at > peewee.SQL("now() - interval '1 minute'"),
        )
        if recent.count() >= TESTS_PER_MINUTE:
            raise RateLimited(
                f"A channel can be tested {TESTS_PER_MINUTE} times a minute. Wait a moment.",
                retry_after_seconds=60,
            )
        data = {
            "workspace_id": workspace_id,
            "workspace": workspaces.get(workspace_id).name,
            "title": f"{by.name} tries the channel “{row.name}”",
            "url": f"{config.current().public_url}/ui/settings/notifications",
        }
        [queued] = (
            Notification.insert(
                workspace=workspace_id, channel=row.id, occasion=Occasion.TEST, round=0, data=data
            )
            .returning(Notification)
            .execute()
        )
        _record(row, by, "tested", after={"notification_id": queued.id})
        queue.enqueue(notifications.HINT)
    return queued  # type: ignore[no-any-return]


def open_url(channel: NotificationChannel) -> str:
    """The address on the web that it posts to. Raises DecryptionError."""
    found = _list_secrets(channel, "url")
    if not found:
        raise DecryptionError("The address of this channel is not there. Save it again.")
    return _open(found[0])


def open_signing(channel: NotificationChannel) -> list[str]:
    """What it signs with now, the newest first. Raises DecryptionError."""
    return [_open(row) for row in _list_secrets(channel, "signing")]


def switch_off(channel: NotificationChannel, *, reason: str, by: Actor) -> None:
    """Tell it nothing any more until a person switches it on, in the caller's transaction."""
    changed = _update(
        channel, is_active=False, off_reason=reason, version=NotificationChannel.version + 1
    )
    _record(changed, by, "switched_off", after={"reason": reason})


def prune() -> None:
    """Delete what nothing is signed with any more."""
    database.execute_sql("DELETE FROM notification_secrets WHERE expires_at < now()")


def _get(workspace_id: int, channel_id: int, *, lock: bool = False) -> NotificationChannel:
    query = NotificationChannel.select().where(
        NotificationChannel.id == channel_id, NotificationChannel.workspace == workspace_id
    )
    if lock:
        query = query.for_update("FOR NO KEY UPDATE")  # type: ignore[arg-type]
    row: NotificationChannel | None = query.first()
    if row is None:
        raise NotFound(NO_SUCH)
    return row


_TAKE_TURNS = "SELECT FROM workspaces WHERE id = %s FOR NO KEY UPDATE"


def _take_turns(workspace_id: int) -> None:
    """Two that add channels: the second waits here. Raises NotFound."""
    if not database.execute_sql(_TAKE_TURNS, (workspace_id,)).fetchall():
        raise NotFound(f"There is no workspace {workspace_id}.")


def _update(row: NotificationChannel, **values: Any) -> NotificationChannel:
    [changed] = (
        NotificationChannel.update(**values)
        .where(NotificationChannel.id == row.id)
        .returning(NotificationChannel)
        .execute()
    )
    return changed  # type: ignore[no-any-return]


def _in_order(occasions: Sequence[str]) -> list[str]:
    return [one.value for one in OF_INCIDENTS if one.value in set(occasions)]


def _check(
    workspace_id: int, new: NewChannel, *, stored: NotificationChannel | None = None
) -> ChannelKind:
    """The kind. Raises InvalidFields."""
    errors = []
    if fault := find_fault(new.name.strip(), max_chars=NAME_MAX_CHARS):
        errors.append(FieldError("name", fault))
    if new.kind not in set(ChannelKind):
        errors.append(FieldError("kind", "must be one of " + ", ".join(ChannelKind)))
    elif stored is not None and stored.kind != new.kind:
        errors.append(FieldError("kind", "stays what it is: add another channel instead"))
    elif new.target is None:
        if stored is None:
            errors.append(FieldError("target", "is required"))
    elif new.kind == ChannelKind.EMAIL:
        errors += _check_address(workspace_id, new.target.strip())
    else:
        errors += _check_url(new.target.strip())
    if new.min_severity not in set(Severity):
        errors.append(FieldError("min_severity", "must be one of " + ", ".join(Severity)))
    if not new.occasions or set(new.occasions) - {one.value for one in OF_INCIDENTS}:
        words = ", ".join(OF_INCIDENTS)
        errors.append(FieldError("occasions", f"must be one or more of {words}"))
    if errors:
        raise InvalidFields(summarise(errors), errors=errors)
    return ChannelKind(new.kind)


def _check_address(workspace_id: int, email: str) -> list[FieldError]:
    if complaints := list(submission.check_storable("target", email)):
        return [FieldError(field, message) for field, message in complaints]
    if is_address_known(workspace_id, email):
        return []
    message = (
        "must be the confirmed address of a member of this workspace. Invite them first, or use a"
        " webhook"
    )
    return [FieldError("target", message)]


def _check_url(url: str) -> list[FieldError]:
    """What can be said before the name is looked up; the dial looks at what it leads to."""
    parts = _split(url)
    if parts is None:
        message = "must be an address such as https://hooks.example.com/services/T0/B0/x"
        return [FieldError("target", message)]
    if parts.username is not None or parts.password is not None:
        return [FieldError("target", "must not have a user name or a password in it")]
    if objection := guard().objection_to_host(parts.hostname or ""):
        message = (
            f"is {objection}, and must be public. Name a public host, or have whoever runs this"
            " instance add the network to ALLOWED_PRIVATE_NETWORKS"
        )
        return [FieldError("target", message)]
    return []


def _split(url: str) -> SplitResult | None:
    """The parts of an address that can be posted to as it is; None for anything else."""
    if len(url) > URL_MAX_CHARS or not url.isascii() or not url.isprintable() or " " in url:
        return None
    try:
        parts = urlsplit(url)
        is_whole = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:  # a port that is none, a bracket too many
        return None
    return parts if is_whole else None


def _refuse_second(workspace_id: int, name: str, *, but: int | None = None) -> None:
    """Raises Conflict where another channel has the name."""
    query = NotificationChannel.select().where(
        NotificationChannel.workspace == workspace_id,
        NotificationChannel.name == name,
        NotificationChannel.id != (but or 0),
    )
    if query.exists():
        error = FieldError("name", "is another channel's. Choose a different one")
        raise Conflict(summarise([error]), errors=[error])


def _shown(kind: ChannelKind, target: str) -> str:
    """What may be shown of a target."""
    target = target.strip()
    if kind is ChannelKind.EMAIL:
        return target
    parts = urlsplit(target)
    return f"{parts.scheme}://{parts.netloc}/…{target[-4:]}"


def _new_secret() -> str:
    # Standard Webhooks, "Signature scheme": 24 to 64 random bytes, in base64, behind a prefix.
    return SECRET_PREFIX + base64.b64encode(randomness.token_bytes(SECRET_BYTES)).decode()


def _save_secret(row: NotificationChannel, kind: str, value: str) -> None:
    [secret] = (
        NotificationSecret.insert(workspace=row.workspace_id, channel=row.id, kind=kind)
        .returning(NotificationSecret)
        .execute()
    )
    secret.value_encrypted = secrets.encrypt(value, place=_place(secret))
    secret.save(only=[NotificationSecret.value_encrypted])


def _list_secrets(row: NotificationChannel, kind: str) -> list[NotificationSecret]:
    """Those that stand now, the newest first."""
    query = NotificationSecret.select().where(
        NotificationSecret.channel == row.id,
        NotificationSecret.kind == kind,
        NotificationSecret.expires_at.is_null() | (NotificationSecret.expires_at > peewee.fn.now()),
    )
    return list(query.order_by(NotificationSecret.id.desc()))


def _delete_secrets(row: NotificationChannel, kind: str, *which: Any) -> None:
    NotificationSecret.delete().where(
        NotificationSecret.channel == row.id, NotificationSecret.kind == kind, *which
    ).execute()


def _open(row: NotificationSecret) -> str:
    if row.value_encrypted is None:
        raise DecryptionError("A secret of this channel is not there.")
    return secrets.decrypt(row.value_encrypted, place=_place(row))


def _place(row: NotificationSecret) -> str:
    return secrets.place_of(row.workspace_id, "notification_secrets", row.id, "value")


def _told(row: NotificationChannel) -> dict[str, Any]:
    """A channel as the audit log keeps it: no secret."""
    return {
        "name": row.name,
        "kind": row.kind.value,
        "target": row.target,
        "min_severity": row.min_severity.value,
        "occasions": row.occasions,
        "is_active": row.is_active,
    }


def _record(
    row: NotificationChannel,
    by: Actor,
    what: str,
    *,
    before: dict[str, Any] | None = None,
    after: dict[str, Any] | None = None,
) -> None:
    audit.record(
        row.workspace_id,
        by,
        action=f"notification_channel.{what}",
        target=f"notification channel {row.name}",
        before=before,
        after=after,
    )
    logger.info(f"notification_channel.{what}", workspace_id=row.workspace_id, channel_id=row.id)
