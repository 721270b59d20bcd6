"""`maild people` as whoever runs the instance meets it."""

import re
from collections.abc import Callable
from subprocess import CompletedProcess

import pyotp
import pytest

from maild import clock
from maild.config import Settings
from maild.domain.actor import SYSTEM
from maild.domain.role import Role
from maild.errors import NotFound
from maild.models import AuditEntry, Invitation, Member, Message, Person, Workspace
from maild.services import (
    invitations,
    mailed_links,
    second_factors,
    sessions,
    sign_ups,
    suppressions,
)
from maild.services.workspaces import MAILDS_OWN_ID
from tests.conftest import PASSWORD, WORKSPACE_A, WORKSPACE_B
from tests.test_cli import maild

pytestmark = pytest.mark.long  # each starts processes

EMAIL = "ann@example.org"
Run = Callable[..., CompletedProcess[str]]
MakePerson = Callable[..., Person]


@pytest.fixture
def people(database: None, session_settings: Settings) -> Run:
    """Call to run a command of `maild people` on the test's database."""
    stack = {
        "POSTGRES_DSN": session_settings.postgres_dsn,
        "REDIS_URL": session_settings.redis_url,
    }
    return lambda *words, **more: maild("people", *words, **stack, **more)


@pytest.fixture
def ann(make_person: MakePerson) -> Person:
    return make_person(EMAIL)


def token_in(done: CompletedProcess[str]) -> str:
    """The token of the one link that was printed, on a line of its own."""
    [link] = re.findall(r"^http://127\.0\.0\.1:8080/\w+/(\S{43})$", done.stdout, re.MULTILINE)
    return link


def actions() -> list[tuple[int, str]]:
    """What the audit log has: whose, and what."""
    return [(e.workspace_id, e.action) for e in AuditEntry.select().order_by(AuditEntry.at)]


def start_session(person: Person) -> str:
    return sessions.start(person.id, is_remembered=False, ip=None, user_agent="a test")


def test_the_first_person_gets_in_by_the_link_that_is_printed(people: Run) -> None:
    done = people("invite", "Ann@Example.org", SIGNUP_MODE="invite")
    assert (done.returncode, done.stderr) == (0, "")
    assert f"{EMAIL} is invited to workspace 1, “Default”, as admin." in done.stdout
    person, _ = sign_ups.sign_up_invited(
        token_in(done), name="Ann", password=PASSWORD, ip=None, request_id=None
    )
    member = Member.get()
    assert (member.person_id, member.workspace_id, member.role) == (person.id, 1, Role.ADMIN)
    assert Person.get().email_verified_at is not None
    assert (WORKSPACE_A, "invitation.created") in actions()
    assert AuditEntry.get(AuditEntry.action == "invitation.created").actor == "command line"


def test_the_link_is_mailed_as_well(people: Run) -> None:
    done = people("invite", EMAIL, "--role", "viewer")
    assert "A mail with it is on its way too." in done.stdout
    mail = Message.get()
    assert (mail.workspace_id, mail.to_email) == (MAILDS_OWN_ID, EMAIL)
    assert mail.subject == "The operator of this maild invites you to a workspace on maild"
    assert Invitation.get().role is Role.VIEWER


def test_it_makes_a_workspace_for_them(people: Run) -> None:
    done = people("invite", EMAIL, "--new-workspace", "Bakery")
    workspace = Workspace.get(Workspace.name == "Bakery")
    assert f"workspace {workspace.id}, “Bakery”, as admin" in done.stdout
    assert Invitation.get().workspace_id == workspace.id


def test_an_address_that_is_no_address_makes_no_workspace(people: Run) -> None:
    done = people("invite", "nonsense", "--new-workspace", "Bakery")
    assert done.returncode == 1
    assert done.stderr.startswith("maild: email: ")
    assert not Workspace.select().where(Workspace.name == "Bakery").exists()


def test_inviting_again_gives_a_new_link_and_ends_the_old_one(people: Run) -> None:
    old = token_in(people("invite", EMAIL, "--role", "viewer"))
    new = token_in(people("invite", EMAIL, "--role", "admin"))
    assert Invitation.select().count() == 1
    assert invitations.open_link(new).role is Role.ADMIN
    with pytest.raises(NotFound):
        invitations.open_link(old)


def test_a_mail_that_is_not_sent_leaves_the_link(people: Run, database: None) -> None:
    suppressions.add(MAILDS_OWN_ID, EMAIL, reason="it came back", source="a test")
    done = people("invite", EMAIL)
    assert done.returncode == 0
    assert "Pass it on yourself" in done.stderr
    assert invitations.open_link(token_in(done)).email == EMAIL


