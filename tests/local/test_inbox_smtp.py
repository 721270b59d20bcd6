"""The inbox by SMTP: it takes everything, except where the address says otherwise."""

import smtplib
import socket
from concurrent.futures import ThreadPoolExecutor

import pytest

RAW = b"From: shop@example.com\r\nTo: ann@example.com\r\nSubject: Hello\r\n\r\nIt works.\r\n"
SENDER = "shop@example.com"


def rcpt_reply(inbox, address: str, sender: str = SENDER) -> tuple[int, bytes]:
    with inbox.smtp() as client:
        client.ehlo()
        client.mail(sender)
        return client.rcpt(address)


def test_it_stores_what_it_accepts(inbox):
    inbox.send(RAW)
    [message] = inbox.messages()
    assert message["Subject"] == "Hello"
    assert inbox.get(f"/api/v1/message/{message['ID']}/raw").body == RAW


def test_it_offers_what_a_sender_may_use(inbox):
    with inbox.smtp() as client:
        client.ehlo()
        assert client.esmtp_features["size"] == str(25 * 1024 * 1024)
        assert {"8bitmime", "smtputf8", "pipelining", "auth"} <= set(client.esmtp_features)


def test_it_takes_utf8_addresses_and_8bit_text(inbox):
    with inbox.smtp() as client:
        client.ehlo()
        options = ["SMTPUTF8", "BODY=8BITMIME"]
        client.sendmail("zoë@example.com", ["grüße@example.com"], "Subject: é".encode(), options)
    [message] = inbox.messages()
    assert message["Subject"] == "é"
    assert message["Bcc"] == [{"Name": "", "Address": "grüße@example.com"}]


def test_it_takes_the_null_sender(inbox):
    inbox.send(RAW, sender="")
    assert len(inbox.messages()) == 1


def test_it_refuses_what_is_too_large(inbox):
    with pytest.raises(smtplib.SMTPSenderRefused) as refused:
        inbox.send(b"x" * (25 * 1024 * 1024 + 1))
    assert refused.value.smtp_code == 552


@pytest.mark.parametrize(
    ("name", "code", "text"),
    [
        ("tempfail", 451, b"4.3.0"),
        ("permfail+7", 550, b"5.1.1"),
        ("throttle", 450, b"try again in 60 seconds"),
        ("authfail", 530, b"5.7.0"),
        ("unverified", 550, b"5.7.1"),
    ],
)
def test_it_refuses_every_time(inbox, name, code, text):
    for _ in range(2):
        answer = rcpt_reply(inbox, f"{name}@example.com")
        assert answer[0] == code
        assert text in answer[1]


def test_greylist_refuses_the_first_try_of_each_pair(inbox):
    assert rcpt_reply(inbox, "greylist+a@example.com")[0] == 451
    assert rcpt_reply(inbox, "greylist+a@example.com")[0] == 250
    assert rcpt_reply(inbox, "greylist+b@example.com")[0] == 451
    assert rcpt_reply(inbox, "greylist+a@example.com", "other@example.com")[0] == 451


def test_busy_says_so_and_hangs_up(inbox):
    with socket.create_connection(("127.0.0.1", inbox.smtp_port), timeout=20) as client:
        client.sendall(b"EHLO x\r\nMAIL FROM:<a@example.com>\r\nRCPT TO:<busy-421@example.com>\r\n")
        said = client.makefile("rb").read()
    assert said.splitlines()[-1].startswith(b"421 4.3.2")


def test_slow_answers_in_the_end(inbox):
    inbox.send(RAW, "slow+1@example.com")
    assert len(inbox.messages()) == 1


def test_drop_before_dot_stores_nothing(inbox):
    with pytest.raises(smtplib.SMTPServerDisconnected):
        inbox.send(RAW, "drop-before-dot@example.com")
    assert inbox.messages() == []


def test_drop_after_dot_stores_and_says_nothing(inbox):
    with pytest.raises(smtplib.SMTPServerDisconnected):
        inbox.send(RAW, "drop-after-dot@example.com")
    assert len(inbox.messages()) == 1


def test_recipients_of_one_message_are_treated_apart(inbox):
    with inbox.smtp() as client:
        recipients = ["ann@example.com", "permfail@example.com", "tempfail@example.com"]
        refused = client.sendmail(SENDER, recipients, RAW)
    assert {address: code for address, (code, _) in refused.items()} == {
        "permfail@example.com": 550,
        "tempfail@example.com": 451,
    }
    [message] = inbox.messages()
    assert inbox.get(f"/api/v1/message/{message['ID']}").json["Recipients"] == ["ann@example.com"]


@pytest.mark.parametrize("method", ["auth_plain", "auth_login"])
def test_it_takes_any_login_but_one(inbox, method):
    for user, code in [("somebody", 235), ("authfail", 535)]:
        with inbox.smtp() as client:
            client.ehlo()
            client.user, client.password = user, "anything"
            mechanism = method.removeprefix("auth_").upper()
            try:
                answer = client.auth(mechanism, getattr(client, method))
            except smtplib.SMTPAuthenticationError as error:
                answer = (error.smtp_code, error.smtp_error)
            assert answer[0] == code


def test_of_one_login_it_takes_no_mail(inbox):
    with inbox.smtp() as client:
        client.login("unverified-account", "anything")
        with pytest.raises(smtplib.SMTPRecipientsRefused) as refused:
            client.sendmail(SENDER, ["ann@example.com"], b"Subject: Hello\r\n\r\nHello.")
    assert refused.value.recipients["ann@example.com"][0] == 550
    assert inbox.messages() == []


def test_pipelined_commands_are_all_answered(inbox):
    with socket.create_connection(("127.0.0.1", inbox.smtp_port), timeout=20) as client:
        client.sendall(
            b"EHLO x\r\nMAIL FROM:<a@example.com>\r\nRCPT TO:<permfail@example.com>\r\n"
            b"RCPT TO:<ann@example.com>\r\nDATA\r\nSubject: one\r\n\r\n..x\r\n.\r\nQUIT\r\n"
        )
        said = client.makefile("rb").read().splitlines()
    codes = [line[:3] for line in said if line[3:4] == b" "]
    assert codes == [b"220", b"250", b"250", b"550", b"250", b"354", b"250", b"221"]
    assert inbox.messages()[0]["Snippet"] == ".x"


def test_messages_at_once_are_all_stored(inbox):
    def send_some(sender: int) -> None:
        with inbox.smtp() as client:
            for number in range(25):
                raw = b"Subject: %d-%d\r\n\r\nx" % (sender, number)
                client.sendmail(SENDER, ["ann@example.com"], raw)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(send_some, range(8)))
    listed = inbox.get("/api/v1/messages?limit=1000").json
    assert listed["total"] == listed["count"] == 200
    assert {m["Subject"] for m in listed["messages"]} == {
        f"{sender}-{number}" for sender in range(8) for number in range(25)
    }
