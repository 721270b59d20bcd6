"""Webhook endpoints: where a workspace's providers report to. An endpoint is known by the token in
its address, and its secrets (`webhook_secrets`) prove who reports.

A token is found by its SHA-256 (256 random bits need neither salt nor a slow hash), and kept
encrypted beside it, so that the address can be shown again. Not in charge of receiving (`intake`),
nor of noticing that a provider falls silent (`report_watch`).
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from maild import config, log
from maild.db import database, execute_prepared
from maild.domain import webhook_setup
from maild.domain.actor import Actor
from maild.domain.provider_event import DSN
from maild.domain.storable import clean_text
from maild.domain.webhook_setup import SES
from maild.errors import (
    Conflict,
    DecryptionError,
    FieldError,
    InvalidFields,
    NotFound,
    summarise,
)
from maild.models import WebhookEndpoint, WebhookSecret
from maild.models.smtp_account import DEFAULT_ACCOUNT
from maild.services import audit, secrets, smtp_accounts, tokens, webhook_secrets, workspaces
from maild.services.webhook_secrets import Kind
from maild.transports import webhooks
from maild.transports.webhooks.base import Keys

ENDPOINTS_MAX = 50
"""Of a workspace."""
REFUSAL_MAX_CHARS = 500

# SES publishes to no FIFO topic, whose name would have a dot.
# https://docs.aws.amazon.com/sns/latest/api/API_CreateTopic.html
_TOPIC_ARN = re.compile(
    r"arn:aws(-cn|-us-gov)?:sns:[a-z]{2}(-[a-z]+)+-\d{1,2}:\d{12}:[A-Za-z0-9_-]{1,256}", re.ASCII
)

logger = log.get(__name__)


class State(StrEnum):
    """How an endpoint does; the first that is true."""

    NEEDS_SECRET = "needs_secret"
    """Everything is refused until a secret is saved."""
    REFUSING = "refusing"
    """Signatures keep failing."""
    SILENT = "silent"
    """Mail goes out, and nothing is reported."""
    RECEIVING = "receiving"
    WAITING = "waiting"
    """Nothing has come yet."""


@dataclass(frozen=True, slots=True)
class Counts:
    """Requests of the last 24 hours."""

    received: int = 0
    refused: int = 0


def provider_words() -> list[str]:
    """Every word that names a provider."""
    return [*webhooks.PROVIDERS, DSN]


def title_of(provider: str) -> str:
    """The provider's name as people write it."""
    if provider == DSN:
        return "Bounce mails"
    module = webhooks.PROVIDERS.get(provider)
    return provider if module is None else str(module.TITLE)


def add(
    workspace_id: int,
    *,
    provider: str,
    smtp_account: str,
    topic_arn: str | None = None,
    signing_secret: str | None = None,
    basic_auth: tuple[str, str] | None = None,
    token: str | None = None,
    by: Actor,
) -> WebhookEndpoint:
    """Make an endpoint with an address of its own. `basic_auth` is a user name and a password, and
    `token` what a caller of maild's own has made with `tokens.make`, to know the address already.

    An account may have several: its token is changed by adding a second endpoint, and deleting the
    first. Raises InvalidFields, NotFound (the workspace), and Conflict where there are
    ENDPOINTS_MAX already.
    """
    given = _check_new(provider, topic_arn, signing_secret, basic_auth)
    token = token or tokens.make()
    with database.atomic():
        _take_turns(workspace_id)
        _check_account(workspace_id, smtp_account)
        _check_count(workspace_id)
        row: WebhookEndpoint = (
            WebhookEndpoint.insert(
                workspace=workspace_id,
                provider=provider,
                smtp_account_name=smtp_account,
                token_hash=tokens.hash_of(token),
                topic_arn=topic_arn,
                created_by=by.name,
            )
            .returning(WebhookEndpoint)
            .execute()[0]
        )
        row.token_encrypted = secrets.encrypt(token, place=_token_place(row))
        row.save(only=[WebhookEndpoint.token_encrypted])
        for kind, value in given.items():
            webhook_secrets.save(row, kind, value, by=by)
        audit.record(
            workspace_id,
            by,
            action="webhook_endpoint.added",
            target=_target(row),
            after={**_told(row), **{kind.value: "set" for kind in given}},
        )
    logger.warning(
        "webhook_endpoint.added",
        workspace_id=workspace_id,
        endpoint_id=row.id,
        provider=provider,
        smtp_account=smtp_account,
    )
    return row


