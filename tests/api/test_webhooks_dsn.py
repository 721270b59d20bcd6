"""POST /v1/webhooks/dsn/...: raw bounce mails and abuse reports."""

import pytest

from maild.domain.lanes import Lane
from maild.domain.states import Status
from maild.models import Suppression, WebhookPayload
from maild.services import intake
from maild.services.workspaces import MAILDS_OWN_ID
from tests.api.reporting import basic, count_stored, endpoint, path_of, read
from tests.services.helpers import Accept, reload
from tests.services.reporting import send_all

DSN = """\
From: MAILER-DAEMON@mx.example.net
To: {to}
Subject: Undelivered Mail Returned to Sender
Auto-Submitted: auto-replied
MIME-Version: 1.0
Content-Type: multipart/report; report-type=delivery-status; boundary="b"

--b
Content-Type: text/plain

I'm sorry.

--b
Content-Type: message/delivery-status

Reporting-MTA: dns; mx.example.net

Final-Recipient: rfc822; ann@example.org
Action: failed
Status: {status}
Diagnostic-Code: smtp; {reply}

--b
Content-Type: text/rfc822-headers

Message-ID: {message_id}
From: shop@example.com
To: ann@example.org

--b--
"""


def bounce(message_id="<x@example.com>", *, to="shop@example.com", reply="550 5.1.1 User unknown"):
    status = reply.split()[1]
    text = DSN.format(message_id=message_id, to=to, status=status, reply=reply)
    return text.replace("\n", "\r\n").encode()


def send(api, row, mail: bytes, **headers):
    all_headers = {"Content-Type": "message/rfc822", **headers}
    return api("POST", path_of(row), key=None, data=mail, headers=all_headers)


@pytest.fixture
def message(accept: Accept, lease):
    made = accept()
    send_all(lease)
    return made


@pytest.mark.proves("feedback-dsn")
def test_a_bounce_mail_finds_its_message_by_the_message_id(api, message):
    response = send(api, endpoint("dsn"), bounce(message.message_id_header))
    assert (response.status_code, response.get_json()) == (202, {"status": "accepted"})
    [event] = read()
    assert (event.provider, event.event_type, event.message_id) == ("dsn", "bounced", message.id)
    assert reload(message).status.value == "bounced"
    assert Suppression.get().class_.value == "hard_bounce"


def test_a_bounce_mail_finds_its_message_by_its_own_address(api, message):
    from maild.domain.bounce_mail import verp

    to = verp.address("bounces@example.com", message.id)
    send(api, endpoint("dsn"), bounce("<changed@relay.example.net>", to=to))
    [event] = read()
    assert event.message_id == message.id


def test_a_bounce_mail_about_a_message_that_is_gone_suppresses_nobody(api, message):
    """Nothing shows any more that whoever wrote it has had the message."""
    message.delete_instance()
    send(api, endpoint("dsn"), bounce(message.message_id_header))
    [event] = read()
    assert (event.status.value, event.message_id) == ("ignored", None)
    assert not Suppression.select().exists()


def test_what_passes_does_not_suppress(api, message):
    send(api, endpoint("dsn"), bounce(message.message_id_header, reply="552 5.2.2 Mailbox full"))
    read()
    assert reload(message).status.value == "bounced"
    assert not Suppression.select().exists()


@pytest.mark.proves("feedback-dsn")
def test_an_abuse_report_is_a_complaint(api, message):
    mail = f"""\
From: abuse@example.net
To: fbl@example.com
Subject: FW: Hello
MIME-Version: 1.0
Content-Type: multipart/report; report-type=feedback-report; boundary="b"

--b
Content-Type: text/plain

This is an abuse report.

--b
Content-Type: message/feedback-report

Feedback-Type: abuse
User-Agent: Example/1.0
Version: 1

--b
Content-Type: message/rfc822

Message-ID: {message.message_id_header}
From: shop@example.com
To: redacted

Hello.
--b--
"""
    send(api, endpoint("dsn"), mail.encode())
    [event] = read()
    assert event.event_type == "complained"
    assert reload(message).status.value == "complained"
    assert Suppression.get().email == "ann@example.org"


