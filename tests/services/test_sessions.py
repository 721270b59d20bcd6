"""Sessions: who is signed in, for how long, where, and since when they were here last."""

import hashlib
import logging
from datetime import timedelta

import pytest

from maild.db import database as database_
from maild.domain.role import Role
from maild.errors import NotFound, SignInNeeded
from maild.models import Member, Person, Session, Workspace
from maild.services import mailed_links, passwords, people, sessions, workspace_changes
from maild.services.sessions import (
    IDLE_HOURS,
    LIFETIME,
    REMEMBERED_LIFETIME,
    SESSIONS_MAX,
    USER_AGENT_MAX_CHARS,
    VISIT_MINUTES,
)
from tests.conftest import PASSWORD, WORKSPACE_A, WORKSPACE_B
from tests.services.helpers import ago, at_once
from tests.services.peopling import (
    BY,
    NEW_PASSWORD,
    MakePerson,
    Meanwhile,
    enter,
    everything_stored,
    reload,
    short,
    token_of,
)

IP = "192.0.2.7"


@pytest.fixture
def ann(make_person: MakePerson) -> Person:
    return make_person("ann@example.org", Role.OPERATOR)


def find(token):
    return sessions.find(token, ip=IP)


def change(**values):
    """As if every session were so."""
    Session.update(**values).execute()


def set_seen(person, **spans):
    """As if the person and their sessions had been seen last so long ago; returns when."""
    at = ago(**spans)
    Person.update(seen_at=at).where(Person.id == person.id).execute()
    Session.update(seen_at=at).where(Session.person == person.id).execute()
    return at


def fill(person, count):
    """Sign a person in so many times, one a minute, the last one a minute ago; the ids in order."""
    database_.execute_sql(
        """
        INSERT INTO sessions (person_id, token_hash, user_agent, seen_at, expires_at)
        SELECT %(person)s, sha256(convert_to(%(person)s || ' ' || n, 'UTF8')), 'a test',
            now() - n * interval '1 minute', now() + interval '1 day'
        FROM generate_series(%(count)s, 1, -1) AS n
        """,
        {"person": person.id, "count": count},
    )
    mine = Session.select(Session.id).where(Session.person == person.id)
    return [row.id for row in mine.order_by(Session.seen_at)]


def queries(caplog, action):
    caplog.clear()
    with caplog.at_level(logging.DEBUG, "peewee"):
        action()
    return sum("PREPARE" not in str(record.msg) for record in caplog.records)


def test_a_session_says_who_is_there(ann):
    visitor = find(enter(ann))
    assert (visitor.id, visitor.email, visitor.name) == (ann.id, "ann@example.org", "Ann")
    assert (visitor.is_verified, visitor.has_second_factor) == (True, False)
    assert [(one.id, one.name, one.role) for one in visitor.workspaces] == [
        (WORKSPACE_A, "Default", Role.OPERATOR)
    ]
    assert visitor.workspace == visitor.membership(WORKSPACE_A) == visitor.workspaces[0]
    assert visitor.membership(WORKSPACE_B) is None
    assert visitor.membership(0) is None


def test_only_the_hash_of_its_token_is_kept(ann, caplog):
    caplog.set_level("INFO")
    token = enter(ann)
    row = Session.get()
    assert bytes(row.token_hash) == hashlib.sha256(token.encode()).digest()
    assert "session.started" in caplog.text
    assert token not in everything_stored() + caplog.text
    assert token.encode().hex() not in everything_stored()


def test_every_token_is_another_one(ann):
    assert len({enter(ann) for _ in range(20)}) == 20


@pytest.mark.parametrize(
    "token",
    ["", "x", "a" * 43, "a" * 42, "a" * 44, "a" * 42 + "\n", "a" * 42 + "=", "a" * 42 + "é",
     "\0" * 43, "\ud800" * 43, "a" * 100_000, "' OR 1=1 --" + "a" * 32, None, 7, b"a" * 43],
    ids=short,
)  # fmt: skip
def test_what_is_no_token_finds_nobody(ann, token):
    enter(ann)
    assert find(token) is None


def test_only_the_whole_token_finds_somebody(ann):
    token = enter(ann)
    for other in (token[:-1], token + "a", token.swapcase(), f" {token}", hash_text(token)):
        assert find(other) is None


def hash_text(token):
    return hashlib.sha256(token.encode()).hexdigest()[:43]


