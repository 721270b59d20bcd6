"""Messages. Written by `python -m tools.client`: do not edit."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from typing import Any, Literal

from maild_client.shapes.messages import (
    AttachmentIn,
    BatchOut,
    InterventionOut,
    LogPage,
    MessageDetail,
    MessageIn,
    MessageOut,
    ResendOut,
    RetryFilter,
    RetryOut,
    TimelineOut,
    ValidateOut,
)
from maild_client.shapes.shared import MessageSummary, Stream
from maild_client.transport import UNSET, Transport, Unset, path_segment


class MessagesOperations(Transport):
    """Operations of the chapter Messages."""

    def submit_message(
        self,
        *,
        from_email: str,
        to_email: str,
        subject: str | Unset = UNSET,
        body_text: str | Unset | None = UNSET,
        body_html: str | Unset | None = UNSET,
        template: int | str | Unset | None = UNSET,
        data: dict[str, Any] | Unset | None = UNSET,
        workspace_id: int | Unset | None = UNSET,
        from_name: str | Unset | None = UNSET,
        reply_to: str | Unset | None = UNSET,
        cc: list[str] | Unset = UNSET,
        bcc: list[str] | Unset = UNSET,
        headers: dict[str, str] | Unset = UNSET,
        attachments: list[AttachmentIn] | Unset = UNSET,
        stream: Stream | Unset = UNSET,
        topic: str | Unset | None = UNSET,
        tags: list[str] | Unset = UNSET,
        metadata: dict[str, Any] | Unset = UNSET,
        scheduled_at: str | dt.datetime | Unset | None = UNSET,
        expires_at: str | dt.datetime | Unset | None = UNSET,
        smtp_account: str | Unset | None = UNSET,
        idempotency_key: str | None = None,
    ) -> MessageOut:
        """Submit a message; 201 means that it is stored durably.

        POST /v1/messages.
        """
        answer: MessageOut = self._json(
            "POST",
            "/v1/messages",
            body={
                "from_email": from_email,
                "to_email": to_email,
                "subject": subject,
                "body_text": body_text,
                "body_html": body_html,
                "template": template,
                "data": data,
                "workspace_id": workspace_id,
                "from_name": from_name,
                "reply_to": reply_to,
                "cc": cc,
                "bcc": bcc,
                "headers": headers,
                "attachments": attachments,
                "stream": stream,
                "topic": topic,
                "tags": tags,
                "metadata": metadata,
                "scheduled_at": scheduled_at,
                "expires_at": expires_at,
                "smtp_account": smtp_account,
            },
            idempotency_key=idempotency_key,
            is_idempotent=True,
        )
        return answer

    def validate_message(
        self,
        *,
        from_email: str,
        to_email: str,
        subject: str | Unset = UNSET,
        body_text: str | Unset | None = UNSET,
        body_html: str | Unset | None = UNSET,
        template: int | str | Unset | None = UNSET,
        data: dict[str, Any] | Unset | None = UNSET,
        workspace_id: int | Unset | None = UNSET,
        from_name: str | Unset | None = UNSET,
        reply_to: str | Unset | None = UNSET,
        cc: list[str] | Unset = UNSET,
        bcc: list[str] | Unset = UNSET,
        headers: dict[str, str] | Unset = UNSET,
        attachments: list[AttachmentIn] | Unset = UNSET,
        stream: Stream | Unset = UNSET,
        topic: str | Unset | None = UNSET,
        tags: list[str] | Unset = UNSET,
        metadata: dict[str, Any] | Unset = UNSET,
        scheduled_at: str | dt.datetime | Unset | None = UNSET,
        expires_at: str | dt.datetime | Unset | None = UNSET,
        smtp_account: str | Unset | None = UNSET,
    ) -> ValidateOut:
        """What would become of a message, and why; nothing is stored or counted.

        POST /v1/messages/validate.
        """
        answer: ValidateOut = self._json(
            "POST",
            "/v1/messages/validate",
            body={
                "from_email": from_email,
                "to_email": to_email,
                "subject": subject,
                "body_text": body_text,
                "body_html": body_html,
                "template": template,
                "data": data,
                "workspace_id": workspace_id,
                "from_name": from_name,
                "reply_to": reply_to,
                "cc": cc,
                "bcc": bcc,
                "headers": headers,
                "attachments": attachments,
                "stream": stream,
                "topic": topic,
                "tags": tags,
                "metadata": metadata,
                "scheduled_at": scheduled_at,
                "expires_at": expires_at,
                "smtp_account": smtp_account,
            },
        )
        return answer

    def submit_batch(
        self,
        *,
        messages: list[MessageIn],
        workspace_id: int | Unset | None = UNSET,
        idempotency_key: str | None = None,
    ) -> BatchOut:
        """Submit up to 500 messages at once; each is accepted or rejected on its own.

        POST /v1/messages/batch.
        """
        answer: BatchOut = self._json(
            "POST",
            "/v1/messages/batch",
            body={
                "workspace_id": workspace_id,
                "messages": messages,
            },
            idempotency_key=idempotency_key,
            is_idempotent=True,
        )
        return answer

    def get_message(
        self,
        message_id: str,
        *,
        workspace_id: int | None = None,
        include: str | None = None,
    ) -> MessageDetail:
        """One message.

        GET /v1/messages/{message_id}.
        """
        answer: MessageDetail = self._json(
            "GET",
            f"/v1/messages/{path_segment(message_id)}",
            query={
                "workspace_id": workspace_id,
                "include": include,
            },
        )
        return answer

    def list_messages(
        self,
        *,
        workspace_id: int | None = None,
        limit: int | None = None,
        cursor: str | None = None,
        from_: str | dt.datetime | None = None,
        to: str | dt.datetime | None = None,
        status: Literal[
            "queued",
            "sending",
            "sent",
            "delivered",
            "bounced",
            "complained",
            "failed",
            "suppressed",
            "cancelled",
            "expired",
            "held",
            "unknown",
        ]
        | None = None,
        stream: Literal["transactional", "marketing"] | None = None,
        to_email: str | None = None,
        from_email: str | None = None,
        subject: str | None = None,
        q: str | None = None,
        tag: str | None = None,
        smtp_account: str | None = None,
        error_class: str | None = None,
    ) -> LogPage:
        """The log: messages newest first, filtered, in pages.

        GET /v1/messages/logs.
        """
        answer: LogPage = self._json(
            "GET",
            "/v1/messages/logs",
            query={
                "workspace_id": workspace_id,
                "limit": limit,
                "cursor": cursor,
                "from": from_,
                "to": to,
                "status": status,
                "stream": stream,
                "to_email": to_email,
                "from_email": from_email,
                "subject": subject,
                "q": q,
                "tag": tag,
                "smtp_account": smtp_account,
                "error_class": error_class,
            },
        )
        return answer

    def iter_messages(
        self,
        *,
        workspace_id: int | None = None,
        limit: int | None = None,
        from_: str | dt.datetime | None = None,
        to: str | dt.datetime | None = None,
        status: Literal[
            "queued",
            "sending",
            "sent",
            "delivered",
            "bounced",
            "complained",
            "failed",
            "suppressed",
            "cancelled",
            "expired",
            "held",
            "unknown",
        ]
        | None = None,
        stream: Literal["transactional", "marketing"] | None = None,
        to_email: str | None = None,
        from_email: str | None = None,
        subject: str | None = None,
        q: str | None = None,
        tag: str | None = None,
        smtp_account: str | None = None,
        error_class: str | None = None,
    ) -> Iterator[MessageSummary]:
        """All rows of `list_messages`, page by page as they are asked for."""
        cursor: str | None = None
        while True:
            page = self.list_messages(
                workspace_id=workspace_id,
                limit=limit,
                cursor=cursor,
                from_=from_,
                to=to,
                status=status,
                stream=stream,
                to_email=to_email,
                from_email=from_email,
                subject=subject,
                q=q,
                tag=tag,
                smtp_account=smtp_account,
                error_class=error_class,
            )
            yield from page["messages"]
            cursor = page["next_cursor"]
            if cursor is None:
                return

    def get_message_timeline(
        self,
        *,
        message_id: str,
        workspace_id: int | None = None,
    ) -> TimelineOut:
        """Everything that happened to a message: attempts and events, in order.

        GET /v1/messages/timeline.
        """
        answer: TimelineOut = self._json(
            "GET",
            "/v1/messages/timeline",
            query={
                "workspace_id": workspace_id,
                "message_id": message_id,
            },
        )
        return answer

    def retry_messages(
        self,
        *,
        workspace_id: int | Unset | None = UNSET,
        message_ids: list[str] | Unset | None = UNSET,
        limit: int | Unset | None = UNSET,
        filter: RetryFilter | Unset | None = UNSET,
        dry_run: bool | Unset = UNSET,
        reason: str | Unset | None = UNSET,
    ) -> RetryOut:
        """Queue failed and unknown messages again, with all their attempts.

        POST /v1/messages/retry.
        """
        answer: RetryOut = self._json(
            "POST",
            "/v1/messages/retry",
            body={
                "workspace_id": workspace_id,
                "message_ids": message_ids,
                "limit": limit,
                "filter": filter,
                "dry_run": dry_run,
                "reason": reason,
            },
        )
        return answer

    def cancel_messages(
        self,
        *,
        message_ids: list[str],
        workspace_id: int | Unset | None = UNSET,
        reason: str | Unset | None = UNSET,
    ) -> InterventionOut:
        """Withdraw messages that wait or are held.

        POST /v1/messages/cancel.
        """
        answer: InterventionOut = self._json(
            "POST",
            "/v1/messages/cancel",
            body={
                "workspace_id": workspace_id,
                "message_ids": message_ids,
                "reason": reason,
            },
        )
        return answer

    def hold_messages(
        self,
        *,
        message_ids: list[str],
        reason: str,
        workspace_id: int | Unset | None = UNSET,
    ) -> InterventionOut:
        """Keep waiting messages back until they are released.

        POST /v1/messages/hold.
        """
        answer: InterventionOut = self._json(
            "POST",
            "/v1/messages/hold",
            body={
                "workspace_id": workspace_id,
                "message_ids": message_ids,
                "reason": reason,
            },
        )
        return answer

    def release_messages(
        self,
        *,
        message_ids: list[str],
        workspace_id: int | Unset | None = UNSET,
        reason: str | Unset | None = UNSET,
    ) -> InterventionOut:
        """Let held messages go.

        POST /v1/messages/release.
        """
        answer: InterventionOut = self._json(
            "POST",
            "/v1/messages/release",
            body={
                "workspace_id": workspace_id,
                "message_ids": message_ids,
                "reason": reason,
            },
        )
        return answer

    def resolve_messages(
        self,
        *,
        message_ids: list[str],
        reason: str,
        outcome: Literal["sent", "not_sent"],
        workspace_id: int | Unset | None = UNSET,
    ) -> InterventionOut:
        """Say what became of messages whose outcome is unknown.

        POST /v1/messages/resolve.
        """
        answer: InterventionOut = self._json(
            "POST",
            "/v1/messages/resolve",
            body={
                "workspace_id": workspace_id,
                "message_ids": message_ids,
                "reason": reason,
                "outcome": outcome,
            },
        )
        return answer

    def resend_messages(
        self,
        *,
        message_ids: list[str],
        workspace_id: int | Unset | None = UNSET,
        reason: str | Unset | None = UNSET,
    ) -> ResendOut:
        """Submit copies of messages that have ended, with all checks made anew.

        POST /v1/messages/resend.
        """
        answer: ResendOut = self._json(
            "POST",
            "/v1/messages/resend",
            body={
                "workspace_id": workspace_id,
                "message_ids": message_ids,
                "reason": reason,
            },
        )
        return answer
