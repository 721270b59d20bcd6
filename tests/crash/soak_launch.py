"""maild with the clocks of its periodic work sped up, for the soak: `python -m
tests.crash.soak_launch scheduler` is `maild scheduler`, in which a day of what is kept lasts
DAY_SECONDS, and what is done once a minute is done SPEED times as often.

So an hour sees what months would bring: everything that is written is pruned again and again. What
decides about mail (leases, retries, limits) keeps its own time.
"""

import sys
from typing import Any

from maild import cli, scheduler
from maild.db import database
from maild.services import incident_watch, periodic_jobs, providers, retention_walks

DAY_SECONDS = 20
SPEED = 12
DAYS = ("interval '1 day'", "interval '24 hours'")


def hurry() -> None:
    """Change what this process does from now on."""
    scheduler.WATCH_SECONDS = 1.0
    scheduler.PRUNE_SECONDS = 3.0
    providers.KEEP_TALLIES = f"{DAY_SECONDS * 10} seconds"
    retention_walks.LOOK_AGAIN = f"{DAY_SECONDS} seconds"
    incident_watch.KEPT_HOURS = 1
    take_slot, execute = periodic_jobs.take_slot, database.execute_sql

    def take_slot_sooner(name: str, *, seconds: int) -> bool:
        return take_slot(name, seconds=max(1, seconds // SPEED))

    def execute_with_short_days(sql: str, *values: Any, **more: Any) -> Any:
        for day in DAYS:
            sql = sql.replace(day, f"interval '{DAY_SECONDS} seconds'")
        return execute(sql, *values, **more)

    periodic_jobs.take_slot = take_slot_sooner
    database.execute_sql = execute_with_short_days


if __name__ == "__main__":
    if sys.argv[1:] == ["scheduler"]:
        hurry()
    cli.main()
