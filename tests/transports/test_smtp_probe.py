"""Trying a server: each step is told, good or bad, and nothing is raised."""

from datetime import UTC, datetime, timedelta

import pytest

from maild.transports import smtp
from maild.transports.smtp import Stage, Timeouts
from maild.transports.smtp_certificate import NAMES_MAX, certificate_of


@pytest.fixture
def probe(server_at, loop):
    """`probe(port, ...)` gives the report."""

    def run(port, *, timeouts=Timeouts(), ssl_context=None, on_step=None, **changes):  # noqa: B008 - frozen
        server = server_at(port, **changes)
        asked = {"on_step": on_step} if on_step else {}
        return loop.run_until_complete(
            smtp.probe(server, timeouts=timeouts, ssl_context=ssl_context, **asked)
        )

    return run


def told(report) -> list[tuple[Stage, bool]]:
    return [(step.stage, step.ok) for step in report.steps]


def test_it_tells_each_step(smtpd, probe, certificates, authenticator):
    server = smtpd(tls_context=certificates.server, auth_required=True, authenticator=authenticator)
    report = probe(server.port, username="ann", password="sécret", ssl_context=certificates.client)
    assert report.valid
    assert [step.stage.value for step in report.steps] == [
        *("dns", "connect", "banner", "ehlo", "tls", "ehlo", "auth", "quit"),
    ]
    assert all(step.ok and step.ms >= 0 for step in report.steps)
    texts = {step.stage: step.text for step in report.steps}
    assert "127.0.0.1" in texts[Stage.DNS]
    assert texts[Stage.CONNECT] == "connected to 127.0.0.1"
    assert texts[Stage.BANNER].startswith("220 localhost")
    assert texts[Stage.AUTH].startswith("235 2.7.0")
    assert texts[Stage.QUIT].startswith("221 ")
    version, cipher = report.tls
    assert version.startswith("TLSv1.")
    assert texts[Stage.TLS] == f"{version}, {cipher}"
    assert report.auth == "PLAIN"
    assert "8BITMIME" in report.capabilities


def test_it_tells_whose_the_certificate_is_and_until_when(smtpd, probe, certificates):
    server = smtpd(tls_context=certificates.server)
    report = probe(server.port, security="starttls", ssl_context=certificates.client)
    certificate = report.certificate
    assert (certificate.subject, certificate.issuer) == ("localhost", "localhost")
    assert (certificate.names, certificate.name_count) == (("localhost",), 1)
    left = certificate.valid_until - datetime.now(UTC)
    assert timedelta(hours=23) < left < timedelta(hours=25)


def test_each_step_is_told_as_it_ends(smtpd, probe):
    told = []
    report = probe(smtpd().port, on_step=told.append)
    assert told == report.steps


def test_it_says_of_what_kind_the_trouble_is(probe, free_port, smtpd, authenticator):
    assert probe(free_port).error_class == "connection"
    server = smtpd(authenticator=authenticator, auth_require_tls=False)
    assert probe(server.port, username="ann", password="x").error_class == "auth"
    assert probe(server.port).error_class is None


@pytest.mark.parametrize(
    ("found", "words"),
    [
        ({"subject": ((("commonName", "a"),), (("organizationName", "B Ltd"),))}, "a, B Ltd"),
        ({"subject": ((("organizationName", "a"),), (("commonName", "a"),))}, "a"),
        ({"subject": ((("countryName", "DE"),),)}, "without a name"),
        ({}, "without a name"),
    ],
)
def test_a_certificate_is_named_by_what_it_has(found, words):
    told = certificate_of({**found, "notAfter": "Jun  1 12:00:00 2030 GMT"})
    assert told.subject == words
    assert told.valid_until == datetime(2030, 6, 1, 12, tzinfo=UTC)


def test_of_many_names_some_are_told():
    names = tuple(("DNS", f"n{number}.example.com") for number in range(100))
    told = certificate_of({"subjectAltName": names, "notAfter": "Jun  1 12:00:00 2030 GMT"})
    assert (len(told.names), told.name_count) == (NAMES_MAX, 100)


def test_without_a_certificate_there_is_nothing_to_tell(smtpd, probe):
    assert probe(smtpd().port).certificate is None
    assert certificate_of({}) is None


def test_it_says_what_is_not_there(smtpd, probe):
    report = probe(smtpd().port)
    assert report.valid
    assert (report.tls, report.auth) == (None, None)
    assert any(line.startswith("SIZE") for line in report.capabilities)


def test_it_tells_a_refused_connection(probe, free_port):
    report = probe(free_port)
    assert not report.valid
    assert told(report) == [(Stage.DNS, True), (Stage.CONNECT, False)]
    assert "connection refused" in report.steps[-1].text
    assert (report.tls, report.auth, report.capabilities) == (None, None, [])


def test_it_tells_wrong_credentials(smtpd, probe, certificates, authenticator):
    server = smtpd(tls_context=certificates.server, authenticator=authenticator)
    report = probe(server.port, username="ann", password="no", ssl_context=certificates.client)
    assert not report.valid
    assert told(report)[-1] == (Stage.AUTH, False)
    assert "535" in report.steps[-1].text
    assert report.tls is not None
    assert report.auth is None


def test_it_tells_a_certificate_that_is_not_trusted(smtpd, probe, certificates):
    report = probe(smtpd(tls_context=certificates.server).port)
    assert told(report)[-1] == (Stage.TLS, False)
    assert "certificate is not valid" in report.steps[-1].text
    assert not report.valid


@pytest.mark.parametrize("banner", ["554 5.7.1 No service for you", "hello?", None])
def test_it_tells_an_unwelcoming_server(play, probe, banner):
    def script(peer):
        if banner:
            peer.say(banner)
        peer.wait_until_closed()

    report = probe(play(script), timeouts=Timeouts(banner=5 if banner else 0.2))
    assert told(report)[-1] == (Stage.BANNER, False)
    assert not report.valid


@pytest.mark.parametrize("goodbye", [None, "hello?"])
def test_a_server_that_does_not_say_goodbye_is_valid(play, probe, goodbye):
    def script(peer):
        peer.greet("SIZE 10")
        peer.expect("QUIT")
        if goodbye:
            peer.say(goodbye)
        peer.wait_until_closed()

    report = probe(play(script), timeouts=Timeouts(quit=0.2))
    assert report.valid
    assert told(report)[-1] == (Stage.QUIT, False)
    assert report.capabilities == ["SIZE 10"]
