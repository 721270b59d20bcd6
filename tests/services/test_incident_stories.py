"""The timeline of an incident: what was done, and what else happened meanwhile; deployments."""

from collections.abc import Callable

import pytest

from maild.domain.actor import Actor
from maild.domain.notification import Occasion
from maild.domain.role import Role
from maild.domain.states import EventType
from maild.errors import Conflict, InvalidFields, NotFound
from maild.models import Event, Incident, IncidentEntry, Message, Notification, Person
from maild.services import deployments, incident_stories, incidents
from maild.services.workers import Lease
from tests.conftest import WORKSPACE_A, WORKSPACE_B
from tests.services.helpers import ago
from tests.services.noticing import add_channel
from tests.services.troubling import look, make_trouble, unresolved

Accept = Callable[..., Message]
BY = Actor("operator@maild.test")


@pytest.fixture
def incident(accept: Accept, lease: Lease) -> Incident:
    make_trouble(accept, lease, 12)
    [found] = look()
    return found


def happen(kind: EventType, *, workspace_id: int | None = WORKSPACE_A, **data: object) -> None:
    at = data.pop("at", None)
    Event.insert(
        workspace=workspace_id,
        type=kind.value,
        data=data,
        **({"created_at": at} if at else {}),
    ).execute()


def test_it_tells_what_happened_meanwhile_and_shortly_before(incident: Incident) -> None:
    happen(EventType.POLICY_CHANGED, at=ago(minutes=30))
    happen(EventType.FREEZE_STARTED, at=ago(hours=3))
    happen(EventType.BREAKER_OPENED, smtp_account="primary")
    happen(EventType.BREAKER_OPENED, smtp_account="another")
    happen(EventType.POLICY_CHANGED, workspace_id=WORKSPACE_B)
    happen(EventType.MAILD_DEPLOYED, workspace_id=None, version="9")
    happen(EventType.BREAKER_OPENED, workspace_id=None, smtp_account="default")
    deployments.record(WORKSPACE_A, name="shop", version="7", by=BY)
    incidents.note(WORKSPACE_A, incident.id, text="Called them.", by=BY)
    told = [
        one.type if isinstance(one, Event) else one.kind.value
        for one in incident_stories.list_entries(incident)
    ]
    assert told[:2] == ["policy.changed", "opened"]
    assert sorted(told[2:]) == [
        "deployment.recorded",
        "maild.deployed",
        "note",
        "provider.breaker_opened",
    ]


def test_a_remedy_is_an_entry(incident: Incident) -> None:
    incidents.record_remedy(
        WORKSPACE_A, incident.id, text="Retried 12 messages", data={"job_id": 3}, by=BY
    )
    entry = IncidentEntry.select().order_by(IncidentEntry.id.desc()).first()
    assert (entry.kind.value, entry.actor, entry.data) == ("remedy", BY.name, {"job_id": 3})


def test_replies_are_told_once_each(incident: Incident) -> None:
    [reply] = incident_stories.list_replies(incident)
    assert reply.text.startswith("451 System is not available")
    assert reply.smtp_account == "primary"


def test_another_workspace_finds_nothing(incident: Incident, accept: Accept) -> None:
    ours = accept()
    theirs = incidents.open_by_hand(WORKSPACE_B, accept(workspace_id=WORKSPACE_B).id, by=BY)
    for act in (
        lambda: incidents.get(WORKSPACE_B, incident.id),
        lambda: incidents.note(WORKSPACE_B, incident.id, text="t", by=BY),
        lambda: incidents.merge(WORKSPACE_A, incident.id, into_id=theirs.id, by=BY),
        lambda: incidents.merge(WORKSPACE_B, incident.id, into_id=theirs.id, by=BY),
        lambda: incidents.open_by_hand(WORKSPACE_B, ours.id, by=BY),
    ):
        with pytest.raises(NotFound):
            act()
    assert len(unresolved()) == 1


def test_who_was_told_of_one_that_is_merged_hears_of_its_end(
    incident: Incident, accept: Accept
) -> None:
    channel, _ = add_channel("https://hooks.example.com/pager")
    other = incidents.open_by_hand(WORKSPACE_A, accept().id, by=BY)
    incidents.merge(WORKSPACE_A, incident.id, into_id=other.id, by=BY)
    told = Notification.select(Notification.incident, Notification.occasion).where(
        Notification.channel == channel.id
    )
    assert (incident.id, Occasion.RESOLVED) in list(told.tuples())


def test_no_viewer_is_given_one(incident: Incident, make_person: Callable[..., Person]) -> None:
    make_person("viewer@a.example", Role.VIEWER)
    with pytest.raises(InvalidFields, match="may change something"):
        incidents.assign(WORKSPACE_A, incident.id, to="viewer@a.example", by=BY)


def test_merges_make_no_circle(incident: Incident, accept: Accept) -> None:
    other = incidents.open_by_hand(WORKSPACE_A, accept().id, by=BY)
    incidents.merge(WORKSPACE_A, incident.id, into_id=other.id, by=BY)
    with pytest.raises(Conflict):
        incidents.merge(WORKSPACE_A, other.id, into_id=incident.id, by=BY)


def test_a_version_of_maild_is_told_when_it_is_another(database: None) -> None:
    assert deployments.record_own() is True
    assert deployments.record_own() is False
    happen(EventType.MAILD_DEPLOYED, workspace_id=None, version="0.0.1")
    assert deployments.record_own() is True
    newest = Event.select().order_by(Event.id.desc()).first()
    assert newest.data["before"] == "0.0.1"
