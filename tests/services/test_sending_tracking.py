"""What outgoing mail carries so that a later report finds its message: an envelope sender of its
own, and the provider's header.
"""

import dataclasses
import email
import email.policy
import hashlib
import json
import uuid
from collections.abc import Callable
from email.message import EmailMessage
from typing import Any

import pytest

from maild import config
from maild.config import Settings
from maild.domain.actor import SYSTEM
from maild.domain.bounce_mail import verp
from maild.domain.states import Status, Stream
from maild.models import Message, WebhookEndpoint
from maild.services import smtp_accounts
from tests.conftest import WORKSPACE_A, WORKSPACE_B, Inbox
from tests.services.conftest import MakeAccount
from tests.services.helpers import Accept, reload

Deliver = Callable[[], int]


def report_of(
    provider: str, *, account: str = "default", workspace_id: int = WORKSPACE_A
) -> WebhookEndpoint:
    """An endpoint where this provider reports on an account's mail."""
    return WebhookEndpoint.create(
        workspace=workspace_id,
        provider=provider,
        smtp_account_name=account,
        token_hash=hashlib.sha256(uuid.uuid4().bytes).digest(),
        created_by="a test",
    )


def senders(inbox: Inbox) -> dict[str, str]:
    """The envelope sender of each mail, by its subject."""
    return {
        m["Subject"]: inbox.envelope(m["ID"])["ReturnPath"].strip("<>") for m in inbox.messages()
    }


def parsed(inbox: Inbox, message: Message) -> EmailMessage:
    [found] = [m for m in inbox.messages() if m["Subject"] == message.subject]
    return email.message_from_bytes(inbox.raw(found["ID"]), policy=email.policy.default)


def variables(inbox: Inbox, message: Message) -> Any:
    header = parsed(inbox, message)["X-Mailgun-Variables"]
    return json.loads(header) if header is not None else None


def mark(message: Message) -> dict[str, str]:
    return {"maild_message_id": str(message.id)}


# The return path


def test_without_a_return_path_bounces_go_to_the_sender(
    accept: Accept, deliver: Deliver, inbox: Inbox
) -> None:
    accept(subject="A", from_email="laden@faß.example")
    deliver()
    assert senders(inbox) == {"A": "laden@xn--fa-hia.example"}


def test_each_message_has_an_envelope_sender_of_its_own(
    accept: Accept, deliver: Deliver, inbox: Inbox, account: MakeAccount
) -> None:
    account("primary", active=True, return_path="bounces@bücher.example")
    made = [accept(subject=subject) for subject in "AB"]
    deliver()
    found = senders(inbox)
    for message in made:
        base, _, domain = found[message.subject].partition("@")
        assert base.startswith("bounces+")
        assert domain == "xn--bcher-kva.example"
        assert verp.find(found[message.subject]) == message.id
        mail = parsed(inbox, message)
        assert mail["From"] == "shop@example.com"
        assert "bounces" not in str(mail)
        assert mail["Message-ID"] == message.message_id_header


def test_each_recipient_of_a_submission_has_one(
    accept: Accept, deliver: Deliver, inbox: Inbox, account: MakeAccount
) -> None:
    account("primary", active=True, return_path="bounces@example.com")
    accept(cc=("bob@example.org",), bcc=("eve@example.org",))
    deliver()
    envelopes = [inbox.envelope(m["ID"]) for m in inbox.messages()]
    ids = {verp.find(e["ReturnPath"].strip("<>")): e["Recipients"] for e in envelopes}
    assert ids == {m.id: [m.to_email] for m in Message.select()}


def test_the_environments_account_may_have_one_too(
    accept: Accept, deliver: Deliver, inbox: Inbox, use_settings: Callable[..., Settings]
) -> None:
    smtp = dataclasses.replace(config.current().smtp, return_path="bounces@example.com")
    use_settings(smtp=smtp)
    message = accept(subject="A")
    deliver()
    assert verp.find(senders(inbox)["A"]) == message.id


def test_a_return_path_holds_for_its_account_alone(
    accept: Accept, deliver: Deliver, inbox: Inbox, account: MakeAccount
) -> None:
    account("primary", active=True, return_path="bounces@example.com")
    account("second")
    accept(subject="A", smtp_account="second")
    deliver()
    assert senders(inbox) == {"A": "shop@example.com"}


@pytest.mark.parametrize("base", ["a" * 37 + "@example.com", "b@" + ".".join(["c" * 50] * 4)])
def test_the_longest_return_paths_are_sent(
    accept: Accept, deliver: Deliver, inbox: Inbox, account: MakeAccount, base: str
) -> None:
    account("primary", active=True, return_path=base)
    message = accept(subject="A")
    deliver()
    assert reload(message).status is Status.SENT
    assert verp.find(senders(inbox)["A"]) == message.id


# The provider's header


