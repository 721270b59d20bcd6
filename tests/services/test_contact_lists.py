"""Lists of contacts and how these stand; the lists that people put together."""

import threading
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from maild.db import database as database_
from maild.domain.actor import SYSTEM, Actor
from maild.domain.contact import ContactStatus
from maild.domain.states import Stream
from maild.errors import Conflict, InvalidFields, NotFound
from maild.models import Audience, AudienceMember, Contact, ContactAttribute, Suppression
from maild.services import (
    audience_members,
    audiences,
    contact_attribute_jobs,
    contact_attributes,
    contact_lists,
    contact_standings,
    contacts,
    job_steps,
    jobs,
    suppressions,
    unsubscribes,
)
from maild.services.contact_fields import ContactFields
from maild.services.contact_lists import Filter
from maild.services.contact_standings import StandingState
from tests.conftest import WORKSPACE_A, WORKSPACE_B
from tests.counting import count_statements
from tests.services.helpers import ago, at_once

pytestmark = pytest.mark.usefixtures("database")

BY = Actor("ann@example.org")


def make(name: str, workspace_id: int = WORKSPACE_A, **fields: Any) -> Contact:
    email = name if "@" in name else f"{name}@example.org"
    return contacts.upsert(workspace_id, email, ContactFields(**fields), by=SYSTEM).contact


def suppress(name: str, **fields: Any) -> Suppression:
    values: dict[str, Any] = {"reason": "r", "source": "api", **fields}
    return suppressions.add(WORKSPACE_A, f"{name}@example.org", **values)


def leave(name: str, **fields: Any) -> None:
    unsubscribes.add(WORKSPACE_A, f"{name}@example.org", source="api", by=SYSTEM, **fields)


def state_of(name: str) -> StandingState:
    contact = contacts.find_by_email(WORKSPACE_A, f"{name}@example.org")
    assert contact is not None
    return contact_standings.look_up_one(contact).state


def found(**asked: Any) -> set[str]:
    rows = contact_lists.list_page(WORKSPACE_A, filter_=Filter(**asked)).contacts
    return {row.email.partition("@")[0] for row in rows}


@pytest.fixture
def people(database: None) -> None:
    """One contact for each way to stand."""
    for name in ("fine", "stopped", "over", "taken", "later", "some", "left", "gone", "back"):
        make(name)
    make("waiting", status=ContactStatus.PENDING)
    make("stopped_waiting", status=ContactStatus.PENDING)
    suppress("stopped")
    suppress("stopped_waiting", stream=Stream.MARKETING)
    suppress("later", stream=Stream.TRANSACTIONAL)
    over = suppress("over", expires_at=datetime.now(UTC) + timedelta(hours=1))
    Suppression.update(expires_at=ago(hours=1)).where(Suppression.id == over.id).execute()
    suppress("taken")
    suppressions.remove(WORKSPACE_A, "taken@example.org", reason="r", by=SYSTEM)
    leave("some", topic="news")
    leave("left", stream=Stream.MARKETING)
    leave("gone")
    leave("back")
    unsubscribes.remove(WORKSPACE_A, "back@example.org", reason="r", by=SYSTEM)
    suppressions.add(WORKSPACE_B, "fine@example.org", reason="r", source="api")
    unsubscribes.add(WORKSPACE_B, "fine@example.org", source="api", by=SYSTEM)


@pytest.mark.proves("I7")
@pytest.mark.usefixtures("people")
def test_each_contact_stands_in_one_way_and_lists_say_the_same() -> None:
    expected = {
        StandingState.OPEN: {"fine", "over", "taken", "later", "some", "back"},
        StandingState.SUPPRESSED: {"stopped", "stopped_waiting"},
        StandingState.UNSUBSCRIBED: {"left", "gone"},
        StandingState.PENDING: {"waiting"},
    }
    for state, names in expected.items():
        assert found(state=state) == names
        assert {state_of(name) for name in names} == {state}
    assert found() == set().union(*expected.values())
    assert found(status=ContactStatus.PENDING) == {"waiting", "stopped_waiting"}


@pytest.mark.usefixtures("people")
def test_a_standing_tells_all_that_is_in_force() -> None:
    leave("stopped", topic="offers")
    contact = contacts.find_by_email(WORKSPACE_A, "stopped@example.org")
    assert contact is not None
    standing = contact_standings.look_up_one(contact)
    assert [bar.kind.value for bar in standing.bars] == ["suppression", "unsubscribe"]
    assert (standing.is_suppressed, standing.is_unsubscribed) == (True, False)
    assert standing.left_topics == ["offers"]
    assert not standing.can_be_mailed
    later = contacts.find_by_email(WORKSPACE_A, "later@example.org")
    assert later is not None
    [bar] = contact_standings.look_up_one(later).bars
    assert (bar.stream, bar.stops_marketing) == (Stream.TRANSACTIONAL, False)


