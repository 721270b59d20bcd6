"""SMTP accounts as people change them: adding one under a free name, changing one that somebody
else may have changed, and their places in the line.
"""

import dataclasses

import pytest

from maild.domain.actor import SYSTEM, Actor
from maild.domain.states import EventType
from maild.errors import Conflict, InvalidFields, NotFound
from maild.models import AuditEntry, Event, SmtpAccount
from maild.models.smtp_account import ENVIRONMENT
from maild.services import providers, smtp_accounts
from maild.services.smtp_account_fields import NewSmtpAccount
from tests.conftest import WORKSPACE_A, WORKSPACE_B

pytestmark = pytest.mark.usefixtures("database")

ANN = Actor("ann@a.example")


def new(name="main", **fields):
    values = {
        "host": "smtp.example.com",
        "port": 587,
        "from_email": "shop@example.com",
        "security": "starttls",
        "username": "user",
        "password": "hunter2",
    }
    return NewSmtpAccount(name=name, **{**values, **fields})


def add(name="main", *, workspace_id=WORKSPACE_A, **fields):
    return smtp_accounts.add(workspace_id, new(name, **fields), by=ANN)


def change(row, *, keeps_password=True, version=None, workspace_id=WORKSPACE_A, **fields):
    given = {"password": None} if keeps_password else {}
    return smtp_accounts.change(
        workspace_id,
        row.id,
        new("ignored", **{**given, **fields}),
        version=version or smtp_accounts.version_of(row),
        keeps_password=keeps_password,
        by=ANN,
    )


def audited():
    query = AuditEntry.select().where(AuditEntry.workspace == WORKSPACE_A)
    return [(e.action, e.target) for e in query.order_by(AuditEntry.seq)]


def complaints_of(raised):
    return {one.field: one.message for one in raised.value.errors}


def test_a_name_that_is_taken_is_refused_and_nothing_is_replaced():
    row = add()
    with pytest.raises(InvalidFields) as raised:
        add(host="other.example.com")
    assert complaints_of(raised) == {"name": "is taken by another account of this workspace"}
    assert SmtpAccount.get_by_id(row.id).host == "smtp.example.com"
    assert add(workspace_id=WORKSPACE_B).id != row.id


def test_there_are_as_many_as_there_may_be(monkeypatch):
    monkeypatch.setattr(smtp_accounts, "ACCOUNTS_MAX", 1)
    add()
    with pytest.raises(Conflict, match="as many as it may"):
        add("second")


def test_a_change_keeps_the_name_and_the_password():
    row = add()
    changed = change(row, max_connections=3, from_email="News@Example.com")
    assert (changed.id, changed.name, changed.max_connections) == (row.id, "main", 3)
    assert smtp_accounts.get_server(row.id).password == "hunter2"
    assert audited() == [("smtp_account.saved", "SMTP account main")] * 2
    entry = AuditEntry.select().order_by(AuditEntry.seq.desc()).get()
    assert (entry.before["max_connections"], entry.after["max_connections"]) == (10, 3)
    assert entry.after["password"] == "set"  # and not "changed"


def test_a_change_may_bring_a_new_password():
    row = add()
    change(row, keeps_password=False, password="other")
    assert smtp_accounts.get_server(row.id).password == "other"
    entry = AuditEntry.select().order_by(AuditEntry.seq.desc()).get()
    assert entry.after["password"] == "changed"


def test_without_a_user_name_the_password_goes():
    row = add()
    change(row, username=None)
    server = smtp_accounts.get_server(row.id)
    assert (server.username, server.password) == (None, None)


def test_a_user_name_without_any_password_is_refused():
    row = add(username=None, password=None)
    with pytest.raises(InvalidFields) as raised:
        change(row, username="user")
    assert set(complaints_of(raised)) == {"password"}


@pytest.mark.parametrize(
    "elsewhere",
    [{"host": "evil.example.com"}, {"port": 2525}, {"security": "auto"}, {"security": "none"}],
)
def test_a_kept_password_goes_to_no_other_server_and_over_no_worse_line(elsewhere):
    row = add()
    with pytest.raises(InvalidFields) as raised:
        change(row, **elsewhere)
    assert "type it again" in complaints_of(raised)["password"]
    assert change(row, keeps_password=False, **elsewhere).id == row.id


def test_a_kept_password_may_go_over_a_better_line():
    row = add(security="auto")
    assert change(row, security="starttls").security == "starttls"
    assert smtp_accounts.get_server(row.id).password == "hunter2"


def test_a_stale_change_is_refused_whatever_was_changed():
    row = add()
    change(row, max_connections=3)
    with pytest.raises(Conflict, match="Somebody else has changed “main”"):
        change(row, max_connections=4)
    assert SmtpAccount.get_by_id(row.id).max_connections == 3


