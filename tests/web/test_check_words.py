"""Checks in words: what a failure means, and what a server offers."""

from datetime import UTC, datetime, timedelta

import pytest

from maild.domain.smtp_reply import ErrorClass, Stage
from maild.models import ProviderCheck, SmtpAccount
from maild.web import check_words

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def account(security="starttls", port=587, username="ann"):
    return SmtpAccount(id=1, name="main", security=security, port=port, username=username)


def check(*stages, is_over=True, is_valid=True, failed=None, text="", **result):
    steps = [{"stage": stage, "ok": True, "text": "", "ms": 1.5} for stage in stages]
    if failed:
        steps.append({"stage": failed, "ok": False, "text": text, "ms": 2.0})
        is_valid = False
    return ProviderCheck(
        steps=steps,
        result=result,
        started_at=NOW,
        finished_at=NOW if is_over else None,
        is_valid=is_valid if is_over else None,
    )


def told(found, **fields):
    return [
        (line.stage.value, line.badge.word) for line in check_words.lines(found, account(**fields))
    ]


ALL = ("dns", "connect", "banner", "ehlo", "tls", "ehlo", "auth", "quit")


def test_all_went_well():
    assert told(check(*ALL)) == [
        (stage, "ok") for stage in ("dns", "connect", "banner", "ehlo", "tls", "auth")
    ]


def test_a_step_that_is_taken_twice_is_one_line_with_the_time_of_both():
    [ehlo] = [
        line for line in check_words.lines(check(*ALL), account()) if line.stage is Stage.EHLO
    ]
    assert ehlo.ms == 3.0


@pytest.mark.parametrize(("security", "port"), [("tls", 465), ("tls", 2465), ("auto", 465)])
def test_tls_comes_before_the_greeting_where_it_does(security, port):
    stages = ("dns", "connect", "tls", "banner", "ehlo", "auth")
    assert told(check(*stages), security=security, port=port) == [(s, "ok") for s in stages]


def test_what_was_not_asked_for_is_not_there():
    stages = ("dns", "connect", "banner", "ehlo")
    assert told(check(*stages), security="none", username=None) == [(s, "ok") for s in stages]


def test_encryption_that_is_not_offered_is_left_out_and_said():
    found = check("dns", "connect", "banner", "ehlo", "auth")
    assert told(found, security="auto")[4:] == [("tls", "left out"), ("auth", "ok")]
    [tls] = [line for line in check_words.lines(found, account("auto")) if line.stage is Stage.TLS]
    assert tls.text == check_words.NOT_ENCRYPTED


def test_after_a_failure_nothing_is_reached():
    found = check("dns", failed="connect", text="connection refused (CONNECT, x:1)")
    assert told(found) == [
        ("dns", "ok"),
        ("connect", "failed"),
        ("banner", "not reached"),
        ("ehlo", "not reached"),
        ("tls", "not reached"),
        ("auth", "not reached"),
    ]
    line = check_words.lines(found, account())[1]
    assert "nothing listens on this port" in line.meaning
    assert line.advice


def test_the_one_under_way_is_known():
    assert told(check("dns", is_over=False))[:3] == [
        ("dns", "ok"),
        ("connect", "under way"),
        ("banner", "to come"),
    ]
    waiting = check(is_over=False)
    waiting.started_at = None
    assert {word for _, word in told(waiting)} == {"to come"}


@pytest.mark.parametrize(
    ("stage", "error_class", "text", "meaning", "advice"),
    [
        ("dns", "dns", "smtp.x cannot be resolved: Name not known", "Nobody knows", "slip"),
        ("dns", "dns", "x leads to no address that an account may use: it must be public, or in"
         " ALLOWED_PRIVATE_NETWORKS", "private network", "public host"),
        ("connect", "connection", "connection refused", "nothing listens", "587"),
        ("connect", "timeout", "no answer in time", "firewall", "2525"),
        ("banner", "timeout", "no answer in time", "said nothing", "465"),
        ("banner", "connection", "421 too many connections", "does not want", "own words"),
        ("ehlo", "protocol", "500 what?", "does not want", "own words"),
        ("tls", "tls", "the server does not offer STARTTLS", "does not encrypt", "465"),
        ("tls", "tls", "TLS failed: [SSL: WRONG_VERSION_NUMBER] wrong version number", "plain text",
         "587"),
        ("tls", "tls", "certificate is not valid: certificate has expired", "out of date", "renew"),
        ("tls", "tls", "Hostname mismatch, certificate is not valid for 'x'", "other names",
         "host name"),
        ("tls", "tls", "IP address mismatch, certificate is not valid for '::1'", "IP address",
         "host name"),
        ("tls", "tls", "is not valid: self-signed certificate in certificate chain", "vouches",
         "trusted"),
        ("tls", "tls", "unable to get local issuer certificate", "does not know", "chain"),
        ("tls", "timeout", "no answer in time", "could not be encrypted", "TLS 1.2"),
        ("auth", "auth", "535 5.7.8 bad credentials", "does not accept", "API key"),
        ("auth", "auth", "the server offers no way to sign in that maild knows", "no way to sign",
         "encrypted"),
        ("auth", "tls", "the connection is not encrypted, and a password is never sent so",
         "not encrypted", "STARTTLS"),
    ],
)  # fmt: skip
def test_each_failure_says_what_it_means_and_what_to_do(stage, error_class, text, meaning, advice):
    said = check_words.explain(Stage(stage), error_class, text)
    assert meaning in said[0]
    assert advice in said[1]


@pytest.mark.parametrize("stage", [s for s in Stage if s in check_words.TITLES])
@pytest.mark.parametrize("error_class", [None, *ErrorClass])
def test_there_are_words_for_whatever_fails(stage, error_class):
    assert all(check_words.explain(stage, error_class, "something else"))


def test_offers_are_told_in_words_and_what_is_missing_too():
    lines = ["PIPELINING", "SIZE 10240000", "AUTH PLAIN LOGIN", "8BITMIME", "DSN", "CHUNKING"]
    offers = {one.name: one for one in check_words.offers(lines)}
    assert offers["SIZE"].words == "Takes messages of up to 10.2 MB."
    assert offers["AUTH"].words == "Signs in with LOGIN, PLAIN."
    assert [name for name, one in offers.items() if not one.is_offered] == ["SMTPUTF8"]
    assert check_words.others(lines) == ["DSN", "CHUNKING"]


@pytest.mark.parametrize(
    ("lines", "words"),
    [(["SIZE"], "no fixed limit"), (["SIZE 0"], "no fixed limit"), ([], "not say")],
)
def test_a_size_without_a_number_is_no_limit(lines, words):
    [size] = [one for one in check_words.offers(lines) if one.name == "SIZE"]
    assert words in size.words


@pytest.mark.parametrize(("hours", "days"), [(49, 2), (1, 0), (-1, -1)])
def test_days_left_are_whole(hours, days):
    until = (NOW + timedelta(hours=hours)).isoformat()
    assert check_words.days_left(until, now=NOW) == days
