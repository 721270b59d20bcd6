"""Service. Written by `python -m tools.client`: do not edit."""

from __future__ import annotations

from typing import Any

from maild_client.transport import Transport


class ServiceOperations(Transport):
    """Operations of the chapter Service."""

    def get_openapi(
        self,
    ) -> dict[str, Any]:
        """This document.

        GET /v1/openapi.json.
        """
        answer: dict[str, Any] = self._json(
            "GET",
            "/v1/openapi.json",
        )
        return answer
