"""Messages over a connection, against a real server: aiosmtpd."""

from datetime import UTC, datetime

import pytest

from maild.domain import mime
from maild.transports.smtp import ErrorClass, Stage

MESSAGE = b"From: ann@example.com\r\nSubject: Hi\r\n\r\nHello\r\n"


def send(connection, message=MESSAGE, mail_from="ann@example.com", rcpt_to="bob@example.org"):
    return connection.send(mail_from, rcpt_to, lambda capabilities: message)


def test_it_delivers_a_message(smtpd, connect):
    server = smtpd()
    outcome = send(connect(server.port))

    assert outcome.accepted
    assert (outcome.stage, outcome.error_class) == (Stage.FINAL_DOT, None)
    assert (outcome.is_permanent, outcome.is_unknown, outcome.is_stale) == (False, False, False)
    assert (outcome.reply.code, outcome.reply.enhanced_code) == (250, "2.0.0")
    assert outcome.remote == f"localhost:{server.port}"
    assert outcome.text == f"accepted: 250 2.0.0 queued (FINAL DOT, localhost:{server.port})"
    (envelope,) = server.envelopes
    assert (envelope.mail_from, envelope.rcpt_tos) == ("ann@example.com", ["bob@example.org"])
    assert envelope.content == MESSAGE


def test_it_reuses_the_connection_and_times_each_stage(smtpd, connect):
    server = smtpd()
    connection = connect(server.port)
    opening = {"dns", "connect", "banner", "ehlo"}
    message = {"mail_from", "rcpt_to", "data", "body", "final_dot"}
    assert set(send(connection).timings) == opening | message
    for _ in range(3):
        assert set(send(connection).timings) == message
    assert len(server.envelopes) == 4
    assert connection.is_usable


def test_it_sends_the_null_reverse_path(smtpd, connect):
    server = smtpd()
    assert send(connect(server.port), mail_from="").accepted
    assert server.envelopes[0].mail_from == "<>"


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
        assert send(connect(server.port), message).accepted
        assert server.envelopes[-1].content == message


def test_it_shows_the_capabilities_to_the_builder(smtpd, connect):
    connection = connect(smtpd(enable_SMTPUTF8=True, data_size_limit=4321).port)
    seen = []

    def build(capabilities):
        seen.append(capabilities)
        return MESSAGE

    connection.send("ann@example.com", "bob@example.org", build)
    assert seen == [connection.capabilities]
    assert seen[0].size_limit == 4321
    assert (seen[0].eight_bit, seen[0].smtputf8, seen[0].starttls) == (True, True, False)


def test_it_announces_size_and_8bitmime(smtpd, connect):
    server = smtpd(decode_data=False)
    message = MESSAGE + "Grüße\r\n".encode()
    assert send(connect(server.port), message).accepted
    assert set(server.envelopes[0].mail_options) == {f"SIZE={len(message)}", "BODY=8BITMIME"}


def test_it_does_not_send_what_is_over_the_size_limit(smtpd, connect):
    server = smtpd(data_size_limit=len(MESSAGE))
    connection = connect(server.port)
    outcome = send(connection, MESSAGE + b"x\r\n")
    assert (outcome.error_class, outcome.is_permanent) == (ErrorClass.MESSAGE_TOO_LARGE, True)
    assert outcome.reply is None
    assert send(connection).accepted
    assert len(server.envelopes) == 1


@pytest.mark.parametrize(
    ("mail_from", "rcpt_to"),
    [("änn@example.com", "bob@example.org"), ("ann@example.com", "bøb@example.org")],
)
def test_it_asks_for_smtputf8_where_an_address_needs_it(smtpd, connect, mail_from, rcpt_to):
    server = smtpd(enable_SMTPUTF8=True)
    connection = connect(server.port)
    assert send(connection, mail_from=mail_from, rcpt_to=rcpt_to).accepted
    assert send(connection).accepted
    international, plain = server.envelopes
    assert (international.mail_from, international.rcpt_tos) == (mail_from, [rcpt_to])
    assert "SMTPUTF8" in international.mail_options
    assert "SMTPUTF8" not in plain.mail_options


def test_it_asks_for_smtputf8_where_a_header_needs_it(smtpd, connect):
    server = smtpd(enable_SMTPUTF8=True)
    assert send(connect(server.port), "Subject: Grüße\r\n\r\nHi\r\n".encode()).accepted
    assert {"SMTPUTF8", "BODY=8BITMIME"} <= set(server.envelopes[0].mail_options)


def test_it_does_not_send_what_the_server_cannot_take(smtpd, connect):
    connection = connect(smtpd(enable_SMTPUTF8=False).port)
    for outcome in (
        send(connection, rcpt_to="bøb@example.org"),
        send(connection, "Subject: Grüße\r\n\r\nHi\r\n".encode()),
    ):
        assert (outcome.error_class, outcome.is_permanent) == (ErrorClass.PROTOCOL, True)
        assert (outcome.stage, outcome.reply) == (Stage.MAIL_FROM, None)
    assert send(connection).accepted


@pytest.mark.parametrize(
    "address", ["a b@c.example", "a\r\nRCPT TO:<x@y>", "a>@b", "<a@b", "a\0@b", "\ud800@b", "\x7f"]
)
def test_it_refuses_addresses_that_could_end_the_command(smtpd, connect, address):
    connection = connect(smtpd().port)
    with pytest.raises(ValueError, match="mail_from"):
        send(connection, mail_from=address)
    with pytest.raises(ValueError, match="rcpt_to"):
        send(connection, rcpt_to=address)
    assert send(connection).accepted


@pytest.mark.parametrize(
    "message", [b"", b"a", b"a\n", b"a\r", b"a\nb\r\n", b"a\rb\r\n", b"a\n.\nMAIL\r\n", b"a\r\r\n"]
)
def test_it_refuses_other_line_ends(smtpd, connect, message):
    connection = connect(smtpd().port)
    with pytest.raises(ValueError, match="message"):
        send(connection, message)
    assert send(connection).accepted


def test_it_needs_a_recipient(smtpd, connect):
    with pytest.raises(ValueError, match="rcpt_to"):
        send(connect(smtpd().port), rcpt_to="")


def test_a_fault_of_the_builder_leaves_the_connection_usable(smtpd, connect):
    connection = connect(smtpd().port)

    def build(capabilities):
        raise LookupError("no body")

    with pytest.raises(LookupError):
        connection.send("ann@example.com", "bob@example.org", build)
    assert send(connection).accepted


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
    outcome = connect(server.port).send(
        "ann@example.com",
        "bob@example.org",
        lambda capabilities: mime.build(content, eight_bit=capabilities.eight_bit),
    )
    assert outcome.accepted
    assert server.envelopes[0].content == mime.build(content, eight_bit=True)