def test_a_request_takes_one_query(ann, caplog):
    token = enter(ann)
    find(token)
    assert queries(caplog, lambda: find(token)) == 1
    set_seen(ann, minutes=2)
    assert queries(caplog, lambda: find(token)) == 2
    assert queries(caplog, lambda: find(token)) == 1
    assert queries(caplog, lambda: find("no token")) == 0


@pytest.mark.parametrize(("minutes", "is_there"), [(-1, True), (1, False)])
def test_it_ends_when_it_is_not_used(ann, minutes, is_there):
    token = enter(ann)
    set_seen(ann, hours=IDLE_HOURS, minutes=minutes)
    assert (find(token) is not None) is is_there
    assert len(sessions.list_of(ann.id)) == is_there


def test_using_it_lets_it_go_on(ann):
    token = enter(ann)
    set_seen(ann, hours=IDLE_HOURS - 1)
    assert find(token) is not None
    assert Session.get().seen_at > ago(minutes=1)


def test_one_that_is_remembered_waits_longer(ann):
    token = enter(ann, is_remembered=True)
    set_seen(ann, days=29)
    assert find(token) is not None
    set_seen(ann, days=29)
    assert len(sessions.list_of(ann.id)) == 1


@pytest.mark.parametrize("is_remembered", [True, False])
def test_it_ends_in_the_end_however_much_it_is_used(ann, is_remembered):
    token = enter(ann, is_remembered=is_remembered)
    row = Session.get()
    lifetime = REMEMBERED_LIFETIME if is_remembered else LIFETIME
    assert abs(row.expires_at - row.created_at - lifetime) < timedelta(minutes=1)
    change(expires_at=ago(seconds=1))
    assert find(token) is None
    assert sessions.list_of(ann.id) == []


def test_its_end_is_not_put_off(ann):
    token = enter(ann)
    end = Session.get().expires_at
    set_seen(ann, hours=2)
    find(token)
    assert Session.get().expires_at == end


def test_ending_it_holds_at_once_for_every_connection(ann):
    token = enter(ann)
    found = []

    def ask():
        found.append(find(token))

    at_once(ask)
    assert sessions.end(Session.get().id, person_id=ann.id)
    at_once(ask)
    assert found[0] is not None
    assert found[1] is None


def test_ending_it_twice_ends_nothing_more(ann):
    enter(ann)
    row = Session.get()
    assert sessions.end(row.id, person_id=ann.id)
    assert not sessions.end(row.id, person_id=ann.id)


@pytest.mark.parametrize("session_id", [0, -1, 2**40, 2**70])
def test_a_session_that_is_none_is_not_ended(ann, session_id):
    assert not sessions.end(session_id, person_id=ann.id)


def test_nobody_ends_a_session_of_somebody_else(ann, make_person):
    token = enter(ann)
    ben = make_person("ben@example.org")
    assert not sessions.end(Session.get().id, person_id=ben.id)
    assert sessions.end_all(ben.id) == 0
    assert find(token) is not None


def test_all_end_but_one(ann, make_person):
    kept, *others = [enter(ann) for _ in range(4)]
    bens = enter(make_person("ben@example.org"))
    assert sessions.end_all(ann.id, but=find(kept).session_id) == 3
    assert [find(token) is None for token in (kept, bens, *others)] == [False, False] + [True] * 3
    assert sessions.end_all(ann.id) == 1
    assert find(kept) is None


def test_use_is_noted_once_a_minute(ann):
    token = enter(ann)
    first = Session.get()
    assert find(token) is not None
    assert Session.get().seen_at == first.seen_at
    assert Session.get().ip == "192.0.2.1"
    before = set_seen(ann, seconds=61)
    find(token)
    assert Session.get().seen_at > before
    assert reload(ann).seen_at > before
    assert Session.get().ip == IP


def test_one_session_is_noted_and_the_others_are_not(ann):
    token, _ = enter(ann), enter(ann)
    set_seen(ann, minutes=5)
    this = find(token).session_id
    assert {row.id: row.seen_at > ago(minutes=1) for row in Session.select()} == {
        row.id: row.id == this for row in Session.select()
    }


def test_somebody_new_has_not_been_here_before(ann):
    assert find(enter(ann)).last_visit_at is None


def test_logging_in_begins_a_visit_at_once(ann):
    """What is new since then is what the first page shows."""
    before = set_seen(ann, days=3)
    token = enter(ann)
    assert find(token).last_visit_at == before
    assert find(enter(ann)).last_visit_at == before  # the same visit, in another browser
    assert reload(ann).seen_at > ago(minutes=1)


