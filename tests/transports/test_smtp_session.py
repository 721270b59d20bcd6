"""Opening a session: names, encryption, sign-in, and everything that can stand in the way."""

import asyncio
import base64
import socket
import threading

import pytest

from maild.transports import smtp
from maild.transports.smtp import Capabilities, ConnectFailed, ErrorClass, Stage, Timeouts

# Encryption


@pytest.mark.parametrize("security", ["auto", "starttls"])
def test_it_upgrades_to_tls(smtpd, connect, certificates, security):
    server = smtpd(tls_context=certificates.server, require_starttls=True)
    client = connect(server.port, security=security, ssl_context=certificates.client)
    outcome = client.send()
    assert outcome.accepted
    assert "tls" in outcome.timings


def test_it_speaks_tls_from_the_first_octet(smtpd, connect, certificates):
    server = smtpd(ssl=certificates.server)
    client = connect(server.port, security="tls", ssl_context=certificates.client)
    assert client.send().accepted
    assert client.send().accepted


def test_it_stays_in_the_clear_where_that_was_chosen(smtpd, connect, certificates):
    server = smtpd(tls_context=certificates.server)
    client = connect(server.port, security="none")
    assert client.connection.capabilities.starttls
    assert "tls" not in client.send().timings


def test_it_insists_on_starttls(smtpd, connect):
    with pytest.raises(ConnectFailed, match="does not offer STARTTLS") as caught:
        connect(smtpd().port, security="starttls")
    assert (caught.value.stage, caught.value.error_class) == (Stage.TLS, ErrorClass.TLS)


@pytest.mark.proves("deliver-tls")
@pytest.mark.parametrize("security", ["auto", "starttls", "tls"])
def test_it_trusts_no_unknown_certificate(smtpd, connect, certificates, security):
    options = {"ssl": certificates.server} if security == "tls" else {
        "tls_context": certificates.server
    }  # fmt: skip
    with pytest.raises(ConnectFailed, match="certificate is not valid") as caught:
        connect(smtpd(**options).port, security=security)
    assert (caught.value.stage, caught.value.error_class) == (Stage.TLS, ErrorClass.TLS)


def test_it_trusts_no_certificate_for_another_name(smtpd, connect, certificates):
    server = smtpd(tls_context=certificates.server)
    with pytest.raises(ConnectFailed, match="certificate is not valid") as caught:
        connect(server.port, host="127.0.0.1", ssl_context=certificates.client)
    assert caught.value.error_class is ErrorClass.TLS


def test_it_reports_a_server_that_speaks_no_tls(play, connect):
    def script(peer):
        peer.say("220 plain text")
        peer.wait_until_closed()

    with pytest.raises(ConnectFailed) as caught:
        connect(play(script), security="tls")
    assert (caught.value.stage, caught.value.error_class) == (Stage.TLS, ErrorClass.TLS)


@pytest.mark.proves("deliver-tls")
def test_it_refuses_plaintext_injected_after_starttls(play, connect, certificates):
    def script(peer):
        peer.greet("STARTTLS")
        peer.expect("STARTTLS")
        peer.say("220 Go on", "250-mx.example.com", "250 AUTH PLAIN")
        peer.wait_until_closed()

    with pytest.raises(ConnectFailed, match="before the TLS handshake") as caught:
        connect(play(script), ssl_context=certificates.client)
    assert caught.value.error_class is ErrorClass.TLS


def test_it_forgets_what_was_offered_before_tls(play, connect, certificates):
    def script(peer):
        peer.greet("STARTTLS", "SIZE 10", "AUTH PLAIN", "PIPELINING")
        peer.answer("STARTTLS", "220 Go on")
        peer.start_tls(certificates.server)
        peer.answer("EHLO", "250-mx.example.com", "250 SIZE 2000")
        peer.part()

    client = connect(play(script), ssl_context=certificates.client)
    assert client.connection.capabilities == Capabilities(size_limit=2000)


