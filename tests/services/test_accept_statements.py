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
ASK = "EXECUTE maild_facts"
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


MESSAGES = {
    "plain": GOOD,
    "fifty recipients": new(cc=tuple(f"c{n}@d{n}.example" for n in range(49))),
    "large": new(attachments=(Attachment("a.txt", "text/plain", b"x" * 200_000, None),) * 3),
    "marketing": new(stream="marketing", topic="news", tags=("a",), metadata={"n": 1}),
}


@pytest.mark.parametrize("message", MESSAGES.values(), ids=MESSAGES)
def test_a_message_is_one_read_and_one_write(sent, message):
    assert sent(lambda: messages.accept(WORKSPACE_A, message)) == [ASK, WRITE]
    assert sent(lambda: accept(message)) == [READ, WRITE], "and waits its turn, with a key"
    assert sent(lambda: accept(message)) == [READ], "and a replay is only read"


def test_what_is_stopped_or_frozen_costs_no_more(sent):
    suppressions.add(WORKSPACE_A, "bob@example.org", reason="asked", source="test")
    start()
    for message in (new(to_email="bob@example.org"), GOOD):
        assert sent(lambda message=message: messages.accept(WORKSPACE_A, message)) == [ASK, WRITE]


def limit(count, on_limit="reject"):
    changes = {"rate_limit_workspace_per_hour": count, "on_limit": on_limit}
    policies.save(WORKSPACE_A, changes=changes, by=SYSTEM)
    policies.get(WORKSPACE_A)  # a version is read once


def test_near_a_limit_each_waits_its_turn(sent):
    limit(1000)
    assert sent(lambda: messages.accept(WORKSPACE_A, GOOD)) == [ASK, READ, WRITE]
    assert sent(lambda: messages.accept(WORKSPACE_A, GOOD)) == [READ, WRITE]
    limit(10**8)
    messages.accept(WORKSPACE_A, GOOD)
    assert sent(lambda: messages.accept(WORKSPACE_A, GOOD)) == [ASK, WRITE]


def test_a_limit_without_room_costs_one_more_read(sent):
    entries = [GOOD] * 50
    limit(1, "defer")
    messages.accept(WORKSPACE_A, GOOD)
    assert sent(lambda: messages.accept_many(WORKSPACE_A, entries)) == [READ, ASK, WRITE]
    limit(1)
    assert sent(lambda: messages.accept_many(WORKSPACE_A, entries)) == [READ, ASK]


@pytest.mark.parametrize("count", [1, 500])
def test_a_batch_is_one_read_and_one_write_however_large(sent, count):
    news = [new(to_email=f"a{n}@d{n}.example", cc=(f"b{n}@example.org",)) for n in range(count)]
    keyed = [(one, KEYED.of_entry(n, b"h")) for n, one in enumerate(news)]
    assert sent(lambda: messages.submit_many(WORKSPACE_A, keyed)) == [READ, WRITE]
    limit(10**7)
    messages.accept(WORKSPACE_A, GOOD)
    once = sent(lambda: messages.accept_many(WORKSPACE_A, news))
    assert once == ([ASK, WRITE] if count == 1 else [READ, WRITE]), "very many wait their turn"


def test_asking_is_one_read(sent):
    asked = sent(lambda: messages.ask(WORKSPACE_A, new(cc=("bob@example.org",))))
    assert asked == [ASK]


def test_the_route_is_asked_for_now_and_then(sent):
    acceptance.forget()
    more = len(sent(lambda: messages.accept(WORKSPACE_A, GOOD)))
    assert more > 2
    assert sent(lambda: messages.accept(WORKSPACE_A, GOOD)) == [ASK, WRITE]