def test_coming_back_after_a_while_begins_another_visit(ann):
    token = enter(ann)
    before = set_seen(ann, minutes=VISIT_MINUTES + 1)
    assert find(token).last_visit_at == before
    set_seen(ann, minutes=VISIT_MINUTES - 1)
    assert find(token).last_visit_at == before
    again = set_seen(ann, hours=5)
    assert find(token).last_visit_at == again


def test_two_requests_at_once_begin_one_visit(ann):
    token = enter(ann)
    before = set_seen(ann, hours=2)
    found = []
    at_once(*[lambda: found.append(find(token).last_visit_at)] * 4)
    assert found == [before] * 4


def test_one_browser_that_is_in_use_keeps_the_visit_of_another_going(ann):
    one, other = enter(ann), enter(ann)
    set_seen(ann, hours=2)
    visit = find(one).last_visit_at
    assert find(other).last_visit_at == visit


def test_the_fiftieth_is_the_last_that_has_room(ann, make_person):
    ben = make_person("ben@example.org")
    fill(ben, SESSIONS_MAX)
    oldest, *others = fill(ann, SESSIONS_MAX)
    token = enter(ann)
    left = {row.id for row in Session.select().where(Session.person == ann.id)}
    assert left == {*others, find(token).session_id}
    assert oldest not in left
    assert Session.select().where(Session.person == ben.id).count() == SESSIONS_MAX
    assert len(sessions.list_of(ann.id)) == SESSIONS_MAX


def test_two_who_sign_in_at_once_are_not_one_too_many(ann):
    fill(ann, SESSIONS_MAX)
    at_once(*[lambda: enter(ann)] * 3)
    assert Session.select().count() == SESSIONS_MAX


def test_it_shows_a_workspace_of_the_person(ann, make_person):
    Member.insert(workspace=WORKSPACE_B, person=ann.id, role=Role.ADMIN).execute()
    token = enter(ann, workspace_id=WORKSPACE_B)
    visitor = find(token)
    assert (visitor.workspace.id, visitor.workspace.role) == (WORKSPACE_B, Role.ADMIN)
    sessions.switch(visitor.session_id, person_id=ann.id, workspace_id=WORKSPACE_A)
    assert find(token).workspace.id == WORKSPACE_A


def test_going_over_in_one_browser_leaves_the_others(ann):
    Member.insert(workspace=WORKSPACE_B, person=ann.id, role=Role.ADMIN).execute()
    one, other = [enter(ann, workspace_id=WORKSPACE_A) for _ in range(2)]
    sessions.switch(find(one).session_id, person_id=ann.id, workspace_id=WORKSPACE_B)
    assert find(other).workspace.id == WORKSPACE_A


@pytest.mark.parametrize("workspace_id", [0, WORKSPACE_B, 99, -1])
def test_nobody_goes_over_to_a_workspace_of_others(ann, workspace_id):
    token = enter(ann, workspace_id=WORKSPACE_A)
    with pytest.raises(NotFound):
        sessions.switch(find(token).session_id, person_id=ann.id, workspace_id=workspace_id)
    assert find(token).workspace.id == WORKSPACE_A


def test_nobody_switches_a_session_of_somebody_else(ann, make_person):
    ben = make_person("ben@example.org", workspace_id=WORKSPACE_B)
    Member.insert(workspace=WORKSPACE_B, person=ann.id, role=Role.ADMIN).execute()
    visitor = find(enter(ann, workspace_id=WORKSPACE_A))
    with pytest.raises(NotFound):
        sessions.switch(visitor.session_id, person_id=ben.id, workspace_id=WORKSPACE_B)
    assert Session.get().workspace_id == WORKSPACE_A


@pytest.mark.parametrize("workspace_id", [0, WORKSPACE_B])
def test_a_session_that_names_a_workspace_of_others_shows_none_of_it(ann, workspace_id):
    visitor = find(enter(ann, workspace_id=workspace_id))
    assert visitor.workspace.id == WORKSPACE_A
    assert [one.id for one in visitor.workspaces] == [WORKSPACE_A]


def test_a_member_who_was_removed_is_elsewhere_with_the_next_request(ann):
    Member.insert(workspace=WORKSPACE_B, person=ann.id, role=Role.ADMIN).execute()
    token = enter(ann, workspace_id=WORKSPACE_B)
    Member.delete().where(Member.workspace == WORKSPACE_B).execute()
    visitor = find(token)
    assert visitor.workspace.id == WORKSPACE_A
    assert visitor.membership(WORKSPACE_B) is None
    Member.delete().execute()
    visitor = find(token)
    assert (visitor.workspace, visitor.workspaces) == (None, ())


