"""Secrets of webhook endpoints, which prove that it is the provider who reports: what signatures
are checked with, and user names with passwords (RFC 7617).

They are kept encrypted and never told. While one takes the place of another, both are valid for a
time. Not in charge of how a provider signs (`transports.webhooks`).
"""

import hmac
from collections.abc import Sequence
from enum import StrEnum

import peewee

from maild import log
from maild.db import database, execute_prepared
from maild.domain.actor import Actor
from maild.domain.provider_event import DSN
from maild.domain.webhook_setup import SES
from maild.errors import DecryptionError, FieldError, InvalidFields, NotFound, summarise
from maild.models import WebhookEndpoint, WebhookSecret
from maild.services import audit, secrets
from maild.transports import webhooks

VALUE_MAX_CHARS = 4_096
"""A public key has some hundred; this is far more than any provider's secret."""
OLD_VALID_SECONDS, OLD_VALID_SECONDS_MAX = 86_400, 7 * 86_400
"""How long the secret before goes on being valid, unless said otherwise, and at most."""
VALID_MAX = 2
"""Secrets of one kind at once."""

logger = log.get(__name__)


class Kind(StrEnum):
    """What a secret is for."""

    SIGNING = "signing"
    BASIC_AUTH = "basic_auth"
    """`user:password`, as RFC 7617 has it."""


def add(
    workspace_id: int,
    endpoint_id: int,
    *,
    kind: str,
    value: str,
    old_valid_seconds: int = OLD_VALID_SECONDS,
    by: Actor,
) -> WebhookSecret:
    """Save a secret, which is valid at once. The one of its kind before it stays valid for
    `old_valid_seconds`, or as long as it was to be if that is shorter; older ones end at once, and
    with 0 all do.

    The same secret once more is not a second one. Raises InvalidFields, NotFound.
    """
    with database.atomic():
        endpoint = _take_turns(workspace_id, endpoint_id)
        its_kind = _check(endpoint, kind, value, old_valid_seconds)
        value = _clean(its_kind, value)
        before = _list_valid([endpoint_id], its_kind)
        others = list(before)
        if others and _holds(others[0], value):
            row = others.pop(0)  # the newest of a kind never ends by itself
        else:
            row = save(endpoint, its_kind, value, by=by)
        kept = others[: VALID_MAX - 1] if old_valid_seconds else []
        ended = others[len(kept) :]
        for secret in kept:
            _limit(secret, old_valid_seconds)
        _delete(ended)
        _record(
            endpoint,
            by,
            "added",
            before={"kind": kind, "valid": [secret.id for secret in before]},
            after={
                "kind": kind,
                "id": row.id,
                "still_valid": [secret.id for secret in kept],
                "old_valid_seconds": old_valid_seconds,
            },
        )
    return row


def remove(workspace_id: int, endpoint_id: int, *, secret_id: int, by: Actor) -> WebhookSecret:
    """Let a secret be valid no more; returns what it was.

    Where it was the newest, the one before it takes its place for good: it would end silently
    otherwise, and leave nothing that protects the endpoint. Raises NotFound.
    """
    with database.atomic():
        endpoint = _take_turns(workspace_id, endpoint_id)
        row: WebhookSecret | None = WebhookSecret.get_or_none(
            WebhookSecret.id == secret_id, WebhookSecret.endpoint == endpoint_id
        )
        if row is None:
            raise NotFound("There is no such secret of this webhook endpoint.")
        _delete([row])
        left = _list_valid([endpoint_id], Kind(row.kind))
        if left:
            _update(left[0], expires_at=None)
        _record(
            endpoint,
            by,
            "removed",
            before={"kind": row.kind, "id": row.id},
            after={"kind": row.kind, "valid": [secret.id for secret in left]},
        )
    return row


def find_valid(endpoints: Sequence[WebhookEndpoint]) -> dict[int, list[WebhookSecret]]:
    """The secrets of each endpoint that are valid now, by its id, the newest first."""
    found: dict[int, list[WebhookSecret]] = {endpoint.id: [] for endpoint in endpoints}
    for row in _list_valid(list(found)):
        found[row.endpoint_id].append(row)
    return found


