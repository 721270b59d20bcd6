"""Another address: asked for with the password, done by a link, and told to the old address."""

import pytest

from maild.domain.campaign import CampaignStatus
from maild.domain.states import Status
from maild.errors import BlockedRecipientDomain, InvalidFields, NotFound
from maild.models import MailedLink, Message, Person
from maild.services import email_changes, mailed_links, people, people_mail, sessions, suppressions
from maild.services.workspaces import MAILDS_OWN_ID
from tests.conftest import PASSWORD, Inbox
from tests.services.campaigning import again, make_campaign
from tests.services.peopling import (
    BY,
    NEW_PASSWORD,
    PUBLIC_URL,
    MakePerson,
    UseSettings,
    actions,
    enter,
    everything_stored,
    mails,
    reload,
    short,
    text_of,
)

OLD, NEW = "ann@example.org", "ann@example.net"


@pytest.fixture
def ann(make_person: MakePerson) -> Person:
    return reload(make_person(OLD))


def ask(person, email=NEW, *, password=PASSWORD):
    return email_changes.ask(person.id, email=email, password=password)


def mailed():
    """The texts that were mailed, by their recipient."""
    return {mail.to_email: text_of(mail) for mail in mails()}


def link_in(text):
    return text.partition("/confirm/")[2].split()[0]


def test_the_link_goes_to_the_new_address_and_word_of_it_to_the_old(ann):
    assert ask(ann, " Ann@EXAMPLE.net ") == NEW
    assert mailed().keys() == {OLD, NEW}
    assert "/confirm/" in mailed()[NEW]
    assert "/confirm/" not in mailed()[OLD]
    assert f"asked to change its address to {NEW}" in mailed()[OLD]
    assert reload(ann).email == OLD
    mailed_links.confirm(link_in(mailed()[NEW]), by=BY)
    assert reload(ann).email == NEW
    assert actions() == [("person.email_changed", NEW)]


def test_what_the_person_wrote_and_submitted_stays_theirs(ann):
    mine = make_campaign(status=CampaignStatus.IN_REVIEW, created_by=OLD, submitted_by=OLD)
    ask(ann)
    mailed_links.confirm(link_in(mailed()[NEW]), by=BY)
    assert (again(mine).created_by, again(mine).submitted_by) == (NEW, NEW)


@pytest.mark.parametrize("password", ["", "not it", PASSWORD + " ", "x" * 10_240], ids=short)
def test_it_needs_the_password(ann, password):
    with pytest.raises(InvalidFields) as caught:
        ask(ann, password=password)
    assert [error.field for error in caught.value.errors] == ["password"]
    assert mails() == []
    assert MailedLink.select().count() == 0


@pytest.mark.parametrize("email", ["", "ann", OLD, "ANN@EXAMPLE.ORG", "a@example.net, b@x.net",
                                   "a\0@example.net"])  # fmt: skip
def test_an_address_that_is_none_or_the_same_is_refused(ann, email):
    with pytest.raises(InvalidFields) as caught:
        ask(ann, email)
    assert [error.field for error in caught.value.errors] == ["email"]
    assert mails() == []


def test_an_address_with_an_account_of_its_own_is_refused(ann, make_person: MakePerson):
    make_person(NEW, None)
    with pytest.raises(InvalidFields):
        ask(ann)
    assert mails() == []


def test_the_last_one_asked_for_is_the_one(ann):
    ask(ann, "first@example.net")
    first = link_in(mailed()["first@example.net"])
    ask(ann)
    with pytest.raises(NotFound):
        mailed_links.confirm(first, by=BY)
    mailed_links.confirm(link_in(mailed()[NEW]), by=BY)
    assert reload(ann).email == NEW


def test_whoever_is_told_and_did_not_ask_stops_it_with_another_password(ann):
    """As the mail to the old address advises."""
    ask(ann, "mallory@example.net")
    mailed_links.send_reset(OLD)
    token = text_of(mails()[0]).partition("/reset/")[2].split()[0]
    mailed_links.reset_password(token, NEW_PASSWORD, by=BY)
    with pytest.raises(NotFound):
        mailed_links.confirm(link_in(mailed()["mallory@example.net"]), by=BY)
    assert people.authenticate(OLD, NEW_PASSWORD) is not None


def test_sessions_go_on_under_the_new_address(ann):
    token = enter(ann)
    ask(ann)
    mailed_links.confirm(link_in(mailed()[NEW]), by=BY)
    assert sessions.find(token, ip=None).email == NEW


def refuse_new(use_settings):
    use_settings(blocked_recipient_domains=("example.net",))


def test_where_the_link_cannot_be_mailed_nothing_is_done(ann, use_settings: UseSettings):
    refuse_new(use_settings)
    before = len(mails())
    with pytest.raises(BlockedRecipientDomain):
        ask(ann)
    assert MailedLink.select().count() == 0
    assert len(mails()) == before  # the old address is told of no change


def test_an_old_address_that_cannot_be_told_stops_no_change(ann, use_settings: UseSettings, caplog):
    caplog.set_level("INFO")
    use_settings(blocked_recipient_domains=("example.org",))
    ask(ann)
    assert mailed().keys() == {NEW}
    assert "person.news_not_sent" in caplog.text
    mailed_links.confirm(link_in(mailed()[NEW]), by=BY)
    assert reload(ann).email == NEW


def test_an_address_that_was_never_confirmed_is_told_nothing(make_person: MakePerson):
    """It may be anybody's: they could be mailed at will."""
    ann = make_person(OLD, is_verified=False, name="Buy at evil.example")
    ask(ann)
    assert mailed().keys() == {NEW}
    assert not people_mail.send_news(OLD, name=ann.name, what="a test")
    assert not people_mail.send_news("nobody@example.org", name="x", what="a test")
    assert "evil.example" not in mailed()[NEW]


def test_news_say_whether_they_go_out(ann, use_settings: UseSettings):
    assert people_mail.send_news(OLD, name="Ann", what="a test was made")
    suppressions.add(MAILDS_OWN_ID, OLD, reason="it came back", source="a test")
    assert not people_mail.send_news(OLD, name="Ann", what="a test was made")
    use_settings(rate_limit_workspace_per_hour=1)
    assert not people_mail.send_news(OLD, name="Ann", what="a test was made")


def test_nothing_secret_is_told(ann, caplog):
    caplog.set_level("INFO")
    ask(ann)
    token = link_in(mailed()[NEW])
    mailed_links.confirm(token, by=BY)
    told = caplog.text + everything_stored()
    assert "person.email_change_asked" in caplog.text
    assert "person.email_changed" in caplog.text
    assert token not in told
    assert PASSWORD not in told


def test_both_mails_go_out(ann, inbox: Inbox, deliver, use_settings: UseSettings):
    use_settings(public_url=PUBLIC_URL)
    ask(ann)
    assert deliver() == 2
    assert {row.status for row in Message.select()} == {Status.SENT}
    assert {row.pinned_account for row in Message.select()} == {"default"}
    raw = {
        message["To"][0]["Address"]: inbox.raw(message["ID"]).decode()
        for message in inbox.messages()
    }
    assert raw.keys() == {OLD, NEW}
    assert f"{PUBLIC_URL}/reset" in raw[OLD]
    assert f"{PUBLIC_URL}/confirm/" in raw[NEW]
    assert all("Auto-Submitted: auto-generated" in text for text in raw.values())
    link = MailedLink.get()
    assert Message.get(Message.to_email == NEW).expires_at == link.expires_at