def test_a_mail_that_is_refused_leaves_the_link(people: Run) -> None:
    done = people("invite", "ann@mailinator.com")
    assert done.returncode == 0
    assert "It could not be mailed" in done.stderr
    assert "mailinator.com" in done.stderr
    assert invitations.open_link(token_in(done)).email == "ann@mailinator.com"


def test_a_closed_instance_takes_nobody_new(people: Run, ann: Person) -> None:
    done = people("invite", "ben@example.org", SIGNUP_MODE="closed")
    assert done.returncode == 1
    assert "SIGNUP_MODE is closed" in done.stderr
    assert "Set it to invite first" in done.stderr
    assert not Invitation.select().exists()
    done = people("invite", EMAIL, "--workspace", str(WORKSPACE_B), SIGNUP_MODE="closed")
    assert done.returncode == 0
    assert invitations.open_link(token_in(done)).workspace_id == WORKSPACE_B


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        ((EMAIL, "--workspace", "99"), 1, "There is no workspace 99."),
        ((EMAIL, "--workspace", "0"), 2, "--workspace"),
        ((EMAIL, "--workspace", "1", "--new-workspace", "X"), 2, "give one of them"),
        ((EMAIL, "--role", "sender"), 2, "--role"),
        ((EMAIL, "--new-workspace", " "), 1, "name: is required"),
    ],
)
def test_it_says_what_it_was_asked_wrongly(people: Run, arguments, code, words) -> None:
    done = people("invite", *arguments)
    assert done.returncode == code
    assert words in done.stderr
    assert "Traceback" not in done.stderr


def test_the_list_tells_who_is_where(people: Run, make_person: MakePerson) -> None:
    make_person("zoe@example.org", Role.VIEWER, workspace_id=WORKSPACE_B, is_verified=False)
    make_person(EMAIL)
    lines = people("list").stdout.splitlines()
    assert [line.split("  ")[0] for line in lines] == [EMAIL, "zoe@example.org"]
    assert "admin of 1 (Default)" in lines[0]
    assert "viewer of 2 (Other)" in lines[1]
    assert "address not confirmed" in lines[1]
    [line] = people("list", "--workspace", "2").stdout.splitlines()
    assert line.startswith("zoe@example.org")


def test_an_empty_list_says_how_to_begin(people: Run) -> None:
    assert "maild people invite EMAIL" in people("list").stdout
    done = people("list", "--workspace", "99")
    assert (done.returncode, done.stderr) == (1, "maild: There is no workspace 99.\n")


def test_a_reset_link_chooses_a_new_password(people: Run, ann: Person) -> None:
    token = token_in(people("reset-link", EMAIL.upper()))
    mailed_links.reset_password(token, "another quiet river", by=SYSTEM)
    assert Person.get().password_hash != ann.password_hash
    assert actions()[0] == (MAILDS_OWN_ID, "person.reset_link_made")


def test_an_address_is_taken_for_confirmed_once(people: Run, make_person: MakePerson) -> None:
    make_person(EMAIL, is_verified=False)
    assert people("confirm", EMAIL).stdout == "The address is confirmed.\n"
    assert Person.get().email_verified_at is not None
    assert people("confirm", EMAIL).stdout == "The address was confirmed already.\n"
    assert actions() == [(MAILDS_OWN_ID, "person.email_confirmed")]


def test_a_second_factor_is_removed_and_the_person_told(people: Run, ann: Person) -> None:
    secret = second_factors.begin(ann.id).secret
    code = pyotp.TOTP(secret).at(clock.now())
    second_factors.enable(ann.id, password=PASSWORD, code=code, by=SYSTEM)
    done = people("remove-second-factor", EMAIL)
    assert done.returncode == 0, done.stderr
    assert "The second factor is off" in done.stdout
    assert Person.get().totp_enabled_at is None
    assert "the operator of this maild turned the second factor off" in Message.get().subject
    assert actions()[-1] == (MAILDS_OWN_ID, "second_factor.disabled")
    assert people("remove-second-factor", EMAIL).stdout == "There was no second factor.\n"
    assert Message.select().count() == 1


def test_all_sessions_end(people: Run, ann: Person) -> None:
    tokens = [start_session(ann), start_session(ann)]
    assert people("sign-out", EMAIL).stdout == "Sessions that have ended: 2.\n"
    assert [sessions.find(token, ip=None) for token in tokens] == [None, None]
    assert actions() == [(MAILDS_OWN_ID, "person.signed_out")]
    assert people("sign-out", EMAIL).stdout == "Sessions that have ended: 0.\n"
    assert len(actions()) == 1


@pytest.mark.parametrize("command", ["reset-link", "confirm", "remove-second-factor", "sign-out"])
def test_an_unknown_address_is_a_sentence(people: Run, command: str) -> None:
    done = people(command, "nobody@example.org")
    assert done.returncode == 1
    assert done.stderr == "maild: Nobody here has the address nobody@example.org.\n"
    assert actions() == []
