"""Intake: requests from providers, checked, and stored as they came.

A request is believed only after its signature was checked on the raw bytes; a bad one changes
nothing but a counter. Then it is stored, committed, and answered. Reading and applying is for a
worker (`report_loop`). What comes in maild's own format is for `own_reports`.

These open connections to the database themselves, and hold none while a proof is fetched.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import peewee

from maild import allowances, db, errors, log, metrics, queue
from maild.db import database
from maild.domain.actor import SYSTEM
from maild.domain.provider_event import DSN
from maild.domain.provider_event import ProviderEvent as Event
from maild.domain.webhook_setup import SES
from maild.errors import InvalidRequest, NotFound, PayloadTooLarge
from maild.models import WebhookEndpoint
from maild.services import (
    audit,
    payload_events,
    payloads,
    report_links,
    webhook_endpoints,
    workspaces,
)
from maild.services.payloads import HINT
from maild.transports import webhooks
from maild.transports.webhooks import base, sns
from maild.transports.webhooks.base import BadSignature, Keys, Request, UnreadablePayload

logger = log.get(__name__)

BODY_MAX_BYTES = 5 * 1024 * 1024
MAIL_MAX_BYTES = 10 * 1024 * 1024
REFUSALS_PER_MINUTE = 60
"""Of an endpoint, so many are counted and logged."""
TOKEN_PATHS = ("/v1/webhooks/providers/", "/v1/webhooks/dsn/")
"""What the addresses of endpoints begin with; their ends are secret."""


@dataclass(frozen=True, slots=True)
class Piped:
    """A mail that was taken, and what it says."""

    workspace_id: int
    payload_id: int
    events: list[Event]


def take_native(provider: str, token: str, request: Request) -> None:
    """Check a request in a provider's own format, and store it durably.

    Raises NotFound (no such endpoint), errors.BadSignature, PayloadTooLarge, and
    Unavailable where what proves the signature cannot be had now.
    """
    endpoint, keys = _find(provider, token)
    if len(request.body) > BODY_MAX_BYTES:
        raise PayloadTooLarge("The request body is larger than 5 MB.")
    module = webhooks.get(provider)
    signed = replace(request, url=webhook_endpoints.url_of(endpoint))
    _verify(endpoint, lambda: module.verify(signed, keys))
    kept = {name: request.headers[name] for name in module.KEPT_HEADERS if name in request.headers}
    _store(endpoint, request, headers=kept)
    if provider == SES:  # its topic asks for a confirmation first
        _confirm(endpoint, request)
    queue.enqueue(HINT)


def take_mail(token: str, request: Request) -> None:
    """Store a bounce mail or abuse report that came to an endpoint. Raises as `take_native`.

    One of maild's own mail is maild's own, whoever's endpoint took it: it may have the link in it
    that only its recipient is to see.
    """
    endpoint, keys = _find(DSN, token)
    if len(request.body) > MAIL_MAX_BYTES:
        raise PayloadTooLarge("The mail is larger than 10 MB.")
    _verify(endpoint, lambda: base.check_basic_auth(request, keys))
    if _is_of_mailds_own(request.body):
        with db.connection():
            payloads.take_mail(workspaces.MAILDS_OWN_ID, request.body)
    else:
        _store(endpoint, request, headers={})
    queue.enqueue(HINT)


def _is_of_mailds_own(mail: bytes) -> bool:
    try:
        events = payload_events.parse_mail(mail)
    except Exception:  # what cannot be read will be a dead letter of the endpoint's workspace
        return False
    with db.connection():
        return report_links.find_workspace(events) == workspaces.MAILDS_OWN_ID


def _read_mail(mail: bytes) -> list[Event]:
    try:
        return payload_events.parse_mail(mail)
    except UnreadablePayload as error:
        raise InvalidRequest(f"It is not taken: {error}.") from None
    except Exception as error:  # it is stored nevertheless, and will be a dead letter
        payloads.explain(error)
        return []


def _store(endpoint: WebhookEndpoint, request: Request, *, headers: dict[str, str]) -> None:
    try:
        with db.connection():
            payloads.take(endpoint, request, headers=headers)
    except peewee.IntegrityError:  # its workspace was deleted just now
        raise NotFound("There is no such webhook endpoint.") from None


def take_piped(mail: bytes, *, workspace_id: int | None = None) -> Piped:
    """Store a bounce mail or abuse report that an MTA has piped here, durably; a worker applies it.

    Without `workspace_id` it is the workspace of the message that it tells of, else the first.
    Raises InvalidRequest (there is nothing in it), PayloadTooLarge, NotFound (the workspace),
    Unavailable.
    """
    if not mail.strip():
        raise InvalidRequest("There is no mail on standard input.")
    if len(mail) > MAIL_MAX_BYTES:
        raise PayloadTooLarge("The mail is larger than 10 MB.")
    events = _read_mail(mail)
    with db.connection():
        if workspace_id is None:
            workspace_id = report_links.find_workspace(events)
        if workspace_id is None:
            workspace_id = workspaces.DEFAULT_WORKSPACE_ID
        workspaces.require(workspace_id)
        payload = payloads.take_mail(workspace_id, mail)
    queue.enqueue(HINT)
    return Piped(workspace_id, payload.id, events)


def check_endpoint(provider: str, token: str) -> None:
    """Raises NotFound where there is no such endpoint."""
    _find(provider, token)


def _find(provider: str, token: str) -> tuple[WebhookEndpoint, Keys]:
    with db.connection():
        endpoint = webhook_endpoints.find_by_token(token)
        if endpoint is None or endpoint.provider != provider:
            raise NotFound("There is no such webhook endpoint.")
        return endpoint, webhook_endpoints.keys_of(endpoint)


def _verify(endpoint: WebhookEndpoint, check: Callable[[], None]) -> None:
    try:
        check()
    except BadSignature as error:
        refuse(endpoint.id, endpoint.provider, str(error), workspace_id=endpoint.workspace_id)
        raise errors.BadSignature("The request is not signed as this endpoint expects.") from None


def refuse(endpoint_id: int, provider: str, reason: str, **facts: Any) -> None:
    """Note that a request was refused; of a flood of them, as many as tell that there is one."""
    metrics.WEBHOOK_REQUESTS.labels(provider, "refused").inc()
    if not allowances.take(f"refusals:{endpoint_id}", REFUSALS_PER_MINUTE).is_given:
        return
    with db.connection():
        webhook_endpoints.refused(endpoint_id, reason)
    logger.warning(
        "webhook.refused", endpoint_id=endpoint_id, provider=provider, reason=reason, **facts
    )


def _confirm(endpoint: WebhookEndpoint, request: Request) -> None:
    """Answer a subscription that Amazon SNS asks about; it has been checked like every request."""
    url = sns.confirmation_url(request)
    if url is None:
        return
    sns.confirm(url)
    with db.connection(), database.atomic():
        audit.record(
            endpoint.workspace_id,
            SYSTEM,
            action="webhook_endpoint.confirmed",
            target=f"webhook endpoint {endpoint.id}",
            after={"topic_arn": endpoint.topic_arn},
        )
    logger.info("webhook.confirmed", workspace_id=endpoint.workspace_id, endpoint_id=endpoint.id)
