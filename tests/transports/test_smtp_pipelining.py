"""Messages in groups (RFC 2920): what leaves together, and whose each reply and each loss is."""

import threading

import pytest

from maild.transports.smtp import ErrorClass, Stage

ENVELOPE = ("MAIL", "RCPT", "DATA")
BODY = b"Subject: Hi\r\n\r\nHello\r\n"
END = BODY + b".\r\n"


def flags(outcome) -> set[str]:
    names = ("accepted", "is_permanent", "is_unknown", "is_stale")
    return {name for name in names if getattr(outcome, name)}


def pair(client):
    return client.offer(name="1"), client.offer(name="2")


@pytest.mark.proves("deliver-rfc")
def test_a_group_leaves_before_any_reply(play, connect):
    def script(peer):
        peer.greet("PIPELINING")
        peer.take_group(*ENVELOPE)
        peer.say("250 OK", "250 OK", "354 Go on")
        # The next envelope is begun with the end of the message before it.
        peer.take_group(*ENVELOPE, after=END)
        peer.say("250 2.0.0 one", "250 OK", "250 OK", "354 Go on")
        assert peer.take_body() == END
        peer.expect_nothing_more()
        peer.say("250 2.0.0 two")
        peer.part()

    client = connect(play(script))
    one, two = client.send_all(*pair(client))
    assert (str(one.reply), str(two.reply)) == ("250 2.0.0 one", "250 2.0.0 two")
    assert client.events == ["go ahead 1", "done 1", "go ahead 2", "done 2", "idle"]
    assert list(two.timings) == ["mail_from", "rcpt_to", "data", "body", "final_dot"]


def test_commands_go_one_by_one_where_groups_are_not_offered(play, connect):
    def script(peer):
        peer.greet("SIZE 1000")
        for _ in range(2):
            for verb, reply in zip(ENVELOPE, ("250 OK", "250 OK", "354 Go on"), strict=True):
                peer.expect(verb)
                peer.expect_nothing_more()
                peer.say(reply)
            assert peer.take_body() == END
            peer.expect_nothing_more()
            peer.say("250 2.0.0 queued")
        peer.part()

    client = connect(play(script))
    one, two = client.send_all(*pair(client))
    assert (one.accepted, two.accepted) == (True, True)
    assert client.events == ["go ahead 1", "done 1", "go ahead 2", "done 2", "idle"]


def test_a_refused_recipient_is_cleared_with_the_next_group(play, connect):
    def script(peer):
        peer.greet("PIPELINING")
        peer.take_group(*ENVELOPE)
        peer.say("250 OK", "550 5.1.1 No such user", "554 5.5.1 No valid recipients")
        peer.take_group("RSET", *ENVELOPE)
        peer.say("250 OK", "250 OK", "250 OK", "354 Go on")
        peer.take_group(*ENVELOPE, after=END)
        peer.say("250 2.0.0 queued", "550 5.7.1 Not you", "503 What?", "503 What?")
        peer.take_group(*ENVELOPE)
        peer.say("250 OK", "250 OK", "354 Go on")
        peer.take_body()
        peer.say("250 2.0.0 queued")
        peer.part()

    client = connect(play(script))
    first = client.send()
    assert (first.stage, str(first.reply)) == (Stage.RCPT_TO, "550 5.1.1 No such user")
    assert list(first.timings)[-2:] == ["mail_from", "rcpt_to"]
    second, third = client.send_all(*pair(client))
    assert second.accepted
    assert (third.stage, str(third.reply)) == (Stage.MAIL_FROM, "550 5.7.1 Not you")
    assert client.send().accepted


@pytest.mark.parametrize("answer", ["554 5.5.1 No valid recipients", "250 OK"])
@pytest.mark.parametrize("refused", [Stage.MAIL_FROM, Stage.RCPT_TO])
def test_a_go_ahead_without_recipients_gets_a_lone_dot(play, connect, refused, answer):
    def script(peer):
        peer.greet("PIPELINING")
        peer.take_group(*ENVELOPE)
        is_mail = refused is Stage.MAIL_FROM
        peer.say(
            "550 5.7.1 No" if is_mail else "250 OK", "503 What?" if is_mail else "550 5.7.1 No"
        )
        peer.say("354 Go on")
        assert peer.take_octets(3) == b".\r\n"
        peer.expect_nothing_more()
        is_told.wait(10)
        peer.say(answer)
        peer.take_group(*ENVELOPE)  # nothing is left to be reset
        peer.say("250 OK", "250 OK", "354 Go on")
        peer.take_body()
        peer.say("250 2.0.0 queued")
        peer.part()

    is_told = threading.Event()
    client = connect(play(script))
    offer = client.offer()
    client.begin(offer)
    client.run_until(lambda: offer in client.outcomes)
    assert client.events == ["done"]
    assert not client.connection.is_idle
    is_told.set()
    client.settle()
    assert client.events == ["done", "idle"]
    outcome = client.outcomes[offer]
    assert (outcome.stage, str(outcome.reply)) == (refused, "550 5.7.1 No")
    assert client.send().accepted


