"""DKIM keys. Written by `python -m tools.client`: do not edit."""

from __future__ import annotations

from collections.abc import Iterator

from maild_client.shapes.dkim_keys import Algorithm, DkimKeyList, DkimKeyOut, DkimKeyPage
from maild_client.transport import UNSET, Transport, Unset


class DkimKeysOperations(Transport):
    """Operations of the chapter DKIM keys."""

    def list_dkim_keys(
        self,
        *,
        workspace_id: int | None = None,
        domain: str | None = None,
        limit: int | None = None,
        cursor: str | None = None,
    ) -> DkimKeyPage:
        """The DKIM keys of a workspace, newest first, each with the record that it needs.

        GET /v1/domains/dkim-keys.
        """
        answer: DkimKeyPage = self._json(
            "GET",
            "/v1/domains/dkim-keys",
            query={
                "workspace_id": workspace_id,
                "domain": domain,
                "limit": limit,
                "cursor": cursor,
            },
        )
        return answer

    def iter_dkim_keys(
        self,
        *,
        workspace_id: int | None = None,
        domain: str | None = None,
        limit: int | None = None,
    ) -> Iterator[DkimKeyOut]:
        """All rows of `list_dkim_keys`, page by page as they are asked for."""
        cursor: str | None = None
        while True:
            page = self.list_dkim_keys(
                workspace_id=workspace_id,
                domain=domain,
                limit=limit,
                cursor=cursor,
            )
            yield from page["keys"]
            cursor = page["next_cursor"]
            if cursor is None:
                return

    def prepare_dkim_keys(
        self,
        *,
        domain: str,
        workspace_id: int | Unset | None = UNSET,
        algorithms: list[Algorithm] | Unset = UNSET,
    ) -> DkimKeyList:
        """Make keys for a domain; they sign once their records are seen in the DNS.

        POST /v1/domains/dkim-keys.
        """
        answer: DkimKeyList = self._json(
            "POST",
            "/v1/domains/dkim-keys",
            body={
                "workspace_id": workspace_id,
                "domain": domain,
                "algorithms": algorithms,
            },
        )
        return answer

    def rotate_dkim_key(
        self,
        *,
        id: int,
        workspace_id: int | Unset | None = UNSET,
    ) -> DkimKeyList:
        """Make a key that takes over from this one once its record is seen.

        POST /v1/domains/dkim-keys/rotate.
        """
        answer: DkimKeyList = self._json(
            "POST",
            "/v1/domains/dkim-keys/rotate",
            body={
                "workspace_id": workspace_id,
                "id": id,
            },
        )
        return answer

    def activate_dkim_key(
        self,
        *,
        id: int,
        workspace_id: int | Unset | None = UNSET,
        insist: bool | Unset = UNSET,
    ) -> DkimKeyOut:
        """Look at the DNS, and let a key sign whose record is there.

        POST /v1/domains/dkim-keys/activate.
        """
        answer: DkimKeyOut = self._json(
            "POST",
            "/v1/domains/dkim-keys/activate",
            body={
                "workspace_id": workspace_id,
                "id": id,
                "insist": insist,
            },
        )
        return answer

    def retire_dkim_key(
        self,
        *,
        id: int,
        workspace_id: int | Unset | None = UNSET,
        at_once: bool | Unset = UNSET,
    ) -> DkimKeyOut:
        """Take a key out of use: first it signs no more, then its record may be removed.

        POST /v1/domains/dkim-keys/retire.
        """
        answer: DkimKeyOut = self._json(
            "POST",
            "/v1/domains/dkim-keys/retire",
            body={
                "workspace_id": workspace_id,
                "id": id,
                "at_once": at_once,
            },
        )
        return answer
