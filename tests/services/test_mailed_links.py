"""Mailed links: confirming an address, and choosing a new password where it was forgotten."""

import hashlib
from datetime import timedelta

import pytest

from maild.domain.states import Status
from maild.errors import BlockedRecipientDomain, InvalidFields, NotFound
from maild.models import MailedLink, Message, Person
from maild.models.mailed_link import Purpose
from maild.services import mailed_links, passwords, people, sessions, suppressions
from maild.services.mailed_links import CONFIRM_LIFETIME, GONE, RESET_LIFETIME
from maild.services.workspaces import MAILDS_OWN_ID
from tests.conftest import PASSWORD, Inbox
from tests.services.helpers import ago, at_once
from tests.services.peopling import (
    BY,
    NEW_PASSWORD,
    PUBLIC_URL,
    MakePerson,
    UseSettings,
    actions,
    enter,
    entries,
    everything_stored,
    mailed_token,
    mails,
    race,
    refuse_mail,
    reload,
    short,
    text_of,
    token_of,
)

EMAIL, OTHER = "ann@example.org", "ann@example.net"


@pytest.fixture
def ann(make_person: MakePerson) -> Person:
    """Her address is not confirmed yet."""
    return reload(make_person(EMAIL, is_verified=False))


def send_confirmation(person, **fields):
    assert mailed_links.send_confirmation(person, **fields)
    return mailed_token("/confirm/")


def send_reset(email=EMAIL):
    mailed_links.send_reset(email)
    return mailed_token("/reset/")


def reset(token, password=NEW_PASSWORD):
    return mailed_links.reset_password(token, password, by=BY)


def confirm(token):
    return mailed_links.confirm(token, by=BY)


def works(token, open_=mailed_links.open_reset):
    try:
        open_(token)
    except NotFound:
        return False
    return True


def confirms(token):
    return works(token, mailed_links.open_confirmation)


def let_run_out():
    MailedLink.update(expires_at=ago(seconds=1)).execute()


def stored():
    return list(MailedLink.select().order_by(MailedLink.id).dicts())


def test_opening_a_link_changes_nothing(ann):
    """Scanners of mail do."""
    links = [(send_confirmation(ann), mailed_links.open_confirmation),
             (send_reset(), mailed_links.open_reset)]  # fmt: skip
    before, person = stored(), reload(ann).__data__
    for token, open_ in links * 2:
        opened = open_(token)
        assert (opened.person, opened.email) == (ann, EMAIL)
    assert stored() == before
    assert reload(ann).__data__ == person


def test_only_the_hash_of_a_token_is_kept_beside_the_mail_itself(ann, caplog):
    caplog.set_level("INFO")
    tokens = [send_confirmation(ann), send_reset()]
    kept = {bytes(row["token_hash"]) for row in stored()}
    assert kept == {hashlib.sha256(token.encode()).digest() for token in tokens}
    reset(tokens[1])
    told = caplog.text + everything_stored()
    assert not any(token in told for token in tokens)
    assert NEW_PASSWORD not in told
    assert "person.reset_asked" in caplog.text


@pytest.mark.parametrize(
    "token", ["", "x", "a" * 43, "\0", "\ud800" * 43, "ü" * 43, "a" * 100_000], ids=short
)
def test_what_is_no_token_opens_nothing(ann, token):
    known = send_reset()
    for attempt in (token, f"{known}{token}x", known[:-1], known.swapcase()):
        assert not works(attempt)
        assert not confirms(attempt)
        with pytest.raises(NotFound):
            reset(attempt)
        with pytest.raises(NotFound):
            confirm(attempt)
    assert passwords.is_right(PASSWORD, reload(ann).password_hash)


def test_a_link_is_good_for_its_purpose_alone(ann):
    confirmation, password = send_confirmation(ann), send_reset()
    assert not works(confirmation)
    assert not confirms(password)
    with pytest.raises(NotFound):
        reset(confirmation)
    with pytest.raises(NotFound):
        confirm(password)
    assert len(stored()) == 2


@pytest.mark.parametrize(
    ("send", "lifetime"),
    [(send_confirmation, CONFIRM_LIFETIME), (lambda person: send_reset(), RESET_LIFETIME)],
    ids=["confirm", "reset"],
)
def test_a_link_runs_out_and_its_mail_with_it(ann, send, lifetime):
    token = send(ann)
    row, mail = MailedLink.get(), mails()[0]
    assert abs(row.expires_at - row.created_at - lifetime) < timedelta(minutes=1)
    assert mail.expires_at == row.expires_at
    let_run_out()
    assert not works(token)
    assert not confirms(token)
    for use in (reset, confirm):
        with pytest.raises(NotFound):
            use(token)
    mailed_links.prune()
    assert stored() == []


