"""A raw SMTP client that is as quick as a client can be: what a sink takes at most.

    python bench/blast.py --target 127.0.0.1:2525 --count 50000 --processes 2 --connections 8

In charge of finding the sink's own limit, which every other figure is compared with. Each
connection is a thread that sends the next envelope in one write with the final dot, and reads three
replies at a time. It prints one line of JSON.
"""

import argparse
import json
import multiprocessing
import socket
import threading
import time

BODY_BYTES = 2048


def blast(
    host: str, port: int, *, count: int, processes: int = 2, connections: int = 8
) -> dict[str, float]:
    """Send `count` messages of 2 KB, and return what came of it: `messages`, `seconds`, `rate`.

    `connections` are a process's. Raises RuntimeError where the server refuses one.
    """
    context = multiprocessing.get_context("spawn")
    ready = context.Barrier(processes + 1)
    share = max(1, count // (processes * connections))
    failures = context.Queue()
    clients = [
        context.Process(
            target=_run, args=(host, port, share, connections, ready, failures), daemon=True
        )
        for _ in range(processes)
    ]
    for client in clients:
        client.start()
    try:
        ready.wait(30)
        begun_at = time.monotonic()
        for client in clients:
            client.join()
        seconds = time.monotonic() - begun_at
    finally:
        for client in clients:
            client.kill()
            client.join()
    if any(client.exitcode for client in clients) or not failures.empty():
        raise RuntimeError("the sink refused: " + (failures.get() if not failures.empty() else "?"))
    sent = share * connections * processes
    return {"messages": sent, "seconds": seconds, "rate": sent / seconds}


def _run(host, port, share, connections, ready, failures) -> None:
    sockets = [_connect(host, port) for _ in range(connections)]
    threads = [
        threading.Thread(target=_send, args=(connection, number, share, failures))
        for number, connection in enumerate(sockets)
    ]
    ready.wait(30)
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def _connect(host: str, port: int) -> socket.socket:
    connection = socket.create_connection((host, port), timeout=30)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    _read(connection, 1)
    connection.sendall(b"EHLO bench\r\n")
    while b"250 " not in connection.recv(4096):
        pass
    return connection


def _send(connection: socket.socket, number: int, share: int, failures) -> None:
    envelope = b"MAIL FROM:<shop@example.com>\r\nRCPT TO:<user%d@example.org>\r\nDATA\r\n" % number
    message = b"Subject: Hello\r\nMessage-ID: <%d@bench.example>\r\n\r\n" % number
    message += (b"x" * 76 + b"\r\n") * ((BODY_BYTES - len(message)) // 78) + b".\r\n"
    try:
        connection.sendall(envelope)
        replies = _read(connection, 3)
        for left in range(share - 1, -1, -1):
            if not replies.endswith(b"\r\n") or b"\n4" in replies or b"\n5" in replies:
                raise RuntimeError(replies.decode("ascii", "replace"))
            connection.sendall(message + envelope if left else message)
            replies = _read(connection, 4 if left else 1)
    except Exception as error:
        failures.put(str(error))
    finally:
        connection.close()


def _read(connection: socket.socket, lines: int) -> bytes:
    """`lines` replies of one line each."""
    said = connection.recv(4096)
    while said.count(b"\n") < lines:
        more = connection.recv(4096)
        if not more:
            raise RuntimeError(f"the sink closed the connection after {said!r}")
        said += more
    return said


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--target", required=True, metavar="HOST:PORT")
    parser.add_argument("--count", type=int, default=50_000)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--connections", type=int, default=8)
    options = parser.parse_args()
    host, _, port = options.target.rpartition(":")
    result = blast(
        host,
        int(port),
        count=options.count,
        processes=options.processes,
        connections=options.connections,
    )
    print(json.dumps(result))


if __name__ == "__main__":
    main()
