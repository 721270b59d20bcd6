"""One message's dialogue with servers that refuse it, forget it, or leave in the middle."""

import threading

import pytest

from maild.transports.smtp import ErrorClass, Stage, Timeouts

MESSAGE = b"Subject: Hi\r\n\r\nHello\r\n"


def send(connection, message=MESSAGE):
    return connection.send("ann@example.com", "bob@example.org", lambda capabilities: message)


def flags(outcome) -> set[str]:
    """Which of the outcome's yes-or-no answers are yes."""
    names = ("accepted", "is_permanent", "is_unknown", "is_stale")
    return {name for name in names if getattr(outcome, name)}


def welcome(peer, until: Stage) -> None:
    """Play the willing server up to `until`, and take that command without an answer."""
    for stage, verb, answer in (
        (Stage.MAIL_FROM, "MAIL", "250 OK"),
        (Stage.RCPT_TO, "RCPT", "250 OK"),
        (Stage.DATA, "DATA", "354 Go on"),
    ):
        peer.expect(verb)
        if stage is until:
            return
        peer.say(answer)
    peer.take_body()


COMMANDS = [Stage.MAIL_FROM, Stage.RCPT_TO, Stage.DATA, Stage.FINAL_DOT]


def test_it_says_exactly_this(play, connect):
    heard = []

    def script(peer):
        peer.greet("SIZE 1000")
        heard.append(peer.take_message())
        peer.part()
        heard.extend(peer.commands)

    connection = connect(play(script))
    assert send(connection, b".dots\r\n..\r\n.\r\n\r\nend.\r\n").accepted
    connection.close()
    assert heard == [
        b"..dots\r\n...\r\n..\r\n\r\nend.\r\n.\r\n",
        "EHLO client.example.com",
        "MAIL FROM:<ann@example.com> SIZE=22",
        "RCPT TO:<bob@example.org>",
        "DATA",
        "QUIT",
    ]


@pytest.mark.parametrize("stage", COMMANDS)
@pytest.mark.parametrize(
    ("reply", "error_class", "is_permanent"),
    [
        ("550 5.1.1 No such user", ErrorClass.INVALID_RECIPIENT, True),
        ("452 4.2.2 Mailbox full", ErrorClass.MAILBOX_FULL, False),
    ],
)
def test_a_refused_message_leaves_the_connection_usable(
    play, connect, stage, reply, error_class, is_permanent
):
    def script(peer):
        peer.greet("SIZE 1000")
        welcome(peer, stage)
        peer.say(reply)
        if stage is not Stage.FINAL_DOT:
            peer.answer("RSET", "250 OK")
        peer.take_message()
        peer.part()

    connection = connect(play(script))
    refused = send(connection)
    assert (refused.accepted, refused.stage, refused.error_class) == (False, stage, error_class)
    assert flags(refused) == ({"is_permanent"} if is_permanent else set())
    assert str(refused.reply) == reply
    assert refused.text == f"{reply} ({stage.words}, {refused.remote})"
    assert connection.is_usable
    assert send(connection).accepted


@pytest.mark.parametrize("stage", COMMANDS)
def test_a_421_ends_the_connection(play, connect, stage):
    def script(peer):
        peer.greet("SIZE 1000")
        welcome(peer, stage)
        peer.say("421 4.3.2 Shutting down")
        peer.wait_until_closed()

    connection = connect(play(script))
    outcome = send(connection)
    assert (outcome.stage, outcome.error_class) == (stage, ErrorClass.CONNECTION)
    # After the final dot, too: it is an answer, and it says no (RFC 5321 3.8).
    assert flags(outcome) == set()
    assert not connection.is_usable


@pytest.mark.parametrize("stage", COMMANDS)
@pytest.mark.parametrize("leave", ["close", "reset", "garbage", "silence", "half a line"])
def test_a_lost_connection_is_unknown_only_after_the_final_dot(play, connect, stage, leave):
    def script(peer):
        peer.greet("SIZE 1000")
        welcome(peer, stage)
        if leave == "reset":
            peer.reset()
        elif leave == "garbage":
            peer.say("hello?")
            peer.wait_until_closed()
        elif leave == "silence":
            peer.wait_until_closed()
        elif leave == "half a line":
            peer.connection.sendall(b"25")

    timeouts = Timeouts(command=0.5, final_dot=0.2) if leave == "silence" else Timeouts()
    connection = connect(play(script), timeouts=timeouts)
    outcome = send(connection)
    assert outcome.stage is stage
    assert outcome.error_class is {
        "garbage": ErrorClass.PROTOCOL,
        "silence": ErrorClass.TIMEOUT,
    }.get(leave, ErrorClass.CONNECTION)
    assert flags(outcome) == ({"is_unknown"} if stage is Stage.FINAL_DOT else set())
    assert ("may have been accepted" in outcome.text) == outcome.is_unknown
    assert outcome.reply is None
    assert not connection.is_usable