def test_pruning_leaves_what_still_works(ann, make_person: MakePerson):
    ben = make_person("ben@example.org")
    send_confirmation(ann)
    let_run_out()
    token = token_of(mailed_links.make_reset_url(ben))
    mailed_links.prune()
    assert len(stored()) == 1
    assert works(token)


def test_a_new_link_ends_the_one_before(ann, make_person: MakePerson):
    ben = make_person("ben@example.org")
    bens = token_of(mailed_links.make_reset_url(ben))
    confirmation = send_confirmation(ann)
    first, second = send_reset(), send_reset()
    third = token_of(mailed_links.make_reset_url(ann))
    assert [works(token) for token in (first, second, third, bens)] == [False, False, True, True]
    assert confirms(confirmation)
    again = send_confirmation(ann)
    assert [confirms(token) for token in (confirmation, again)] == [False, True]


def test_of_many_sent_at_once_one_works(ann):
    at_once(*[lambda: mailed_links.send_reset(EMAIL)] * 4)
    assert len(mails()) == 4
    assert len(stored()) == 1


def test_a_new_password_is_chosen_once(ann):
    token = send_reset()
    assert reset(token).id == ann.id
    assert people.authenticate(EMAIL, NEW_PASSWORD) == ann
    assert people.authenticate(EMAIL, PASSWORD) is None
    with pytest.raises(NotFound) as caught:
        reset(token, "seven yellow bottles")
    assert caught.value.detail == GONE
    assert people.authenticate(EMAIL, NEW_PASSWORD) == ann
    assert actions() == [("person.password_changed", EMAIL)]
    assert (entries()[0].actor, entries()[0].actor_ip) == (BY.name, "192.0.2.1")


def test_of_two_who_use_a_link_at_once_one_chooses(ann):
    token = send_reset()
    ends = race(
        *[lambda n=n: reset(token, f"{n} green bottles on a wall") for n in range(3)],
        losing=NotFound,
    )
    assert ends == ["lost", "lost", "won"]
    assert len(actions()) == 1


def test_all_sessions_end_with_the_old_password(ann, make_person: MakePerson):
    ben = make_person("ben@example.org")
    tokens = [enter(ann), enter(ann, is_remembered=True)]
    bens = enter(ben)
    reset(send_reset())
    assert [sessions.find(token, ip=None) for token in tokens] == [None, None]
    assert sessions.find(bens, ip=None) is not None


def test_whoever_follows_the_link_reads_the_mail_of_the_address(ann):
    reset(send_reset())
    assert reload(ann).email_verified_at is not None


@pytest.mark.parametrize("password", ["", "short", "password123", EMAIL, "Ann " * 60], ids=short)
def test_a_password_that_is_not_good_enough_does_not_use_the_link_up(ann, password):
    token = send_reset()
    with pytest.raises(InvalidFields) as caught:
        reset(token, password)
    assert [error.field for error in caught.value.errors] == ["new"]
    assert reload(ann).email_verified_at is None
    assert actions() == []
    reset(token)


@pytest.mark.parametrize("email", ["ANN@example.org", f"  {EMAIL} "])
def test_a_reset_goes_to_the_address_that_is_known(ann, email):
    mailed_links.send_reset(email)
    assert [mail.to_email for mail in mails()] == [EMAIL]


@pytest.mark.parametrize("email", ["ben@example.org", "", "ann", "a\0@example.org", "ann@example"])
def test_an_unknown_address_gets_nothing_and_says_nothing(ann, email, caplog):
    caplog.set_level("INFO")
    assert mailed_links.send_reset(email) is None
    assert mails() == stored() == []
    assert "person.reset_asked" in caplog.text
    assert "ben@example.org" not in caplog.text  # a list of who has tried what


def test_whoever_runs_the_instance_has_a_link_without_a_mail(ann, use_settings: UseSettings):
    use_settings(public_url=PUBLIC_URL)
    url = mailed_links.make_reset_url(ann)
    assert url.startswith(f"{PUBLIC_URL}/reset/")
    assert mails() == []
    reset(token_of(url))


def test_an_address_is_confirmed_once(ann):
    token = send_confirmation(ann)
    opened = confirm(token)
    assert (opened.person, opened.email) == (ann, EMAIL)
    confirmed = reload(ann).email_verified_at
    assert confirmed is not None
    with pytest.raises(NotFound):
        confirm(token)
    assert reload(ann).email_verified_at == confirmed