def list_of_account(workspace_id: int, name: str) -> list[WebhookEndpoint]:
    """The endpoints that report on the mail of one SMTP account, the oldest first."""
    query = WebhookEndpoint.select().where(
        WebhookEndpoint.workspace == workspace_id, WebhookEndpoint.smtp_account_name == name
    )
    return list(query.order_by(WebhookEndpoint.id))


def list_all(workspace_id: int) -> list[WebhookEndpoint]:
    """All endpoints of a workspace, the oldest first. Raises NotFound."""
    query = WebhookEndpoint.select().where(WebhookEndpoint.workspace == workspace_id)
    endpoints = list(query.order_by(WebhookEndpoint.id))
    if not endpoints:
        workspaces.require(workspace_id)
    return endpoints


def get(workspace_id: int, endpoint_id: int) -> WebhookEndpoint:
    """The workspace's endpoint of this id. Raises NotFound."""
    return _get(workspace_id, endpoint_id)


def delete(workspace_id: int, endpoint_id: int, *, by: Actor) -> WebhookEndpoint:
    """Let its address be one of nobody; returns what it was. What came in through it stays, and is
    read as it would have been. Raises NotFound.
    """
    with database.atomic():
        row = _get(workspace_id, endpoint_id, lock="FOR UPDATE")
        row.delete_instance()
        audit.record(
            workspace_id,
            by,
            action="webhook_endpoint.deleted",
            target=_target(row),
            before=_told(row),
        )
    logger.warning(
        "webhook_endpoint.deleted",
        workspace_id=workspace_id,
        endpoint_id=endpoint_id,
        provider=row.provider,
    )
    return row


# Each request of a provider asks this, so it is planned once.
_FIND = """
SELECT id, workspace_id, provider, smtp_account_name, token_encrypted, topic_arn
FROM webhook_endpoints WHERE token_hash = $1
"""


def find_by_token(token: str) -> WebhookEndpoint | None:
    """The endpoint that has this token in its address, of whichever workspace; with what a request
    to it is checked by, and no more.
    """
    if not tokens.is_well_formed(token):
        return None
    rows = execute_prepared("find_webhook_endpoint", _FIND, (tokens.hash_of(token),))
    if not rows:
        return None
    endpoint_id, workspace_id, provider, account, token_encrypted, topic_arn = rows[0]
    return WebhookEndpoint(
        id=endpoint_id,
        workspace=workspace_id,
        provider=provider,
        smtp_account_name=account,
        token_encrypted=token_encrypted,
        topic_arn=topic_arn,
    )


def keys_of(endpoint: WebhookEndpoint) -> Keys:
    """What a request to it is checked with: all secrets that are valid now.

    Raises DecryptionError.
    """
    values = webhook_secrets.values_of(endpoint)
    return Keys(
        signing=values[Kind.SIGNING],
        basic_auth=values[Kind.BASIC_AUTH],
        topic_arn=endpoint.topic_arn,
        max_skew_seconds=config.current().webhooks.max_skew_seconds,
    )


# The endpoint's row is locked before the tally's: PostgreSQL runs the last part first.
_REFUSED = """
WITH tally AS (
    INSERT INTO webhook_tallies AS t (endpoint_id, slot_at, refused_count)
    VALUES (%(endpoint)s, date_trunc('hour', now()), 1)
    ON CONFLICT (endpoint_id, slot_at) DO UPDATE SET refused_count = t.refused_count + 1)
UPDATE webhook_endpoints SET last_refused_at = now(), last_refusal = %(reason)s
WHERE id = %(endpoint)s
"""


