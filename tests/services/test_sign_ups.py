"""Signing up: who is taken, with which workspace, and what is left where it fails."""

import pytest

from maild.domain.role import Role
from maild.domain.states import Status
from maild.errors import BlockedRecipientDomain, Conflict, Forbidden, InvalidFields, NotFound
from maild.models import AuditEntry, Invitation, Member, Message, Person, Workspace
from maild.services import invitations, mailed_links, members, passwords, people, sign_ups
from maild.services.sign_ups import NewPerson
from tests.conftest import PASSWORD, WORKSPACE_A, WORKSPACE_B, Inbox
from tests.services.peopling import (
    BY,
    PUBLIC_URL,
    MakePerson,
    UseSettings,
    actions,
    entries,
    everything_stored,
    fill,
    mailed_token,
    mails,
    race,
    refuse_mail,
    reload,
    roles_in,
    token_of,
)

pytestmark = pytest.mark.usefixtures("database")

EMAIL = "ann@example.org"


@pytest.fixture(autouse=True)
def production(use_settings: UseSettings) -> None:
    """As in production, but for everybody."""
    use_settings(env="production", signup_mode="open")


@pytest.fixture
def development(production: None, use_settings: UseSettings) -> None:
    use_settings(env="development")


def sign_up(email=EMAIL, *, name="Ann Smith", password=PASSWORD, workspace_name="Bakery"):
    return sign_ups.sign_up(
        NewPerson(name, email, password),
        workspace_name=workspace_name,
        ip="192.0.2.1",
        request_id="r1",
    )


def invite(email=EMAIL, *, role="operator", workspace_id=WORKSPACE_B):
    made = invitations.invite(workspace_id, email=email, role=role, by=BY, inviter="Ben")
    return token_of(made.url)


def join(token, *, name="Ann Smith", password=PASSWORD):
    return sign_ups.sign_up_invited(
        token, name=name, password=password, ip="192.0.2.1", request_id="r1"
    )


def counts():
    models = (Person, Workspace, Member, AuditEntry)
    return [model.select().count() for model in models]


def refused_fields(run):
    """The fields that are complained about; nothing is left of the attempt."""
    before = counts()
    with pytest.raises(InvalidFields) as caught:
        run()
    assert counts() == before
    return [error.field for error in caught.value.errors]


def test_a_new_person_is_admin_of_a_workspace_of_their_own():
    person, workspace = sign_up(
        "  Ann@Example.ORG ", name="  Ann Smith ", workspace_name=" Bakery "
    )
    assert (person.email, person.name, workspace.name) == (EMAIL, "Ann Smith", "Bakery")
    assert workspace.id not in {0, WORKSPACE_A, WORKSPACE_B}
    assert roles_in(workspace.id) == {EMAIL: "admin"}
    assert Member.select().count() == 1
    assert people.authenticate(EMAIL, PASSWORD) == person


def test_their_address_is_still_to_be_confirmed():
    sign_up()
    assert Person.get().email_verified_at is None
    assert mails() == []  # the page has it mailed, once all of this is done


def test_signing_up_is_in_the_audit_log_without_a_secret(caplog):
    caplog.set_level("INFO")
    person, workspace = sign_up()
    assert actions() == [("person.signed_up", EMAIL)]
    assert actions(workspace.id) == [("workspace.created", "Bakery")]
    for entry in (*entries(), *entries(workspace.id)):
        assert (entry.actor, entry.actor_ip, entry.request_id) == (EMAIL, "192.0.2.1", "r1")
    assert "person.signed_up" in caplog.text
    assert PASSWORD not in caplog.text + everything_stored()
    assert person.password_hash not in caplog.text + repr([e.__data__ for e in entries()])


@pytest.mark.parametrize(
    ("mode", "is_invited", "is_taken"),
    [
        ("open", False, True),
        ("open", True, True),
        ("invite", False, False),
        ("invite", True, True),
        ("closed", False, False),
        ("closed", True, False),
    ],
)
def test_the_mode_says_who_is_taken(use_settings: UseSettings, mode, is_invited, is_taken):
    token = invite()
    use_settings(signup_mode=mode)
    refusal = sign_ups.find_refusal(is_invited=is_invited)
    assert (refusal is None) is is_taken
    run = (lambda: join(token)) if is_invited else sign_up
    if is_taken:
        run()
        assert Person.select().count() == 1
        return
    before = counts()
    with pytest.raises(Forbidden) as caught:
        run()
    assert caught.value.detail == refusal.detail
    assert counts() == before
    assert Invitation.get().accepted_at is None


@pytest.mark.parametrize("mode", ["open", "invite", "closed"])
def test_who_has_an_account_joins_in_every_mode(
    use_settings: UseSettings, make_person: MakePerson, mode
):
    ann = make_person(EMAIL, None)
    token = invite()
    use_settings(signup_mode=mode)
    invitations.accept(token, person_id=ann.id, by=BY)
    assert roles_in(WORKSPACE_B) == {EMAIL: "operator"}