@pytest.mark.parametrize("ending", ["421 4.3.2 Bye", "354 Go on", "hello", None])
def test_what_follows_a_refusal_does_not_change_it(play, connect, ending):
    def script(peer):
        peer.greet("PIPELINING")
        peer.take_group(*ENVELOPE)
        peer.say("250 OK", "550 5.1.1 No such user")
        if ending == "354 Go on":  # and then nothing to the lone dot
            peer.say(ending)
            peer.take_octets(3)
        elif ending:
            peer.say(ending)
            peer.wait_until_closed()

    client = connect(play(script))
    outcome = client.send()
    assert (outcome.stage, str(outcome.reply)) == (Stage.RCPT_TO, "550 5.1.1 No such user")
    assert flags(outcome) == {"is_permanent"}
    assert outcome.verdict.suppresses
    client.run_until(lambda: "closed" in client.events)


def test_a_refused_message_does_not_touch_the_one_behind_it(play, connect):
    def script(peer):
        peer.greet("PIPELINING")
        peer.take_envelope()
        peer.take_group(*ENVELOPE, after=END)
        peer.say("554 5.7.1 Spam", "250 OK", "250 OK", "354 Go on")
        assert peer.take_body() == END
        peer.say("250 2.0.0 queued")
        peer.part()

    client = connect(play(script))
    refused, accepted = client.send_all(*pair(client))
    assert (refused.stage, refused.error_class) == (Stage.FINAL_DOT, ErrorClass.SPAM_CONTENT)
    assert accepted.accepted


SECOND = ["250 2.0.0 queued", "250 OK", "250 OK"]
"""What a willing server says to the end of the first message, and to the second one's MAIL and
RCPT."""


@pytest.mark.parametrize("leave", ["close", "reset", "421", "garbage", "half a line"])
@pytest.mark.parametrize(
    ("said", "first", "stage", "second"),
    [
        (0, {"is_unknown"}, Stage.MAIL_FROM, {"is_stale"}),
        (1, {"accepted"}, Stage.MAIL_FROM, {"is_stale"}),
        (2, {"accepted"}, Stage.RCPT_TO, set()),
        (3, {"accepted"}, Stage.DATA, set()),
    ],
)
def test_a_pair_is_lost_in_order(play, connect, leave, said, first, stage, second):
    def script(peer):
        peer.greet("PIPELINING")
        peer.take_envelope()
        peer.take_group(*ENVELOPE, after=END)
        peer.say(*SECOND[:said])
        if leave == "reset":
            peer.reset()
        elif leave == "half a line":
            peer.connection.sendall(b"250")
        elif leave != "close":
            peer.say({"421": "421 4.3.2 Bye", "garbage": "250OK"}[leave])
            peer.wait_until_closed()

    client = connect(play(script))
    one, two = client.send_all(*pair(client))
    if leave == "421" and said == 0:  # it is an answer, and it says no (RFC 5321 3.8)
        first = set()
        assert one.verdict.is_path_fault
    assert (flags(one), flags(two), two.stage) == (first, second, stage)
    assert (two.verdict is None) == two.is_stale
    assert client.events == ["go ahead 1", "done 1", "done 2", "closed"]


@pytest.mark.parametrize(
    "said", [["250 OK"] * 5, ["250 2.0.0 queued", "250 OK", "250 OK", "250 OK"]]
)
def test_replies_out_of_step_are_nobodys_acceptance(play, connect, said):
    def script(peer):
        peer.greet("PIPELINING")
        peer.take_envelope()
        peer.take_group(*ENVELOPE, after=END)
        peer.say(*said)
        peer.wait_until_closed()

    client = connect(play(script))
    one, two = client.send_all(*pair(client))
    assert one.accepted
    assert (two.stage, two.error_class, flags(two)) == (Stage.DATA, ErrorClass.PROTOCOL, set())


@pytest.mark.parametrize("last_words", ["421 4.3.2 Bye", "552 5.3.4 Too big", "250 OK"])
@pytest.mark.parametrize("is_together", [True, False])
def test_an_answer_ahead_of_the_message_is_its_answer(play, connect, last_words, is_together):
    def script(peer):
        peer.greet("PIPELINING")
        peer.take_group(*ENVELOPE)
        if is_together:
            peer.say("250 OK", "250 OK", "354 Go on", last_words)
        else:
            peer.say("250 OK", "250 OK", "354 Go on")
            assert is_waiting.wait(10)
            peer.say(last_words)
        peer.wait_until_closed()

    is_waiting = threading.Event()
    client = connect(play(script))
    client.at_go_ahead = lambda connection, offer: is_waiting.set()
    outcome = client.send()
    assert (outcome.stage, str(outcome.reply)) == (Stage.BODY, last_words)
    assert flags(outcome) == ({"is_permanent"} if last_words.startswith("5") else set())
    assert outcome.error_class is {
        "4": ErrorClass.CONNECTION,
        "5": ErrorClass.MESSAGE_TOO_LARGE,
        "2": ErrorClass.PROTOCOL,
    }.get(last_words[0])
    assert client.events == [*([] if is_together else ["go ahead"]), "done", "closed"]