def refused(endpoint_id: int, reason: str) -> None:
    """Note that a request was refused. It changes a counter, and what is told of the endpoint.

    GENERIC_ENDPOINT_ID stands for maild's own format, which has a counter only.
    """
    told = clean_text(reason)[:REFUSAL_MAX_CHARS]
    database.execute_sql(_REFUSED, {"endpoint": endpoint_id, "reason": told})


def url_of(endpoint: WebhookEndpoint) -> str:
    """The address that the provider is given: whoever has it may report. Raises DecryptionError."""
    if endpoint.token_encrypted is None:
        raise DecryptionError("The token of this webhook endpoint is not there.")
    token = secrets.decrypt(endpoint.token_encrypted, place=_token_place(endpoint))
    path = DSN if endpoint.provider == DSN else f"providers/{endpoint.provider}"
    return f"{config.current().public_url}/v1/webhooks/{path}/{token}"


def find_url(endpoint: WebhookEndpoint) -> str | None:
    """The same; None where no key that we hold opens it, so that a list is told nevertheless."""
    try:
        return url_of(endpoint)
    except DecryptionError as error:
        logger.error("webhook_endpoint.unreadable", endpoint_id=endpoint.id, error=error.detail)
        return None


def setup_of(
    endpoint: WebhookEndpoint,
    valid: Iterable[WebhookSecret],
    *,
    ways: Mapping[str, str] = webhook_setup.BY_API,
) -> list[str]:
    """What to do at the provider now, in plain sentences, for who calls the API, or for who has a
    page before them (`webhook_setup.BY_PAGE`). Raises DecryptionError.
    """
    return webhook_setup.steps(
        endpoint.provider,
        url=url_of(endpoint),
        topic_arn=endpoint.topic_arn,
        has_basic_auth=any(secret.kind == Kind.BASIC_AUTH for secret in valid),
        ways=ways,
    )


_COUNTS = """
SELECT endpoint_id, sum(received_count)::int, sum(refused_count)::int FROM webhook_tallies
WHERE endpoint_id = ANY(%s) AND slot_at > now() - interval '24 hours'
GROUP BY endpoint_id
"""


def counts_of(endpoints: Sequence[WebhookEndpoint]) -> dict[int, Counts]:
    """How many requests each endpoint took and refused in the last 24 hours, by its id; counted
    in whole hours, so that the first part of an hour may be missing.
    """
    ids = [endpoint.id for endpoint in endpoints]
    rows = database.execute_sql(_COUNTS, (ids,)).fetchall()
    return dict.fromkeys(ids, Counts()) | {
        endpoint_id: Counts(received, refused_count)
        for endpoint_id, received, refused_count in rows
    }


def state_of(endpoint: WebhookEndpoint, valid: Sequence[WebhookSecret]) -> State:
    """How it does, with the secrets that are valid now."""
    if _lacks_secret(endpoint, valid):
        return State.NEEDS_SECRET
    if endpoint.refusing_since is not None:
        return State.REFUSING
    if endpoint.silent_since is not None:
        return State.SILENT
    return State.WAITING if endpoint.last_event_at is None else State.RECEIVING


def prune() -> None:
    """Delete tallies of more than 30 days ago, and secrets that ended more than a day ago."""
    database.execute_sql("DELETE FROM webhook_tallies WHERE slot_at < now() - interval '30 days'")
    database.execute_sql("DELETE FROM webhook_secrets WHERE expires_at < now() - interval '1 day'")


# Not FOR UPDATE: that would keep everybody waiting who stores a message of the workspace.
_TAKE_TURNS = "SELECT FROM workspaces WHERE id = %s FOR NO KEY UPDATE"


