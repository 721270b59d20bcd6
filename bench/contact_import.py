"""Importing contacts, as a program does it over the API: a file that is sent as it is made, looked
at, and imported by one worker. What is measured is the job, by PostgreSQL's clock, and the memory
of the web server and of the worker meanwhile.
"""

import http.client
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from bench.stack import OPERATOR_KEY, Failed, Stack, wait_for
from bench.watch import Memory, MemoryWatch

PATIENCE_SECONDS = 1_800.0
_LINES = 5_000
"""So many make a block of the request."""


@dataclass(frozen=True, slots=True)
class Imported:
    """`rate`s are rows a second of a job; `again` of an import of the same file once more."""

    megabytes: float
    upload_seconds: float
    look_rate: float
    rate: float
    again_rate: float
    web: Memory
    worker: Memory


def measure(stack: Stack, count: int) -> Imported:
    """Send and import so many rows twice. Raises Failed where one is missing or counted twice."""
    with stack.sink(), stack.web() as web, stack.workers(count=1) as [worker]:
        with MemoryWatch([web]) as of_web:
            begun_at = time.monotonic()
            file = _send(stack, count)
            upload_seconds = time.monotonic() - begun_at
            web_memory = of_web.memory
        with MemoryWatch([worker]) as of_worker:
            look_rate = _look(stack, file["id"], count, audience_name="everybody")
            rate = _import(stack, file["id"], count)
            worker_memory = of_worker.memory
        _check(stack, count)
        [audience_id] = stack.query("SELECT id FROM audiences")
        again = _send(stack, count)
        _look(stack, again["id"], count, audience_id=audience_id)
        again_rate = _import(stack, again["id"], count)
        _check(stack, count)
    return Imported(
        megabytes=file["size_bytes"] / 1e6,
        upload_seconds=upload_seconds,
        look_rate=look_rate,
        rate=rate,
        again_rate=again_rate,
        web=web_memory,
        worker=worker_memory,
    )


def _blocks(count: int) -> Iterator[bytes]:
    """The file, which is nowhere as a whole: an address, a name and three attributes a row."""
    yield b"email,name,city,age,since\n"
    for start in range(0, count, _LINES):
        rows = (
            f"user{n}@example{n % 500}.org,User Number {n},City {n % 97},"
            f"{n % 90},2024-05-{n % 28 + 1:02}\n"
            for n in range(start, min(start + _LINES, count))
        )
        yield "".join(rows).encode()


def _send(stack: Stack, count: int) -> Any:
    connection = http.client.HTTPConnection(
        stack.web_addr.host, stack.web_addr.port, timeout=PATIENCE_SECONDS
    )
    size = sum(map(len, _blocks(count)))
    headers = {
        "X-API-Key": OPERATOR_KEY,
        "Content-Type": "text/csv",
        "Content-Length": str(size),
    }
    try:
        connection.request("POST", "/v1/contacts/imports?name=bench.csv", _blocks(count), headers)
        response = connection.getresponse()
        text = response.read()
    finally:
        connection.close()
    if response.status != 201:
        raise Failed(f"the upload is answered {response.status}: {text[:300]!r}")
    return json.loads(text)


def _look(stack: Stack, import_id: int, count: int, **options: object) -> float:
    answer = stack.post("/v1/contacts/imports/configure", {"id": import_id, **options})
    return _wait(stack, answer["check"]["id"], count)


def _import(stack: Stack, import_id: int, count: int) -> float:
    answer = stack.post("/v1/contacts/imports/start", {"id": import_id})
    return _wait(stack, answer["job"]["id"], count)


_STATE = """
SELECT status, error, done_count + skipped_count + failed_count,
    extract(epoch FROM finished_at - started_at)::float
FROM jobs WHERE id = %s
"""


def _wait(stack: Stack, job_id: int, count: int) -> float:
    """Until the job is done; its rows a second. Raises Failed."""
    wait_for(
        lambda: stack.query(_STATE, job_id)[3] is not None,
        f"job {job_id} has ended{stack.log_tail('worker-1')}",
        seconds=PATIENCE_SECONDS,
    )
    status, error, handled, seconds = stack.query(_STATE, job_id)
    if status != "done" or handled != count:
        raise Failed(f"job {job_id} is {status} after {handled} of {count} rows: {error}")
    return count / max(float(seconds), 0.001)


def _check(stack: Stack, count: int) -> None:
    [contacts] = stack.query("SELECT count(*) FROM contacts")
    [members] = stack.query("SELECT count(*) FROM audience_members")
    if contacts != count or members != count:
        raise Failed(f"{count} rows have become {contacts} contacts, {members} on the list")
