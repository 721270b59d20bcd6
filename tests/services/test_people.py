"""People: who is found and known by a password, and what they change about themselves."""

import argon2
import peewee
import pytest

from maild.db import database as db
from maild.errors import InvalidFields, NotFound
from maild.models import MailedLink, Person, Session
from maild.services import mailed_links, passwords, people, sessions
from tests.conftest import PASSWORD
from tests.services.peopling import (
    BY,
    NEW_PASSWORD,
    MakePerson,
    Meanwhile,
    actions,
    enter,
    everything_stored,
    race,
    reload,
    short,
    token_of,
)

EMAIL = "ann@example.org"


@pytest.fixture
def ann(make_person: MakePerson) -> Person:
    return reload(make_person(EMAIL, name="Ann Smith"))


def fields_of(caught):
    return [error.field for error in caught.value.errors]


def change(person, *, current=PASSWORD, new=NEW_PASSWORD, keep_session=0):
    people.change_password(person.id, current=current, new=new, by=BY, keep_session=keep_session)


@pytest.mark.parametrize("email", [EMAIL, "ANN@EXAMPLE.ORG", "Ann@Example.org", f"  {EMAIL}\n"])
def test_a_person_is_known_by_address_and_password(ann, email):
    assert people.authenticate(email, PASSWORD) == ann
    assert people.find_by_email(email) == ann


@pytest.mark.parametrize(
    "password",
    ["", PASSWORD + " ", " " + PASSWORD, PASSWORD.upper(), PASSWORD[:-1], PASSWORD + "\0",
     "x" * 10_240, "\ud800", "\0", "ü" * 300],
    ids=short,
)  # fmt: skip
def test_another_password_lets_nobody_in(ann, password):
    assert people.authenticate(EMAIL, password) is None


@pytest.mark.parametrize(
    "email",
    ["", " ", "ben@example.org", "ann", "@", "ann@", "ann@example.org\0", "\ud800@example.org",
     "ann@example.org,ben@example.org", "%", "ann@example.org'--", "a" * 10_240 + "@example.org"],
    ids=short,
)  # fmt: skip
def test_an_unknown_address_lets_nobody_in(ann, email):
    assert people.authenticate(email, PASSWORD) is None
    assert people.find_by_email(email) is None


def test_an_unknown_address_costs_as_much_as_a_wrong_password(ann, monkeypatch):
    checks: list[str] = []

    class Counting(argon2.PasswordHasher):
        def verify(self, *args, **kwargs):
            checks.append("check")
            return super().verify(*args, **kwargs)

    monkeypatch.setattr(passwords, "hasher", Counting(time_cost=1, memory_cost=8, parallelism=1))
    for email in (EMAIL, "ben@example.org", "no address"):
        checks.clear()
        assert people.authenticate(email, "not the password") is None
        assert checks == ["check"], email


def test_two_spellings_of_an_address_are_one_person(make_person):
    assert people.normal_email("J\u030cANA@example.org") == "ǰana@example.org"
    person = make_person(people.normal_email("JÖRG@MÜLLER.example"))
    for spelling in ("jörg@müller.example", "jo\u0308rg@xn--mller-kva.example"):
        assert people.find_by_email(spelling) == person


def test_no_normal_form_is_refused_by_the_table(database):
    """Python's lower case and PostgreSQL's are the same."""
    letters = [chr(code) for code in range(0x80, 0x1_0000) if chr(code).isupper()]
    for start in range(0, len(letters), 20):
        try:
            email = people.normal_email("".join(letters[start : start + 20]) + "@example.org")
        except InvalidFields:
            continue
        Person.insert(email=email, name="x", password_hash="x").execute()
    assert Person.select().count() > 20


def test_an_outdated_hash_is_renewed_when_its_owner_logs_in(ann):
    older = argon2.PasswordHasher(time_cost=2, memory_cost=8, parallelism=1).hash(PASSWORD)
    Person.update(password_hash=older).execute()
    token = enter(ann)
    assert people.authenticate(EMAIL, "not the password") is None
    assert reload(ann).password_hash == older
    assert people.authenticate(EMAIL, PASSWORD) is not None
    renewed = reload(ann)
    assert not passwords.is_outdated(renewed.password_hash)
    assert passwords.is_right(PASSWORD, renewed.password_hash)
    assert renewed.password_changed_at == ann.password_changed_at
    assert sessions.find(token, ip=None) is not None
    assert people.authenticate(EMAIL, PASSWORD) is not None
    assert reload(ann).password_hash == renewed.password_hash


def test_renewing_a_hash_undoes_no_change_that_came_in_between(ann, monkeypatch):
    older = argon2.PasswordHasher(time_cost=2, memory_cost=8, parallelism=1).hash(PASSWORD)
    Person.update(password_hash=older).execute()

    def choose_another() -> None:
        Person.update(password_hash=passwords.make_hash(NEW_PASSWORD)).execute()

    monkeypatch.setattr(passwords, "hasher", Meanwhile(on="hash", do=choose_another))
    people.authenticate(EMAIL, PASSWORD)
    assert people.authenticate(EMAIL, NEW_PASSWORD) is not None
    assert people.authenticate(EMAIL, PASSWORD) is None