def _take_turns(workspace_id: int) -> None:
    """Two that add endpoints, or one that deletes an SMTP account: the second waits here.

    Raises NotFound.
    """
    if not database.execute_sql(_TAKE_TURNS, (workspace_id,)).fetchall():
        raise NotFound(f"There is no workspace {workspace_id}.")


def _get(workspace_id: int, endpoint_id: int, *, lock: str | None = None) -> WebhookEndpoint:
    query = WebhookEndpoint.select().where(
        WebhookEndpoint.id == endpoint_id, WebhookEndpoint.workspace == workspace_id
    )
    if lock:
        query = query.for_update(lock)  # type: ignore[arg-type]
    row: WebhookEndpoint | None = query.first()
    if row is None:
        raise NotFound("There is no such webhook endpoint in this workspace.")
    return row


def _token_place(row: WebhookEndpoint) -> str:
    """Where the token is stored: the additional authenticated data of its ciphertext."""
    return secrets.place_of(row.workspace_id, "webhook_endpoints", row.id, "token")


def _target(row: WebhookEndpoint) -> str:
    """The endpoint as the audit log names it."""
    return f"webhook endpoint {row.id} ({row.provider})"


def _told(row: WebhookEndpoint) -> dict[str, object]:
    """An endpoint as the audit log keeps it for good: no token, and no secret."""
    return {
        "id": row.id,
        "provider": row.provider,
        "smtp_account": row.smtp_account_name,
        "topic_arn": row.topic_arn,
    }


def _lacks_secret(endpoint: WebhookEndpoint, valid: Sequence[WebhookSecret]) -> bool:
    if endpoint.provider == SES:
        return endpoint.topic_arn is None
    module = webhooks.PROVIDERS.get(endpoint.provider)
    return module is not None and module.SIGNS and not valid


def _check_new(
    provider: str,
    topic_arn: str | None,
    signing_secret: str | None,
    basic_auth: tuple[str, str] | None,
) -> dict[Kind, str]:
    """The secrets that were given. Raises InvalidFields."""
    if provider not in provider_words():
        words = ", ".join(provider_words())
        _raise([FieldError("provider", f"must be one of {words}")])
    given, errors = webhook_secrets.parse_given(
        provider, signing=signing_secret, basic_auth=basic_auth
    )
    _raise(_check_topic(provider, topic_arn) + errors)
    return given


def _check_topic(provider: str, topic_arn: str | None) -> list[FieldError]:
    field = "topic_arn"
    if provider != SES:
        message = "is for Amazon SES only; leave it out"
        return [] if topic_arn is None else [FieldError(field, message)]
    if topic_arn is None:
        message = "is needed for Amazon SES: the SNS topic that SES publishes its events to"
        return [FieldError(field, message)]
    if not _TOPIC_ARN.fullmatch(topic_arn):
        message = (
            "must be the ARN of a standard SNS topic, such as"
            " arn:aws:sns:eu-west-1:123456789012:ses-events"
        )
        return [FieldError(field, message)]
    return []


def _check_account(workspace_id: int, name: str) -> None:
    """Raises InvalidFields."""
    if name == DEFAULT_ACCOUNT:
        return
    try:
        smtp_accounts.find(workspace_id, name=name)
    except NotFound:
        message = (
            f"there is no SMTP account of this name; {DEFAULT_ACCOUNT!r} is that of the environment"
        )
        _raise([FieldError("smtp_account", message)])


def _check_count(workspace_id: int) -> None:
    """Raises Conflict."""
    own = WebhookEndpoint.select().where(WebhookEndpoint.workspace == workspace_id)
    if own.count() >= ENDPOINTS_MAX:
        raise Conflict(
            f"This workspace has {ENDPOINTS_MAX} webhook endpoints, as many as it may."
            " Delete one that is not needed first."
        )


def _raise(errors: list[FieldError]) -> None:
    if errors:
        raise InvalidFields(summarise(errors), errors=errors)
