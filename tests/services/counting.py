"""What the tests of analytics share: figures as if they had been counted at some time."""

from datetime import UTC, datetime
from typing import Any

from maild.models import Rollup, TrafficTally
from tests.conftest import WORKSPACE_A


def add_rollup(at: datetime, count: int = 1, **fields: Any) -> None:
    """So much of something, by default sent through "ses" in workspace A, in the minute of `at`, as
    it is when it is folded.
    """
    minute = {**_values(at, count), **fields, "grain": "minute"}
    hour = {**minute, "grain": "hour", "at": minute["at"].replace(minute=0)}
    for row in (minute, hour):
        Rollup.insert(row).on_conflict(
            conflict_target=[
                Rollup.workspace,
                Rollup.grain,
                Rollup.at,
                Rollup.kind,
                Rollup.stream,
                Rollup.smtp_account,
            ],
            update={Rollup.message_count: Rollup.message_count + count},
        ).execute()


def add_tally(at: datetime, count: int = 1, *, shard: int = 1, **fields: Any) -> None:
    """The same, before it is folded."""
    TrafficTally.insert({**_values(at, count), "shard": shard, **fields}).execute()


def _values(at: datetime, count: int) -> dict[str, Any]:
    return {
        "workspace": WORKSPACE_A,
        "at": at.astimezone(UTC).replace(second=0, microsecond=0),
        "kind": "sent",
        "stream": "transactional",
        "smtp_account": "ses",
        "message_count": count,
    }
