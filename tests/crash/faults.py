"""The killer: what may happen to any part at any time, drawn from a seed.

Each fault is done to the end: what it kills is started again, what it stops goes on. Used from the
thread that made the rig. The exact points of a message's way are in `points.py`.
"""

import json
import random
import signal
import time
from collections import Counter
from collections.abc import Callable

from tests.crash.audit import Stop
from tests.crash.desk import Desk
from tests.crash.load import POOL_SIZE, pool_address
from tests.crash.rig import LEASE_SECONDS, Part, Rig

Fault = Callable[["Killer"], None]


class Killer:
    """Does one fault after another, and counts them by kind."""

    def __init__(self, rig: Rig, desk: Desk, workspace_ids: list[int], *, seed: int) -> None:
        self.rig = rig
        self.desk = desk
        self.dice = random.Random(seed)
        self.workspace_ids = workspace_ids
        self.counts: Counter[str] = Counter()
        self.stops: list[Stop] = []
        """What was suppressed, unsubscribed and frozen."""

    def strike(self) -> str:
        """Do one fault; returns its kind. All kinds come before one comes again."""
        self.rig.revive()
        fewest = min(self.counts[kind] for kind in FAULTS)
        rare = [kind for kind in FAULTS if self.counts[kind] == fewest]
        common = [kind for kind, (weight, _) in FAULTS.items() for _ in range(weight)]
        kind = self.dice.choice(rare if self.dice.random() < 0.3 else common)
        FAULTS[kind][1](self)
        self.counts[kind] += 1
        return kind

    def pause(self, low: float, high: float) -> None:
        time.sleep(self.dice.uniform(low, high))

    def any_worker(self) -> Part:
        return self.dice.choice(self.rig.workers)


def kill_worker(k: Killer) -> None:
    worker = k.any_worker()
    worker.kill()
    k.pause(0.0, 1.0)
    worker.start()


def kill_all_workers(k: Killer) -> None:
    for worker in k.rig.workers:
        worker.kill()
    k.pause(0.0, 2.0)
    for worker in k.rig.workers:
        worker.start()


def restart_worker(k: Killer) -> None:
    """As a deploy does."""
    worker = k.any_worker()
    worker.terminate()
    worker.start()


def stop_worker_past_lease(k: Killer) -> None:
    worker = k.any_worker()
    worker.signal(signal.SIGSTOP)
    k.pause(LEASE_SECONDS + 0.5, LEASE_SECONDS + 3.0)
    worker.signal(signal.SIGCONT)


def stop_worker_briefly(k: Killer) -> None:
    worker = k.any_worker()
    worker.signal(signal.SIGSTOP)
    k.pause(0.2, LEASE_SECONDS * 0.9)
    worker.signal(signal.SIGCONT)


def kill_web(k: Killer) -> None:
    k.rig.web.kill()
    k.pause(0.0, 0.5)
    k.rig.web.start()


def kill_scheduler(k: Killer) -> None:
    scheduler = k.dice.choice(k.rig.schedulers)
    scheduler.kill()
    k.pause(0.0, 0.5)
    scheduler.start()


def crash_postgres(k: Killer) -> None:
    k.rig.crash_postgres()
    k.pause(0.0, 1.0)
    k.rig.start_postgres()


def crash_postgres_for_long(k: Killer) -> None:
    """Longer than a lease."""
    k.rig.crash_postgres()
    k.pause(LEASE_SECONDS + 0.5, LEASE_SECONDS + 2.0)
    k.rig.start_postgres()


def kill_valkey(k: Killer) -> None:
    k.rig.kill_valkey()
    k.pause(0.0, 2.0)
    k.rig.start_valkey()


def stop_valkey_briefly(k: Killer) -> None:
    k.rig.signal_valkey(signal.SIGSTOP)
    k.pause(0.1, 3.0)
    k.rig.signal_valkey(signal.SIGCONT)


def flush_valkey(k: Killer) -> None:
    with k.rig.redis() as client:
        client.flushall()


def flush_and_kill_worker(k: Killer) -> None:
    worker = k.any_worker()
    flush_valkey(k)
    worker.kill()
    worker.start()