def test_of_two_who_confirm_at_once_one_does(ann):
    token = send_confirmation(ann)
    assert race(*[lambda: confirm(token)] * 2, losing=NotFound) == ["lost", "won"]


def test_another_address_is_the_persons_once_it_is_confirmed(ann):
    token = send_confirmation(ann, email=OTHER)
    assert reload(ann).email == EMAIL
    assert mailed_links.open_confirmation(token).email == OTHER
    confirm(token)
    row = reload(ann)
    assert (row.email, row.email_verified_at is None) == (OTHER, False)
    assert people.authenticate(OTHER, PASSWORD) == ann
    assert people.authenticate(EMAIL, PASSWORD) is None
    [entry] = entries()
    assert (entry.action, entry.target) == ("person.email_changed", OTHER)
    assert (entry.before, entry.after) == ({"email": EMAIL}, {"email": OTHER})


def test_links_to_the_old_address_end_with_it(ann):
    """Whoever reads its mail is not the person any more, perhaps."""
    reset_token = send_reset()
    confirm(send_confirmation(ann, email=OTHER))
    assert not works(reset_token)
    assert stored() == []


def test_an_address_that_somebody_else_has_by_now_is_not_taken(ann, make_person: MakePerson):
    token = send_confirmation(ann, email=OTHER)
    other = make_person(OTHER, None)
    for _ in range(2):
        with pytest.raises(InvalidFields) as caught:
            confirm(token)
        assert [error.field for error in caught.value.errors] == ["email"]
    assert (reload(ann).email, reload(other).email) == (EMAIL, OTHER)
    assert reload(ann).email_verified_at is None
    assert actions() == []
    other.delete_instance()
    confirm(token)
    assert reload(ann).email == OTHER


def test_of_two_who_want_one_address_at_once_one_gets_it(ann, make_person: MakePerson):
    ben = make_person("ben@example.org")
    links = [send_confirmation(person, email=OTHER) for person in (ann, ben)]
    ends = race(*[lambda link=link: confirm(link) for link in links], losing=InvalidFields)
    assert ends == ["lost", "won"]
    assert Person.select().where(Person.email == OTHER).count() == 1
    assert len(actions()) == 1


def test_a_reset_and_a_change_of_address_at_once_do_not_wait_in_a_circle(ann):
    links = [send_reset(), send_confirmation(ann, email=OTHER)]
    ends = race(lambda: reset(links[0]), lambda: confirm(links[1]), losing=NotFound)
    assert ends == ["lost", "won"]  # each ends the other
    assert stored() == []


@pytest.mark.parametrize("purpose", list(Purpose))
def test_a_mail_that_is_refused_leaves_the_link_that_was_sent_before(
    ann, use_settings: UseSettings, purpose
):
    is_reset = purpose is Purpose.RESET_PASSWORD
    token = send_reset() if is_reset else send_confirmation(ann)
    refuse_mail(use_settings)
    before = stored()
    with pytest.raises(BlockedRecipientDomain):
        mailed_links.send_reset(EMAIL) if is_reset else mailed_links.send_confirmation(ann)
    assert stored() == before
    assert works(token) if is_reset else confirms(token)


def test_an_address_that_mail_came_back_from_is_not_mailed(ann):
    suppressions.add(MAILDS_OWN_ID, EMAIL, reason="it came back", source="a test")
    assert not mailed_links.send_confirmation(ann)
    mailed_links.send_reset(EMAIL)
    assert {mail.status for mail in mails()} == {Status.SUPPRESSED}


def test_no_mail_to_an_address_has_words_of_whoever_typed_it(ann):
    """A name is a way to write to strangers."""
    Person.update(name="Win now: evil.example").execute()
    send_confirmation(reload(ann))
    send_reset()
    assert not any("evil.example" in text_of(mail) for mail in mails())


def test_the_mail_to_choose_a_password_goes_out(ann, inbox: Inbox, deliver, use_settings):
    use_settings(public_url=PUBLIC_URL)
    token = send_reset()
    assert deliver() == 1
    [stored_mail] = Message.select()
    assert (stored_mail.workspace_id, stored_mail.status) == (MAILDS_OWN_ID, Status.SENT)
    assert stored_mail.pinned_account == "default"
    mail = inbox.only()
    assert (mail["To"], mail["Subject"]) == (EMAIL, "Choose a new password for maild")
    assert mail["Auto-Submitted"] == "auto-generated"
    text = mail.get_content()
    assert f"{PUBLIC_URL}/reset/{token}" in text
    assert text.count("http") == 1
    reset(token)