# Each request of a provider asks this, so it is planned once.
_VALUES = """
SELECT id, kind, value_encrypted FROM webhook_secrets
WHERE endpoint_id = $1 AND (expires_at IS NULL OR expires_at > now()) ORDER BY id DESC
"""


def values_of(endpoint: WebhookEndpoint) -> dict[Kind, tuple[str, ...]]:
    """The secrets that are valid now, themselves, by their kind, the newest first.

    Raises DecryptionError.
    """
    found: dict[Kind, list[str]] = {kind: [] for kind in Kind}
    for secret_id, kind, value in execute_prepared("webhook_secrets", _VALUES, (endpoint.id,)):
        row = WebhookSecret(
            id=secret_id, workspace=endpoint.workspace_id, kind=kind, value_encrypted=value
        )
        found[Kind(kind)].append(_open(row))
    return {kind: tuple(values) for kind, values in found.items()}


def secret_is(provider: str) -> str:
    """What a provider's signing secret is and where it shows it; empty for one that has none."""
    module = webhooks.PROVIDERS.get(provider)
    return "" if module is None else str(module.SECRET_IS)


def parse_given(
    provider: str, *, signing: str | None, basic_auth: tuple[str, str] | None
) -> tuple[dict[Kind, str], list[FieldError]]:
    """The values of a new endpoint's secrets, and what is wrong with them. `basic_auth` is a user
    name and a password.
    """
    given: dict[Kind, str] = {}
    errors: list[FieldError] = []
    if signing is not None:
        field = "signing_secret"
        given[Kind.SIGNING] = _clean(Kind.SIGNING, signing)
        errors += _check_is_taken(field, provider) or _check_signing(
            field, provider, given[Kind.SIGNING]
        )
    if basic_auth is not None:
        user, password = basic_auth
        given[Kind.BASIC_AUTH] = f"{user}:{password}"
        if ":" in user:  # RFC 7617 2
            errors.append(FieldError("basic_auth.username", "must not contain a colon"))
        else:
            errors += _check_basic_auth("basic_auth", given[Kind.BASIC_AUTH])
    return given, errors


def save(endpoint: WebhookEndpoint, kind: Kind, value: str, *, by: Actor) -> WebhookSecret:
    """Store a secret beside those that are there, in the caller's transaction."""
    row: WebhookSecret = (
        WebhookSecret.insert(
            workspace=endpoint.workspace_id,
            endpoint=endpoint.id,
            kind=kind.value,
            created_by=by.name,
        )
        .returning(WebhookSecret)
        .execute()[0]
    )
    row.value_encrypted = secrets.encrypt(value, place=_place(row))
    row.save(only=[WebhookSecret.value_encrypted])
    return row


def _take_turns(workspace_id: int, endpoint_id: int) -> WebhookEndpoint:
    """Two that change an endpoint's secrets: the second waits here. Raises NotFound."""
    row: WebhookEndpoint | None = (
        WebhookEndpoint.select()
        .where(WebhookEndpoint.id == endpoint_id, WebhookEndpoint.workspace == workspace_id)
        .for_update("FOR NO KEY UPDATE")  # type: ignore[arg-type]
        .first()
    )
    if row is None:
        raise NotFound("There is no such webhook endpoint in this workspace.")
    return row


def _record(
    endpoint: WebhookEndpoint,
    by: Actor,
    what: str,
    *,
    before: dict[str, object],
    after: dict[str, object],
) -> None:
    """Tell of a change: of the secrets only their ids."""
    audit.record(
        endpoint.workspace_id,
        by,
        action=f"webhook_secret.{what}",
        target=f"webhook endpoint {endpoint.id} ({endpoint.provider})",
        before=before,
        after=after,
    )
    logger.warning(
        f"webhook_secret.{what}",
        workspace_id=endpoint.workspace_id,
        endpoint_id=endpoint.id,
        kind=after["kind"],
    )


def _list_valid(endpoint_ids: Sequence[int], kind: Kind | None = None) -> list[WebhookSecret]:
    """Secrets that are valid now, by Postgres' clock, so that all processes agree; newest first."""
    query = WebhookSecret.select().where(
        WebhookSecret.endpoint.in_(list(endpoint_ids)),
        WebhookSecret.expires_at.is_null() | (WebhookSecret.expires_at > peewee.fn.now()),
    )
    if kind is not None:
        query = query.where(WebhookSecret.kind == kind.value)
    return list(query.order_by(WebhookSecret.id.desc()))


