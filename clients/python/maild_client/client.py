"""The client: every operation of /v1 as a method, and what makes them convenient."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterable, Iterator
from types import TracebackType
from typing import Any

import httpx

from maild_client.api import Operations
from maild_client.shapes.messages import BatchAccepted, BatchRejected, MessageIn
from maild_client.transport import Retries, encode

BATCH_MAX = 500
"""So many messages are taken by one request ..."""
BATCH_MAX_BYTES = 9_000_000
"""... and of so many bytes, with room for what is around them: maild takes 10 MB."""
TIMEOUT_SECONDS = 30.0


class Client(Operations):
    """A client of one maild, with one API key.

        with Client("https://mail.example.com", "mk_...") as maild:
            message = maild.submit_message(
                from_email="shop@example.com", to_email="ann@example.org",
                subject="Your order", body_text="It is on its way.",
            )

    `workspace_id` is what an instance key acts on where a call names nothing else; leave it out
    with a workspace's own key. One client may be used by many threads.
    """

    def __init__(
        self,
        base_url: str,
        api_key: str | None = None,
        *,
        workspace_id: int | None = None,
        timeout: float | httpx.Timeout = TIMEOUT_SECONDS,
        retries: Retries = Retries(),  # noqa: B008 - it is frozen
        http: httpx.Client | None = None,
    ) -> None:
        """`http` makes the requests in place of a client with `timeout`: for proxies, certificates
        and tests.
        """
        super().__init__(
            base_url,
            api_key,
            workspace_id=workspace_id,
            timeout=timeout,
            retries=retries,
            http=http,
        )

    @classmethod
    def from_environment(cls, **options: Any) -> Client:
        """A client of MAILD_URL with MAILD_API_KEY. Raises KeyError where one is missing."""
        return cls(os.environ["MAILD_URL"], os.environ["MAILD_API_KEY"], **options)

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def submit_all(
        self,
        messages: Iterable[MessageIn],
        *,
        workspace_id: int | None = None,
        idempotency_key: str | None = None,
    ) -> Iterator[BatchAccepted | BatchRejected]:
        """Submit any number of messages, up to 500 at a time, and yield what became of each, in
        their order: `index` is the place in `messages`.

        Each batch is sent when its first result is asked for. With an `idempotency_key`, which then
        names the whole, the same call again accepts what is missing and nothing twice, if the
        messages are the same and in the same order. What is accepted stays so where a later batch
        raises.
        """
        key, begun = idempotency_key or uuid.uuid4().hex, 0
        for number, batch in enumerate(_batches(messages)):
            answer = self.submit_batch(
                messages=batch, workspace_id=workspace_id, idempotency_key=f"{key}-{number}"
            )
            for result in answer["results"]:
                result["index"] += begun
                yield result
            begun += len(batch)


def _batches(messages: Iterable[MessageIn]) -> Iterator[list[MessageIn]]:
    """At most BATCH_MAX messages and BATCH_MAX_BYTES each; one that is larger comes alone."""
    batch: list[MessageIn] = []
    size = 0
    for message in messages:
        own = len(encode(message)) + 1
        if batch and (len(batch) == BATCH_MAX or size + own > BATCH_MAX_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(message)
        size += own
    if batch:
        yield batch