def test_a_page_of_many_is_asked_in_as_many_statements_as_one_of_few() -> None:
    make("one")
    few = count_statements(lambda: contact_lists.list_page(WORKSPACE_A))
    for n in range(30):
        make(f"more{n}")
        suppress(f"more{n}")
    assert count_statements(lambda: contact_lists.list_page(WORKSPACE_A)) == few


def test_pages_of_a_list_follow_each_other_newest_first() -> None:
    staff = audiences.create(WORKSPACE_A, name="Staff", by=BY)
    rows = [make(f"u{n}") for n in range(7)]
    ids = [row.id for row in rows if row.email != "u3@example.org"]
    audience_members.add(WORKSPACE_A, staff.id, ids, by=BY)
    seen, older = [], None
    for size in (4, 2):
        page = contact_lists.list_page(
            WORKSPACE_A, filter_=Filter(audience_id=staff.id), limit=4, older_than=older
        )
        assert len(page.contacts) == size
        seen += [row.id for row in page.contacts]
        older = page.older
    assert (older, seen) == (None, sorted(ids, reverse=True))


def test_addresses_are_found_whole_by_beginning_and_by_domain() -> None:
    make("ann", topics=["news"])
    make("anna")
    make("bob@other.example")
    make("ann@b.example", WORKSPACE_B)
    assert found(email="ANN@example.org") == {"ann"}
    assert found(email_start="An") == {"ann", "anna"}
    assert found(domain="other.example") == {"bob"}
    assert found(topic="NEWS") == {"ann"}
    assert found(email_start="an%") == set()


def test_a_workspace_that_is_not_there_is_no_quiet_one() -> None:
    for read in (contact_lists.list_page, audiences.list_all, contact_attributes.list_all):
        with pytest.raises(NotFound):
            read(999)


def test_another_workspaces_contacts_are_on_no_list() -> None:
    staff = audiences.create(WORKSPACE_A, name="Staff", by=BY)
    other = make("bob", WORKSPACE_B)
    results = audience_members.add(WORKSPACE_A, staff.id, [other.id], by=BY)
    assert [one.outcome.value for one in results] == ["rejected"]
    with pytest.raises(NotFound):
        audience_members.add(WORKSPACE_B, staff.id, [other.id], by=BY)
    assert AudienceMember.select().count() == 0


def test_a_name_stands_for_one_list_and_is_free_again_after_a_deletion() -> None:
    staff = audiences.create(WORKSPACE_A, name="Staff", by=BY)
    audiences.create(WORKSPACE_B, name="Staff", by=BY)
    with pytest.raises(Conflict, match="already"):
        audiences.create(WORKSPACE_A, name="sTAFF", by=BY)
    crew = audiences.create(WORKSPACE_A, name="Crew", by=BY)
    with pytest.raises(Conflict):
        audiences.change(WORKSPACE_A, crew.id, name="staff", by=BY)
    assert audiences.change(WORKSPACE_A, staff.id, name="STAFF", by=BY).name == "STAFF"
    audiences.delete(WORKSPACE_A, staff.id, by=BY)
    again = audiences.create(WORKSPACE_A, name="Staff", by=BY)
    with pytest.raises(Conflict):
        audiences.restore(WORKSPACE_A, staff.id, by=BY)
    audiences.delete(WORKSPACE_A, again.id, by=BY)
    assert audiences.restore(WORKSPACE_A, staff.id, by=BY).removed_at is None
    assert audiences.restore(WORKSPACE_A, staff.id, by=BY).name == "STAFF"


def test_there_are_only_so_many_lists(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audiences, "AUDIENCES_MAX", 2)
    first = audiences.create(WORKSPACE_A, name="a", by=BY)
    audiences.create(WORKSPACE_A, name="b", by=BY)
    with pytest.raises(Conflict, match="2 lists already"):
        audiences.create(WORKSPACE_A, name="c", by=BY)
    audiences.delete(WORKSPACE_A, first.id, by=BY)
    audiences.create(WORKSPACE_A, name="c", by=BY)


def test_members_are_counted_up_to_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    staff = audiences.create(WORKSPACE_A, name="Staff", by=BY)
    audience_members.add(WORKSPACE_A, staff.id, [make(f"u{n}").id for n in range(3)], by=BY)
    [listed] = audiences.list_all(WORKSPACE_A)
    assert (listed.count.number, listed.count.has_more) == (3, False)
    monkeypatch.setattr(audiences, "COUNT_MAX", 2)
    monkeypatch.setattr(audiences, "COUNT_ONE_MAX", 3)
    [listed] = audiences.list_all(WORKSPACE_A)
    assert (listed.count.number, listed.count.has_more) == (2, True)
    assert audiences.count(staff) == audiences.Count(3)