def _limit(row: WebhookSecret, seconds: int) -> None:
    """Let a secret end after so many seconds, unless it ends before."""
    # LEAST passes over NULL.
    ends = peewee.fn.least(
        WebhookSecret.expires_at,
        peewee.fn.now() + peewee.fn.make_interval(0, 0, 0, 0, 0, 0, seconds),
    )
    _update(row, expires_at=ends)


def _update(row: WebhookSecret, **values: object) -> None:
    WebhookSecret.update(**values).where(WebhookSecret.id == row.id).execute()


def _delete(rows: Sequence[WebhookSecret]) -> None:
    WebhookSecret.delete().where(WebhookSecret.id.in_([row.id for row in rows])).execute()


def _holds(row: WebhookSecret, value: str) -> bool:
    """Whether the secret is this one. One that no key opens is not."""
    try:
        return hmac.compare_digest(_open(row).encode(), value.encode())
    except DecryptionError:
        return False


def _open(row: WebhookSecret) -> str:
    if row.value_encrypted is None:
        raise DecryptionError("A secret of this webhook endpoint is not there.")
    return secrets.decrypt(row.value_encrypted, place=_place(row))


def _place(row: WebhookSecret) -> str:
    return secrets.place_of(row.workspace_id, "webhook_secrets", row.id, "value")


def _check(endpoint: WebhookEndpoint, kind: str, value: str, old_valid_seconds: int) -> Kind:
    """Raises InvalidFields."""
    if kind not in set(Kind):
        _raise([FieldError("kind", "must be one of " + ", ".join(Kind))])
    its_kind = Kind(kind)
    errors: list[FieldError] = []
    if its_kind is Kind.SIGNING:
        errors += _check_is_taken("kind", endpoint.provider)
        errors += _check_signing("value", endpoint.provider, _clean(its_kind, value))
    else:
        errors += _check_basic_auth("value", value)
    if not 0 <= old_valid_seconds <= OLD_VALID_SECONDS_MAX:
        message = f"must be from 0, at once, to {OLD_VALID_SECONDS_MAX}, seven days"
        errors.append(FieldError("old_valid_seconds", message))
    _raise(errors)
    return its_kind


def _check_is_taken(field: str, provider: str) -> list[FieldError]:
    module = webhooks.PROVIDERS.get(provider)
    if module is not None and module.SECRET_IS:
        return []
    if provider == SES:
        why = "Amazon SNS signs with a certificate of Amazon's, which maild gets by itself"
    elif provider == DSN:
        why = "bounce mails are not signed; basic authentication can protect the endpoint"
    else:
        title = provider if module is None else module.TITLE
        why = f"{title} does not sign its requests; basic authentication can protect the endpoint"
    return [FieldError(field, f"{provider} takes no signing secret: {why}")]


def _check_signing(field: str, provider: str, value: str) -> list[FieldError]:
    """Whether it can be a signing secret of this provider's, as far as that can be seen."""
    errors = _check_text(field, value)
    module = webhooks.PROVIDERS.get(provider)
    if errors or not isinstance(module, webhooks.ChecksSecrets):
        return errors
    try:
        module.check_secret(value)
    except ValueError as error:
        return [FieldError(field, str(error))]
    return []


def _check_basic_auth(field: str, value: str) -> list[FieldError]:
    user, colon, _ = value.partition(":")
    if not colon:
        return [FieldError(field, "must be a user name, a colon and a password")]
    if not user:
        return [FieldError(field, "must have a user name")]
    return _check_text(field, value)


def _check_text(field: str, value: str) -> list[FieldError]:
    if not value.strip():
        return [FieldError(field, "must not be empty")]
    if not value.isprintable():
        return [FieldError(field, "must be printable characters, in one line")]
    if len(value) > VALUE_MAX_CHARS:
        return [FieldError(field, f"is longer than {VALUE_MAX_CHARS} characters")]
    return []


def _clean(kind: Kind, value: str) -> str:
    """Without what copying brings along; a password may begin or end with a space."""
    return value.strip() if kind is Kind.SIGNING else value


def _raise(errors: list[FieldError]) -> None:
    if errors:
        raise InvalidFields(summarise(errors), errors=errors)