def test_mail_carries_its_providers_header(
    accept: Accept, deliver: Deliver, inbox: Inbox, account: MakeAccount
) -> None:
    account("primary", active=True)
    report_of("mailgun", account="primary")
    made = [
        accept(subject="A", headers=(("X-Mailgun-Variables", '{"order": "4711"}'),)),
        accept(subject="B", headers=(("X-Mailgun-Variables", "no JSON"),)),
        accept(subject="C", stream=Stream.MARKETING),
    ]
    deliver()
    assert variables(inbox, made[0]) == {"order": "4711", **mark(made[0])}
    assert parsed(inbox, made[1])["X-Mailgun-Variables"] == "no JSON"
    assert variables(inbox, made[2]) == mark(made[2])
    assert parsed(inbox, made[2])["List-Unsubscribe"]


def test_each_recipient_of_a_submission_carries_an_id_of_its_own(
    accept: Accept, deliver: Deliver, inbox: Inbox
) -> None:
    report_of("postmark")
    accept(cc=("bob@example.org",), bcc=("eve@example.org",))
    deliver()
    mails = [email.message_from_bytes(inbox.raw(m["ID"])) for m in inbox.messages()]
    found = {mail["X-PM-Metadata-maild_message_id"] for mail in mails}
    assert found == {str(m.id) for m in Message.select()}
    assert len(found) == 3


def test_mail_of_an_account_that_nobody_reports_on_carries_none(
    accept: Accept, deliver: Deliver, inbox: Inbox, account: MakeAccount
) -> None:
    account("primary", active=True)
    account("second")
    report_of("mailgun", account="second")
    report_of("mailgun", account="default")
    report_of("mailgun", account="primary", workspace_id=WORKSPACE_B)
    report_of("dsn", account="primary")
    report_of("ses", account="primary")
    own, pinned = accept(subject="A"), accept(subject="B", smtp_account="second")
    deliver()
    assert variables(inbox, own) is None
    assert variables(inbox, pinned) == mark(pinned)


def test_the_environments_account_has_the_provider_of_each_workspace(
    accept: Accept, deliver: Deliver, inbox: Inbox
) -> None:
    """It is one path for all of them."""
    report_of("mailgun")
    report_of("postmark", workspace_id=WORKSPACE_B)
    mine = accept(subject="A")
    theirs = accept(subject="B", workspace_id=WORKSPACE_B)
    deliver()
    assert variables(inbox, mine) == mark(mine)
    assert parsed(inbox, mine)["X-PM-Metadata-maild_message_id"] is None
    assert variables(inbox, theirs) is None
    assert parsed(inbox, theirs)["X-PM-Metadata-maild_message_id"] == str(theirs.id)


def test_bounce_mails_beside_a_webhook_change_nothing_and_the_newest_provider_counts(
    accept: Accept, deliver: Deliver, inbox: Inbox
) -> None:
    report_of("postmark")
    report_of("mailgun")
    report_of("dsn")
    message = accept(subject="A")
    deliver()
    assert variables(inbox, message) == mark(message)
    assert parsed(inbox, message)["X-PM-Metadata-maild_message_id"] is None


def test_an_endpoint_that_is_gone_marks_no_more(
    accept: Accept, deliver: Deliver, inbox: Inbox
) -> None:
    endpoint = report_of("mailgun")
    first = accept(subject="A")
    deliver()
    endpoint.delete_instance()
    second = accept(subject="B")
    deliver()
    assert (variables(inbox, first), variables(inbox, second)) == (mark(first), None)


def test_what_fails_over_carries_the_header_of_the_account_that_it_takes(
    accept: Accept, deliver: Deliver, inbox: Inbox, account: MakeAccount
) -> None:
    account("primary", active=True)
    account("second")
    report_of("postmark", account="primary")
    report_of("mailgun", account="second")
    smtp_accounts.pause(WORKSPACE_A, name="primary", reason="a test", by=SYSTEM)
    message = accept(subject="A")
    deliver()
    assert variables(inbox, message) == mark(message)
    assert parsed(inbox, message)["X-PM-Metadata-maild_message_id"] is None


def test_a_message_that_leaves_its_lanes_path_carries_the_other_ones_header(
    accept: Accept, deliver: Deliver, inbox: Inbox, account: MakeAccount
) -> None:
    account("primary", active=True, return_path="first@example.com")
    account("second", return_path="second@example.com")
    report_of("postmark", account="primary")
    report_of("mailgun", account="second")
    stays, leaves = accept(subject="A"), accept(subject="B")
    Message.update(path_fault_count=2).where(Message.id == leaves.id).execute()
    deliver()
    assert parsed(inbox, stays)["X-PM-Metadata-maild_message_id"] == str(stays.id)
    assert variables(inbox, stays) is None
    assert variables(inbox, leaves) == mark(leaves)
    found = senders(inbox)
    assert found["A"].startswith("first+")
    assert found["B"].startswith("second+")
