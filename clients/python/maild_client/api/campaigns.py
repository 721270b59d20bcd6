"""Campaigns. Written by `python -m tools.client`: do not edit."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from maild_client.shapes.campaigns import (
    AudienceKind,
    CampaignChecks,
    CampaignDeleted,
    CampaignDetail,
    CampaignHeld,
    CampaignOut,
    CampaignPage,
    CampaignPreview,
    CampaignRecipientOut,
    CampaignRecipientPage,
    CampaignReport,
    CampaignSettingsOut,
    CampaignTested,
    TestMetric,
    Variant,
)
from maild_client.transport import UNSET, Transport, Unset, path_segment


class CampaignsOperations(Transport):
    """Operations of the chapter Campaigns."""

    def get_campaign_report(
        self,
        *,
        campaign_id: int,
        workspace_id: int | None = None,
    ) -> CampaignReport:
        """What became of a campaign: figures, by subject and by domain.

        GET /v1/campaigns/report.
        """
        answer: CampaignReport = self._json(
            "GET",
            "/v1/campaigns/report",
            query={
                "workspace_id": workspace_id,
                "campaign_id": campaign_id,
            },
        )
        return answer

    def list_campaign_recipients(
        self,
        *,
        campaign_id: int,
        workspace_id: int | None = None,
        status: Literal[
            "queued", "sent", "delivered", "bounced", "suppressed", "failed", "cancelled", "unknown"
        ]
        | None = None,
        reason: str | None = None,
        variant: Literal["a", "b"] | None = None,
        did: Literal["opened", "clicked", "complained", "unsubscribed"] | None = None,
        limit: int | None = None,
        cursor: str | None = None,
    ) -> CampaignRecipientPage:
        """Who is behind a figure of a campaign, in pages.

        GET /v1/campaigns/recipients.
        """
        answer: CampaignRecipientPage = self._json(
            "GET",
            "/v1/campaigns/recipients",
            query={
                "workspace_id": workspace_id,
                "campaign_id": campaign_id,
                "status": status,
                "reason": reason,
                "variant": variant,
                "did": did,
                "limit": limit,
                "cursor": cursor,
            },
        )
        return answer

    def iter_campaign_recipients(
        self,
        *,
        campaign_id: int,
        workspace_id: int | None = None,
        status: Literal[
            "queued", "sent", "delivered", "bounced", "suppressed", "failed", "cancelled", "unknown"
        ]
        | None = None,
        reason: str | None = None,
        variant: Literal["a", "b"] | None = None,
        did: Literal["opened", "clicked", "complained", "unsubscribed"] | None = None,
        limit: int | None = None,
    ) -> Iterator[CampaignRecipientOut]:
        """All rows of `list_campaign_recipients`, page by page as they are asked for."""
        cursor: str | None = None
        while True:
            page = self.list_campaign_recipients(
                workspace_id=workspace_id,
                campaign_id=campaign_id,
                status=status,
                reason=reason,
                variant=variant,
                did=did,
                limit=limit,
                cursor=cursor,
            )
            yield from page["recipients"]
            cursor = page["next_cursor"]
            if cursor is None:
                return

    def export_campaign_recipients(
        self,
        *,
        campaign_id: int,
        workspace_id: int | None = None,
        status: Literal[
            "queued", "sent", "delivered", "bounced", "suppressed", "failed", "cancelled", "unknown"
        ]
        | None = None,
        reason: str | None = None,
        variant: Literal["a", "b"] | None = None,
        did: Literal["opened", "clicked", "complained", "unsubscribed"] | None = None,
    ) -> str:
        """All recipients of a campaign as a CSV file.

        GET /v1/campaigns/recipients/export.
        """
        return self._raw(
            "GET",
            "/v1/campaigns/recipients/export",
            query={
                "workspace_id": workspace_id,
                "campaign_id": campaign_id,
                "status": status,
                "reason": reason,
                "variant": variant,
                "did": did,
            },
        ).decode()

    def submit_campaign(
        self,
        campaign_id: int,
        *,
        version: int | Unset | None = UNSET,
        workspace_id: int | Unset | None = UNSET,
    ) -> CampaignOut:
        """Ask for approval of a draft.

        POST /v1/campaigns/{campaign_id}/submit.
        """
        answer: CampaignOut = self._json(
            "POST",
            f"/v1/campaigns/{path_segment(campaign_id)}/submit",
            body={
                "version": version,
                "workspace_id": workspace_id,
            },
        )
        return answer

    def send_back_campaign(
        self,
        campaign_id: int,
        *,
        version: int | Unset | None = UNSET,
        workspace_id: int | Unset | None = UNSET,
        reason: str | Unset | None = UNSET,
    ) -> CampaignOut:
        """Make a draft again of what waits for approval.

        POST /v1/campaigns/{campaign_id}/send-back.
        """
        answer: CampaignOut = self._json(
            "POST",
            f"/v1/campaigns/{path_segment(campaign_id)}/send-back",
            body={
                "version": version,
                "workspace_id": workspace_id,
                "reason": reason,
            },
        )
        return answer

    def approve_campaign(
        self,
        campaign_id: int,
        *,
        version: int | Unset | None = UNSET,
        workspace_id: int | Unset | None = UNSET,
    ) -> CampaignOut:
        """Let what was submitted begin at its time.

        POST /v1/campaigns/{campaign_id}/approve.
        """
        answer: CampaignOut = self._json(
            "POST",
            f"/v1/campaigns/{path_segment(campaign_id)}/approve",
            body={
                "version": version,
                "workspace_id": workspace_id,
            },
        )
        return answer

    def schedule_campaign(
        self,
        campaign_id: int,
        *,
        version: int | Unset | None = UNSET,
        workspace_id: int | Unset | None = UNSET,
        send_at: str | Unset | None = UNSET,
        time_zone: str | Unset | None = UNSET,
        now: bool | Unset = UNSET,
    ) -> CampaignOut:
        """Let a draft begin at its time, or now.

        POST /v1/campaigns/{campaign_id}/schedule.
        """
        answer: CampaignOut = self._json(
            "POST",
            f"/v1/campaigns/{path_segment(campaign_id)}/schedule",
            body={
                "version": version,
                "workspace_id": workspace_id,
                "send_at": send_at,
                "time_zone": time_zone,
                "now": now,
            },
        )
        return answer

    def unschedule_campaign(
        self,
        campaign_id: int,
        *,
        version: int | Unset | None = UNSET,
        workspace_id: int | Unset | None = UNSET,
    ) -> CampaignOut:
        """Make a draft again of what is scheduled.

        POST /v1/campaigns/{campaign_id}/unschedule.
        """
        answer: CampaignOut = self._json(
            "POST",
            f"/v1/campaigns/{path_segment(campaign_id)}/unschedule",
            body={
                "version": version,
                "workspace_id": workspace_id,
            },
        )
        return answer

    def pause_campaign(
        self,
        campaign_id: int,
        *,
        reason: str | Unset | None = UNSET,
        workspace_id: int | Unset | None = UNSET,
    ) -> CampaignHeld:
        """Let a campaign stand still.

        POST /v1/campaigns/{campaign_id}/pause.
        """
        answer: CampaignHeld = self._json(
            "POST",
            f"/v1/campaigns/{path_segment(campaign_id)}/pause",
            body={
                "reason": reason,
                "workspace_id": workspace_id,
            },
        )
        return answer

    def resume_campaign(
        self,
        campaign_id: int,
        *,
        workspace_id: int | Unset | None = UNSET,
    ) -> CampaignHeld:
        """Let a paused campaign go on.

        POST /v1/campaigns/{campaign_id}/resume.
        """
        answer: CampaignHeld = self._json(
            "POST",
            f"/v1/campaigns/{path_segment(campaign_id)}/resume",
            body={
                "workspace_id": workspace_id,
            },
        )
        return answer

    def cancel_campaign(
        self,
        campaign_id: int,
        *,
        reason: str | Unset | None = UNSET,
        workspace_id: int | Unset | None = UNSET,
    ) -> CampaignHeld:
        """Stop a campaign for good.

        POST /v1/campaigns/{campaign_id}/cancel.
        """
        answer: CampaignHeld = self._json(
            "POST",
            f"/v1/campaigns/{path_segment(campaign_id)}/cancel",
            body={
                "reason": reason,
                "workspace_id": workspace_id,
            },
        )
        return answer

    def choose_campaign_winner(
        self,
        campaign_id: int,
        *,
        winner: Variant,
        workspace_id: int | Unset | None = UNSET,
    ) -> CampaignOut:
        """Say which subject of a test the others get.

        POST /v1/campaigns/{campaign_id}/winner.
        """
        answer: CampaignOut = self._json(
            "POST",
            f"/v1/campaigns/{path_segment(campaign_id)}/winner",
            body={
                "winner": winner,
                "workspace_id": workspace_id,
            },
        )
        return answer

    def list_campaigns(
        self,
        *,
        workspace_id: int | None = None,
        status: Literal[
            "draft",
            "in_review",
            "scheduled",
            "preparing",
            "sending",
            "paused",
            "finished",
            "cancelled",
        ]
        | None = None,
        limit: int | None = None,
        cursor: str | None = None,
    ) -> CampaignPage:
        """The campaigns of a workspace, newest first, in pages.

        GET /v1/campaigns.
        """
        answer: CampaignPage = self._json(
            "GET",
            "/v1/campaigns",
            query={
                "workspace_id": workspace_id,
                "status": status,
                "limit": limit,
                "cursor": cursor,
            },
        )
        return answer

    def iter_campaigns(
        self,
        *,
        workspace_id: int | None = None,
        status: Literal[
            "draft",
            "in_review",
            "scheduled",
            "preparing",
            "sending",
            "paused",
            "finished",
            "cancelled",
        ]
        | None = None,
        limit: int | None = None,
    ) -> Iterator[CampaignOut]:
        """All rows of `list_campaigns`, page by page as they are asked for."""
        cursor: str | None = None
        while True:
            page = self.list_campaigns(
                workspace_id=workspace_id,
                status=status,
                limit=limit,
                cursor=cursor,
            )
            yield from page["campaigns"]
            cursor = page["next_cursor"]
            if cursor is None:
                return

    def create_campaign(
        self,
        *,
        name: str,
        audience_kind: AudienceKind,
        from_email: str,
        audience_id: int | Unset | None = UNSET,
        segment_id: int | Unset | None = UNSET,
        topic: str | Unset | None = UNSET,
        from_name: str | Unset | None = UNSET,
        reply_to: str | Unset | None = UNSET,
        smtp_account: str | Unset | None = UNSET,
        template_id: int | Unset | None = UNSET,
        subject: str | Unset | None = UNSET,
        subject_b: str | Unset | None = UNSET,
        test_percent: int | Unset | None = UNSET,
        test_minutes: int | Unset | None = UNSET,
        test_metric: TestMetric | Unset | None = UNSET,
        per_hour: int | Unset | None = UNSET,
        ramp: list[int] | Unset | None = UNSET,
        send_at: str | Unset | None = UNSET,
        time_zone: str | Unset = UNSET,
        workspace_id: int | Unset | None = UNSET,
    ) -> CampaignOut:
        """Make a draft of a campaign.

        POST /v1/campaigns.
        """
        answer: CampaignOut = self._json(
            "POST",
            "/v1/campaigns",
            body={
                "audience_id": audience_id,
                "segment_id": segment_id,
                "topic": topic,
                "from_name": from_name,
                "reply_to": reply_to,
                "smtp_account": smtp_account,
                "template_id": template_id,
                "subject": subject,
                "subject_b": subject_b,
                "test_percent": test_percent,
                "test_minutes": test_minutes,
                "test_metric": test_metric,
                "per_hour": per_hour,
                "ramp": ramp,
                "send_at": send_at,
                "time_zone": time_zone,
                "workspace_id": workspace_id,
                "name": name,
                "audience_kind": audience_kind,
                "from_email": from_email,
            },
        )
        return answer

    def delete_campaign(
        self,
        *,
        id: int,
        version: int | Unset | None = UNSET,
        workspace_id: int | Unset | None = UNSET,
    ) -> CampaignDeleted:
        """Throw a draft away.

        DELETE /v1/campaigns.
        """
        answer: CampaignDeleted = self._json(
            "DELETE",
            "/v1/campaigns",
            body={
                "id": id,
                "version": version,
                "workspace_id": workspace_id,
            },
        )
        return answer

    def get_campaign(
        self,
        campaign_id: int,
        *,
        workspace_id: int | None = None,
    ) -> CampaignDetail:
        """One campaign, with what has become of its audience so far.

        GET /v1/campaigns/{campaign_id}.
        """
        answer: CampaignDetail = self._json(
            "GET",
            f"/v1/campaigns/{path_segment(campaign_id)}",
            query={
                "workspace_id": workspace_id,
            },
        )
        return answer

    def change_campaign(
        self,
        campaign_id: int,
        *,
        audience_id: int | Unset | None = UNSET,
        segment_id: int | Unset | None = UNSET,
        topic: str | Unset | None = UNSET,
        from_name: str | Unset | None = UNSET,
        reply_to: str | Unset | None = UNSET,
        smtp_account: str | Unset | None = UNSET,
        template_id: int | Unset | None = UNSET,
        subject: str | Unset | None = UNSET,
        subject_b: str | Unset | None = UNSET,
        test_percent: int | Unset | None = UNSET,
        test_minutes: int | Unset | None = UNSET,
        test_metric: TestMetric | Unset | None = UNSET,
        per_hour: int | Unset | None = UNSET,
        ramp: list[int] | Unset | None = UNSET,
        send_at: str | Unset | None = UNSET,
        time_zone: str | Unset = UNSET,
        workspace_id: int | Unset | None = UNSET,
        name: str | Unset = UNSET,
        audience_kind: AudienceKind | Unset = UNSET,
        from_email: str | Unset = UNSET,
        version: int | Unset | None = UNSET,
    ) -> CampaignOut:
        """Change what a draft says.

        POST /v1/campaigns/{campaign_id}.
        """
        answer: CampaignOut = self._json(
            "POST",
            f"/v1/campaigns/{path_segment(campaign_id)}",
            body={
                "audience_id": audience_id,
                "segment_id": segment_id,
                "topic": topic,
                "from_name": from_name,
                "reply_to": reply_to,
                "smtp_account": smtp_account,
                "template_id": template_id,
                "subject": subject,
                "subject_b": subject_b,
                "test_percent": test_percent,
                "test_minutes": test_minutes,
                "test_metric": test_metric,
                "per_hour": per_hour,
                "ramp": ramp,
                "send_at": send_at,
                "time_zone": time_zone,
                "workspace_id": workspace_id,
                "name": name,
                "audience_kind": audience_kind,
                "from_email": from_email,
                "version": version,
            },
        )
        return answer

    def copy_campaign(
        self,
        campaign_id: int,
        *,
        workspace_id: int | Unset | None = UNSET,
    ) -> CampaignOut:
        """Make a draft that says the same.

        POST /v1/campaigns/{campaign_id}/copy.
        """
        answer: CampaignOut = self._json(
            "POST",
            f"/v1/campaigns/{path_segment(campaign_id)}/copy",
            body={
                "workspace_id": workspace_id,
            },
        )
        return answer

    def check_campaign(
        self,
        campaign_id: int,
        *,
        workspace_id: int | None = None,
    ) -> CampaignChecks:
        """What stops a campaign, what to know before, whom it would reach.

        GET /v1/campaigns/{campaign_id}/checks.
        """
        answer: CampaignChecks = self._json(
            "GET",
            f"/v1/campaigns/{path_segment(campaign_id)}/checks",
            query={
                "workspace_id": workspace_id,
            },
        )
        return answer

    def preview_campaign(
        self,
        campaign_id: int,
        *,
        workspace_id: int | None = None,
        email: str | None = None,
        variant: Literal["a", "b"] | None = None,
    ) -> CampaignPreview:
        """The mail that one contact would get.

        GET /v1/campaigns/{campaign_id}/preview.
        """
        answer: CampaignPreview = self._json(
            "GET",
            f"/v1/campaigns/{path_segment(campaign_id)}/preview",
            query={
                "workspace_id": workspace_id,
                "email": email,
                "variant": variant,
            },
        )
        return answer

    def test_campaign(
        self,
        campaign_id: int,
        *,
        to: list[str],
        email: str | Unset | None = UNSET,
        variant: Variant | Unset | None = UNSET,
        workspace_id: int | Unset | None = UNSET,
    ) -> CampaignTested:
        """Send a test to members of the workspace.

        POST /v1/campaigns/{campaign_id}/test.
        """
        answer: CampaignTested = self._json(
            "POST",
            f"/v1/campaigns/{path_segment(campaign_id)}/test",
            body={
                "to": to,
                "email": email,
                "variant": variant,
                "workspace_id": workspace_id,
            },
        )
        return answer

    def get_campaign_settings(
        self,
        *,
        workspace_id: int | None = None,
    ) -> CampaignSettingsOut:
        """What holds for all campaigns of a workspace.

        GET /v1/campaigns/settings.
        """
        answer: CampaignSettingsOut = self._json(
            "GET",
            "/v1/campaigns/settings",
            query={
                "workspace_id": workspace_id,
            },
        )
        return answer

    def save_campaign_settings(
        self,
        *,
        needs_second_person: bool,
        version: int | Unset | None = UNSET,
        workspace_id: int | Unset | None = UNSET,
    ) -> CampaignSettingsOut:
        """Say what holds for all campaigns of a workspace.

        POST /v1/campaigns/settings.
        """
        answer: CampaignSettingsOut = self._json(
            "POST",
            "/v1/campaigns/settings",
            body={
                "needs_second_person": needs_second_person,
                "version": version,
                "workspace_id": workspace_id,
            },
        )
        return answer