def test_a_password_is_changed_and_the_other_sessions_end(ann, make_person):
    ben = make_person("ben@example.org")
    here, there, bens = enter(ann), enter(ann), enter(ben)
    this = sessions.find(here, ip=None)
    change(ann, keep_session=this.session_id)
    assert people.authenticate(EMAIL, PASSWORD) is None
    assert people.authenticate(EMAIL, NEW_PASSWORD) is not None
    assert reload(ann).password_changed_at > ann.password_changed_at
    assert [sessions.find(one, ip=None) is not None for one in (here, there, bens)] == [
        True,
        False,
        True,
    ]
    assert actions() == [("person.password_changed", EMAIL)]


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"current": "not the password"}, "current"),
        ({"current": ""}, "current"),
        ({"new": "short"}, "new"),
        ({"new": "password123"}, "new"),
        ({"new": "Ann Smith 1"}, "new"),
        ({"new": "x" * 10_240}, "new"),
    ],
    ids=short,
)
def test_a_change_that_is_refused_changes_nothing(ann, fields, field):
    token, before = enter(ann), reload(ann)
    with pytest.raises(InvalidFields) as caught:
        change(ann, **fields)
    assert fields_of(caught) == [field]
    assert reload(ann).__data__ == before.__data__ | {"seen_at": reload(ann).seen_at}
    assert sessions.find(token, ip=None) is not None
    assert actions() == []


def test_of_two_changes_at_once_one_holds(ann):
    ends = race(
        lambda: change(ann),
        lambda: change(ann, new="seven yellow bottles"),
        losing=InvalidFields,
    )
    assert ends == ["lost", "won"]
    assert len(actions()) == 1


def test_who_knows_the_old_password_cannot_undo_a_reset_that_comes_meanwhile(ann, monkeypatch):
    """An intruder's change was let in with the old password, and is still being hashed."""
    token = token_of(mailed_links.make_reset_url(ann))
    monkeypatch.setattr(
        passwords,
        "hasher",
        Meanwhile(
            on="hash", do=lambda: mailed_links.reset_password(token, NEW_PASSWORD, by=BY)
        ),
    )  # fmt: skip
    with pytest.raises(InvalidFields) as caught:
        change(ann, new="the intruders own one")
    assert fields_of(caught) == ["current"]
    assert people.authenticate(EMAIL, NEW_PASSWORD) is not None


@pytest.mark.parametrize("way", ["change", "reset"])
def test_another_password_ends_links_that_an_intruder_may_have_asked_for(ann, way):
    """Among them the one that gives the account another address."""
    reset = token_of(mailed_links.make_reset_url(ann))
    mailed_links.send_confirmation(ann, email="mallory@example.net")
    if way == "reset":
        mailed_links.reset_password(reset, NEW_PASSWORD, by=BY)
    else:
        change(ann)
    assert MailedLink.select().count() == 0
    with pytest.raises(NotFound):
        mailed_links.open_reset(reset)


def test_another_password_leaves_the_link_that_confirms_the_persons_own_address(ann, make_person):
    ben = make_person("ben@example.org")
    mailed_links.send_confirmation(ann)
    mailed_links.make_reset_url(ben)
    change(ann)
    assert {(row.person_id, row.email) for row in MailedLink.select()} == {
        (ann.id, EMAIL),
        (ben.id, "ben@example.org"),
    }


def test_no_password_gets_into_the_audit_log_or_a_log_line(ann, caplog):
    caplog.set_level("INFO")
    change(ann)
    people.authenticate(EMAIL, PASSWORD)
    told = caplog.text + everything_stored()
    assert "person.password_changed" in caplog.text
    assert PASSWORD not in told
    assert NEW_PASSWORD not in told
    assert reload(ann).password_hash not in caplog.text


def test_the_password_shows_that_it_is_them(ann):
    assert people.require_password(ann.id, PASSWORD) == ann
    with pytest.raises(InvalidFields) as caught:
        people.require_password(ann.id, "not it", field="current")
    assert fields_of(caught) == ["current"]
    with pytest.raises(NotFound):
        people.require_password(0, PASSWORD)


@pytest.mark.parametrize("name", ["Bo", "  Bo  ", "José María", "王芳", "O'Neil-Smith", "x" * 80])
def test_a_name_is_changed(ann, name):
    people.rename(ann.id, name)
    assert reload(ann).name == name.strip()


@pytest.mark.parametrize(
    "name",
    ["", " ", "a\nb", "a\r\nBcc: x", "a\0b", "\ud800", "x" * 81, "a\u202eb", "a\u2028b"],
    ids=short,
)
def test_a_bad_name_is_refused(ann, name):
    with pytest.raises(InvalidFields) as caught:
        people.rename(ann.id, name)
    assert fields_of(caught) == ["name"]
    assert reload(ann).name == "Ann Smith"


def test_an_unknown_person_is_not_there(database):
    assert people.find(0) is None
    with pytest.raises(NotFound):
        people.get(0)


def test_the_table_refuses_a_second_of_an_address_and_one_in_capitals(ann, make_person):
    for email in (EMAIL, "Ben@example.org"):
        with pytest.raises(peewee.IntegrityError, match="people_"), db.atomic():
            make_person(email, None)


def test_who_goes_takes_what_is_theirs_along(ann):
    enter(ann)
    mailed_links.make_reset_url(ann)
    ann.delete_instance()
    assert Session.select().count() == MailedLink.select().count() == 0