def test_another_role_holds_with_the_next_request(ann):
    token = enter(ann)
    Member.update(role=Role.VIEWER).execute()
    assert find(token).workspace.role is Role.VIEWER


def test_a_workspace_that_goes_takes_no_session_along(ann):
    other = workspace_changes.create_for(ann.id, "Other one", by=BY)
    token = enter(ann, workspace_id=other.id)
    Workspace.delete().where(Workspace.id == other.id).execute()
    assert find(token).workspace.id == WORKSPACE_A


def test_workspaces_come_by_their_names(ann):
    for name in ("zebra", "Aardvark", "beta“\"'<>\\"):
        workspace_changes.create_for(ann.id, name, by=BY)
    names = [one.name for one in find(enter(ann)).workspaces]
    assert names == ["Aardvark", "beta“\"'<>\\", "Default", "zebra"]
    assert find(enter(ann)).workspace.name == "Aardvark"


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("", ""),
        ("Mozilla/5.0 (X11; Linux x86_64)", "Mozilla/5.0 (X11; Linux x86_64)"),
        ("a\r\nSet-Cookie: x\0\x1b[31m\ud800\u202e\u2028", "a  Set-Cookie: x  [31m   "),
        ("é😀", "é😀"),
        ("x" * 100_000, "x" * USER_AGENT_MAX_CHARS),
        ("<script>alert(1)</script>", "<script>alert(1)</script>"),
    ],
    ids=short,
)
def test_what_a_browser_says_of_itself_is_kept_as_a_line(ann, sent, kept):
    enter(ann, user_agent=sent)
    assert Session.get().user_agent == kept


def test_an_address_may_be_unknown(ann):
    token = enter(ann, ip=None)
    set_seen(ann, minutes=2)
    assert sessions.find(token, ip=None) is not None
    assert Session.get().ip is None


def test_the_list_has_what_is_open_latest_first(ann, make_person):
    fill(make_person("ben@example.org"), 2)
    ids = fill(ann, 4)
    Session.update(expires_at=ago(seconds=1)).where(Session.id == ids[1]).execute()
    assert [row.id for row in sessions.list_of(ann.id)] == [ids[3], ids[2], ids[0]]


def test_what_has_run_out_is_removed_and_nothing_else(ann):
    ids = fill(ann, 5)
    long_ago = ago(hours=IDLE_HOURS, minutes=1)
    Session.update(seen_at=long_ago).where(Session.id << ids[:2]).execute()
    Session.update(is_remembered=True).where(Session.id == ids[1]).execute()
    Session.update(expires_at=ago(seconds=1), is_remembered=True).where(
        Session.id == ids[2]
    ).execute()
    sessions.prune()
    assert {row.id for row in Session.select()} == {ids[1], ids[3], ids[4]}


def test_nobody_slips_in_behind_a_change_of_the_password(ann, monkeypatch):
    """Somebody's log-in with the old password was let in, and the owner has it reset meanwhile."""
    reset = token_of(mailed_links.make_reset_url(ann))
    monkeypatch.setattr(
        passwords,
        "hasher",
        Meanwhile(on="verify", do=lambda: mailed_links.reset_password(reset, NEW_PASSWORD, by=BY)),
    )
    before = set_seen(ann, days=1)
    person = people.authenticate("ann@example.org", PASSWORD)
    assert person is not None
    with pytest.raises(SignInNeeded):
        enter(person, password_changed_at=person.password_changed_at)
    assert Session.select().count() == 0
    assert reload(ann).seen_at == before
    fresh = people.authenticate("ann@example.org", NEW_PASSWORD)
    assert find(enter(fresh, password_changed_at=fresh.password_changed_at)) is not None


def test_who_is_gone_is_not_signed_in(ann):
    ann.delete_instance()
    with pytest.raises(SignInNeeded):
        enter(ann)


def test_signing_in_and_changing_the_password_at_once_do_not_lock_each_other(ann):
    visitor = find(enter(ann))

    def change_password():
        people.change_password(
            ann.id, current=PASSWORD, new=NEW_PASSWORD, by=BY, keep_session=visitor.session_id
        )

    at_once(change_password, *[lambda: enter(ann)] * 3)
    assert find(enter(ann)) is not None
