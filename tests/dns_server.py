"""A DNS server on loopback for tests: UDP and TCP on one port, with records and ailments that a
test gives it. Messages are dnspython's; what it answers is scripted.

    dns.txt("example.org", "v=spf1 -all")
    dns.fail("broken.example.org")          # SERVFAIL
    dns.silence("slow.example.org")         # no answer at all
    settings: dns_resolvers=(dns.addr,)
"""

import contextlib
import socketserver
import threading
from collections.abc import Iterator

import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdatatype
import dns.rrset
import pytest

from maild.setting_kinds import Addr

TTL = 60
UDP_BYTES = 512
"""RFC 1035 4.2.1: what is longer is cut off, and asked for again by TCP."""


class DnsServer:
    """Names it does not know do not exist (NXDOMAIN)."""

    def __init__(self) -> None:
        self._records: dict[tuple[str, str], list[str]] = {}
        self._failing: set[str] = set()
        self._silent: set[str] = set()
        self.asked: list[tuple[str, str, str]] = []
        """Name, type, and `udp` or `tcp`, in order."""
        self.addr = Addr("127.0.0.1", 0)

    def add(self, name: str, kind: str, *texts: str) -> None:
        """More records in presentation form; without any the name is there and has no data."""
        self._records.setdefault((_normal(name), kind), []).extend(texts)

    def txt(self, name: str, *texts: str) -> None:
        """Replace the TXT records of a name; a long text becomes several strings of one record."""
        self._records[_normal(name), "TXT"] = [_quote(text) for text in texts]

    def mx(self, name: str, *texts: str) -> None:
        self._records[_normal(name), "MX"] = list(texts)

    def remove(self, name: str) -> None:
        """Forget a name, and that it fails or is silent."""
        self._failing.discard(_normal(name))
        self._silent.discard(_normal(name))
        for key in [key for key in self._records if key[0] == _normal(name)]:
            del self._records[key]

    def fail(self, name: str) -> None:
        self._failing.add(_normal(name))

    def silence(self, name: str) -> None:
        self._silent.add(_normal(name))

    def answer(self, wire: bytes, by: str) -> bytes | None:
        query = dns.message.from_wire(wire)
        [question] = query.question
        name, kind = _normal(question.name.to_text()), dns.rdatatype.to_text(question.rdtype)
        self.asked.append((name, kind, by))
        if name in self._silent:
            return None
        response = dns.message.make_response(query)
        response.flags |= dns.flags.RA
        if name in self._failing:
            response.set_rcode(dns.rcode.SERVFAIL)
        elif not self._fill(response, name, kind):
            response.set_rcode(dns.rcode.NXDOMAIN)
        wire = response.to_wire()
        if by == "udp" and len(wire) > UDP_BYTES:
            cut = dns.message.make_response(query)
            cut.flags |= dns.flags.RA | dns.flags.TC
            return cut.to_wire()
        return wire

    def _fill(self, response: dns.message.Message, name: str, kind: str) -> bool:
        """Add the records; whether the name is there."""
        for _ in range(8):  # aliases of aliases
            alias = self._records.get((name, "CNAME"))
            if not alias:
                break
            response.answer.append(dns.rrset.from_text(f"{name}.", TTL, "IN", "CNAME", alias[0]))
            name = _normal(alias[0])
        if texts := self._records.get((name, kind)):
            response.answer.append(dns.rrset.from_text(f"{name}.", TTL, "IN", kind, *texts))
        return any(known == name or known.endswith(f".{name}") for known, _ in self._records)


class _Udp(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        wire, sock = self.request
        if answer := self.server.dns.answer(wire, "udp"):  # type: ignore[attr-defined]
            sock.sendto(answer, self.client_address)


class _Tcp(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        length = int.from_bytes(self.rfile.read(2), "big")
        if answer := self.server.dns.answer(self.rfile.read(length), "tcp"):  # type: ignore[attr-defined]
            self.wfile.write(len(answer).to_bytes(2, "big") + answer)


@contextlib.contextmanager
def running() -> Iterator[DnsServer]:
    """A server on a free port, the same for UDP and TCP."""
    server = DnsServer()
    udp, tcp = _bind()
    server.addr = Addr("127.0.0.1", udp.server_address[1])
    threads = []
    for each in (udp, tcp):
        each.dns = server  # type: ignore[attr-defined]
        thread = threading.Thread(target=each.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        threads.append(thread)
    try:
        yield server
    finally:
        for each in (udp, tcp):
            each.shutdown()
            each.server_close()
        for thread in threads:
            thread.join()


@pytest.fixture
def dns_server() -> Iterator[DnsServer]:
    """One for a test; `nameless_dns` is asked where there is none (tests/conftest.py)."""
    with running() as server:
        yield server


def _bind() -> tuple[socketserver.UDPServer, socketserver.TCPServer]:
    for _ in range(20):
        udp = socketserver.ThreadingUDPServer(("127.0.0.1", 0), _Udp)
        udp.daemon_threads = True
        with contextlib.suppress(OSError):  # the port is taken for TCP
            tcp = socketserver.ThreadingTCPServer(udp.server_address, _Tcp)
            tcp.daemon_threads = True
            return udp, tcp
        udp.server_close()
    raise OSError("no port is free for UDP and TCP")


def _normal(name: str) -> str:
    return name.lower().rstrip(".")


def _quote(text: str) -> str:
    raw = text.encode()
    parts = [raw[start : start + 255] for start in range(0, len(raw), 255)] or [b""]
    return " ".join(f'"{"".join(_escape(byte) for byte in part)}"' for part in parts)


def _escape(byte: int) -> str:
    """RFC 1035 5.1."""
    char = chr(byte)
    return f"\\{byte:03d}" if not 32 <= byte < 127 or char in '"\\' else char
