"""One lookup, and only addresses that the guard permits; dials against real sockets."""

import socket
from ipaddress import ip_network

import pytest

from maild.domain.networks import Guard
from maild.domain.smtp_reply import ErrorClass, Stage
from maild.transports import smtp
from maild.transports.lookup import LookupFailed, look_up
from maild.transports.smtp import ConnectFailed

STRICT = Guard()
LOOPBACK = Guard((ip_network("127.0.0.0/8"), ip_network("::1/128")))


@pytest.fixture
def answers(monkeypatch):
    """`answers([...], [...])`: what the resolver says to one question after the other."""

    def script(*sets):
        questions = []

        def getaddrinfo(host, port, *arguments, **options):
            questions.append(host)
            found = sets[min(len(questions), len(sets)) - 1]
            return [_entry(address, port) for address in found]

        monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
        return questions

    return script


def _entry(address, port):
    if ":" in address:
        return (socket.AF_INET6, socket.SOCK_STREAM, 6, "", (address, port, 0, 0))
    return (socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))


@pytest.fixture
def dials(monkeypatch):
    """The addresses that were dialled; nobody answers there."""
    tried = []

    async def refuse(loop, connection, address):
        tried.append(address[0])
        raise ConnectionRefusedError(111, "refused")

    monkeypatch.setattr("asyncio.SelectorEventLoop.sock_connect", refuse)
    return tried


def test_addresses_that_are_not_permitted_are_dropped(answers):
    answers(["10.0.0.1", "8.8.8.8", "::1", "2606:4700::1", "::ffff:127.0.0.1", "64:ff9b::a00:1"])
    kept = look_up("mx.example.com", 25, guard=STRICT)
    assert kept == [
        (socket.AF_INET, ("8.8.8.8", 25)),
        (socket.AF_INET6, ("2606:4700::1", 25, 0, 0)),
    ]


def test_when_none_is_left_it_tells_no_address(answers):
    answers(["10.11.12.13", "fd00::1"])
    with pytest.raises(LookupFailed) as caught:
        look_up("intranet.example.com", 25, guard=STRICT)
    text = str(caught.value)
    assert text.startswith("intranet.example.com leads to no address")
    assert "ALLOWED_PRIVATE_NETWORKS" in text
    assert "10.11" not in text
    assert "fd00" not in text


def test_without_a_guard_every_address_is_kept(answers):
    answers(["10.0.0.1", "8.8.8.8"])
    assert len(look_up("relay.internal", 25, guard=None)) == 2


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "127.1", "0x7f.1", "2130706433", "0"])
def test_it_does_not_dial_this_machine(play, connect, host):
    port = play(lambda peer: peer.greet())
    with pytest.raises(ConnectFailed, match="leads to no address") as caught:
        connect(port, host=host, guard=STRICT)
    assert (caught.value.stage, caught.value.error_class) == (Stage.DNS, ErrorClass.DNS)
    # Nobody came: the script still waits for its first peer.
    with socket.create_connection(("127.0.0.1", port)) as first:
        assert first.recv(100).startswith(b"220 ")
        first.sendall(b"EHLO x\r\n")


def test_it_dials_this_machine_where_that_is_allowed(play, connect):
    port = play(lambda peer: (peer.greet("SIZE 10"), peer.part()))
    assert connect(port, host="127.0.0.1", guard=LOOPBACK).connection.is_usable


def test_a_name_of_this_machine_may_be_dialled_where_that_is_allowed(play, connect):
    port = play(lambda peer: (peer.greet("SIZE 10"), peer.part()))
    assert connect(port, host="localhost", guard=LOOPBACK).connection.is_usable


@pytest.mark.proves("security-ssrf")
def test_it_dials_what_it_checked_though_the_name_answers_otherwise_later(answers, dials, connect):
    questions = answers(["8.8.8.8"], ["127.0.0.1"])
    with pytest.raises(ConnectFailed) as caught:
        connect(25, host="rebinding.example.com", guard=STRICT)
    assert caught.value.stage is Stage.CONNECT
    assert questions == ["rebinding.example.com"]
    assert dials == ["8.8.8.8"]


def test_a_new_connection_is_checked_anew(answers, dials, connect):
    answers(["8.8.8.8"], ["127.0.0.1"])
    for stage in (Stage.CONNECT, Stage.DNS):
        with pytest.raises(ConnectFailed) as caught:
            connect(25, host="rebinding.example.com", guard=STRICT)
        assert caught.value.stage is stage
    assert dials == ["8.8.8.8"]


def test_of_several_addresses_only_the_permitted_are_dialled(answers, dials, connect):
    answers(["127.0.0.1", "8.8.8.8", "169.254.169.254", "1.1.1.1"])
    with pytest.raises(ConnectFailed, match="connection refused"):
        connect(25, host="mixed.example.com", guard=STRICT)
    assert dials == ["8.8.8.8", "1.1.1.1"]


def test_a_probe_names_the_step_and_no_address(loop, server_at, answers):
    answers(["10.11.12.13"])
    server = server_at(25, host="intranet.example.com", guard=STRICT)
    report = loop.run_until_complete(smtp.probe(server))
    assert not report.valid
    [step] = report.steps
    assert (step.stage, step.ok) == (Stage.DNS, False)
    assert "10.11.12.13" not in step.text
