"""Messages larger than what leaves in one go: their end waits for the owner, behind nothing."""

import threading

import pytest

from maild.transports.smtp import ErrorClass, Stage, Timeouts

LARGE = b"Subject: Hi\r\n\r\n" + b".dots\r\n" * 10_000
STUFFED = LARGE.replace(b"\r\n.", b"\r\n..")
HUGE = b"Subject: Hi\r\n\r\n" + b"0123456789abcde\r\n" * 1_200_000  # more than any socket buffers


def flags(outcome) -> set[str]:
    names = ("accepted", "is_permanent", "is_unknown", "is_stale")
    return {name for name in names if getattr(outcome, name)}


@pytest.mark.parametrize("is_encrypted", [False, True])
@pytest.mark.parametrize("message", [LARGE, HUGE], ids=["large", "huge"])
def test_the_end_waits_for_the_owner(play, connect, certificates, is_encrypted, message):
    stuffed = message.replace(b"\r\n.", b"\r\n..")

    def script(peer):
        if is_encrypted:
            peer.start_tls(certificates.server)
        peer.greet("PIPELINING")
        peer.take_group("MAIL", "RCPT", "DATA")
        peer.say("250 OK", "250 OK", "354 Go on")
        assert peer.take_octets(len(stuffed)) == stuffed
        is_taken.set()
        assert is_asked.wait(10)
        peer.expect_nothing_more()
        is_checked.set()
        peer.take_group("MAIL", "RCPT", "DATA", after=b".\r\n")
        peer.say("250 2.0.0 queued", "250 OK", "250 OK", "354 Go on")
        assert peer.take_octets(len(stuffed) + 3) == stuffed + b".\r\n"
        peer.say("250 2.0.0 queued")
        peer.part()

    is_taken, is_asked, is_checked = (threading.Event() for _ in range(3))
    client = connect(
        play(script),
        security="tls" if is_encrypted else "auto",
        ssl_context=certificates.client,
    )
    client.at_go_ahead = lambda connection, offer: is_asked.set()
    offers = client.offer(message, name="1"), client.offer(message, name="2")
    client.begin(*offers)
    client.run_until(lambda: "go ahead 1" in client.events)
    assert is_checked.wait(10)
    assert is_taken.is_set()
    client.at_go_ahead = client.finish
    client.do(lambda: client.finish(client.connection, offers[0]))
    client.settle()
    assert [flags(client.outcomes[offer]) for offer in offers] == [{"accepted"}] * 2


@pytest.mark.parametrize("ending", ["close", "reset", "552 5.3.4 Too big", "421 4.3.2 Bye"])
def test_contact_lost_while_the_content_flows_is_no_unknown_outcome(play, connect, ending):
    def script(peer):
        peer.greet("SIZE 0")
        peer.take_envelope()
        peer.take_octets(1000)
        if ending[0].isdigit():
            peer.say(ending)
        if ending != "close":
            peer.reset()

    outcome = connect(play(script)).send(HUGE)
    assert outcome.stage is Stage.BODY
    if ending.startswith("552"):
        assert outcome.error_class is ErrorClass.MESSAGE_TOO_LARGE
        assert flags(outcome) == {"is_permanent"}
    else:
        assert outcome.error_class is ErrorClass.CONNECTION
        assert flags(outcome) == set()
        assert outcome.verdict.is_path_fault


@pytest.mark.parametrize("is_encrypted", [False, True])
def test_a_server_that_stops_reading_is_not_waited_for(play, connect, certificates, is_encrypted):
    def script(peer):
        if is_encrypted:
            peer.start_tls(certificates.server)
        peer.greet("SIZE 0")
        peer.take_envelope()
        assert has_stopped.wait(10)

    has_stopped = threading.Event()
    client = connect(
        play(script),
        timeouts=Timeouts(data_block=0.2),
        security="tls" if is_encrypted else "auto",
        ssl_context=certificates.client,
    )
    outcome = client.send(HUGE)
    has_stopped.set()
    assert (outcome.stage, outcome.error_class) == (Stage.BODY, ErrorClass.TIMEOUT)
    assert flags(outcome) == set()
    assert "go ahead" not in client.events


def test_a_large_message_can_be_given_up_on_its_way(play, connect):
    def script(peer):
        peer.greet("PIPELINING")
        peer.take_envelope()
        peer.take_octets(1000)
        is_flowing.set()
        assert is_given_up.wait(10)
        peer.wait_until_closed()

    is_flowing, is_given_up = threading.Event(), threading.Event()
    client = connect(play(script))
    offer = client.offer(HUGE)
    client.begin(offer)
    client.wait_for(is_flowing)
    client.do(client.connection.abort)
    is_given_up.set()
    client.settle()
    assert (client.outcomes[offer].stage, flags(client.outcomes[offer])) == (
        Stage.BODY,
        {"is_stale"},
    )
    assert client.events == ["done", "closed"]


def test_an_answer_in_the_middle_of_a_line_is_waited_for(play, connect):
    def script(peer):
        peer.greet("PIPELINING")
        peer.take_group("MAIL", "RCPT", "DATA")
        peer.say("250 OK", "250 OK")
        peer.connection.sendall(b"354 Go on\r\n552 5.3.4 To")
        peer.take_octets(len(STUFFED))
        peer.say("o big")
        peer.wait_until_closed()

    client = connect(play(script))
    outcome = client.send(LARGE)
    assert (outcome.stage, str(outcome.reply)) == (Stage.BODY, "552 5.3.4 Too big")
    assert client.events == ["done", "closed"]
