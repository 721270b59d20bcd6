"""Posting to an address that a workspace named: what is dialled, and how it ends in time."""

import contextlib
import socket
import threading
import time
from ipaddress import ip_network

import pytest

from maild.domain.networks import Guard
from maild.transports.http_post import ANSWER_MAX_BYTES, PostFailed, post

LOOPBACK = Guard((ip_network("127.0.0.0/8"), ip_network("::1/128")))


@pytest.fixture
def serve():
    """Call with pieces of an answer, None for silence; returns the port, and what came in."""
    stop, servers = threading.Event(), []

    def start(*pieces):
        server = socket.create_server(("127.0.0.1", 0))
        servers.append(server)
        heard = []

        def answer():
            connection, _ = server.accept()
            with connection:
                heard.append(connection.recv(65536))
                try:
                    for piece in pieces:
                        if piece is None:
                            stop.wait(10)
                        else:
                            connection.sendall(piece)
                            stop.wait(0.05)
                except OSError:
                    return

        threading.Thread(target=answer, daemon=True).start()
        return server.getsockname()[1], heard

    yield start
    stop.set()
    for server in servers:
        server.close()


def test_it_dials_what_was_checked_and_names_the_host(serve):
    port, heard = serve(b"HTTP/1.1 204 No Content\r\n\r\n")
    url = f"http://localhost:{port}/a?b=c"
    answer = post(url, b"{}", {"X-Own": "1"}, guard=LOOPBACK)
    assert answer.status == 204
    head = heard[0].decode()
    assert head.startswith("POST /a?b=c HTTP/1.1\r\n")
    assert f"\r\nHost: localhost:{port}\r\n" in head
    assert "\r\nX-Own: 1\r\n" in head


@pytest.mark.parametrize(
    "pieces",
    [
        (None,),
        (b"HTTP/1.1 200 OK\r\n", *[b"X-A: b\r\n"] * 200),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n", *[b"x"] * 200),
        (b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n", *[b"x"] * 200),
    ],
    ids=["silence", "head", "body", "body-to-the-end"],
)
def test_silence_and_dripping_end_in_time(serve, pieces):
    port, _ = serve(*pieces)
    began = time.monotonic()
    with pytest.raises(PostFailed, match="did not answer within"):
        post(f"http://127.0.0.1:{port}/", b"{}", {}, guard=LOOPBACK, seconds=0.3)
    assert time.monotonic() - began < 3  # it drips for ten seconds


def test_no_more_of_an_answer_is_read_than_serves(serve):
    port, _ = serve(b"HTTP/1.1 500 Oh\r\n\r\n" + b"x" * 100_000)
    assert len(post(f"http://127.0.0.1:{port}/", b"", {}, guard=LOOPBACK).text) == ANSWER_MAX_BYTES


@pytest.mark.parametrize(
    ("field", "seconds"),
    [
        ("120", 120),
        ("9" * 400, 10**8),
        ("Thu, 01 Jan 1970 00:00:00 GMT", 0),
        ("soon", None),
        ("Thu, 01 Jan 2026 00:00:00 +99999999999999999999", None),
    ],
    ids=["seconds", "ages", "past", "words", "no-offset"],
)
def test_how_long_to_wait_is_read_whatever_it_says(serve, field, seconds):
    port, _ = serve(f"HTTP/1.1 503 Busy\r\nRetry-After: {field}\r\n\r\n".encode())
    answer = post(f"http://127.0.0.1:{port}/", b"", {}, guard=LOOPBACK)
    assert (answer.status, answer.retry_after_seconds) == (503, seconds)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "169.254.169.254", "[::1]"])
def test_what_is_not_permitted_is_not_dialled(host):
    with pytest.raises(PostFailed, match="must be public"):
        post(f"http://{host}:1/", b"", {}, guard=Guard(), seconds=0.3)


def test_what_is_no_http_is_told(serve):
    port, _ = serve(b"220 mail.example.com ESMTP\r\n")
    with pytest.raises(PostFailed, match="broke off"):
        post(f"http://127.0.0.1:{port}/", b"", {}, guard=LOOPBACK, seconds=1)


def test_where_nobody_listens_is_told():
    with pytest.raises(PostFailed, match="cannot be reached: Connection refused"):
        post("http://127.0.0.1:1/", b"", {}, guard=LOOPBACK, seconds=1)


def test_what_is_no_tls_is_told(serve):
    port, _ = serve(b"no TLS")
    with pytest.raises(PostFailed, match="broke off"):
        post(f"https://127.0.0.1:{port}/", b"", {}, guard=LOOPBACK, seconds=2)


@pytest.fixture
def serve_tls(certificates):
    """A server for `localhost` that answers each request with 204; its port."""
    server = socket.create_server(("127.0.0.1", 0))

    def answer():
        while True:
            try:
                connection, _ = server.accept()
            except OSError:
                return
            with contextlib.suppress(OSError), connection:
                connection.settimeout(5)
                with certificates.server.wrap_socket(connection, server_side=True) as tls:
                    tls.recv(65536)
                    tls.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")

    threading.Thread(target=answer, daemon=True).start()
    yield server.getsockname()[1]
    server.close()


def test_a_certificate_is_checked_and_its_name_too(serve_tls, certificates):
    url = f"https://localhost:{serve_tls}/"
    with pytest.raises(PostFailed, match="the certificate of localhost does not hold: self-signed"):
        post(url, b"", {}, guard=LOOPBACK)
    by_address = url.replace("localhost", "127.0.0.1")
    with pytest.raises(PostFailed, match="does not hold: IP address mismatch"):
        post(by_address, b"", {}, guard=LOOPBACK, context=certificates.client)
    assert post(url, b"", {}, guard=LOOPBACK, context=certificates.client).status == 204