def test_a_deleted_list_is_forgotten_with_its_members_after_a_while() -> None:
    staff, crew = (audiences.create(WORKSPACE_A, name=name, by=BY) for name in ("Staff", "Crew"))
    ids = [make(f"u{n}").id for n in range(3)]
    for row in (staff, crew):
        audience_members.add(WORKSPACE_A, row.id, ids, by=BY)
        audiences.delete(WORKSPACE_A, row.id, by=BY)
    Audience.update(removed_at=ago(hours=1)).where(Audience.id == staff.id).execute()
    with pytest.raises(Conflict, match="10 minutes"):
        audiences.restore(WORKSPACE_A, staff.id, by=BY)
    audiences.prune()
    assert [row.id for row in Audience.select()] == [crew.id]
    assert AudienceMember.select().count() == 3
    assert Contact.select().count() == 3


def test_an_attribute_goes_with_its_values_step_by_step(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contact_attribute_jobs, "CHUNK", 3)
    rows = [make(f"u{n}", attributes={"plan": "pro", "n": n}) for n in range(8)]
    make("other")
    make("b", WORKSPACE_B, attributes={"plan": "pro"})
    assert contact_attribute_jobs.count_uses(WORKSPACE_A, "plan") == 8
    job = contact_attribute_jobs.start(WORKSPACE_A, "plan", by=BY)
    with pytest.raises(NotFound):
        contact_attribute_jobs.start(WORKSPACE_A, "plan", by=BY)
    with pytest.raises(InvalidFields, match="is being deleted"):
        make("new", attributes={"plan": "x"})
    job_steps.drain()
    done = jobs.get(WORKSPACE_A, job.id)
    assert (done.status.value, done.done_count) == ("done", 8)
    assert contacts.get(WORKSPACE_A, rows[5].id).attributes == {"n": 5}
    assert contacts.get(WORKSPACE_A, rows[5].id).version == 2
    left = [(row.workspace_id, row.name) for row in ContactAttribute.select()]
    assert sorted(left) == [(WORKSPACE_A, "n"), (WORKSPACE_B, "plan")]
    made = make("new", attributes={"plan": 7})
    assert made.attributes == {"plan": 7}


def test_the_pages_of_a_list_and_the_standing_are_found_by_indexes() -> None:
    staff = audiences.create(WORKSPACE_A, name="Staff", by=BY)
    database_.execute_sql(
        "INSERT INTO contacts (workspace_id, email, created_by)"
        " SELECT 1, 'u' || n || '@example.org', 'x' FROM generate_series(1, 20000) n"
    )
    database_.execute_sql(
        "INSERT INTO audience_members (audience_id, contact_id)"
        " SELECT %s, id FROM contacts WHERE id %% 3 = 0",
        (staff.id,),
    )
    database_.execute_sql("ANALYZE contacts, audience_members")
    page = contact_lists.list_page(WORKSPACE_A, filter_=Filter(audience_id=staff.id), limit=5)
    assert len(page.contacts) == 5
    query = Contact.select().join(AudienceMember, on=AudienceMember.contact_id == Contact.id)
    query = query.where(Contact.workspace_id == WORKSPACE_A, AudienceMember.audience_id == staff.id)
    sql, values = query.order_by(AudienceMember.contact_id.desc()).limit(50).sql()
    plan = database_.execute_sql(f"EXPLAIN {sql}", values).fetchall()
    told = "\n".join(line for (line,) in plan)
    assert "Seq Scan" not in told, told
    assert "Sort" not in told, told


def test_who_is_deleted_at_the_same_moment_is_passed_by() -> None:
    several = [make(f"c{number}") for number in range(4)]
    row = audiences.create(WORKSPACE_A, name="Fair", by=BY)
    is_locked = threading.Event()

    def delete() -> None:
        with database_.atomic():
            contacts.delete(WORKSPACE_A, several[1].id, by=BY)
            is_locked.set()
            time.sleep(0.3)  # until the other one waits

    def add() -> None:
        assert is_locked.wait(10)
        audience_members.add(WORKSPACE_A, row.id, [one.id for one in several], by=BY)

    at_once(delete, add)
    on = AudienceMember.select().where(AudienceMember.audience_id == row.id)
    assert {one.contact_id for one in on} == {one.id for one in several} - {several[1].id}
