"""The mail of invitations: what it says, and what is left where it is refused."""

import pytest

from maild.domain.actor import SYSTEM
from maild.domain.states import Status
from maild.errors import BlockedRecipientDomain, NotFound, RateLimited
from maild.models import Invitation, Message, Person
from maild.services import invitations, policies, suppressions
from maild.services.workspaces import MAILDS_OWN_ID
from tests.conftest import WORKSPACE_A, Inbox
from tests.services.helpers import at_once
from tests.services.peopling import (
    BY,
    PUBLIC_URL,
    MakePerson,
    UseSettings,
    actions,
    entries,
    mailed_token,
    mails,
    refuse_mail,
    roles_in,
    text_of,
    token_of,
)

pytestmark = pytest.mark.usefixtures("database")

EMAIL = "eve@example.org"


@pytest.fixture
def eve(make_person: MakePerson) -> Person:
    """Somebody with an account, who belongs to no workspace yet."""
    return make_person(EMAIL, None, is_verified=False)


def invite(email=EMAIL):
    return invitations.invite(WORKSPACE_A, email=email, role="operator", by=BY, inviter="Ann")


def send_again(row):
    return invitations.send_again(WORKSPACE_A, invitation_id=row.id, by=BY, inviter="Ann")


def accept(token, person):
    return invitations.accept(token, person_id=person.id, by=BY)


def is_open(token):
    try:
        invitations.open_link(token)
    except NotFound:
        return False
    return True


def stored():
    return list(Invitation.select().order_by(Invitation.id).dicts())


def limit(use_settings):
    """From now on maild's own mail has no room in its limit."""
    room = {"rate_limit_workspace_per_hour": 1, "on_limit": "reject"}
    policies.save(MAILDS_OWN_ID, changes=room, by=SYSTEM)


@pytest.mark.parametrize(
    ("refuse", "error"), [(refuse_mail, BlockedRecipientDomain), (limit, RateLimited)]
)
def test_a_mail_that_is_refused_leaves_no_invitation(use_settings: UseSettings, refuse, error):
    invite("first@example.net")
    refuse(use_settings)
    before = stored()
    with pytest.raises(error) as caught:
        invite()
    assert stored() == before
    assert len(mails()) == 1
    created, not_sent = entries(WORKSPACE_A)[1:]
    assert (created.action, not_sent.action) == ("invitation.created", "invitation.not_sent")
    assert (not_sent.target, not_sent.reason) == (EMAIL, caught.value.detail)


@pytest.mark.parametrize(
    ("refuse", "error"), [(refuse_mail, BlockedRecipientDomain), (limit, RateLimited)]
)
def test_a_mail_that_is_refused_leaves_the_link_that_was_sent_before(
    use_settings: UseSettings, refuse, error
):
    made = invite()
    refuse(use_settings)
    before, told = stored(), actions(WORKSPACE_A)
    with pytest.raises(error):
        send_again(made.invitation)
    assert is_open(token_of(made.url))
    assert stored() == before
    assert actions(WORKSPACE_A) == told


def test_an_address_that_mail_came_back_from_is_invited_and_not_mailed():
    suppressions.add(MAILDS_OWN_ID, EMAIL, reason="it came back", source="a test")
    made = invite()
    assert not made.will_arrive
    assert not send_again(made.invitation).will_arrive
    assert {mail.status for mail in mails()} == {Status.SUPPRESSED}


def test_a_workspaces_own_suppressions_and_policy_do_not_matter():
    suppressions.add(WORKSPACE_A, EMAIL, reason="it came back", source="a test")
    assert invite().will_arrive


def test_many_invited_at_once_are_all_invited():
    at_once(*[lambda n=n: invite(f"u{n}@example.org") for n in range(4)])
    assert len(stored()) == len(mails()) == 4


def test_a_link_without_a_mail_is_for_whoever_runs_the_instance(eve):
    made = invitations.make(WORKSPACE_A, email=EMAIL, role="viewer", by=BY)
    again = invitations.make(WORKSPACE_A, email=EMAIL, role="admin", by=BY)
    assert mails() == []
    assert not is_open(token_of(made.url))
    assert invitations.mail(again, inviter="Ann")
    assert mailed_token("/invitations/") == token_of(again.url)
    accept(token_of(again.url), eve)
    assert roles_in(WORKSPACE_A) == {EMAIL: "admin"}


def test_the_mail_goes_out_with_the_link(inbox: Inbox, deliver, eve, use_settings: UseSettings):
    use_settings(public_url=PUBLIC_URL)
    made = invite()
    assert made.url.startswith(f"{PUBLIC_URL}/invitations/")
    assert deliver() == 1
    [stored_mail] = Message.select()
    assert (stored_mail.workspace_id, stored_mail.status) == (MAILDS_OWN_ID, Status.SENT)
    assert stored_mail.pinned_account == "default"
    assert stored_mail.expires_at == made.invitation.expires_at
    mail = inbox.only()
    assert (mail["To"], mail["Subject"]) == (EMAIL, "Ann invites you to a workspace on maild")
    assert mail["Auto-Submitted"] == "auto-generated"
    text = mail.get_content()
    assert "Ann invites you to the workspace “Default” on maild, as operator." in text
    assert made.url in text
    assert text.count("http") == 1
    assert text_of(mails()[0]).strip() == text.strip().replace("\r\n", "\n")
    accept(made.url.rpartition("/")[2], eve)
