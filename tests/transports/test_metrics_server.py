"""The small server of scrapes: one of several processes has the address, and others take over."""

import http.client
import threading
import time

import pytest

from maild.domain.client_address import Address
from maild.setting_kinds import Addr
from maild.transports import metrics_server
from tests.conftest import free_ports

PATIENCE_SECONDS = 30.0


def get(addr: Addr, path: str = "/metrics", **headers: str) -> tuple[int, bytes] | None:
    connection = http.client.HTTPConnection(addr.host, addr.port, timeout=5)
    try:
        connection.request("GET", path, headers=headers)
        response = connection.getresponse()
        return response.status, response.read()
    except OSError:
        return None
    finally:
        connection.close()


def wait_for(addr: Addr, body: bytes) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while (found := get(addr)) is None or found[1] != body:
        assert time.monotonic() < deadline, f"waited in vain for {body!r}, had {found!r}"
        time.sleep(0.02)


def test_the_next_one_takes_the_address_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics_server, "RETRY_SECONDS", 0.02)
    [port] = free_ports(1)
    addr = Addr("127.0.0.1", port)
    ends = threading.Event(), threading.Event()
    first = metrics_server.serve(addr, lambda *_: (200, "text/plain", b"first"), until=ends[0])
    wait_for(addr, b"first")
    second = metrics_server.serve(addr, lambda *_: (200, "text/plain", b"second"), until=ends[1])
    assert get(addr) == (200, b"first")
    ends[0].set()
    wait_for(addr, b"second")
    ends[1].set()
    for thread in (first, second):
        thread.join(PATIENCE_SECONDS)
        assert not thread.is_alive()


def test_it_hands_on_who_asks_for_what(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics_server, "RETRY_SECONDS", 0.02)
    [port] = free_ports(1)
    addr, end = Addr("127.0.0.1", port), threading.Event()

    def answer(path: str, authorization: str, client: Address | None) -> tuple[int, str, bytes]:
        return 203, "text/plain", f"{path} {authorization} {client}".encode()

    metrics_server.serve(addr, answer, until=end)
    wait_for(addr, b"/metrics  127.0.0.1")
    assert get(addr, "/a?b=c", Authorization="Bearer x") == (203, b"/a Bearer x 127.0.0.1")
    connection = http.client.HTTPConnection(addr.host, addr.port, timeout=5)
    connection.request("POST", "/metrics", body=b"x")
    assert connection.getresponse().status == 501
    connection.close()
    end.set()