def kill_valkey_and_worker(k: Killer) -> None:
    worker = k.any_worker()
    k.rig.kill_valkey()
    worker.kill()
    k.rig.start_valkey()
    worker.start()


def crash_postgres_and_kill_worker(k: Killer) -> None:
    worker = k.any_worker()
    k.rig.crash_postgres()
    k.pause(0.0, 0.5)
    worker.kill()
    k.rig.start_postgres()
    worker.start()


def reset_connections(k: Killer) -> None:
    k.rig.tap.reset_all()


def restart_provider(k: Killer) -> None:
    """Nobody listens for a moment, and every connection is cut."""
    k.rig.sink.set_mode("refuse")
    k.pause(0.1, 0.4)
    k.rig.sink.set_mode("ok")


def repeat_hint(k: Killer) -> None:
    """A hundred times, past the mark that merges them."""
    hint = {"name": "maild.queue.deliver", "retries": 0, "retry_delay": 0}
    hints = [json.dumps({**hint, "id": f"deliver-{number}"}) for number in range(100)]
    with k.rig.redis() as client:
        client.lpush("huey.redis.maild", *hints)


def suppress(k: Killer) -> None:
    workspace_id = k.dice.choice(k.workspace_ids)
    address = pool_address(k.dice.randrange(POOL_SIZE))
    at = k.desk.suppress(workspace_id, address)
    k.stops.append(Stop(workspace_id, at, email=address))


def unsubscribe(k: Killer) -> None:
    """By the link in a mail that went to one of those who get much; which of their workspaces it
    came from is not to be seen in it.
    """
    start = k.dice.randrange(POOL_SIZE)
    links = (k.rig.tap.link_of(pool_address((start + n) % POOL_SIZE)) for n in range(POOL_SIZE))
    link = next(filter(None, links), None)
    if link is None:  # no such mail has left yet
        return
    at = k.rig.click(link)
    # Where it was clicked before, the last one is another: it stands longer still.
    rows = k.rig.query(
        "SELECT workspace_id, email, stream, topic FROM unsubscribes ORDER BY id DESC LIMIT 1"
    )
    for workspace_id, email, stream, topic in rows:
        k.stops.append(Stop(workspace_id, at, email=email, stream=stream, topic=topic))


def freeze(k: Killer) -> None:
    workspace_id = k.dice.choice(k.workspace_ids)
    stream = k.dice.choice(["transactional", "marketing"])
    freeze_id, since = k.desk.freeze(workspace_id, stream)
    k.pause(0.5, 2.0)
    until = k.desk.lift(freeze_id)
    k.stops.append(Stop(workspace_id, since, until, stream=stream))


FAULTS: dict[str, tuple[int, Fault]] = {
    "worker killed": (4, kill_worker),
    "all workers killed": (2, kill_all_workers),
    "worker stopped past its lease": (2, stop_worker_past_lease),
    "worker stopped briefly": (2, stop_worker_briefly),
    "worker restarted gracefully": (3, restart_worker),
    "API killed": (2, kill_web),
    "scheduler killed": (2, kill_scheduler),
    "PostgreSQL crashed": (2, crash_postgres),
    "PostgreSQL away past the lease": (1, crash_postgres_for_long),
    "Valkey killed": (2, kill_valkey),
    "Valkey stopped briefly": (1, stop_valkey_briefly),
    "FLUSHALL": (2, flush_valkey),
    "FLUSHALL, and a worker killed": (1, flush_and_kill_worker),
    "Valkey and a worker killed": (1, kill_valkey_and_worker),
    "PostgreSQL crashed, and a worker killed": (1, crash_postgres_and_kill_worker),
    "SMTP connections reset": (2, reset_connections),
    "SMTP server restarted": (1, restart_provider),
    "hint repeated 100 times": (1, repeat_hint),
    "address suppressed": (3, suppress),
    "one click on an unsubscribe link": (3, unsubscribe),
    "lane frozen and let go": (1, freeze),
}
"""Kind -> how often in proportion, and what is done."""