def test_last_words_are_read_before_a_reset_is_believed(play, connect):
    def script(peer):
        peer.greet("PIPELINING")
        peer.take_envelope()
        assert is_waiting.wait(10)
        peer.say("421 4.3.2 Bye")
        peer.reset()
        is_said.set()

    is_waiting, is_said = threading.Event(), threading.Event()
    client = connect(play(script))

    def finish_on_a_dead_connection(connection, offer):
        is_waiting.set()
        assert is_said.wait(10)  # without a look at what has come
        client.finish(connection, offer)

    client.at_go_ahead = finish_on_a_dead_connection
    one, two = client.send_all(*pair(client))
    assert str(one.reply) == "421 4.3.2 Bye"
    assert (one.stage, flags(one)) == (Stage.BODY, set())  # its end has never left
    assert flags(two) == {"is_stale"}


# Giving up


@pytest.mark.parametrize("extensions", [["PIPELINING"], ["SIZE 1000"]])
def test_a_message_given_up_before_its_go_ahead_is_stale(play, connect, extensions):
    def script(peer):
        peer.greet(*extensions)
        peer.expect("MAIL")
        is_heard.set()
        peer.wait_until_closed()

    is_heard = threading.Event()
    client = connect(play(script))
    offer = client.offer()
    client.begin(offer)
    client.wait_for(is_heard)
    client.do(client.connection.abort)
    client.settle()
    assert flags(client.outcomes[offer]) == {"is_stale"}
    assert client.outcomes[offer].verdict is None
    assert client.events == ["done", "closed"]


def test_a_message_given_up_at_its_go_ahead_is_stale(play, connect):
    def script(peer):
        peer.greet("PIPELINING")
        peer.take_envelope()
        peer.wait_until_closed()
        peer.expect_nothing_more()

    client = connect(play(script))
    client.at_go_ahead = lambda connection, offer: connection.abort()
    outcome = client.send()
    assert (outcome.stage, flags(outcome)) == (Stage.BODY, {"is_stale"})
    assert client.events == ["go ahead", "done", "closed"]


def test_what_is_finished_too_late_is_stale(play, connect):
    def script(peer):
        peer.greet("PIPELINING")
        peer.take_envelope()
        peer.wait_until_closed()

    def abort_and_finish(connection, offer):
        connection.abort()
        client.finish(connection, offer)

    client = connect(play(script))
    client.at_go_ahead = abort_and_finish
    assert [flags(outcome) for outcome in client.send_all(*pair(client))] == [{"is_stale"}] * 2
    assert client.events == ["go ahead 1", "done 1", "done 2", "closed"]


@pytest.mark.parametrize("extensions", [["PIPELINING"], ["SIZE 1000"]])
def test_a_message_given_up_after_its_end_is_unknown(play, connect, extensions):
    def script(peer):
        peer.greet(*extensions)
        peer.take_envelope()
        peer.take_body()
        is_heard.set()
        peer.wait_until_closed()

    is_heard = threading.Event()
    client = connect(play(script))
    one, two = pair(client)
    client.begin(one, two)
    client.wait_for(is_heard)
    client.do(client.connection.abort)
    client.settle()
    assert flags(client.outcomes[one]) == {"is_unknown"}
    assert flags(client.outcomes[two]) == {"is_stale"}


def test_a_refused_message_that_is_given_up_is_refused(play, connect):
    def script(peer):
        peer.greet("PIPELINING")
        peer.take_group(*ENVELOPE)
        peer.say("250 OK", "550 5.1.1 No such user")
        is_said.set()
        peer.wait_until_closed()

    is_said = threading.Event()
    client = connect(play(script))
    offer = client.offer()
    client.begin(offer)
    client.wait_for(is_said)
    client.do(lambda: None)  # one turn of the loop, which reads what is there
    assert client.events == []
    client.do(client.connection.abort)
    client.settle()
    assert flags(client.outcomes[offer]) == {"is_permanent"}


def test_an_owner_that_fails_loses_the_connection_and_nothing_else(play, connect, loop):
    def script(peer):
        peer.greet("PIPELINING")
        peer.take_envelope()
        peer.wait_until_closed()

    def fail(connection, offer):
        raise LookupError("no lease")

    contexts = []
    loop.set_exception_handler(lambda _, context: contexts.append(context))
    client = connect(play(script))
    client.at_go_ahead = fail
    outcome = client.send()
    assert (outcome.stage, flags(outcome)) == (Stage.BODY, set())
    assert [str(context["exception"]) for context in contexts] == ["no lease"]
