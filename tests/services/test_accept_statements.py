"""What accepting costs: how many statements PostgreSQL gets, whatever is accepted."""

import dataclasses
import logging

import pytest

from maild.domain.actor import SYSTEM
from maild.domain.mime import Attachment
from maild.services import acceptance, messages, policies, suppressions
from maild.services.messages import NewMessage
from maild.services.submissions import Submitter
from tests.conftest import WORKSPACE_A
from tests.services.freezing import start

pytestmark = pytest.mark.usefixtures("database")

GOOD = NewMessage("shop@example.com", "ann@example.org", "Hello", "Hello Ann.")
KEYED = Submitter(idempotency_key="k1", request_hash=b"h")
READ = "SELECT pg_advisory_xact_lock(%s, %s); EXECUTE maild_facts"
WRITE = "EXECUTE maild_accept"


def new(**fields):
    return dataclasses.replace(GOOD, **fields)


class _Listener(logging.Handler):
    """Keeps what Peewee says it sends; BEGIN and COMMIT it does not tell."""

    def __init__(self):
        super().__init__()
        self.statements = []

    def emit(self, record):
        self.statements.append(record.msg[0].partition(" (%s")[0])


@pytest.fixture
def sent(monkeypatch):
    """Call with an action; returns the statements that it led to, without their parameters."""
    monkeypatch.setattr(acceptance, "ROUTE_SECONDS", 3600.0)
    logger = logging.getLogger("peewee")
    before = logger.level, logger.propagate

    def listen(action):
        listener = _Listener()
        logger.addHandler(listener)
        logger.propagate = False
        logger.setLevel(logging.DEBUG)
        try:
            action()
        finally:
            logger.removeHandler(listener)
            logger.setLevel(before[0])
            logger.propagate = before[1]
        return listener.statements

    messages.accept(WORKSPACE_A, GOOD)  # both are prepared, and the route is known
    return listen


def accept(new, by=KEYED):
    messages.submit(WORKSPACE_A, new, by=by)


@pytest.mark.parametrize(
    "message",
    [
        GOOD,
        new(cc=tuple(f"c{n}@d{n}.example" for n in range(49))),
        new(attachments=(Attachment("a.txt", "text/plain", b"x" * 200_000, None),) * 3),
        new(stream="marketing", topic="news", tags=("a",), metadata={"n": 1}),
    ],
    ids=["plain", "fifty recipients", "large", "marketing"],
)
def test_a_message_is_one_read_and_one_write(sent, message):
    assert sent(lambda: messages.accept(WORKSPACE_A, message)) == [READ, WRITE]
    assert sent(lambda: accept(message)) == [READ, WRITE], "and so with a key"
    assert sent(lambda: accept(message)) == [READ], "and a replay is only read"


def test_what_is_stopped_or_must_wait_costs_no_more(sent):
    suppressions.add(WORKSPACE_A, "bob@example.org", reason="asked", source="test")
    start()
    policies.save(
        WORKSPACE_A, changes={"rate_limit_workspace_per_hour": 1, "on_limit": "defer"}, by=SYSTEM
    )
    policies.get(WORKSPACE_A)  # a version is read once
    messages.accept(WORKSPACE_A, GOOD)
    for message in (new(to_email="bob@example.org"), GOOD):
        assert sent(lambda message=message: messages.accept(WORKSPACE_A, message)) == [READ, WRITE]


def test_a_refusal_is_only_read(sent):
    policies.save(WORKSPACE_A, changes={"rate_limit_workspace_per_hour": 0}, by=SYSTEM)
    policies.get(WORKSPACE_A)
    assert sent(lambda: messages.accept_many(WORKSPACE_A, [GOOD])) == [READ]


@pytest.mark.parametrize("count", [1, 500])
def test_a_batch_is_one_read_and_one_write_however_large(sent, count):
    entries = [
        (new(to_email=f"a{n}@d{n}.example", cc=(f"b{n}@example.org",)), KEYED.of_entry(n, b"h"))
        for n in range(count)
    ]
    statements = sent(lambda: messages.submit_many(WORKSPACE_A, entries))
    assert statements == [READ, WRITE]


def test_asking_is_one_read(sent):
    asked = sent(lambda: messages.ask(WORKSPACE_A, new(cc=("bob@example.org",))))
    assert asked == ["EXECUTE maild_facts"]


def test_the_route_is_asked_for_now_and_then(sent):
    acceptance.forget()
    more = len(sent(lambda: messages.accept(WORKSPACE_A, GOOD)))
    assert more > 2
    assert sent(lambda: messages.accept(WORKSPACE_A, GOOD)) == [READ, WRITE]