def test_a_move_makes_forms_stale_that_hold_the_priority():
    first, second = add("first"), add("second", priority=200)
    smtp_accounts.move(WORKSPACE_A, second.id, place=1, by=ANN)
    with pytest.raises(Conflict):
        change(first)


def test_an_account_of_another_workspace_cannot_be_changed_or_moved():
    row = add(workspace_id=WORKSPACE_B)
    with pytest.raises(NotFound):
        change(row)
    with pytest.raises(NotFound):
        smtp_accounts.move(WORKSPACE_A, row.id, place=1, by=ANN)
    with pytest.raises(NotFound):
        smtp_accounts.get(WORKSPACE_A, row.id)
    with pytest.raises(NotFound):
        smtp_accounts.name_of(WORKSPACE_A, row.id)


def test_the_environments_account_is_named_and_not_there():
    assert smtp_accounts.name_of(WORKSPACE_A, ENVIRONMENT) == "default"
    with pytest.raises(NotFound):
        smtp_accounts.get(WORKSPACE_A, ENVIRONMENT)


def line():
    """The names in the order in which mail takes them."""
    route = providers.list_routes([WORKSPACE_A])[WORKSPACE_A]
    return [candidate.account.name for candidate in route]


@pytest.fixture
def four():
    """`main`, which is active, and three that stand by: all with the same priority."""
    rows = {name: add(name) for name in ("main", "one", "two", "three")}
    smtp_accounts.activate(WORKSPACE_A, name="main", by=ANN)
    return rows


@pytest.mark.parametrize(
    ("name", "place", "order"),
    [
        ("three", 1, ["three", "one", "two"]),
        ("three", 2, ["one", "three", "two"]),
        ("one", 3, ["two", "three", "one"]),
        ("one", 99, ["two", "three", "one"]),
        ("one", -5, ["one", "two", "three"]),
        ("two", 2, ["one", "two", "three"]),
    ],
)
def test_mail_takes_them_in_the_order_in_which_they_were_put(four, name, place, order):
    before = line()[1:].index(name) + 1
    assert smtp_accounts.move(WORKSPACE_A, four[name].id, place=place, by=ANN) == before
    assert line() == ["main", *order]
    told = [action for action, _ in audited() if action == "smtp_account.moved"]
    assert len(told) == (order != ["one", "two", "three"])


def test_a_move_back_to_the_place_before_takes_it_back(four):
    order = line()
    place = smtp_accounts.move(WORKSPACE_A, four["three"].id, place=1, by=ANN)
    smtp_accounts.move(WORKSPACE_A, four["three"].id, place=place, by=ANN)
    assert line() == order


def test_a_move_tells_the_order_before_and_after(four):
    smtp_accounts.move(WORKSPACE_A, four["three"].id, place=1, by=ANN)
    entry = AuditEntry.select().order_by(AuditEntry.seq.desc()).get()
    assert entry.before == {"order": ["one", "two", "three"]}
    assert entry.after == {"order": ["three", "one", "two"]}


def test_a_move_keeps_connections_of_those_whose_place_stays(four):
    smtp_accounts.move(WORKSPACE_A, four["three"].id, place=1, by=ANN)
    before = {row.name: row.updated_at for row in smtp_accounts.list_all(WORKSPACE_A)}
    smtp_accounts.move(WORKSPACE_A, four["one"].id, place=3, by=ANN)
    after = {row.name: row.updated_at for row in smtp_accounts.list_all(WORKSPACE_A)}
    assert {name for name in before if before[name] != after[name]} == {"one", "two"}


def test_the_active_one_goes_before_all_others_and_has_no_place(four):
    with pytest.raises(Conflict, match="goes before all others"):
        smtp_accounts.move(WORKSPACE_A, four["main"].id, place=2, by=ANN)


def test_activating_tells_which_one_it_was_before():
    add("one")
    assert smtp_accounts.activate(WORKSPACE_A, name="one", by=ANN) == "default"
    assert smtp_accounts.activate(WORKSPACE_A, name="one", by=ANN) == "one"
    assert smtp_accounts.activate(WORKSPACE_A, name="default", by=ANN) == "one"


def test_the_events_of_a_pause_tell_who_it_was():
    add()
    smtp_accounts.pause(WORKSPACE_A, name="main", reason="too slow", by=ANN)
    smtp_accounts.resume(WORKSPACE_A, name="main", by=dataclasses.replace(SYSTEM))
    kinds = (EventType.PAUSED.value, EventType.RESUMED.value)
    events = Event.select().where(Event.type.in_(kinds)).order_by(Event.id)
    assert [event.data["by"] for event in events] == ["ann@a.example", "maild"]