@pytest.mark.proves("deliver-tls")
@pytest.mark.parametrize(
    ("reply", "error_class"),
    [("454 4.7.0 Not now", ErrorClass.TLS), ("421 Closing", ErrorClass.CONNECTION)],
)
def test_it_does_not_go_on_in_the_clear_when_starttls_fails(play, connect, reply, error_class):
    def script(peer):
        peer.greet("STARTTLS")
        peer.answer("STARTTLS", reply)
        peer.wait_until_closed()

    with pytest.raises(ConnectFailed) as caught:
        connect(play(script))
    assert (caught.value.stage, caught.value.error_class) == (Stage.TLS, error_class)
    assert str(caught.value.reply) == reply


# Signing in


@pytest.mark.parametrize("excluded", [None, ["PLAIN"]])
def test_it_signs_in(smtpd, connect, certificates, authenticator, excluded):
    server = smtpd(
        tls_context=certificates.server,
        auth_required=True,
        authenticator=authenticator,
        auth_exclude_mechanism=excluded,
    )
    client = connect(
        server.port, username="ann", password="sécret", ssl_context=certificates.client
    )
    outcome = client.send()
    assert outcome.accepted
    assert "auth" in outcome.timings


def test_it_reports_wrong_credentials(smtpd, connect, certificates, authenticator):
    server = smtpd(tls_context=certificates.server, authenticator=authenticator)
    with pytest.raises(ConnectFailed, match="535") as caught:
        connect(server.port, username="ann", password="wr0ng", ssl_context=certificates.client)
    assert (caught.value.stage, caught.value.error_class) == (Stage.AUTH, ErrorClass.AUTH)
    assert caught.value.remote == f"localhost:{server.port}"
    assert caught.value.reply.code == 535


def test_it_signs_in_over_loopback_without_tls(play, connect):
    token = base64.b64encode(b"\0ann\0secret").decode()

    def script(peer):
        peer.greet("AUTH=LOGIN", "AUTH LOGIN PLAIN")
        assert peer.expect("AUTH") == f"AUTH PLAIN {token}"
        peer.say("235 2.7.0 Welcome")
        peer.part()

    connect(play(script), username="ann", password="secret")


def test_it_signs_in_without_a_password(play, connect):
    def script(peer):
        peer.greet("AUTH LOGIN")
        peer.answer("AUTH LOGIN", "334 VXNlcm5hbWU6")
        assert peer.expect("") == base64.b64encode(b"ann").decode()
        peer.say("334 UGFzc3dvcmQ6")
        assert peer.expect("") == ""
        peer.say("535 5.7.8 No")
        peer.wait_until_closed()

    with pytest.raises(ConnectFailed, match="535"):
        connect(play(script), username="ann")


@pytest.mark.parametrize(("security", "is_shown"), [("auto", False), ("none", True)])
def test_it_shows_no_password_to_the_network(play, connect, monkeypatch, security, is_shown):
    # Loopback is all that a test can listen on, so the wire is told that it is somewhere else.
    monkeypatch.setattr("ipaddress.IPv4Address.is_loopback", False)

    def script(peer):
        peer.greet("AUTH PLAIN")
        if is_shown:
            peer.answer("AUTH PLAIN", "235 2.7.0 Welcome")
            peer.part()
        else:
            peer.wait_until_closed()

    port = play(script)
    if is_shown:
        connect(port, security=security, username="ann", password="secret")
        return
    with pytest.raises(ConnectFailed, match="never sent in the clear") as caught:
        connect(port, security=security, username="ann", password="secret")
    assert (caught.value.stage, caught.value.error_class) == (Stage.AUTH, ErrorClass.TLS)


@pytest.mark.parametrize(
    ("security", "is_private", "offer"),
    [
        ("auto", False, "AUTH PLAIN LOGIN CRAM-MD5"),
        ("none", False, "AUTH PLAIN LOGIN CRAM-MD5"),
        ("auto", True, "AUTH CRAM-MD5"),
    ],
)
def test_it_signs_in_without_showing_the_password(
    play, connect, monkeypatch, security, is_private, offer
):
    if not is_private:
        monkeypatch.setattr("ipaddress.IPv4Address.is_loopback", False)
    # The example of RFC 2195 3.
    challenge = base64.b64encode(b"<1896.697170952@postoffice.reston.mci.net>").decode()
    answer = base64.b64encode(b"tim b913a602c7eda7a495b4e6e7334d3890").decode()

    def script(peer):
        peer.greet(offer)
        peer.answer("AUTH CRAM-MD5", f"334 {challenge}")
        assert peer.expect("") == answer
        peer.say("235 2.7.0 Welcome")
        peer.part()

    connect(play(script), security=security, username="tim", password="tanstaaftanstaaf")


