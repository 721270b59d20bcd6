"""The DNS over a real socket: every way in which a question can end."""

import asyncio
import time

import pytest

from maild import setting_kinds
from maild.domain.dns_answer import Kind, Outcome, Question
from maild.setting_kinds import Addr
from maild.transports import dns

TIMEOUT = 0.6


def ask(server, *questions):
    by = dns.resolver([server.addr], timeout_seconds=TIMEOUT)
    answers = asyncio.run(dns.ask([Question(*one) for one in questions], by=by))
    return [answers[Question(*one)] for one in questions]


def test_each_end_is_told_from_the_others(dns_server):
    dns_server.txt("found.test", "v=spf1 -all")
    dns_server.add("empty.test", "A", "192.0.2.1")
    dns_server.fail("failing.test")
    dns_server.silence("silent.test")
    names = ("found", "empty", "gone", "failing", "silent")
    answers = ask(dns_server, *((f"{name}.test", Kind.TXT) for name in names))
    assert [one.outcome for one in answers] == [
        Outcome.FOUND,
        Outcome.NO_DATA,
        Outcome.NO_NAME,
        Outcome.SERVER_FAILURE,
        Outcome.TIMEOUT,
    ]


def test_strings_are_joined_and_long_answers_come_by_tcp(dns_server):
    long = "p=" + "x" * 700
    dns_server.txt("long.test", long)
    [answer] = ask(dns_server, ("long.test", Kind.TXT))
    assert answer.records == (long,)
    assert [by for _, _, by in dns_server.asked] == ["udp", "tcp"]


def test_of_very_many_records_the_same_are_read_in_whatever_order_they_come(dns_server):
    proofs = [f"proof-{number:03}={'x' * 20}" for number in range(120)]
    seen = set()
    for turn in range(3):
        dns_server.txt("large.test", *proofs[turn:], *proofs[:turn], "v=spf1 -all")
        [answer] = ask(dns_server, ("large.test", Kind.TXT))
        assert "v=spf1 -all" in answer.records
        seen.add(answer.records)
    assert len(seen) == 1


def test_an_alias_is_followed_and_told(dns_server):
    dns_server.add("s1._domainkey.shop.test", "CNAME", "key.provider.test.")
    dns_server.txt("key.provider.test", "p=x")
    [answer] = ask(dns_server, ("s1._domainkey.shop.test", Kind.TXT))
    assert (answer.records, answer.alias) == (("p=x",), "key.provider.test")


def test_mx_and_odd_bytes(dns_server):
    dns_server.mx("shop.test", "10 MX.shop.test.", "0 .")
    dns_server.txt("odd.test", 'a\0"b"\\ü')
    mx, txt = ask(dns_server, ("shop.test", Kind.MX), ("odd.test", Kind.TXT))
    assert mx.records == ("0 .", "10 mx.shop.test")
    assert txt.records == ('a\\x00"b"\\ü',)


@pytest.mark.parametrize("name", ["a..test", "x" * 64 + ".test", "a." * 130 + "test"])
def test_what_is_no_name_has_nothing(dns_server, name):
    [answer] = ask(dns_server, (name, Kind.TXT))
    assert answer.outcome is Outcome.NO_DATA
    assert dns_server.asked == []


def test_many_questions_wait_together(dns_server):
    names = [f"s{number}.test" for number in range(10)]
    for name in names:
        dns_server.silence(name)
    started = time.monotonic()
    answers = ask(dns_server, *((name, Kind.TXT) for name in names))
    assert {one.outcome for one in answers} == {Outcome.TIMEOUT}
    assert time.monotonic() - started < 5 * TIMEOUT, "one after the other would take ten times it"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("system", ()),
        ("192.0.2.53", (Addr("192.0.2.53", 53),)),
        ("127.0.0.1:5353, ::1", (Addr("127.0.0.1", 5353), Addr("::1", 53))),
        ("[2001:db8::1]:54", (Addr("2001:db8::1", 54),)),
    ],
)
def test_servers_are_configured(text, expected):
    assert setting_kinds.dns_servers(text) == expected


@pytest.mark.parametrize("text", ["dns.example", "192.0.2.1:", "192.0.2.1:x", ",", "192.0.2.1:0"])
def test_what_is_no_server_is_refused(text):
    with pytest.raises(ValueError, match="DNS server"):
        setting_kinds.dns_servers(text)
