"""A cheap HTTP client: requests built beforehand, connections kept, hardly any parsing.

In charge of costing the API's machine as little as a client can, from two processes of four
threads. `post_singles` asks for as long as it is told, `post_batches` until so many are sent,
`post_reports` each of its requests once.
"""

import json
import multiprocessing
import socket
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from bench import reports
from bench.content import message
from maild.config import Addr

PROCESSES, THREADS = 2, 4
VARIANTS = 50
"""Different requests of a thread."""
_GOOD = {True: b"HTTP/1.1 200", False: b"HTTP/1.1 201"}
"""The answer to a batch, and to a single message."""


@dataclass(slots=True)
class Load:
    """What the clients saw. `latencies` are milliseconds; the times are seconds since the epoch."""

    requests: int
    messages: int
    begun_at: float
    ended_at: float
    latencies: list[float]
    problem: str | None = None

    @property
    def seconds(self) -> float:
        return self.ended_at - self.begun_at

    def percentile(self, share: float) -> float:
        ordered = sorted(self.latencies)
        return ordered[min(len(ordered) - 1, int(len(ordered) * share))] if ordered else 0.0


def post_singles(addr: Addr, key: str, *, seconds: float) -> Load:
    """POST /v1/messages from 8 connections for this long. Raises RuntimeError at a refusal."""
    return _run(addr, key, {"seconds": seconds, "batch": 0, "batches": 0})


def post_batches(addr: Addr, key: str, *, count: int, batch: int = 500) -> Load:
    """POST /v1/messages/batch from 8 connections until `count` are sent. Raises RuntimeError."""
    batches = max(1, -(-count // (batch * PROCESSES * THREADS)))
    return _run(addr, key, {"seconds": 0.0, "batch": batch, "batches": batches})


def post_reports(addr: Addr, path: str, messages: Sequence[reports.Message]) -> Load:
    """Report on each message, in a request of its own, from 8 connections. Raises RuntimeError."""
    plan = {"seconds": 0.0, "batch": 0, "path": path, "messages": list(messages)}
    return _run(addr, "", plan)


def _run(addr: Addr, key: str, plan: dict[str, Any]) -> Load:
    context = multiprocessing.get_context("spawn")
    ready = context.Barrier(PROCESSES + 1)
    answers = context.Queue()
    clients = [
        context.Process(
            target=_client,
            args=(addr.host, addr.port, key, _part(plan, number), ready, answers),
            daemon=True,
        )
        for number in range(PROCESSES)
    ]
    for client in clients:
        client.start()
    try:
        ready.wait(60)
        loads = [answers.get(timeout=plan["seconds"] + 600) for _ in clients]
    finally:
        for client in clients:
            client.kill()
            client.join()
    if problems := [load.problem for load in loads if load.problem]:
        raise RuntimeError(problems[0])
    return _sum(loads)


def _part(plan: dict[str, Any], number: int) -> dict[str, Any]:
    """The plan of one process: of messages that are reported on, its own ones only."""
    if "messages" not in plan:
        return plan
    return plan | {"messages": plan["messages"][number::PROCESSES]}


def _sum(loads: list[Load]) -> Load:
    return Load(
        requests=sum(load.requests for load in loads),
        messages=sum(load.messages for load in loads),
        begun_at=min(load.begun_at for load in loads),
        ended_at=max(load.ended_at for load in loads),
        latencies=[latency for load in loads for latency in load.latencies],
        problem=next((load.problem for load in loads if load.problem), None),
    )


def _client(host, port, key, plan, ready, answers) -> None:
    requests = [_requests(host, port, key, thread, plan) for thread in range(THREADS)]
    loads: list[Load] = []
    threads = [
        threading.Thread(target=_ask_safely, args=(host, port, built, plan, loads))
        for built in requests
    ]
    ready.wait(60)
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    answers.put(_sum(loads))


def _requests(host: str, port: int, key: str, thread: int, plan: dict[str, Any]) -> list[bytes]:
    if "messages" in plan:
        return reports.requests(host, port, plan["path"], plan["messages"][thread::THREADS])
    batch = plan["batch"]
    if not batch:
        numbers = range(thread * VARIANTS, (thread + 1) * VARIANTS)
        path, bodies = "/v1/messages", [message(number) for number in numbers]
    else:
        messages = [message(thread * batch + place) for place in range(batch)]
        path, bodies = "/v1/messages/batch", [{"messages": messages}]
    head = (
        f"POST {path} HTTP/1.1\r\nHost: {host}:{port}\r\nX-API-Key: {key}\r\n"
        "Content-Type: application/json\r\nContent-Length: "
    )
    texts = [json.dumps(body).encode() for body in bodies]
    return [f"{head}{len(text)}\r\n\r\n".encode() + text for text in texts]


def _ask_safely(host, port, requests, plan, loads) -> None:
    load = Load(0, 0, time.time(), time.time(), [])
    try:
        _ask(host, port, requests, plan, load)
    except Exception as error:
        load.problem = str(error) or repr(error)
    load.ended_at = time.time()
    loads.append(load)


def _ask(host: str, port: int, requests: list[bytes], plan: dict[str, Any], load: Load) -> None:
    good = b"HTTP/1.1 202" if "messages" in plan else _GOOD[bool(plan["batch"])]
    with socket.create_connection((host, port), timeout=120) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        goes_on = _until(plan, len(requests))
        while goes_on(load.requests):
            begun_at = time.perf_counter()
            connection.sendall(requests[load.requests % len(requests)])
            head, body = _read_answer(connection)
            load.latencies.append((time.perf_counter() - begun_at) * 1000)
            if not head.startswith(good):
                first_line = head.split(b"\r\n", 1)[0] + b" " + body[:200]
                raise RuntimeError(f"the API answered {first_line.decode('utf-8', 'replace')}")
            load.requests += 1
            load.messages += int(json.loads(body)["accepted"]) if plan["batch"] else 1


def _until(plan: dict[str, Any], built: int) -> Callable[[int], bool]:
    if "messages" in plan:
        return lambda done: done < built
    if plan["batch"]:
        return lambda done: done < plan["batches"]
    deadline = time.monotonic() + plan["seconds"]
    return lambda done: time.monotonic() < deadline


def _read_answer(connection: socket.socket) -> tuple[bytes, bytes]:
    data = connection.recv(65_536)
    while (end := data.find(b"\r\n\r\n")) < 0:
        data += _more(connection)
    head = data[:end]
    at = head.lower().find(b"content-length:")
    if at < 0:
        raise RuntimeError(f"an answer without a length: {head[:100]!r}")
    length = int(head[at + 15 :].split(b"\r\n", 1)[0])
    parts, missing = [data[end + 4 :]], length - (len(data) - end - 4)
    while missing > 0:
        parts.append(_more(connection))
        missing -= len(parts[-1])
    return head, b"".join(parts)


def _more(connection: socket.socket) -> bytes:
    data = connection.recv(262_144)
    if not data:
        raise RuntimeError("the API closed the connection")
    return data
