"""Fingerprints: what is one trouble, and what are two."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from maild.domain.incident import IncidentKind
from maild.domain.incident_fingerprint import family, of_state, of_trouble, pattern
from maild.domain.states import EventType

DOMAINS = st.sampled_from(["gmail.com", "mx.shop.example", "b-c.co.uk", "a1.example"])
LOCALS = st.from_regex(r"[a-z][a-z0-9.+-]{0,12}", fullmatch=True)
NUMBERS = st.integers(0, 10**12).map(str)
VARYING = {
    "address": st.builds("{}@{}".format, LOCALS, DOMAINS),
    "quoted": st.builds("<{}@{}>".format, LOCALS, DOMAINS),
    "ip": st.ip_addresses().map(lambda ip: f"[{ip}]"),
    "id": st.from_regex(r"[0-9A-F]{10,16}", fullmatch=True).map(lambda text: f"0{text}"),
    "number": NUMBERS,
    "time": st.times().map(lambda at: at.isoformat("seconds")),
    "host": st.builds("{}.{}".format, st.sampled_from(["mx", "in-1", "smtp"]), DOMAINS),
    "url": st.builds("https://{}/why?id={}".format, DOMAINS, NUMBERS),
}
REPLY = (
    "451 4.7.1 {quoted}: {host} at {ip} has put {address} off, queued as {id} at {time}."
    " Try again in {number} seconds; see {url} (RCPT TO, {host}:25)"
)


def said(varying: dict[str, str]) -> str:
    return REPLY.format(**varying)


@given(st.fixed_dictionaries(VARYING), st.fixed_dictionaries(VARYING))
def test_replies_that_differ_by_what_varies_are_one(
    one: dict[str, str], two: dict[str, str]
) -> None:
    assert pattern(said(one)) == pattern(said(two))


@given(st.text(max_size=300))
def test_any_text_has_a_pattern(text: str) -> None:
    assert pattern(text) == pattern(pattern(text)) or pattern(text)
    assert len(pattern(text).split()) <= 40


def test_what_maild_adds_makes_no_difference() -> None:
    first = "451 4.3.0 Try later (RCPT TO, mx.example.net:25)"
    last = f"Gave up after 9 attempts. The last answer: {first}"
    assert pattern(first) == pattern(last) == "try later"


@pytest.mark.parametrize(
    ("one", "two"),
    [
        ("550 mailbox full", "550 no such user"),
        ("421 too many connections", "421 too many messages"),
        ("554 blocked by policy", "554 blocked for spam"),
    ],
)
def test_other_words_are_another_trouble(one: str, two: str) -> None:
    assert pattern(one) != pattern(two)


@pytest.mark.parametrize(
    ("address", "name"),
    [
        ("ann@gmail.com", "google"),
        ("ann@GoogleMail.com", "google"),
        ("ann@hotmail.co.uk", "microsoft"),
        ("ann@outlook.com", "microsoft"),
        ("ann@live.nl", "microsoft"),
        ("ann@msn.com", "microsoft"),
        ("ann@ymail.com", "yahoo"),
        ("ann@aol.com", "yahoo"),
        ("ann@yahoo.de", "yahoo"),
        ("ann@mail.example.com", "example.com"),
        ("ann@a.b.example.co.uk", "example.co.uk"),
        ("ann@gmail.example.com", "example.com"),
        ("ann@live.example", "live.example"),
        ("ann@bücher.example", "bücher.example"),
        ("ann@localhost", "localhost"),
    ],
)
def test_a_family_is_a_company_or_a_registered_domain(address: str, name: str) -> None:
    assert family(address) == name


def trouble(**changed: object) -> str:
    values: dict[str, object] = {
        "error_class": "policy",
        "smtp_account": "primary",
        "to_email": "ann@gmail.com",
        "text": "550 go away",
        "is_path_fault": False,
    }
    return of_trouble(EventType.FAILED, **{**values, **changed}).fingerprint  # type: ignore[arg-type]


def test_a_fingerprint_tells_what_matters_and_nothing_else() -> None:
    assert trouble() == trouble(to_email="bob@googlemail.com")
    others = [
        trouble(error_class="spam_content"),
        trouble(smtp_account="standby"),
        trouble(to_email="ann@yahoo.com"),
        trouble(text="550 come back"),
        trouble(is_path_fault=True),
    ]
    assert len({trouble(), *others}) == 6
    path = [trouble(is_path_fault=True, to_email=to) for to in ("a@gmail.com", "b@yahoo.com")]
    assert path[0] == path[1]
    assert of_state(IncidentKind.DOMAIN, "a") != of_state(IncidentKind.DOMAIN, "b")
