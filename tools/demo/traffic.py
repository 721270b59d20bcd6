"""The demo's mail, submitted through the API, and the waits until the workers have sent it."""

import json
import time
import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from maild import clock, queue
from maild.db import database
from maild.domain.smtp_reply import ErrorClass
from maild.services.messages import DELIVER
from tools.demo import plan as plans
from tools.demo.cast import Cast
from tools.demo.plan import Plan, Planned, Stage
from tools.demo.stack import Http, Refused

TOGETHER = 40
EXPIRES = timedelta(seconds=2)
PATIENCE_SECONDS = 60.0
POLL_SECONDS = 0.2

_BUSY = """
SELECT count(*) FROM messages
WHERE workspace_id = %s AND (status = 'sending' OR status = 'queued' AND pinned_account = ''
    AND next_attempt_at < now() + interval '1 second')
"""
_PINNED = """
SELECT count(*) FROM messages
WHERE workspace_id = %s AND status = 'queued' AND pinned_account <> ''
"""
_REFUSED = """
SELECT count(*) FROM messages
WHERE workspace_id = %s AND status = 'failed' AND updated_at >= %s AND error_class = %s
    AND attempt_count > 0
"""
_HASTEN = """
UPDATE messages SET next_attempt_at = now()
WHERE workspace_id = %s AND status = 'queued' AND attempt_count > 0 AND created_at >= %s
"""


class Traffic:
    """Submits a plan, and knows what became of it."""

    def __init__(self, http: Http, cast: Cast, plan: Plan, *, began_at: datetime) -> None:
        self._http = http
        self._cast = cast
        self._plan = plan
        self.began_at = began_at
        """When the run began, really."""
        self.story: dict[uuid.UUID, datetime] = {}
        """When each message was submitted in the story."""
        self.deeds: dict[str, list[str]] = {}
        """The ids of the messages to which something is done."""
        self.rejected = 0

    def submit(
        self,
        stage: Stage,
        *,
        together: int = TOGETHER,
        pause_seconds: Callable[[], float] = lambda: 0.0,
    ) -> int:
        """Submit the mail of a stage, in its order; returns how many messages that made."""
        before = len(self.story)
        for group in plans.groups(self._plan.messages[stage], together):
            self._submit(group)
            time.sleep(pause_seconds())
        return len(self.story) - before

    def add(self, stage: Stage, planned: Planned) -> None:
        """One more message, where the story has it."""
        self._plan.messages[stage].append(planned)
        self._plan.messages[stage].sort(key=lambda one: one.at)

    def _submit(self, group: list[Planned]) -> None:
        key = self._cast.letters_key if group[0].is_marketing else self._cast.shop_key
        body = {"messages": [_body(one) for one in group]}
        answer = self._http.ask("POST", "/v1/messages/batch", body, key=key)
        for planned, result in zip(group, answer["results"], strict=True):
            if "id" not in result:
                if planned.deed != "rejected":
                    raise Refused(f"A message of the demo was rejected: {json.dumps(result)}")
                self.rejected += 1
                continue
            for message_id in (result["id"], *result["related_ids"]):
                self.story[uuid.UUID(message_id)] = planned.at
            if planned.deed:
                self.deeds.setdefault(planned.deed, []).append(result["id"])

    def wait_quiet(self) -> None:
        """Until nothing is due or on its way. Raises Refused."""
        self.wait_for(lambda: not self._count(_BUSY), "the mail goes out")

    def wait_expired(self) -> None:
        """Until no mail waits for an account that is paused. Raises Refused."""
        self.wait_for(lambda: not self._count(_PINNED), "mail expires")

    def hasten(self) -> None:
        """Let deferred mail try again now, as if its time had come. Raises Refused."""
        database.execute_sql(_HASTEN, (self._cast.workspace_id, self.began_at))
        queue.enqueue(DELIVER)
        self.wait_quiet()

    def wait_for(self, condition: Callable[[], object], what: str) -> None:
        """Raises Refused where it takes too long."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not condition():
            if time.monotonic() > deadline:
                raise Refused(
                    f"Waited in vain until {what}. Is all well in the terminal of `make run`?"
                )
            time.sleep(POLL_SECONDS)

    def count_events(self, kind: str) -> int:
        """How often something of this kind has happened to the accounts since the run began."""
        statement = (
            "SELECT count(*) FROM events WHERE workspace_id = %s AND message_id IS NULL"
            " AND type = %s AND created_at >= %s"
        )
        values = (self._cast.workspace_id, kind, self.began_at)
        return int(database.execute_sql(statement, values).fetchone()[0])

    def count_refused(self) -> int:
        """How many messages have failed since the run began because of their sender."""
        values = (self._cast.workspace_id, self.began_at, ErrorClass.POLICY)
        return int(database.execute_sql(_REFUSED, values).fetchone()[0])

    def _count(self, statement: str) -> int:
        return int(database.execute_sql(statement, (self._cast.workspace_id,)).fetchone()[0])


def _body(planned: Planned) -> dict[str, object]:
    if planned.deed != "expires":
        return planned.body
    return {**planned.body, "expires_at": (clock.now() + EXPIRES).astimezone(UTC).isoformat()}
