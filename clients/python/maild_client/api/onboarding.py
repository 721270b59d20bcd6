"""Onboarding. Written by `python -m tools.client`: do not edit."""

from __future__ import annotations

from maild_client.shapes.onboarding import OnboardingChecklist
from maild_client.transport import Transport


class OnboardingOperations(Transport):
    """Operations of the chapter Onboarding."""

    def get_onboarding_checklist(
        self,
        *,
        workspace_id: int | None = None,
    ) -> OnboardingChecklist:
        """How far a workspace is set up, with what shows it, and what to do next.

        GET /v1/ops/onboarding-checklist.
        """
        answer: OnboardingChecklist = self._json(
            "GET",
            "/v1/ops/onboarding-checklist",
            query={
                "workspace_id": workspace_id,
            },
        )
        return answer
