"""Analytics. Written by `python -m tools.client`: do not edit."""

from __future__ import annotations

import datetime as dt
from typing import Literal

from maild_client.shapes.analytics import AnalyticsSummary, Metering
from maild_client.transport import Transport


class AnalyticsOperations(Transport):
    """Operations of the chapter Analytics."""

    def get_analytics_summary(
        self,
        *,
        workspace_id: int | None = None,
        span: Literal["1h", "24h", "7d"] | None = None,
        from_: str | dt.datetime | None = None,
        to: str | dt.datetime | None = None,
    ) -> AnalyticsSummary:
        """How much happened in a time, step by step and by SMTP account, and what waits.

        GET /v1/analytics/summary.
        """
        answer: AnalyticsSummary = self._json(
            "GET",
            "/v1/analytics/summary",
            query={
                "workspace_id": workspace_id,
                "span": span,
                "from": from_,
                "to": to,
            },
        )
        return answer

    def export_analytics(
        self,
        *,
        workspace_id: int | None = None,
        from_: str | dt.datetime | None = None,
        to: str | dt.datetime | None = None,
        step: Literal["minute", "hour", "day"] | None = None,
    ) -> str:
        """How much happened, step by step, by stream and SMTP account, as a CSV file.

        GET /v1/analytics/export.csv.
        """
        return self._raw(
            "GET",
            "/v1/analytics/export.csv",
            query={
                "workspace_id": workspace_id,
                "from": from_,
                "to": to,
                "step": step,
            },
        ).decode()

    def get_billing_metering(
        self,
        *,
        workspace_id: int | None = None,
        from_: str | None = None,
        to: str | None = None,
    ) -> Metering:
        """How much happened on each day, in UTC: what a bill is made of.

        GET /v1/billing/metering.
        """
        answer: Metering = self._json(
            "GET",
            "/v1/billing/metering",
            query={
                "workspace_id": workspace_id,
                "from": from_,
                "to": to,
            },
        )
        return answer
