"""One message's dialogue with servers that refuse it, forget it, or leave in the middle."""

import pytest

from maild.transports.smtp import ErrorClass, Stage, Timeouts


@pytest.fixture(params=[(), ("PIPELINING",)], ids=["one by one", "pipelined"])
def extensions(request) -> tuple[str, ...]:
    """What the server offers: what comes of a message must not depend on it."""
    return ("SIZE 1000", *request.param)


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


def refuse(peer, stage: Stage, reply: str, extensions) -> None:
    """Refuse the command that was taken last, and what follows in its group."""
    peer.say(reply)
    if "PIPELINING" in extensions:
        for verb in {Stage.MAIL_FROM: ("RCPT", "DATA"), Stage.RCPT_TO: ("DATA",)}.get(stage, ()):
            peer.answer(verb, "503 5.5.1 Bad sequence of commands")


COMMANDS = [Stage.MAIL_FROM, Stage.RCPT_TO, Stage.DATA, Stage.FINAL_DOT]


@pytest.mark.proves("deliver-rfc")
def test_it_says_exactly_this(play, connect, extensions):
    bodies, commands = [], []

    def script(peer):
        peer.commands = commands
        peer.greet(*extensions)
        bodies.append(peer.take_message())
        peer.part()

    client = connect(play(script))
    assert client.send(b".dots\r\n..\r\n.\r\n\r\nend.\r\n").accepted
    client.quit()
    assert bodies == [b"..dots\r\n...\r\n..\r\n\r\nend.\r\n.\r\n"]
    assert commands == [
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
        ("552 5.3.4 Too big", ErrorClass.MESSAGE_TOO_LARGE, True),
        ("452 4.2.2 Mailbox full", ErrorClass.MAILBOX_FULL, False),
    ],
)
def test_a_refused_message_leaves_the_connection_usable(
    play, connect, extensions, stage, reply, error_class, is_permanent
):
    def script(peer):
        peer.greet(*extensions)
        welcome(peer, stage)
        refuse(peer, stage, reply, extensions)
        if stage in {Stage.RCPT_TO, Stage.DATA}:  # else the server holds nothing of the message
            peer.answer("RSET", "250 OK")
        peer.take_message()
        peer.part()

    client = connect(play(script))
    refused = client.send()
    assert (refused.accepted, refused.stage, refused.error_class) == (False, stage, error_class)
    assert (refused.verdict.error_class, refused.verdict.is_permanent) == (
        error_class,
        is_permanent,
    )
    assert flags(refused) == ({"is_permanent"} if is_permanent else set())
    assert str(refused.reply) == reply
    assert refused.text == f"{reply} ({stage.words}, {refused.remote})"
    assert stage.value in refused.timings
    assert client.connection.is_usable
    assert client.send().accepted


@pytest.mark.parametrize("stage", COMMANDS)
def test_a_421_ends_the_connection(play, connect, extensions, stage):
    def script(peer):
        peer.greet(*extensions)
        welcome(peer, stage)
        peer.say("421 4.3.2 Shutting down")
        peer.wait_until_closed()

    client = connect(play(script))
    outcome = client.send()
    assert (outcome.stage, outcome.error_class) == (stage, ErrorClass.CONNECTION)
    # After the final dot, too: it is an answer, and it says no (RFC 5321 3.8).
    assert flags(outcome) == set()
    assert not client.connection.is_usable


@pytest.mark.parametrize("stage", COMMANDS)
@pytest.mark.parametrize("leave", ["close", "reset", "garbage", "silence", "half a line"])
def test_a_lost_connection_is_unknown_only_after_the_final_dot(
    play, connect, extensions, stage, leave
):
    def script(peer):
        peer.greet(*extensions)
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
    client = connect(play(script), timeouts=timeouts)
    outcome = client.send()
    assert outcome.stage is stage
    assert outcome.error_class is {
        "garbage": ErrorClass.PROTOCOL,
        "silence": ErrorClass.TIMEOUT,
    }.get(leave, ErrorClass.CONNECTION)
    assert flags(outcome) == ({"is_unknown"} if stage is Stage.FINAL_DOT else set())
    assert ("may have been accepted" in outcome.text) == outcome.is_unknown
    assert outcome.reply is None
    assert not client.connection.is_usable


def test_an_answer_that_makes_no_sense_after_the_final_dot_is_unknown(play, connect, extensions):
    def script(peer):
        peer.greet(*extensions)
        welcome(peer, Stage.FINAL_DOT)
        peer.say("354 Go on")
        peer.wait_until_closed()

    client = connect(play(script))
    outcome = client.send()
    assert flags(outcome) == {"is_unknown"}
    assert outcome.error_class is ErrorClass.PROTOCOL
    assert not client.connection.is_usable


@pytest.mark.parametrize("reply", ["250 OK", "220 Hello"])
def test_data_must_be_asked_for(play, connect, extensions, reply):
    def script(peer):
        peer.greet(*extensions)
        welcome(peer, Stage.DATA)
        peer.say(reply)
        peer.wait_until_closed()

    client = connect(play(script))
    outcome = client.send()
    assert (outcome.stage, outcome.error_class) == (Stage.DATA, ErrorClass.PROTOCOL)
    assert flags(outcome) == set()
    assert not client.connection.is_usable


