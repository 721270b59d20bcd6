"""The product that is fuzzed: all of its processes, on a PostgreSQL and a Valkey of its own."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass

from maild.config import Addr
from tests.crash import rig
from tests.fuzz.passes import COVERAGE, EXAMPLES, FUZZING, STATEFUL, Pass
from tests.fuzz.rows import Rows

NOWHERE = "127.0.0.1:9"
"""Where nobody listens: no question leaves the machine."""


@dataclass(frozen=True, slots=True)
class Server:
    """Where it is, and the keys that it knows."""

    addr: Addr
    url: str
    admin: dict[str, str]
    sender: dict[str, str]


@contextlib.contextmanager
def running() -> Iterator[Server]:
    """A server for the length of a `with` block."""
    settings = {
        "WEBHOOKS_ENABLED": "true",
        "WEBHOOK_SIGNING_SECRET": "a-webhook-secret-of-some-length",
        "DNS_RESOLVERS": NOWHERE,
        "DNS_TIMEOUT": "1s",
    }
    with rig.running(workers=1, schedulers=1, web_processes=1, **settings) as started:
        admin = {"X-API-Key": rig.ADMIN_KEY}
        rows = Rows(started.web_addr, admin)
        key = rows.ask("POST", "/v1/api-keys", name="fuzz", role="sender")["key"]
        url = f"http://{started.web_addr}/v1/openapi.json"
        yield Server(started.web_addr, url, admin, {"Authorization": f"Bearer {key}"})


def short(server: Server) -> list[Pass]:
    """The examples, and little beside them."""
    rows = Rows(server.addr, server.admin)
    path = rows.make()
    return [
        Pass("admin", server.admin, (EXAMPLES, FUZZING), 1, path=path, rows=rows.fill),
        Pass("sender", server.sender, (EXAMPLES,)),
        Pass("nobody", {}, (EXAMPLES,)),
    ]


def long(server: Server, *, examples: int) -> list[Pass]:
    """Every boundary that the document has, `examples` of everything, and one thing after the
    other.
    """
    rows = Rows(server.addr, server.admin)
    path = rows.make()
    return [
        Pass("admin", server.admin, (EXAMPLES, FUZZING), examples, path=path, rows=rows.fill),
        Pass("admin, anything", server.admin, (COVERAGE, FUZZING, STATEFUL), examples),
        Pass("sender", server.sender, (EXAMPLES, FUZZING), max(1, examples // 4)),
        Pass("nobody", {}, (EXAMPLES, FUZZING), max(1, examples // 10)),
    ]
