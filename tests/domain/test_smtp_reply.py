"""SMTP replies: their parts, and what a refusal means."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from maild.domain.smtp_reply import ErrorClass, Reply, Stage, Verdict, classify, parse


@pytest.mark.parametrize(
    ("lines", "reply"),
    [
        ([b"250 OK"], Reply(250, None, "OK")),
        (["250 OK\r\n"], Reply(250, None, "OK")),
        ([b"250"], Reply(250, None, "")),
        ([b"250 2.1.5 OK"], Reply(250, "2.1.5", "OK")),
        ([b"250 2.0.0"], Reply(250, "2.0.0", "")),
        (
            [b"550-5.1.1 No such user.", b"550 5.1.1 See https://example.com"],
            Reply(550, "5.1.1", "No such user.\nSee https://example.com"),
        ),
        ([b"250-mx.example.com", b"250-SIZE 10", b"250 AUTH PLAIN"],
         Reply(250, None, "mx.example.com\nSIZE 10\nAUTH PLAIN")),
        # The class must repeat the code's first digit, or it is no enhanced code (RFC 2034 4).
        ([b"550 4.4.7 Expired"], Reply(550, None, "4.4.7 Expired")),
        ([b"250 2.10.20.30 greets you"], Reply(250, None, "2.10.20.30 greets you")),
        ([b"550 5.1.10 Null MX"], Reply(550, "5.1.10", "Null MX")),
        # Codes that differ: the last line counts.
        ([b"250-first", b"550 second"], Reply(550, None, "first\nsecond")),
        ([b"550 caf\xe9"], Reply(550, None, "caf\ufffd")),
    ],
)  # fmt: skip
def test_it_parses(lines, reply):
    assert parse(lines) == reply


@pytest.mark.parametrize(
    "lines", [[], [b""], [b"hello"], [b"25"], [b"2500 OK"], [b"650 OK"], [b"150 OK"], [b"250OK"]]
)
def test_it_refuses_what_is_no_reply(lines):
    with pytest.raises(ValueError, match="not an SMTP reply"):
        parse(lines)


def test_it_bounds_the_text():
    assert len(parse([b"550-" + b"x" * 900] * 9 + [b"550 end"]).text) == 2000


@settings(deadline=None)
@given(st.lists(st.binary(max_size=100), max_size=5))
def test_any_octets_make_a_reply_or_a_value_error(lines):
    try:
        reply = parse(lines)
    except ValueError:
        return
    assert 200 <= reply.code <= 599


@pytest.mark.parametrize(
    ("reply", "text"),
    [
        (Reply(550, "5.1.1", "No such user"), "550 5.1.1 No such user"),
        (Reply(550, None, "No"), "550 No"),
        (Reply(250, None, ""), "250"),
    ],
)
def test_it_is_written_as_people_write_it(reply, text):
    assert str(reply) == text


@pytest.mark.parametrize(
    ("line", "stage", "error_class", "is_permanent"),
    [
        # The recipient's fault: permanent.
        ("550 5.1.1 User unknown", Stage.RCPT_TO, "invalid_recipient", True),
        ("550 5.1.1 User unknown", Stage.FINAL_DOT, "invalid_recipient", True),
        ("550 No such user", Stage.RCPT_TO, "invalid_recipient", True),
        ("553 Bad mailbox", Stage.RCPT_TO, "invalid_recipient", True),
        ("550 5.1.2 No such host", Stage.RCPT_TO, "invalid_domain", True),
        ("556 5.1.10 Null MX", Stage.RCPT_TO, "invalid_domain", True),
        ("550 5.2.1 Disabled", Stage.RCPT_TO, "inactive_mailbox", True),
        ("552 5.2.2 Over quota", Stage.RCPT_TO, "mailbox_full", True),
        ("452 4.2.2 Over quota", Stage.RCPT_TO, "mailbox_full", False),
        ("552 Over quota", Stage.RCPT_TO, "mailbox_full", True),
        ("450 4.1.1 User unknown", Stage.RCPT_TO, "invalid_recipient", False),
        # The message's.
        ("552 Too big", Stage.MAIL_FROM, "message_too_large", True),
        ("552 5.3.4 Too big", Stage.FINAL_DOT, "message_too_large", True),
        ("554 5.7.1 Rejected", Stage.FINAL_DOT, "policy", True),
        ("550 5.7.26 DMARC", Stage.FINAL_DOT, "policy", True),
        ("550 Sender refused", Stage.MAIL_FROM, "policy", True),
        # Come again.
        ("450 4.7.1 Greylisted", Stage.RCPT_TO, "greylisted", False),
        ("451 4.7.1 Try again later", Stage.RCPT_TO, "greylisted", False),
        ("451 4.7.0 Slow down", Stage.FINAL_DOT, "rate_limited", False),
        ("450 4.7.1 Rate limited, try again", Stage.RCPT_TO, "rate_limited", False),
        ("451 4.7.1 Too many messages", Stage.RCPT_TO, "rate_limited", False),
        ("454 Throttling failure: Maximum sending rate exceeded", Stage.MAIL_FROM,
         "rate_limited", False),
        ("550 5.7.28 Too much mail", Stage.FINAL_DOT, "rate_limited", False),
        ("421 4.3.0 Closing", Stage.FINAL_DOT, "connection", False),
        ("421 Idle too long", Stage.MAIL_FROM, "connection", False),
        # The provider's fault, or our account's: never burns the message, whatever the code.
        ("554 No SMTP service here", Stage.BANNER, "connection", False),
        ("550 5.7.1 Bad HELO", Stage.EHLO, "connection", False),
        ("454 4.7.0 TLS not available", Stage.TLS, "tls", False),
        ("535 5.7.8 Bad credentials", Stage.AUTH, "auth", False),
        ("550 No", Stage.AUTH, "auth", False),
        ("454 4.7.0 Temporary failure", Stage.AUTH, "auth", False),
        ("530 5.7.0 Authentication required", Stage.MAIL_FROM, "auth", False),
        ("530 5.7.0 Authentication required", Stage.RCPT_TO, "auth", False),
        ("521 Host does not accept mail", Stage.BANNER, "connection", False),
        # Not understood, or not said.
        ("500 Syntax error", Stage.MAIL_FROM, "protocol", True),
        ("555 Parameter not recognised", Stage.MAIL_FROM, "protocol", True),
        ("554 Transaction failed", Stage.FINAL_DOT, "unknown", True),
        ("451 Local error", Stage.FINAL_DOT, "unknown", False),
        ("550 5.9.9 New in a later RFC", Stage.RCPT_TO, "invalid_recipient", True),
        # No refusal at all, where one was not expected either.
        ("250 OK", Stage.DATA, "protocol", False),
        ("354 Go on", Stage.FINAL_DOT, "protocol", False),
    ],
)  # fmt: skip
def test_it_classifies(line, stage, error_class, is_permanent):
    assert classify(parse([line]), stage) == Verdict(ErrorClass(error_class), is_permanent)


def test_it_names_stages_as_people_do():
    assert Stage.RCPT_TO.words == "RCPT TO"
    assert Stage.FINAL_DOT.words == "FINAL DOT"