@pytest.mark.parametrize("ending", ["421 4.4.2 Idle for too long", None])
def test_a_reused_connection_that_was_closed_is_stale(play, connect, extensions, ending):
    def script(peer):
        peer.greet(*extensions)
        peer.take_message()
        peer.expect("MAIL")
        if ending:
            peer.say(ending)

    client = connect(play(script))
    assert client.send().accepted
    outcome = client.send()
    assert (outcome.stage, outcome.error_class) == (Stage.MAIL_FROM, ErrorClass.CONNECTION)
    assert flags(outcome) == {"is_stale"}
    assert not client.connection.is_usable


def test_a_reused_connection_that_dies_later_is_not_stale(play, connect, extensions):
    def script(peer):
        peer.greet(*extensions)
        peer.take_message()
        welcome(peer, Stage.RCPT_TO)

    client = connect(play(script))
    assert client.send().accepted
    assert not client.send().is_stale


def test_a_server_that_answers_twice_is_out_of_step(play, connect, extensions):
    def script(peer):
        peer.greet(*extensions)
        peer.take_envelope()
        peer.take_body()
        peer.say("250 2.0.0 queued", "250 2.0.0 queued")
        peer.wait_until_closed()

    client = connect(play(script))
    assert client.send().accepted
    client.run_until(lambda: "closed" in client.events)


def test_half_an_answer_too_many_is_out_of_step(play, connect, extensions):
    def script(peer):
        peer.greet(*extensions)
        peer.take_envelope()
        peer.take_body()
        peer.connection.sendall(b"250 2.0.0 queued\r\n250 2.0")
        peer.wait_until_closed()

    client = connect(play(script))
    assert client.send().accepted
    client.run_until(lambda: "closed" in client.events)


@pytest.mark.parametrize("last_words", ["421 4.4.2 Idle for too long", "250 Hello?", None])
def test_an_idle_connection_closes_quietly(play, connect, extensions, last_words):
    def script(peer):
        peer.greet(*extensions)
        peer.take_message()
        if last_words:
            peer.say(last_words)

    client = connect(play(script))
    client.send()
    client.run_until(lambda: "closed" in client.events)
    assert client.events[:2] == ["go ahead", "done"]
    assert not client.connection.is_idle
    with pytest.raises(RuntimeError):
        client.begin(client.offer())


@pytest.mark.parametrize("rset", ["502 What?", "354 Go on", "421 Bye", "hello", None])
def test_a_refused_reset_is_not_the_next_messages_fault(play, connect, extensions, rset):
    def script(peer):
        peer.greet(*extensions)
        welcome(peer, Stage.RCPT_TO)
        refuse(peer, Stage.RCPT_TO, "550 5.1.1 No such user", extensions)
        peer.expect("RSET")
        if rset:
            peer.say(rset)
            peer.wait_until_closed()

    client = connect(play(script))
    assert client.send().error_class is ErrorClass.INVALID_RECIPIENT
    assert client.connection.is_idle
    outcome = client.send()
    assert (outcome.stage, flags(outcome)) == (Stage.MAIL_FROM, {"is_stale"})
    assert outcome.verdict is None
    assert not client.connection.is_usable


@pytest.mark.parametrize("goodbye", ["221 Bye", "500 What?", "421 Bye", "hello", "close", None])
def test_closing_never_fails(play, connect, goodbye):
    def script(peer):
        peer.greet()
        peer.expect("QUIT")
        if goodbye != "close":
            if goodbye:
                peer.say(goodbye)
            peer.wait_until_closed()

    client = connect(play(script), timeouts=Timeouts(quit=0.2))
    client.quit()
    client.do(client.connection.quit)
    client.do(client.connection.abort)
    assert client.events == ["closed"]


def test_it_does_not_leave_in_the_middle_of_a_message(play, connect, extensions):
    def script(peer):
        peer.greet(*extensions)
        peer.take_message()
        peer.part()

    client = connect(play(script))
    with pytest.raises(RuntimeError):
        client.do(client.connection.finish)
    offer = client.offer()
    client.at_go_ahead = lambda connection, offer: None
    client.begin(offer)
    client.run_until(lambda: "go ahead" in client.events)
    with pytest.raises(RuntimeError):
        client.do(client.connection.quit)
    with pytest.raises(RuntimeError):
        client.begin(client.offer())
    client.do(client.connection.finish)
    client.settle()
    assert client.outcomes[offer].accepted


def test_the_owner_may_take_its_time(play, connect):
    def script(peer):
        peer.greet()
        peer.take_message()
        peer.part()

    client = connect(play(script), timeouts=Timeouts(command=0.5, data_block=0.5))
    client.at_go_ahead = lambda connection, offer: connection._loop.call_later(
        0.6, connection.finish
    )
    assert client.send().accepted


def test_a_reply_may_come_in_pieces_and_lines(play, connect, extensions):
    def script(peer):
        peer.greet(*extensions)
        peer.answer("MAIL", "250-2.1.0 Sender", "250 2.1.0 OK")
        peer.answer("RCPT", "250")
        peer.expect("DATA")
        for octet in b"354-Go\r\n354 on\n":
            peer.connection.sendall(bytes([octet]))
        peer.take_body()
        peer.say("250-2.0.0 queued", "250 2.0.0 as 1")
        peer.part()

    client = connect(play(script))
    outcome = client.send()
    assert outcome.accepted
    assert (outcome.reply.enhanced_code, outcome.reply.text) == ("2.0.0", "queued\nas 1")
