"""Messages over a connection, against real servers: aiosmtpd, which takes one command at a time,
and the inbox, which takes them in groups."""

from datetime import UTC, datetime

import pytest

from maild.domain import mime
from maild.transports.smtp import ErrorClass, Offer, Stage

MESSAGE = b"Subject: Hi\r\n\r\nHello\r\n"


def test_it_delivers_a_message(smtpd, connect):
    server = smtpd()
    outcome = connect(server.port).send()

    assert outcome.accepted
    assert (outcome.stage, outcome.error_class) == (Stage.FINAL_DOT, None)
    assert (outcome.is_permanent, outcome.is_unknown, outcome.is_stale) == (False, False, False)
    assert (outcome.reply.code, outcome.reply.enhanced_code) == (250, "2.0.0")
    assert outcome.remote == f"localhost:{server.port}"
    assert outcome.text == f"accepted: 250 2.0.0 queued (FINAL DOT, localhost:{server.port})"
    (envelope,) = server.envelopes
    assert (envelope.mail_from, envelope.rcpt_tos) == ("ann@example.com", ["bob@example.org"])
    assert envelope.content == MESSAGE
    assert outcome.verdict is None


def test_it_reuses_the_connection_and_times_each_stage(smtpd, connect):
    server = smtpd()
    client = connect(server.port)
    opening = {"dns", "connect", "banner", "ehlo"}
    message = {"mail_from", "rcpt_to", "data", "body", "final_dot"}
    assert set(client.send().timings) == opening | message
    for _ in range(3):
        assert set(client.send().timings) == message
    assert len(server.envelopes) == 4
    assert client.connection.is_usable
    assert client.connection.done_count == 4
    assert set(client.connection.timings) == opening


def test_it_sends_the_null_reverse_path(smtpd, connect):
    server = smtpd()
    assert connect(server.port).send(mail_from="").accepted
    assert server.envelopes[0].mail_from == "<>"


@pytest.mark.proves("deliver-rfc")
@pytest.mark.parametrize(
    "body",
    [
        b".\r\n",
        b"..\r\n.\r\n...\r\n",
        b"a\r\n.b\r\n\r\n.\r\nc\r\n",
        b"\r\n",
        b"line of text\r\n" * 100_000,
    ],
)
def test_it_delivers_every_octet(smtpd, connect, body):
    server = smtpd()
    for message in (MESSAGE + body, b"." + MESSAGE + body):
        assert connect(server.port).send(message).accepted
        assert server.envelopes[-1].content == message


def test_it_shows_the_capabilities(smtpd, connect):
    client = connect(smtpd(enable_SMTPUTF8=True, data_size_limit=4321).port)
    offered = client.connection.capabilities
    assert offered.size_limit == 4321
    assert (offered.eight_bit, offered.smtputf8, offered.starttls) == (True, True, False)


def test_it_announces_size_and_8bitmime(smtpd, connect):
    server = smtpd(decode_data=False)
    message = MESSAGE + "Grüße\r\n".encode()
    assert connect(server.port).send(message).accepted
    assert set(server.envelopes[0].mail_options) == {f"SIZE={len(message)}", "BODY=8BITMIME"}


def test_it_does_not_send_what_is_over_the_size_limit(smtpd, connect):
    server = smtpd(data_size_limit=len(MESSAGE))
    client = connect(server.port)
    offer = client.offer(MESSAGE + b"x\r\n")
    outcome = client.connection.refuse(offer)
    assert (outcome.error_class, outcome.is_permanent) == (ErrorClass.MESSAGE_TOO_LARGE, True)
    assert outcome.verdict.error_class is ErrorClass.MESSAGE_TOO_LARGE
    assert outcome.reply is None
    assert f"the server's limit of {len(MESSAGE)} (MAIL FROM, localhost:" in outcome.text
    with pytest.raises(ValueError, match="cannot take"):
        client.begin(offer)
    assert client.connection.refuse(client.offer()) is None
    assert client.send().accepted
    assert len(server.envelopes) == 1


@pytest.mark.parametrize(
    ("mail_from", "rcpt_to"),
    [("änn@example.com", "bob@example.org"), ("ann@example.com", "bøb@example.org")],
)
def test_it_asks_for_smtputf8_where_an_address_needs_it(smtpd, connect, mail_from, rcpt_to):
    server = smtpd(enable_SMTPUTF8=True)
    client = connect(server.port)
    assert client.send(mail_from=mail_from, rcpt_to=rcpt_to).accepted
    assert client.send().accepted
    international, plain = server.envelopes
    assert (international.mail_from, international.rcpt_tos) == (mail_from, [rcpt_to])
    assert "SMTPUTF8" in international.mail_options
    assert "SMTPUTF8" not in plain.mail_options