@pytest.mark.parametrize(
    ("fields", "complaints"),
    [
        ({"name": ""}, ["name"]),
        ({"name": "a\nb"}, ["name"]),
        ({"name": "x" * 81}, ["name"]),
        ({"email": ""}, ["email"]),
        ({"email": "ann"}, ["email"]),
        ({"email": "ann@example.org, ben@example.org"}, ["email"]),
        ({"email": "ann\0@example.org"}, ["email"]),
        ({"workspace_name": " "}, ["workspace_name"]),
        ({"workspace_name": "x" * 65}, ["workspace_name"]),
        ({"workspace_name": "a\0b"}, ["workspace_name"]),
        ({"password": ""}, ["password"]),
        ({"password": "short"}, ["password"]),
        ({"password": "password123"}, ["password"]),
        ({"password": "ann@example.org"}, ["password"]),
        ({"password": "Ann Smith 1"}, ["password"]),
        ({"password": "x" * 10_240}, ["password"]),
        ({"name": " ", "email": "x", "workspace_name": ""}, ["name", "email", "workspace_name"]),
    ],
    ids=range(17),
)
def test_what_is_wrong_is_told_by_field_and_nothing_is_made(fields, complaints):
    assert refused_fields(lambda: sign_up(**fields)) == complaints


@pytest.mark.parametrize("email", [EMAIL, "ANN@example.org", " ann@EXAMPLE.org "])
def test_an_address_that_has_an_account_gets_no_other(make_person: MakePerson, email):
    make_person(EMAIL, None)
    assert refused_fields(lambda: sign_up(email)) == ["email"]
    assert passwords.is_right(PASSWORD, Person.get().password_hash)


def test_of_two_who_sign_up_with_one_address_at_once_one_is_taken():
    ends = race(
        lambda: sign_up(workspace_name="One"),
        lambda: sign_up("ANN@example.org", workspace_name="Two"),
        losing=InvalidFields,
    )
    assert ends == ["lost", "won"]
    assert Person.select().count() == Member.select().count() == 1
    assert Workspace.select().where(Workspace.name << ["One", "Two"]).count() == 1
    assert len(actions()) == 1


def test_many_who_sign_up_at_once_are_all_taken():
    ends = race(
        *[lambda n=n: sign_up(f"user{n}@example.net") for n in range(4)], losing=InvalidFields
    )
    assert ends == ["won"] * 4
    assert Workspace.select().where(Workspace.name == "Bakery").count() == 4


@pytest.mark.usefixtures("development")
class TestInDevelopment:
    """The workspace that came with the installation is the first person's."""

    def test_the_first_person_takes_it(self):
        _, workspace = sign_up()
        assert (workspace.id, workspace.name) == (WORKSPACE_A, "Bakery")
        assert Workspace.get_by_id(WORKSPACE_A).name == "Bakery"
        assert roles_in(WORKSPACE_A) == {EMAIL: "admin"}
        assert actions(WORKSPACE_A) == [("member.joined", EMAIL), ("workspace.renamed", "Bakery")]

    def test_the_second_gets_one_of_their_own(self):
        sign_up()
        _, other = sign_up("ben@example.org", workspace_name="Garage")
        assert other.id not in {0, WORKSPACE_A, WORKSPACE_B}
        assert roles_in(WORKSPACE_A) == {EMAIL: "admin"}
        assert roles_in(other.id) == {"ben@example.org": "admin"}

    def test_a_name_that_stays_the_same_gives_it_to_nobody_else(self):
        assert sign_up(workspace_name="Default")[1].id == WORKSPACE_A
        assert actions(WORKSPACE_A) == [("member.joined", EMAIL)]
        assert sign_up("ben@example.org", workspace_name="Default")[1].id != WORKSPACE_A
        assert roles_in(WORKSPACE_A) == {EMAIL: "admin"}

    @pytest.mark.parametrize("names", [("Bakery", "Garage"), ("Default", "Default")])
    def test_of_two_at_once_one_takes_it(self, names):
        ends = race(
            lambda: sign_up(workspace_name=names[0]),
            lambda: sign_up("ben@example.org", workspace_name=names[1]),
            losing=InvalidFields,
        )
        assert ends == ["won", "won"]
        assert len(roles_in(WORKSPACE_A)) == 1
        assert Member.select().count() == 2

    def test_one_with_people_in_it_is_left_to_them(self, make_person: MakePerson):
        make_person("ben@example.org", Role.VIEWER)
        assert sign_up()[1].id != WORKSPACE_A
        assert roles_in(WORKSPACE_A) == {"ben@example.org": "viewer"}

    def test_one_that_has_another_name_is_in_use_already(self):
        Workspace.update(name="Shop").where(Workspace.id == WORKSPACE_A).execute()
        assert sign_up()[1].id != WORKSPACE_A
        assert roles_in(WORKSPACE_A) == {}

    def test_it_need_not_be_there(self):
        Workspace.delete().where(Workspace.id == WORKSPACE_A).execute()
        assert roles_in(sign_up()[1].id) == {EMAIL: "admin"}

    def test_who_is_invited_elsewhere_does_not_take_it(self):
        join(invite())
        assert roles_in(WORKSPACE_A) == {}
        assert Workspace.get_by_id(WORKSPACE_A).name == "Default"

    def test_a_sign_up_that_fails_does_not_take_it(self, make_person: MakePerson):
        make_person(EMAIL, None)
        refused_fields(sign_up)
        assert Workspace.get_by_id(WORKSPACE_A).name == "Default"


