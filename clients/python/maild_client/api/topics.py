"""Topics. Written by `python -m tools.client`: do not edit."""

from __future__ import annotations

from maild_client.shapes.topics import TopicDeleted, TopicList, TopicSaved
from maild_client.transport import UNSET, Transport, Unset


class TopicsOperations(Transport):
    """Operations of the chapter Topics."""

    def list_topics(
        self,
        *,
        workspace_id: int | None = None,
    ) -> TopicList:
        """The topics of a workspace, by what people read.

        GET /v1/topics.
        """
        answer: TopicList = self._json(
            "GET",
            "/v1/topics",
            query={
                "workspace_id": workspace_id,
            },
        )
        return answer

    def save_topic(
        self,
        *,
        name: str,
        label: str | Unset | None = UNSET,
        description: str | Unset = UNSET,
        is_public: bool | Unset = UNSET,
        workspace_id: int | Unset | None = UNSET,
    ) -> TopicSaved:
        """Declare a topic, or change what is said of one.

        POST /v1/topics.
        """
        answer: TopicSaved = self._json(
            "POST",
            "/v1/topics",
            body={
                "name": name,
                "label": label,
                "description": description,
                "is_public": is_public,
                "workspace_id": workspace_id,
            },
        )
        return answer

    def delete_topic(
        self,
        *,
        name: str,
        workspace_id: int | Unset | None = UNSET,
    ) -> TopicDeleted:
        """Declare a topic no more.

        DELETE /v1/topics.
        """
        answer: TopicDeleted = self._json(
            "DELETE",
            "/v1/topics",
            body={
                "name": name,
                "workspace_id": workspace_id,
            },
        )
        return answer