def test_it_prefers_a_password_where_nobody_listens(play, connect):
    def script(peer):
        peer.greet("AUTH CRAM-MD5 LOGIN PLAIN")
        peer.answer("AUTH PLAIN", "235 2.7.0 Welcome")
        peer.part()

    connect(play(script), username="ann", password="secret")


def test_it_reports_a_challenge_that_makes_no_sense(play, connect):
    def script(peer):
        peer.greet("AUTH CRAM-MD5")
        peer.answer("AUTH CRAM-MD5", "334 not base64!")
        peer.wait_until_closed()

    with pytest.raises(ConnectFailed, match="challenge") as caught:
        connect(play(script), username="ann", password="secret")
    assert (caught.value.stage, caught.value.error_class) == (Stage.AUTH, ErrorClass.PROTOCOL)


@pytest.mark.parametrize("offer", ["AUTH XOAUTH2 DIGEST-MD5", "SIZE 10"])
def test_it_reports_a_server_without_a_known_way_to_sign_in(play, connect, offer):
    def script(peer):
        peer.greet(offer)
        peer.wait_until_closed()

    with pytest.raises(ConnectFailed, match="no way to sign in") as caught:
        connect(play(script), username="ann", password="secret")
    assert caught.value.error_class is ErrorClass.AUTH


def test_it_repeats_no_credentials(play, connect):
    def script(peer):
        peer.greet("AUTH PLAIN")
        command = peer.expect("AUTH")
        peer.say(f"500 5.5.1 Unrecognised: {command}")
        peer.wait_until_closed()

    with pytest.raises(ConnectFailed) as caught:
        connect(play(script), username="ann", password="secret")
    token = base64.b64encode(b"\0ann\0secret").decode()
    assert token not in f"{caught.value} {caught.value.reply}"
    assert "[redacted]" in caught.value.text


def test_it_keeps_the_password_out_of_its_own_description(server_at):
    assert "secret" not in repr(server_at(25, username="ann", password="secret"))


# The way there


def test_it_falls_back_to_helo(play, connect):
    def script(peer):
        peer.say("220 old.example.com")
        peer.answer("EHLO client.example.com", "502 What?")
        peer.answer("HELO client.example.com", "250 old.example.com")
        peer.take_message()
        peer.part()

    client = connect(play(script))
    assert client.connection.capabilities == Capabilities()
    assert client.send().accepted


@pytest.mark.parametrize(
    ("banner", "error_class"),
    [
        ("554 5.7.1 No service for you", ErrorClass.CONNECTION),
        ("421 4.3.2 Too busy", ErrorClass.CONNECTION),
        ("SSH-2.0-OpenSSH_9.2", ErrorClass.PROTOCOL),
        ("250 OK", ErrorClass.PROTOCOL),
        ("x" * 5000, ErrorClass.PROTOCOL),
    ],
)
def test_it_reports_an_unwelcoming_banner(play, connect, banner, error_class):
    def script(peer):
        peer.say(banner)
        peer.wait_until_closed()

    with pytest.raises(ConnectFailed) as caught:
        connect(play(script))
    assert (caught.value.stage, caught.value.error_class) == (Stage.BANNER, error_class)


def test_it_reads_no_endless_reply(play, connect):
    def script(peer):
        peer.say(*["220-and another line"] * 200)
        peer.wait_until_closed()

    with pytest.raises(ConnectFailed, match="over 100 lines") as caught:
        connect(play(script))
    assert caught.value.error_class is ErrorClass.PROTOCOL


def test_it_reads_no_endless_line(play, connect):
    def script(peer):
        peer.connection.sendall(b"220 " + b"x" * 10_000)
        peer.wait_until_closed()

    with pytest.raises(ConnectFailed, match="over 4096 octets"):
        connect(play(script))


def test_it_puts_a_reply_together_from_pieces(play, connect):
    def script(peer):
        for piece in (b"22", b"0-mx.exam", b"ple.com\r", b"\n220 ", b"ready\r\n"):
            peer.connection.sendall(piece)
        peer.answer("EHLO", "250 mx.example.com")
        peer.part()

    connect(play(script))