def test_it_asks_for_smtputf8_where_a_header_needs_it(smtpd, connect):
    server = smtpd(enable_SMTPUTF8=True)
    assert connect(server.port).send("Subject: Grüße\r\n\r\nHi\r\n".encode()).accepted
    assert {"SMTPUTF8", "BODY=8BITMIME"} <= set(server.envelopes[0].mail_options)


def test_it_does_not_send_what_the_server_cannot_take(smtpd, connect):
    client = connect(smtpd(enable_SMTPUTF8=False).port)
    for offer in (
        client.offer(rcpt_to="bøb@example.org"),
        client.offer("Subject: Grüße\r\n\r\nHi\r\n".encode()),
    ):
        outcome = client.connection.refuse(offer)
        assert (outcome.error_class, outcome.is_permanent) == (ErrorClass.PROTOCOL, True)
        assert not outcome.verdict.is_path_fault
        assert (outcome.stage, outcome.reply) == (Stage.MAIL_FROM, None)
        with pytest.raises(ValueError, match="cannot take"):
            client.begin(offer)
    assert client.send().accepted


@pytest.mark.proves("security-injection")
@pytest.mark.parametrize(
    "address", ["a b@c.example", "a\r\nRCPT TO:<x@y>", "a>@b", "<a@b", "a\0@b", "\ud800@b", "\x7f"]
)
def test_it_refuses_addresses_that_could_end_the_command(address):
    with pytest.raises(ValueError, match="mail_from"):
        Offer(address, "bob@example.org", MESSAGE, None)
    with pytest.raises(ValueError, match="rcpt_to"):
        Offer("ann@example.com", address, MESSAGE, None)


@pytest.mark.parametrize(
    "message", [b"", b"a", b"a\n", b"a\r", b"a\nb\r\n", b"a\rb\r\n", b"a\n.\nMAIL\r\n", b"a\r\r\n"]
)
def test_it_refuses_other_line_ends(message):
    with pytest.raises(ValueError, match="message"):
        Offer("ann@example.com", "bob@example.org", message, None)


def test_it_needs_a_recipient():
    with pytest.raises(ValueError, match="rcpt_to"):
        Offer("ann@example.com", "", MESSAGE, None)


def test_it_delivers_what_mime_builds(smtpd, connect):
    content = mime.Content(
        message_id="<a1@example.com>",
        date=datetime(2026, 3, 1, tzinfo=UTC),
        from_email="ann@example.com",
        to=("bob@example.org",),
        subject="Grüße",
        body_text=".\n..Grüße\n.",
        body_html="<p>Grüße</p>",
    )
    server = smtpd()
    message = mime.build(content, eight_bit=True)
    assert connect(server.port).send(message).accepted
    assert server.envelopes[0].content == message


# The inbox, with PIPELINING


@pytest.fixture
def inbox_port(running_inbox):
    running_inbox.clear()
    return running_inbox.smtp.port


def test_many_messages_go_over_one_connection(connect, running_inbox, inbox_port):
    client = connect(inbox_port)
    assert client.connection.capabilities.pipelining
    offers = [
        client.offer(b"Subject: %d\r\n\r\n.%d\r\n" % (number, number)) for number in range(100)
    ]
    outcomes = client.send_all(*offers)
    assert [outcome.accepted for outcome in outcomes] == [True] * 100
    assert client.connection.done_count == 100
    stages = {"mail_from", "rcpt_to", "data", "body", "final_dot"}
    assert all(set(outcome.timings) == stages for outcome in outcomes[1:])
    subjects = {message["Subject"] for message in running_inbox.messages()}
    assert subjects == {str(number) for number in range(100)}


@pytest.mark.parametrize("size", [70_000, 2_000_000])
def test_large_messages_arrive_whole(connect, running_inbox, inbox_port, size):
    client = connect(inbox_port)
    line = b".dots and more\r\n"
    message = b"Subject: Hi\r\n\r\n" + line * (size // len(line))
    outcomes = client.send_all(client.offer(message), client.offer(message))
    assert [outcome.accepted for outcome in outcomes] == [True, True]
    for stored in running_inbox.messages():
        assert running_inbox.raw(stored["ID"]).endswith(message)


def test_many_connections_work_side_by_side(connect, running_inbox, inbox_port):
    clients = [connect(inbox_port) for _ in range(200)]
    for client in clients:
        client.begin(client.offer(), client.offer())
    for client in clients:
        client.settle()
    assert all(outcome.accepted for client in clients for outcome in client.outcomes.values())
    assert len(running_inbox.messages()) == 400
