"""SMTP replies: their parts, and what a refusal means."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from maild.domain.smtp_reply import ErrorClass, Fault, Reply, Stage, classify, of_contact, parse


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


PATH, BURNS, FOREVER, GONE = "path", "burns", "forever", "gone"
"""What follows: another path may take it; an attempt is used up; it is final; so is the address."""


def consequence(verdict):
    """The flags of a verdict in one word; and no two of them may contradict each other."""
    if verdict.is_path_fault:
        assert not verdict.is_permanent
        assert not verdict.suppresses
        return PATH
    if verdict.suppresses:
        return GONE
    return FOREVER if verdict.is_permanent else BURNS


@pytest.mark.proves("deliver-replies")
@pytest.mark.parametrize(
    ("line", "stage", "error_class", "follows"),
    [
        # The recipient's fault.
        ("550 5.1.1 User unknown", Stage.RCPT_TO, "invalid_recipient", GONE),
        ("550 5.1.1 User unknown", Stage.FINAL_DOT, "invalid_recipient", GONE),
        ("550 5.1.1 Something", Stage.RCPT_TO, "invalid_recipient", GONE),
        ("550 5.1.3 Something", Stage.RCPT_TO, "invalid_recipient", GONE),
        ("550 No such user", Stage.RCPT_TO, "invalid_recipient", GONE),
        ("553 Bad mailbox", Stage.RCPT_TO, "invalid_recipient", GONE),
        ("550 5.1.2 Something", Stage.RCPT_TO, "invalid_domain", GONE),
        ("556 5.1.10 Something", Stage.RCPT_TO, "invalid_domain", GONE),
        ("556 Something", Stage.RCPT_TO, "invalid_domain", GONE),
        ("551 5.1.6 Something", Stage.RCPT_TO, "inactive_mailbox", GONE),
        ("550 5.2.1 Disabled", Stage.RCPT_TO, "inactive_mailbox", FOREVER),
        ("552 5.2.2 Something", Stage.RCPT_TO, "mailbox_full", FOREVER),
        ("452 4.2.2 Over quota", Stage.RCPT_TO, "mailbox_full", BURNS),
        ("552 Something", Stage.RCPT_TO, "mailbox_full", FOREVER),
        ("450 4.2.1 The user is receiving mail at a rate", Stage.RCPT_TO, "rate_limited", BURNS),
        # A 4xx is not final, and says who does not exist only with a code that says so as well.
        ("450 4.1.1 User unknown", Stage.RCPT_TO, "invalid_recipient", GONE),
        ("450 User unknown", Stage.RCPT_TO, "invalid_recipient", BURNS),
        ("450 4.1.1 Something", Stage.RCPT_TO, "invalid_recipient", BURNS),
        ("450 4.1.1 <a@example.com>: unverified address: Address verification in progress",
         Stage.RCPT_TO, "invalid_recipient", BURNS),
        ("450 4.1.2 Domain not found", Stage.RCPT_TO, "invalid_domain", BURNS),
        # The message's.
        ("552 Something", Stage.MAIL_FROM, "message_too_large", FOREVER),
        ("552 5.3.4 Something", Stage.FINAL_DOT, "message_too_large", FOREVER),
        ("554 5.7.1 Looks like spam", Stage.FINAL_DOT, "spam_content", FOREVER),
        ("554 5.6.0 Bad MIME", Stage.FINAL_DOT, "protocol", FOREVER),
        # Ours.
        ("554 5.7.1 Rejected", Stage.FINAL_DOT, "policy", FOREVER),
        ("550 5.7.26 DMARC", Stage.FINAL_DOT, "policy", FOREVER),
        ("550 Something", Stage.MAIL_FROM, "policy", FOREVER),
        ("550 No such user", Stage.MAIL_FROM, "policy", FOREVER),
        ("550 5.1.8 No such domain", Stage.RCPT_TO, "policy", FOREVER),
        ("550 5.7.25 Something", Stage.RCPT_TO, "reputation", FOREVER),
        # Come again.
        ("450 4.7.1 Greylisted", Stage.RCPT_TO, "greylisted", BURNS),
        ("451 4.7.1 Try again later", Stage.RCPT_TO, "greylisted", BURNS),
        ("451 4.7.1 Try again later", Stage.FINAL_DOT, "policy", BURNS),
        ("550 Greylisted", Stage.FINAL_DOT, "unknown", FOREVER),
        # We send too much for this path.
        ("451 4.7.0 Slow down", Stage.FINAL_DOT, "rate_limited", PATH),
        ("450 4.7.1 Rate limited, try again", Stage.RCPT_TO, "rate_limited", PATH),
        ("451 4.7.1 Too many messages", Stage.RCPT_TO, "rate_limited", PATH),
        ("454 Throttling failure: Maximum sending rate exceeded", Stage.MAIL_FROM,
         "rate_limited", PATH),
        ("454 Throttling failure: Daily message quota exceeded", Stage.FINAL_DOT,
         "rate_limited", PATH),
        ("454 Something", Stage.MAIL_FROM, "rate_limited", PATH),
        ("550 5.7.28 Something", Stage.FINAL_DOT, "rate_limited", PATH),
        ("550 5.4.5 Something", Stage.FINAL_DOT, "rate_limited", PATH),
        ("550 Your account has reached its hourly limit", Stage.RCPT_TO, "rate_limited", PATH),
        # The provider's: never burns the message, whatever the code.
        ("421 4.3.0 Closing", Stage.FINAL_DOT, "connection", PATH),
        ("421 Idle too long", Stage.MAIL_FROM, "connection", PATH),
        ("421 4.2.1 Mailbox full", Stage.RCPT_TO, "connection", PATH),
        ("451 4.4.2 Timeout - closing connection", Stage.RCPT_TO, "connection", PATH),
        ("452 4.3.1 Insufficient system storage", Stage.MAIL_FROM, "connection", PATH),
        ("452 4.3.1 Something", Stage.MAIL_FROM, "connection", PATH),
        ("554 No SMTP service here", Stage.BANNER, "connection", PATH),
        ("554 Your IP address is listed at a DNSBL", Stage.BANNER, "reputation", PATH),
        ("450 Too many connections", Stage.BANNER, "rate_limited", PATH),
        ("550 5.7.1 Bad HELO", Stage.EHLO, "connection", PATH),
        ("454 4.7.0 TLS not available", Stage.TLS, "tls", PATH),
        ("454 4.7.0 TLS not available", Stage.MAIL_FROM, "tls", PATH),
        ("530 5.7.0 Must issue a STARTTLS command first", Stage.MAIL_FROM, "tls", PATH),
        ("550 5.7.10 Something", Stage.MAIL_FROM, "tls", PATH),
        ("535 5.7.8 Bad credentials", Stage.AUTH, "auth", PATH),
        ("550 No", Stage.AUTH, "auth", PATH),
        ("454 4.7.0 Temporary failure", Stage.AUTH, "auth", PATH),
        ("454 4.7.0 Something", Stage.MAIL_FROM, "auth", PATH),
        ("530 5.7.0 Authentication required", Stage.MAIL_FROM, "auth", PATH),
        ("530 5.7.0 Authentication required", Stage.RCPT_TO, "auth", PATH),
        ("550 5.7.57 Something", Stage.MAIL_FROM, "auth", PATH),
        ("521 Host does not accept mail", Stage.BANNER, "connection", PATH),
        ("521 Something", Stage.RCPT_TO, "connection", PATH),
        # The next hop's, which every provider meets alike.
        ("451 4.4.1 No answer from the host", Stage.RCPT_TO, "connection", BURNS),
        ("451 4.4.3 Something", Stage.RCPT_TO, "dns", BURNS),
        ("554 5.4.6 Mail loop", Stage.FINAL_DOT, "connection", FOREVER),
        ("550 4.4.7 Message expired", Stage.FINAL_DOT, "timeout", FOREVER),
        # Not understood, or not said.
        ("500 Syntax error", Stage.MAIL_FROM, "protocol", FOREVER),
        ("503 Need MAIL first, no such user", Stage.RCPT_TO, "protocol", FOREVER),
        ("555 Parameter not recognised", Stage.MAIL_FROM, "protocol", FOREVER),
        ("554 Transaction failed", Stage.FINAL_DOT, "unknown", FOREVER),
        ("451 Local problem", Stage.FINAL_DOT, "unknown", BURNS),
        ("451 4.3.0 Temporary failure, try again later", Stage.RCPT_TO, "unknown", BURNS),
        ("451 4.3.2 Something", Stage.RCPT_TO, "unknown", BURNS),
        ("550 5.9.9 New in a later RFC", Stage.RCPT_TO, "invalid_recipient", FOREVER),
        ("550 Refused", Stage.RCPT_TO, "policy", FOREVER),
        # No refusal at all, where one was not expected either.
        ("250 OK", Stage.DATA, "protocol", PATH),
        ("354 Go on", Stage.FINAL_DOT, "protocol", PATH),
    ],
)  # fmt: skip
def test_it_classifies(line, stage, error_class, follows):
    verdict = classify(parse([line]), stage)
    assert (verdict.error_class, consequence(verdict)) == (ErrorClass(error_class), follows)


@pytest.mark.proves("deliver-replies")
@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ("550 5.1.1 User unknown", Fault.RECIPIENT),
        ("450 4.7.1 The recipient is receiving mail too quickly", Fault.RECIPIENT),
        ("450 4.7.1 Sending rate exceeded", Fault.US),
        ("550 5.7.1 Refused due to recipient preferences", Fault.RECIPIENT),
        ("550 5.7.1 Refused for policy reasons", Fault.US),
        ("550 5.6.1 Unknown charset", Fault.MESSAGE),
        ("530 Authentication required", Fault.US),
        ("530 Must issue a STARTTLS command first", Fault.US),
        ("454 4.7.0 TLS not available", Fault.PROVIDER),
        ("421 4.3.2 Shutting down", Fault.PROVIDER),
        ("451 4.4.1 No answer from the host", Fault.RECIPIENT),
    ],
)
def test_it_says_whose_fault_it_is(line, fault):
    assert classify(parse([line]), Stage.RCPT_TO).fault is fault


@pytest.mark.parametrize(
    ("text", "error_class"),
    [
        # An enhanced code that does not stand at the beginning.
        ("550 '5.1.1 <a@example.com>... Something'", "invalid_recipient"),
        ("550 Sorry (#5.1.1)", "invalid_recipient"),
        ("550 [#5.1.1]", "invalid_recipient"),
        ("550 550 5.1.1 Something", "invalid_recipient"),
        ("550 host mx.example.com said: 550-5.1.1 Something", "invalid_recipient"),
        ("550 #5.1.1 Something", "invalid_recipient"),
        # What looks like one.
        ("554 5.1.1.1 is not welcome", "unknown"),
        ("554 [5.1.1.7] is not welcome", "unknown"),
        ("554 (5.1.1.7) is not welcome", "unknown"),
        ("554 mx version 5.1.1 says no", "unknown"),
        ("554 (mx/5.1.1) says no", "unknown"),
        ("554 at 05:5.1.1 o'clock", "unknown"),
        ("554 2024.5.1.1", "unknown"),
    ],
)
def test_it_finds_the_enhanced_code_inside_the_text(text, error_class):
    assert classify(parse([text]), Stage.RCPT_TO).error_class == error_class


def test_a_phrase_may_run_over_several_lines():
    lines = ["550-5.7.1 This is about a user", "550 5.7.1 that does not exist here"]
    assert classify(parse(lines), Stage.RCPT_TO).suppresses


@pytest.mark.parametrize(
    ("line", "seconds"),
    [
        ("450 4.7.1 Rate limited, try again in 60 seconds", 60),
        ("451 4.7.1 Please try again in 5 minutes", 300),
        ("451 Retry in 2 hours", 7200),
        ("451 Retry-After: 30", 30),
        ("451 Greylisted for 300 secs", 300),
        ("451 4.7.1 Greylisting in action, please come back in 00:04:59", 299),
        ("450 Please wait 1 min before trying", 60),
        ("421 Deferred, reconnect after 90s", 90),
        ("451 Try again in 40 days or in 900 hours", 86400),
        ("451 Try again in 0 seconds", None),
        ("451 Try again later", None),
        ("451 Try again later, 5 users waited", None),
        ("451 More than 100 messages in 60 seconds", None),
        ("451 Connection timed out after 30 seconds", None),
        ("550 Blocked for 24 hours", None),  # permanent: there is nothing to wait for
        ("550 5.7.28 Slow down, retry in 10 minutes", 600),  # the path's fault: there is
    ],
)
def test_it_reads_when_to_come_again(line, seconds):
    assert classify(parse([line]), Stage.RCPT_TO).retry_after_seconds == seconds


@pytest.mark.parametrize("error_class", list(ErrorClass))
def test_trouble_without_a_reply_is_the_paths(error_class):
    verdict = of_contact(error_class)
    assert verdict.error_class is error_class
    assert consequence(verdict) == PATH
    assert verdict.retry_after_seconds is None


@settings(deadline=None)
@given(
    st.builds(
        Reply,
        st.integers(200, 599),
        st.none() | st.from_regex(r"[245]\.[0-9]{1,3}\.[0-9]{1,3}", fullmatch=True),
        st.text(max_size=2000)
        | st.lists(
            st.sampled_from(["user", "unknown", "@", ":", "5.1.1", "550-", "again", "in", "9 s",
                             "not", "found", "\n", "(", "'", "http://", "İ", "ß", "1:00:00"]),
            max_size=400,
        ).map(" ".join),
    ),
    st.sampled_from(Stage),
)  # fmt: skip
def test_any_reply_gets_a_verdict_that_does_not_contradict_itself(reply, stage):
    verdict = classify(reply, stage)
    consequence(verdict)
    assert not (verdict.is_permanent and reply.code < 500)
    assert not (verdict.suppresses and reply.code < 400)
    assert verdict.retry_after_seconds is None or 1 <= verdict.retry_after_seconds <= 86400


@pytest.mark.parametrize(
    "piece",
    ["x", "a ", "user @ ", "5.1.1", "again ", "9", "again 1:", "(in reply to ", "'", ": ", "\n",
     "in 9 ", "again in 99 ", "invalid email e mail mail ", "retry-after: ", "550-", "no such"],
)  # fmt: skip
def test_it_takes_no_time_over_the_worst_texts(piece):
    """An expression that backtracks would not come to an end within a person's patience."""
    text = (piece * 2000)[:2000]
    for code in (450, 550):
        classify(Reply(code, None, text), Stage.RCPT_TO)


def test_the_document_names_every_class():
    document = (Path(__file__).parents[2] / "docs/replies.md").read_text(encoding="utf-8")
    assert [name for name in ErrorClass if f"| `{name}` |" not in document] == []


def test_it_names_stages_as_people_do():
    assert Stage.RCPT_TO.words == "RCPT TO"
    assert Stage.FINAL_DOT.words == "FINAL DOT"
