"""What a resolved incident was about stays with it, whatever becomes of its signals."""

from collections.abc import Callable

from maild.domain.actor import Actor
from maild.models import Incident, IncidentSignal, Message
from maild.services import incident_inbox, incident_messages, incidents
from maild.services.workers import Lease
from tests.conftest import WORKSPACE_A
from tests.services.helpers import ACCEPTED, says
from tests.services.troubling import look, make_trouble, pass_time

Accept = Callable[..., Message]
BY = Actor("operator@maild.test")
BLOCKED = says("Your domain is not allowed to send here", code=550)


def make_resolved(accept: Accept, lease: Lease) -> Incident:
    """One of twelve messages to one family of domains."""
    make_trouble(accept, lease, 60, ACCEPTED)
    make_trouble(accept, lease, 12, BLOCKED, domains=["gmail.com"])
    [incident] = look()
    return incidents.resolve(WORKSPACE_A, incident.id, cause="Mended", by=BY)


def evidence(incident: Incident) -> tuple[int, int]:
    """How many messages and signals it has."""
    page = incident_messages.list_page(incident, limit=100)
    return len(page.messages), len(incident_inbox.list_signals([incident])[incident.id])


def test_what_comes_again_long_after_takes_nothing_from_the_old_one(
    accept: Accept, lease: Lease
) -> None:
    old = make_resolved(accept, lease)
    pass_time(8 * 24 * 60)
    make_trouble(accept, lease, 11, BLOCKED, domains=["gmail.com"], first=100)
    [new] = look()
    assert new.id != old.id
    assert (evidence(old), evidence(new)) == ((12, 1), (11, 1))
    make_trouble(accept, lease, 3, BLOCKED, domains=["gmail.com"], first=200)
    [new] = look()
    assert (new.message_count, evidence(old), evidence(new)) == (14, (12, 1), (14, 1))


def test_what_turns_out_to_be_wide_takes_nothing_from_a_resolved_one(
    accept: Accept, lease: Lease
) -> None:
    old = make_resolved(accept, lease)
    make_trouble(accept, lease, 1, BLOCKED, domains=["gmail.com"], first=300)
    for domain in ("shop.example", "club.example"):
        make_trouble(accept, lease, 1, BLOCKED, domains=[domain])
    look()
    assert IncidentSignal.select().where(IncidentSignal.recipient_domain.is_null()).exists()
    look()
    assert evidence(old)[0] >= 12
