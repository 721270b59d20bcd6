"""Reports from providers. Written by `python -m tools.client`: do not edit."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from typing import Literal

from maild_client.shapes.reports_from_providers import (
    DismissOut,
    EventsTaken,
    ProviderEventOut,
    ReplayOut,
    WebhookLogPage,
    WebhookReady,
    WebhookTaken,
)
from maild_client.transport import UNSET, Transport, Unset, path_segment


class ReportsFromProvidersOperations(Transport):
    """Operations of the chapter Reports from providers."""

    def report_events(
        self,
        *,
        content: bytes,
        content_type: str = "application/json",
        x_webhook_timestamp: str | None = None,
        x_webhook_signature: str | None = None,
    ) -> EventsTaken:
        """Report events in maild's own format, or in a provider's; one or up to 1,000.

        POST /v1/webhooks/events.
        """
        answer: EventsTaken = self._take(
            "/v1/webhooks/events",
            content=content,
            content_type=content_type,
            headers={
                "X-Webhook-Timestamp": x_webhook_timestamp,
                "X-Webhook-Signature": x_webhook_signature,
            },
        )
        return answer

    def report_provider_events(
        self,
        provider: str,
        token: str,
        *,
        content: bytes,
        content_type: str = "application/json",
        headers: dict[str, str] | None = None,
    ) -> WebhookTaken:
        """Report events in a provider's own format, with its own signature.

        POST /v1/webhooks/providers/{provider}/{token}.
        """
        answer: WebhookTaken = self._take(
            f"/v1/webhooks/providers/{path_segment(provider)}/{path_segment(token)}",
            content=content,
            content_type=content_type,
            headers=headers or {},
        )
        return answer

    def check_webhook_endpoint(
        self,
        provider: str,
        token: str,
    ) -> WebhookReady:
        """Whether this is an endpoint; some providers ask before they save its address.

        GET /v1/webhooks/providers/{provider}/{token}.
        """
        answer: WebhookReady = self._json(
            "GET",
            f"/v1/webhooks/providers/{path_segment(provider)}/{path_segment(token)}",
        )
        return answer

    def report_bounce_mail(
        self,
        token: str,
        *,
        content: bytes,
        content_type: str = "message/rfc822",
        headers: dict[str, str] | None = None,
    ) -> WebhookTaken:
        """Report a bounce mail (RFC 3464) or an abuse report (RFC 5965), raw.

        POST /v1/webhooks/dsn/{token}.
        """
        answer: WebhookTaken = self._take(
            f"/v1/webhooks/dsn/{path_segment(token)}",
            content=content,
            content_type=content_type,
            headers=headers or {},
        )
        return answer

    def list_provider_events(
        self,
        *,
        workspace_id: int | None = None,
        limit: int | None = None,
        cursor: str | None = None,
        status: Literal["received", "applied", "ignored", "duplicate", "dead_letter", "replayed"]
        | None = None,
        provider: str | None = None,
        type: Literal[
            "queued",
            "sent",
            "delivered",
            "deferred",
            "bounced",
            "rejected",
            "failed",
            "complained",
            "unsubscribed",
            "subscribed",
            "opened",
            "clicked",
            "autoresponded",
            "unknown",
        ]
        | None = None,
        email: str | None = None,
        linked: bool | None = None,
        from_: str | dt.datetime | None = None,
        to: str | dt.datetime | None = None,
    ) -> WebhookLogPage:
        """What providers have reported, newest first, in pages.

        GET /v1/webhooks/logs.
        """
        answer: WebhookLogPage = self._json(
            "GET",
            "/v1/webhooks/logs",
            query={
                "workspace_id": workspace_id,
                "limit": limit,
                "cursor": cursor,
                "status": status,
                "provider": provider,
                "type": type,
                "email": email,
                "linked": linked,
                "from": from_,
                "to": to,
            },
        )
        return answer

    def iter_provider_events(
        self,
        *,
        workspace_id: int | None = None,
        limit: int | None = None,
        status: Literal["received", "applied", "ignored", "duplicate", "dead_letter", "replayed"]
        | None = None,
        provider: str | None = None,
        type: Literal[
            "queued",
            "sent",
            "delivered",
            "deferred",
            "bounced",
            "rejected",
            "failed",
            "complained",
            "unsubscribed",
            "subscribed",
            "opened",
            "clicked",
            "autoresponded",
            "unknown",
        ]
        | None = None,
        email: str | None = None,
        linked: bool | None = None,
        from_: str | dt.datetime | None = None,
        to: str | dt.datetime | None = None,
    ) -> Iterator[ProviderEventOut]:
        """All rows of `list_provider_events`, page by page as they are asked for."""
        cursor: str | None = None
        while True:
            page = self.list_provider_events(
                workspace_id=workspace_id,
                limit=limit,
                cursor=cursor,
                status=status,
                provider=provider,
                type=type,
                email=email,
                linked=linked,
                from_=from_,
                to=to,
            )
            yield from page["events"]
            cursor = page["next_cursor"]
            if cursor is None:
                return

    def replay_provider_events(
        self,
        *,
        workspace_id: int | Unset | None = UNSET,
        event_ids: list[int | str] | Unset | None = UNSET,
        limit: int | Unset | None = UNSET,
        dry_run: bool | Unset = UNSET,
    ) -> ReplayOut:
        """Read and apply dead letters again, or say what that would do.

        POST /v1/webhooks/replay.
        """
        answer: ReplayOut = self._json(
            "POST",
            "/v1/webhooks/replay",
            body={
                "workspace_id": workspace_id,
                "event_ids": event_ids,
                "limit": limit,
                "dry_run": dry_run,
            },
        )
        return answer

    def dismiss_provider_events(
        self,
        *,
        event_ids: list[int | str],
        reason: str,
        workspace_id: int | Unset | None = UNSET,
    ) -> DismissOut:
        """Let dead letters be that nothing will mend; they can be replayed all the same.

        POST /v1/webhooks/dismiss.
        """
        answer: DismissOut = self._json(
            "POST",
            "/v1/webhooks/dismiss",
            body={
                "workspace_id": workspace_id,
                "event_ids": event_ids,
                "reason": reason,
            },
        )
        return answer