def test_in_production_nobody_takes_the_first_workspace():
    assert sign_up(workspace_name="Default")[1].id != WORKSPACE_A
    assert roles_in(WORKSPACE_A) == {}


def test_who_is_invited_joins_with_a_confirmed_address(caplog):
    caplog.set_level("INFO")
    token = invite()
    person, invitation = join(token)
    assert (person.email, person.name) == (EMAIL, "Ann Smith")
    assert reload(person).email_verified_at is not None
    assert invitation.workspace_id == WORKSPACE_B
    assert roles_in(WORKSPACE_B) == {EMAIL: "operator"}
    assert Workspace.select().count() == 3  # and none of their own
    assert actions() == [("person.signed_up", EMAIL)]
    assert actions(WORKSPACE_B) == [("invitation.created", EMAIL), ("member.joined", EMAIL)]
    assert entries(WORKSPACE_B)[1].after == {"role": "operator", "invited_by": BY.name}
    assert token not in caplog.text + everything_stored()


def test_a_link_takes_one_new_person():
    token = invite()
    join(token)
    with pytest.raises(NotFound):
        join(token)
    Person.delete().execute()
    with pytest.raises(NotFound):
        join(token)


def test_of_two_who_follow_one_link_at_once_one_is_taken():
    token = invite()
    ends = race(*[lambda: join(token)] * 3, losing=(InvalidFields, NotFound))
    assert ends == ["lost", "lost", "won"]
    assert Person.select().count() == 1
    assert roles_in(WORKSPACE_B) == {EMAIL: "operator"}


@pytest.mark.parametrize(
    "fields",
    [
        {"name": ""},
        {"password": "short"},
        {"password": "ann@example.org"},
        {"password": "Ann Smith"},
    ],
    ids=range(4),
)
def test_a_mistake_does_not_use_the_link_up(fields):
    token = invite()
    assert refused_fields(lambda: join(token, **fields)) == list(fields)
    join(token)


def test_the_link_gives_nobody_somebody_elses_account(make_person: MakePerson):
    ann = make_person(EMAIL, None)
    token = invite()
    assert refused_fields(lambda: join(token, password="mallorys own one")) == ["email"]
    assert passwords.is_right(PASSWORD, reload(ann).password_hash)
    assert invitations.open_link(token).email == EMAIL


@pytest.mark.parametrize("token", ["", "x", "a" * 43, "\0", "\ud800", "a" * 10_240], ids=range(6))
def test_what_is_no_link_takes_nobody(token):
    with pytest.raises(NotFound):
        join(token)


def test_where_the_workspace_is_full_nobody_is_left_over():
    token = invite()
    fill(WORKSPACE_B, members.MEMBERS_MAX)
    before = counts()
    with pytest.raises(Conflict):
        join(token)
    assert counts() == before
    assert invitations.open_link(token)


def test_a_confirmation_that_is_refused_leaves_the_person(use_settings: UseSettings):
    person, _ = sign_up()
    refuse_mail(use_settings)
    with pytest.raises(BlockedRecipientDomain):
        mailed_links.send_confirmation(person)
    assert people.authenticate(EMAIL, PASSWORD) == person


def test_the_mail_that_confirms_an_address_goes_out(
    inbox: Inbox, deliver, use_settings: UseSettings
):
    use_settings(public_url=PUBLIC_URL)
    person, _ = sign_up(name="Mallory at evil.example")
    assert mailed_links.send_confirmation(person)
    token = mailed_token("/confirm/")
    assert deliver() == 1
    [stored] = Message.select()
    assert stored.status is Status.SENT
    mail = inbox.only()
    assert (mail["To"], mail["Subject"]) == (EMAIL, "Confirm your address for maild")
    assert "maild" in mail["From"]
    assert mail["Auto-Submitted"] == "auto-generated"
    text = mail.get_content()
    assert f"{PUBLIC_URL}/confirm/{token}" in text
    assert "evil.example" not in mail.as_string()  # the name is whatever somebody typed
    mailed_links.confirm(token, by=BY)
    assert reload(person).email_verified_at is not None