def test_contact_lost_while_the_body_flows_is_no_unknown_outcome(play, connect):
    def script(peer):
        peer.greet("SIZE 0")
        peer.take_envelope()
        peer.connection.recv(1000)
        peer.reset()

    connection = connect(play(script))
    outcome = send(connection, b"x" * 70 + b"\r\n" * 10_000_000)
    assert (outcome.stage, outcome.error_class) == (Stage.BODY, ErrorClass.CONNECTION)
    assert flags(outcome) == set()


def test_a_server_that_stops_reading_is_not_waited_for(play, connect):
    def script(peer):
        peer.greet("SIZE 0")
        peer.take_envelope()
        assert stopped.wait(10)

    stopped = threading.Event()
    connection = connect(play(script), timeouts=Timeouts(data_block=0.2))
    outcome = send(connection, b"\r\n" * 10_000_000)
    stopped.set()
    assert (outcome.stage, outcome.error_class) == (Stage.BODY, ErrorClass.TIMEOUT)
    assert flags(outcome) == set()


def test_an_answer_that_makes_no_sense_after_the_final_dot_is_unknown(play, connect):
    def script(peer):
        peer.greet("SIZE 1000")
        welcome(peer, Stage.FINAL_DOT)
        peer.say("354 Go on")
        peer.wait_until_closed()

    connection = connect(play(script))
    outcome = send(connection)
    assert flags(outcome) == {"is_unknown"}
    assert outcome.error_class is ErrorClass.PROTOCOL
    assert not connection.is_usable


@pytest.mark.parametrize("reply", ["250 OK", "220 Hello"])
def test_data_must_be_asked_for(play, connect, reply):
    def script(peer):
        peer.greet("SIZE 1000")
        welcome(peer, Stage.DATA)
        peer.say(reply)
        peer.wait_until_closed()

    connection = connect(play(script))
    outcome = send(connection)
    assert (outcome.stage, outcome.error_class) == (Stage.DATA, ErrorClass.PROTOCOL)
    assert flags(outcome) == set()
    assert not connection.is_usable


@pytest.mark.parametrize("ending", ["421 4.4.2 Idle for too long", None])
def test_a_reused_connection_that_was_closed_is_stale(play, connect, ending):
    def script(peer):
        peer.greet("SIZE 1000")
        peer.take_message()
        if ending:
            peer.expect("MAIL")
            peer.say(ending)

    connection = connect(play(script))
    assert send(connection).accepted
    outcome = send(connection)
    assert (outcome.stage, outcome.error_class) == (Stage.MAIL_FROM, ErrorClass.CONNECTION)
    assert flags(outcome) == {"is_stale"}
    assert not connection.is_usable


def test_a_reused_connection_that_dies_later_is_not_stale(play, connect):
    def script(peer):
        peer.greet("SIZE 1000")
        peer.take_message()
        welcome(peer, Stage.RCPT_TO)

    connection = connect(play(script))
    assert send(connection).accepted
    assert not send(connection).is_stale


def test_a_server_that_answers_twice_is_out_of_step(play, connect):
    def script(peer):
        peer.greet("SIZE 1000")
        peer.take_envelope()
        peer.take_body()
        peer.say("250 2.0.0 queued", "250 2.0.0 queued")
        peer.wait_until_closed()

    connection = connect(play(script))
    assert send(connection).accepted
    assert not connection.is_usable
    outcome = send(connection)
    assert flags(outcome) == {"is_stale"}
    assert outcome.error_class is ErrorClass.PROTOCOL


@pytest.mark.parametrize("rset", ["502 What?", None])
def test_a_refused_reset_ends_the_connection_but_not_the_outcome(play, connect, rset):
    def script(peer):
        peer.greet("SIZE 1000")
        welcome(peer, Stage.RCPT_TO)
        peer.say("550 5.1.1 No such user")
        peer.expect("RSET")
        if rset:
            peer.say(rset)
            peer.wait_until_closed()

    connection = connect(play(script))
    assert send(connection).error_class is ErrorClass.INVALID_RECIPIENT
    assert not connection.is_usable


@pytest.mark.parametrize("goodbye", ["221 Bye", "500 What?", None])
def test_closing_never_fails(play, connect, goodbye):
    def script(peer):
        peer.greet("SIZE 1000")
        peer.expect("QUIT")
        if goodbye:
            peer.say(goodbye)
        peer.wait_until_closed()

    connection = connect(play(script), timeouts=Timeouts(quit=0.2))
    connection.close()
    connection.close()
    assert not connection.is_usable


def test_8bit_is_not_forced_on_a_server(play, connect):
    def script(peer):
        peer.greet("SIZE 1000")
        peer.part()

    outcome = send(connect(play(script)), "Subject: Hi\r\n\r\nGrüße\r\n".encode())
    assert (outcome.error_class, outcome.is_permanent) == (ErrorClass.PROTOCOL, True)
    assert outcome.reply is None