def test_a_vacation_reply_changes_nothing(api, message):
    mail = f"""\
From: ann@example.org
To: shop@example.com
Subject: Out of office: Hello
Auto-Submitted: auto-replied
In-Reply-To: {message.message_id_header}

I am away.
"""
    send(api, endpoint("dsn"), mail.encode())
    [event] = read()
    assert event.event_type == "autoresponded"
    assert reload(message).status.value == "sent"
    assert not Suppression.select().exists()


def test_spam_to_the_address_for_bounces_is_ignored(api, database):
    send(api, endpoint("dsn"), b"From: a@example.net\r\nSubject: Buy\r\n\r\nBuy now.\r\n")
    [event] = read()
    assert event.status.value == "ignored"


def test_the_same_mail_again_is_a_duplicate(api, message):
    row = endpoint("dsn")
    for _ in range(2):
        send(api, row, bounce(message.message_id_header))
    assert [event.status.value for event in read()] == ["applied", "duplicate"]


def test_bounces_of_two_messages_in_the_same_words_are_two(api, accept, lease):
    row = endpoint("dsn")
    for _ in range(2):
        made = accept()
        send_all(lease)
        send(api, row, bounce(made.message_id_header, reply="552 5.2.2 Mailbox full"))
    assert [event.status.value for event in read()] == ["applied", "applied"]


@pytest.mark.parametrize("mail", [b"", b"\xff\0\r\n", b'{"a": 1}', b"hello"])
def test_what_is_no_mail_is_a_dead_letter(api, database, mail):
    """Somebody has pasted the address in the wrong place."""
    assert send(api, endpoint("dsn"), mail).status_code == 202
    [event] = read()
    assert event.status.value == "dead_letter"
    assert bytes(WebhookPayload.get().body) == mail


def test_a_mail_that_is_broken_is_kept(api, database):
    mail = b"From MAILER-DAEMON Mon Jan  1 00:00:00 2026\r\nContent-Type: multipart/report\r\n\r\n"
    assert send(api, endpoint("dsn"), mail).status_code == 202
    assert read()[0].status.value == "ignored"


def test_a_mail_that_is_too_large_is_refused(api, refused, database):
    response = send(api, endpoint("dsn"), b" " * (intake.MAIL_MAX_BYTES + 1))
    refused(response, 413, "payload_too_large")


def test_it_checks_basic_authentication_where_it_is_set(api, refused, database):
    row = endpoint("dsn", basic_auth=("u", "p"))
    refused(send(api, row, bounce()), 401, "bad_signature")
    assert send(api, row, bounce(), **basic("u", "p")).status_code == 202


def test_the_token_of_a_provider_is_404(api, refused, database):
    path = path_of(endpoint("postmark")).replace("providers/postmark", "dsn")
    refused(api("POST", path, key=None, data=b""), 404, "not_found")
    assert count_stored() == 0


@pytest.mark.proves("feedback-dsn")
def test_a_forged_bounce_about_no_message_suppresses_nobody(api, message):
    """Anybody can write to the address for bounces."""
    send(api, endpoint("dsn"), bounce("<forged@example.net>"))
    [event] = read()
    assert (event.status.value, event.message_id) == ("ignored", None)
    assert not Suppression.select().exists()


def test_a_bounce_of_somebody_whom_the_message_was_not_for_suppresses_nobody(api, message):
    """The recipient forwards mail to an address that is gone."""
    mail = bounce(message.message_id_header).replace(b"ann@", b"old-ann@")
    send(api, endpoint("dsn"), mail)
    read()
    assert reload(message).status.value == "bounced"
    assert not Suppression.select().exists()


@pytest.mark.parametrize("way", ["endpoint", "pipe"])
def test_a_bounce_of_mailds_own_mail_is_seen_by_no_workspace(api, accept, lease, way):
    """It may have the link in it that only its recipient is to see."""
    made = accept(workspace_id=MAILDS_OWN_ID, body_text="https://mail.example.com/reset/SECRET")
    send_all(lease, Lane(0, MAILDS_OWN_ID))
    mail = bounce(made.message_id_header) + b"https://mail.example.com/reset/SECRET\r\n"
    if way == "pipe":
        intake.take_piped(mail)
    else:
        assert send(api, endpoint("dsn"), mail).status_code == 202
    assert [row.workspace_id for row in WebhookPayload.select()] == [MAILDS_OWN_ID]
    read()
    assert reload(made).status is Status.BOUNCED
    assert "SECRET" not in api("GET", "/v1/webhooks/logs").get_data(as_text=True)
