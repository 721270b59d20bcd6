"""What people do with an incident, and how the list of incidents is asked."""

import pytest

from maild.domain.incident import IncidentStatus
from maild.domain.role import Role
from maild.errors import Conflict, NotFound
from maild.models import AuditEntry, IncidentEntry
from maild.services import incident_inbox, incidents
from maild.services.incidents import Filter
from tests.conftest import WORKSPACE_A, WORKSPACE_B
from tests.services.noticing import ANN, open_incident
from tests.services.troubling import look, make_trouble

pytestmark = pytest.mark.usefixtures("database")


def titles(**asked):
    page = incidents.list_page(WORKSPACE_A, filter_=Filter(**asked))
    return [one.title for one in page.incidents]


def test_who_looks_after_it_is_noted_once():
    incident = open_incident(is_told=False)
    first = incidents.acknowledge(WORKSPACE_A, incident.id, by=ANN)
    again = incidents.acknowledge(WORKSPACE_A, incident.id, by=ANN)
    assert first.status is again.status is IncidentStatus.ACKNOWLEDGED
    assert again.version == first.version
    assert AuditEntry.select().count() == 1


def test_it_is_given_to_the_same_person_once(make_person):
    make_person("ann@a.example", Role.OPERATOR)
    incident = open_incident(is_told=False)
    for _ in range(2):
        given = incidents.assign(WORKSPACE_A, incident.id, to="ann@a.example", by=ANN)
    assert given.assigned_to == "ann@a.example"
    back = incidents.assign(WORKSPACE_A, incident.id, to=None, by=ANN)
    assert back.assigned_to is None
    assert [entry.after for entry in AuditEntry.select().order_by(AuditEntry.seq)] == [
        {"assigned_to": "ann@a.example"},
        {"assigned_to": None},
    ]


def test_what_is_over_takes_notes_and_nothing_else():
    incident = open_incident(is_told=False)
    over = incidents.resolve(WORKSPACE_A, incident.id, cause="They mended it.", by=ANN)
    assert over.status is IncidentStatus.RESOLVED
    with pytest.raises(Conflict):
        incidents.acknowledge(WORKSPACE_A, incident.id, by=ANN)
    with pytest.raises(Conflict):
        incidents.assign(WORKSPACE_A, incident.id, to=None, by=ANN)
    incidents.note(WORKSPACE_A, incident.id, text="  It was theirs.  ", by=ANN)
    texts = [one.text for one in IncidentEntry.select().order_by(IncidentEntry.id)]
    assert texts[-1] == "It was theirs."


def test_they_are_listed_by_what_has_become_of_them():
    open_incident("Open", is_told=False)
    seen = open_incident("Seen", is_told=False)
    over = open_incident("Over", is_told=False)
    open_incident("Foreign", workspace_id=WORKSPACE_B, is_told=False)
    incidents.acknowledge(WORKSPACE_A, seen.id, by=ANN)
    incidents.resolve(WORKSPACE_A, over.id, cause="Mended.", by=ANN)
    assert titles(status=None) == ["Over", "Seen", "Open"]
    assert titles(status="unresolved") == ["Seen", "Open"]
    assert titles(status="acknowledged") == ["Seen"]
    assert titles(status="resolved") == ["Over"]
    with pytest.raises(NotFound):
        incidents.list_page(999)


def test_the_classes_of_its_errors_are_those_of_its_signals(accept, lease):
    make_trouble(accept, lease, 12)
    [found] = look()
    bare = open_incident(is_told=False)
    classes = incident_inbox.list_classes([found, bare])
    assert classes[found.id]
    assert None not in classes[found.id]
    assert classes[bare.id] == set()
    assert incident_inbox.list_classes([]) == {}