@pytest.mark.parametrize("refusal", ["550 Go away", "451 Not now"])
def test_it_reports_a_refused_greeting(play, connect, refusal):
    def script(peer):
        peer.say("220 mx.example.com")
        peer.answer("EHLO", refusal)
        if refusal.startswith("5"):
            peer.answer("HELO", refusal)
        peer.wait_until_closed()

    with pytest.raises(ConnectFailed, match=refusal) as caught:
        connect(play(script))
    assert (caught.value.stage, caught.value.error_class) == (Stage.EHLO, ErrorClass.CONNECTION)


def test_it_does_not_wait_for_ever_for_a_banner(play, connect):
    port = play(lambda peer: peer.wait_until_closed())
    with pytest.raises(ConnectFailed, match="no answer in time") as caught:
        connect(port, timeouts=Timeouts(banner=0.2))
    assert (caught.value.stage, caught.value.error_class) == (Stage.BANNER, ErrorClass.TIMEOUT)


def test_it_does_not_wait_for_ever_for_tls(play, connect):
    port = play(lambda peer: peer.wait_until_closed())
    with pytest.raises(ConnectFailed) as caught:
        connect(port, security="tls", timeouts=Timeouts(command=0.2))
    assert (caught.value.stage, caught.value.error_class) == (Stage.TLS, ErrorClass.TIMEOUT)


@pytest.mark.parametrize("leave", ["close", "reset"])
def test_it_reports_a_server_that_leaves(play, connect, leave):
    def script(peer):
        peer.say("220 mx.example.com")
        peer.expect("EHLO")
        if leave == "reset":
            peer.reset()

    with pytest.raises(ConnectFailed, match="closed the connection") as caught:
        connect(play(script))
    assert (caught.value.stage, caught.value.error_class) == (Stage.EHLO, ErrorClass.CONNECTION)


def test_it_reports_a_refused_connection(connect, free_port):
    with pytest.raises(ConnectFailed, match="connection refused") as caught:
        connect(free_port)
    assert (caught.value.stage, caught.value.error_class) == (Stage.CONNECT, ErrorClass.CONNECTION)


def test_it_tries_every_address(play, connect, monkeypatch, free_port):
    port = play(lambda peer: (peer.greet("SIZE 10"), peer.part()))
    found = [
        (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", number))
        for number in (free_port, port)
    ]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *arguments, **options: found)
    assert connect(port).connection.is_usable


@pytest.mark.parametrize("host", ["does-not-exist.invalid", "a..example.com"])
def test_it_reports_a_name_that_does_not_exist(connect, monkeypatch, host):
    def getaddrinfo(*arguments, **options):
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    if host.endswith(".invalid"):  # RFC 6761 6.4, without asking the network
        monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    with pytest.raises(ConnectFailed, match=host) as caught:
        connect(25, host=host)
    assert (caught.value.stage, caught.value.error_class) == (Stage.DNS, ErrorClass.DNS)


@pytest.mark.skipif(not socket.has_ipv6, reason="this Python knows no IPv6")
def test_it_speaks_ipv6(play, connect):
    try:
        port = play(lambda peer: (peer.greet("AUTH PLAIN"), welcome(peer), peer.part()), host="::1")
    except OSError:
        pytest.skip("this machine has no IPv6")

    def welcome(peer):
        peer.answer("AUTH PLAIN", "235 2.7.0 Welcome")

    # It is this machine, so the password may be shown.
    client = connect(port, host="::1", username="ann", password="secret")
    assert client.connection.remote == f"[::1]:{port}"


def test_it_does_not_wait_for_ever_for_an_address(play, connect, monkeypatch):
    addresses = [
        (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))
        for port in (1, play(lambda peer: (peer.greet(), peer.part())))
    ]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *arguments, **options: addresses)

    async def dial(loop, connection, address):
        if address[1] == 1:  # a host that drops what it gets
            await asyncio.Event().wait()
        await sock_connect(loop, connection, address)

    sock_connect = asyncio.SelectorEventLoop.sock_connect
    monkeypatch.setattr(asyncio.SelectorEventLoop, "sock_connect", dial)
    assert connect(25, timeouts=Timeouts(connect=0.5)).connection.is_usable
    addresses.pop()
    with pytest.raises(ConnectFailed, match="no answer in time") as caught:
        connect(25, timeouts=Timeouts(connect=0.1))
    assert (caught.value.stage, caught.value.error_class) == (Stage.CONNECT, ErrorClass.TIMEOUT)


def test_it_does_not_wait_for_ever_for_a_name(connect, monkeypatch):
    def getaddrinfo(*arguments, **options):
        assert is_over.wait(10)
        return []

    is_over = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    with pytest.raises(ConnectFailed, match="not resolved in time") as caught:
        connect(25, timeouts=Timeouts(connect=0.1))
    is_over.set()
    assert (caught.value.stage, caught.value.error_class) == (Stage.DNS, ErrorClass.DNS)


def test_it_reports_a_server_that_says_too_much(play, connect):
    def script(peer):
        peer.say("220 mx.example.com")
        peer.answer("EHLO", "250 mx.example.com", "250 mx.example.com")
        peer.wait_until_closed()

    with pytest.raises(ConnectFailed, match="out of turn") as caught:
        connect(play(script))
    assert (caught.value.stage, caught.value.error_class) == (Stage.EHLO, ErrorClass.PROTOCOL)


def test_an_opening_can_be_given_up(play, server_at, loop):
    def script(peer):
        is_there.set()
        peer.wait_until_closed()

    async def open_and_give_up():
        opening = asyncio.create_task(smtp.open_connection(server_at(port), None))
        await asyncio.to_thread(is_there.wait, 10)
        opening.cancel()
        with pytest.raises(asyncio.CancelledError):
            await opening

    is_there = threading.Event()
    port = play(script)
    loop.run_until_complete(open_and_give_up())


# Values


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"host": ""}, "host"),
        ({"host": "a b"}, "host"),
        ({"host": "exämple.com"}, "host"),
        ({"local_hostname": "a\r\nRSET"}, "local_hostname"),
        ({"username": "a\0b"}, "username"),
        ({"password": "a\0b"}, "password"),
        ({"password": "\ud800"}, "password"),
    ],
)
def test_it_refuses_a_server_that_no_command_can_name(server_at, changes, named):
    with pytest.raises(ValueError, match=named):
        server_at(25, **changes)


def test_it_names_a_server(server_at):
    assert server_at(25, host="mx.example.com").remote == "mx.example.com:25"
    assert server_at(25, host="2001:db8::1").remote == "[2001:db8::1]:25"


@pytest.mark.parametrize(
    ("lines", "capabilities"),
    [
        ([], Capabilities()),
        (["SIZE"], Capabilities(size_limit=0)),
        (["SIZE 0"], Capabilities(size_limit=0)),
        (["SIZE many"], Capabilities(size_limit=0)),
        (["size 35882577"], Capabilities(size_limit=35882577)),
        (["AUTH=LOGIN", "auth plain CRAM-MD5"],
         Capabilities(auth=frozenset({"LOGIN", "PLAIN", "CRAM-MD5"}))),
        (["", "X-UNKNOWN a b"], Capabilities()),
        (["PIPELINING", "8BITMIME", "SMTPUTF8", "STARTTLS", "ENHANCEDSTATUSCODES"],
         Capabilities(eight_bit=True, smtputf8=True, pipelining=True, starttls=True,
                      enhanced_status_codes=True)),
    ],
)  # fmt: skip
def test_it_reads_capabilities(lines, capabilities):
    # The greeting is no offer, even from a host of that name.
    assert Capabilities.from_ehlo("\n".join(["STARTTLS", *lines])) == capabilities


def test_port_465_means_tls_from_the_first_octet(monkeypatch, play, connect, certificates):
    def script(peer):
        peer.start_tls(certificates.server)
        peer.greet("SIZE 10")
        peer.part()

    # The port that says so cannot be had without privileges, so the script's port stands in.
    port = play(script)
    monkeypatch.setattr("maild.transports.smtp_session._SUBMISSIONS_PORT", port)
    assert connect(port, security="auto", ssl_context=certificates.client).connection.is_usable
