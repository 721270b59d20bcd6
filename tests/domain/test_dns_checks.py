"""SPF, DKIM, DMARC and MX as they are judged, by tables of records."""

import base64

import pytest

from maild.domain import (
    dkim_check,
    dkim_record,
    dmarc,
    dmarc_check,
    domain_report,
    mx_check,
    organisation,
    sender_rules,
    spf,
    spf_check,
)
from maild.domain.dkim import Algorithm
from maild.domain.dkim_check import OwnKey
from maild.domain.dns_answer import Answer, Book, Kind, Outcome, Question
from maild.domain.dns_finding import NOTHING_THERE, CheckName, Finding, State
from maild.domain.domain_report import Subject
from maild.domain.sending_route import Route
from tests.dns_zones import KEY

NAME = "shop.example"
SENDGRID = Route("main", "smtp.sendgrid.net")
MAILGUN = Route("main", "smtp.mailgun.org")
RELAY = Route("relay", "8.8.4.4")
RSA_1024 = (
    "MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQCqmshTyrpdHqZGzWbfoK8ecGtQUakYOA9akAnWgktnBTfQkpiy"
    "3XcVSVFLKEoZSs34sicqmKxuSFRO/kOfQlxG6AhaxwX1vHvooP+ISMTXG64kwgRnizw6pvclQU2aVO2OYYY8H0lw"
    "SXiHnXbLRAoy/Fo/+apC/dsJsfER+2TozQIDAQAB"
)
ED25519 = base64.b64encode(bytes(32)).decode()


class Zone(Book):
    """A book in which all that was not written down does not exist."""

    def look_up(self, name, kind):
        return self.answers.get(Question(name.lower().rstrip("."), kind), Answer(Outcome.NO_NAME))


def zone(**records):
    """`txt={name: [texts]}`, and so on; an Outcome in place of a list."""
    book = Zone()
    for kind, names in records.items():
        for name, given in names.items():
            answer = (
                Answer(given) if isinstance(given, Outcome) else Answer(Outcome.FOUND, tuple(given))
            )
            book.answers[Question(name, Kind(kind.upper()))] = answer
    return book


def judge_spf(*records, routes=(), **others):
    return spf_check.check(zone(txt={NAME: records, **others}), NAME, routes)


@pytest.mark.parametrize(
    ("record", "state"),
    [
        ("v=spf1 ip4:192.0.2.0/24 ip6:2001:db8::/32 -all", State.OK),
        ("V=SPF1 a:x.example/24//64 ~ALL", State.OK),
        ("v=spf1 ip4:192.0.2.1 unknown=modifier -all", State.OK),
        ("v=spf1 ?all", State.WARN),
        ("v=spf1 ip4:192.0.2.1", State.WARN),
        ("v=spf1 ptr -all", State.WARN),
        ("v=spf1 +all", State.BAD),
        ("v=spf1 all", State.BAD),
        ("v=spf1 ip4:192.0.2.256 -all", State.BAD),
        ("v=spf1 ip4:2001:db8::1 -all", State.BAD),
        ("v=spf1 ip5:1 -all", State.BAD),
        ("v=spf1 include: -all", State.BAD),
        ("v=spf1 ip4:192.0.2.0/255.255.255.0 -all", State.BAD),
        ("v=spf1 a:x.example/33 -all", State.BAD),
        ("v=spf1 a:x.example//129 -all", State.BAD),
        ("v=spf1 -all ip4:192.0.2.1", State.WARN),
        ("v=spf1 -all redirect=nowhere.example", State.OK),
        ("v=spf1 all:example.org", State.BAD),
        ("v=spf1 include:nowhere.example -all", State.BAD),
        ("v=spf1 redirect=", State.BAD),
        ("v=spf1 redirect=shop.example", State.BAD),
    ],
)
def test_spf_records(record, state):
    assert judge_spf(record).state is state


def test_spf_counts_lookups_along_the_tree():
    # RFC 7208 4.6.4: includes count, and so does what they include.
    names = {f"n{i}.example": [f"v=spf1 include:n{i + 1}.example -all"] for i in range(12)}
    finding = judge_spf("v=spf1 include:n0.example -all", **names)
    assert finding.state is State.BAD
    assert any("more than 10" in words for words in finding.meaning)
    names["n9.example"] = ["v=spf1 -all"]
    finding = judge_spf("v=spf1 include:n0.example -all", **names)
    assert (finding.state, dict(finding.facts)["lookup_count"]) == (State.WARN, 10)


def test_spf_allows_two_void_lookups():
    terms = [f"a:v{i}.example" for i in range(3)]
    assert judge_spf(f"v=spf1 {' '.join(terms[:2])} -all").state is State.OK
    assert judge_spf(f"v=spf1 {' '.join(terms)} -all").state is State.BAD


def test_spf_takes_the_end_of_a_redirect():
    others = {"r.example": ["v=spf1 ip4:192.0.2.1 -all"]}
    finding = judge_spf("v=spf1 redirect=r.example", **others)
    assert (finding.state, dict(finding.facts)["ending"]) == (State.OK, "-all")


@pytest.mark.parametrize(
    ("record", "state"),
    [
        # RFC 7208 5.1: nobody comes to what stands after all.
        ("v=spf1 -all include:mailgun.org", State.BAD),
        ("v=spf1 -include:mailgun.org ~all", State.BAD),
        ("v=spf1 ?include:mailgun.org ~all", State.BAD),
        ("v=spf1 -include:around.example ~all", State.BAD),
        ("v=spf1 include:around.example ~all", State.OK),
        # RFC 7208 6.1: a redirect comes last, wherever it stands.
        ("v=spf1 redirect=end.example include:mailgun.org", State.OK),
        ("v=spf1 redirect=around.example", State.OK),
        ("v=spf1 redirect=around.example ~all", State.BAD),
    ],
)
def test_an_include_allows_a_provider_only_where_receivers_come_to_a_yes(record, state):
    others = {
        "mailgun.org": ["v=spf1 ip4:192.0.2.1 -all"],
        "around.example": ["v=spf1 include:mailgun.org ~all"],
        "end.example": ["v=spf1 -all"],
    }
    assert judge_spf(record, routes=[MAILGUN], **others).state is state


def test_a_proposed_spf_record_has_nothing_after_its_end():
    finding = judge_spf("v=spf1 -all include:mailgun.org exp=why.example", routes=[MAILGUN])
    assert finding.paste[0].value == "v=spf1 include:mailgun.org -all exp=why.example"


def test_an_mx_mechanism_may_lead_to_ten_servers():
    book = zone(txt={NAME: ["v=spf1 mx -all"]}, mx={NAME: [f"10 m{n}.example" for n in range(11)]})
    finding = spf_check.check(book, NAME, [])
    assert finding.state is State.BAD
    assert "more than 10 mail servers" in finding.meaning[0]


def test_several_spf_records_become_one():
    finding = judge_spf("v=spf1 include:a.example -all", "v=spf1 ip4:192.0.2.1 ~all")
    assert finding.state is State.BAD
    assert finding.paste[0].value == "v=spf1 include:a.example ip4:192.0.2.1 ~all"


def test_no_spf_record_proposes_one_for_the_routes():
    finding = judge_spf("another record", routes=[SENDGRID, RELAY])
    assert finding.paste[0].value == "v=spf1 include:sendgrid.net ip4:8.8.4.4 ~all"
    inside = judge_spf("another record", routes=[Route("default", "127.0.0.1")])
    assert "<your provider" in inside.paste[0].value


@pytest.mark.parametrize(
    ("record", "route", "state"),
    [
        ("v=spf1 include:sendgrid.net -all", SENDGRID, State.OK),
        ("v=spf1 -all", SENDGRID, State.OK),  # its envelope sender is its own
        ("v=spf1 -all", MAILGUN, State.BAD),
        ("v=spf1 ip4:8.8.4.0/24 -all", RELAY, State.OK),
        ("v=spf1 a:other.example -all", RELAY, State.OK),
        ("v=spf1 mx -all", RELAY, State.OK),
        ("v=spf1 ip4:192.0.2.1 -all", RELAY, State.WARN),
        ("v=spf1 -ip4:8.8.4.4 +ip4:8.8.4.0/24 -all", RELAY, State.WARN),
        ("v=spf1 exists:%{i}.x.example -all", RELAY, State.OK),  # nobody can tell
        ("v=spf1 -all", Route("relay", "8.8.4.4", "bounces.example"), State.OK),
    ],
)
def test_spf_allows_a_route(record, route, state):
    book = zone(
        txt={NAME: [record], "sendgrid.net": ["v=spf1 ip4:192.0.2.1 ~all"]},
        a={"other.example": ["8.8.4.4"], "mx.example": ["8.8.4.4"]},
        mx={NAME: ["10 mx.example"]},
    )
    finding = spf_check.check(book, NAME, [route])
    assert finding.state is state, finding.meaning
    if state is not State.OK and finding.paste:
        assert spf.parse(finding.paste[0].value).problem is None


def test_spf_that_is_not_answered_is_unknown():
    assert spf_check.check(zone(txt={NAME: Outcome.TIMEOUT}), NAME, ()).state is State.UNKNOWN
    deep = zone(txt={NAME: ["v=spf1 include:x.example -all"], "x.example": Outcome.SERVER_FAILURE})
    assert spf_check.check(deep, NAME, ()).state is State.UNKNOWN


@pytest.mark.parametrize(
    ("record", "state"),
    [
        (KEY, State.OK),
        (f"k=ed25519; p={ED25519}", State.OK),
        (f"v=DKIM1; k=rsa; p={RSA_1024}", State.WARN),
        (f"{KEY}; t=y", State.WARN),
        (f"{KEY}; t=s", State.OK),
        ("v=DKIM1; p=", State.BAD),
        (KEY[:-40], State.BAD),
        ("v=DKIM1; k=ed25519; p=AAAA", State.BAD),
        ("v=DKIM1; k=rsa; p=!!!", State.BAD),
        (KEY.replace("DKIM1", "DKIM2"), State.BAD),
        (f"{KEY}; h=sha1", State.BAD),
        (f"{KEY}; s=tlsrpt", State.BAD),
        (KEY.replace("k=rsa", "k=dsa"), State.BAD),
    ],
)
def test_dkim_keys(record, state):
    book = zone(txt={f"s1._domainkey.{NAME}": [record]})
    assert dkim_check.check(book, NAME, "s1", ()).state is state


def test_dkim_keys_have_a_size():
    assert dkim_record.parse(KEY).bits == 2048
    assert dkim_record.parse(f"p={RSA_1024}").bits == 1024
    # RFC 6376 3.6.1 as of RFC 8017 A.1.1: RSAPublicKey without its wrapper.
    bare = base64.b64encode(base64.b64decode(RSA_1024)[22:]).decode()
    assert dkim_record.parse(f"p={bare}").bits == 1024


def test_two_dkim_keys_under_a_selector_are_one_too_many():
    book = zone(txt={f"s1._domainkey.{NAME}": [KEY, f"p={RSA_1024}"]})
    assert dkim_check.check(book, NAME, "s1", ()).state is State.BAD


def test_the_usual_selectors_are_tried():
    book = zone(txt={f"s2._domainkey.{NAME}": [KEY]})
    found = dkim_check.check(book, NAME, None, [SENDGRID])
    assert (found.state, dict(found.facts)["selector"]) == (State.OK, "s2")
    assert dkim_check.check(book, NAME, None, [MAILGUN]).state is State.BAD


def own_key(selector="md1r", *, is_signing=True):
    public_key = KEY.partition("p=")[2]
    return OwnKey(selector, NAME, Algorithm.RSA, public_key, is_signing)


def test_a_key_of_mailds_own_is_judged_by_its_own_record():
    at = f"md1r._domainkey.{NAME}"
    signing, waiting = own_key(), own_key(is_signing=False)
    for key in (signing, waiting):
        there = dkim_check.check(zone(txt={at: [KEY]}), NAME, None, [], [key])
        assert (there.state, there.at) == (State.OK, at)
        missing = dkim_check.check(zone(), NAME, None, [SENDGRID], [key])
        assert (missing.state, missing.at, missing.paste) == (State.BAD, at, (key.paste,))
        assert "selector" not in missing.summary
    other = {at: [f"v=DKIM1; k=rsa; p={RSA_1024}"], f"s1._domainkey.{NAME}": [KEY]}
    wrong = dkim_check.check(zone(txt=other), NAME, None, [SENDGRID], [signing])
    assert (wrong.state, wrong.paste) == (State.BAD, (signing.paste,))
    # What only waits is nobody's trouble: the provider signs.
    theirs = dkim_check.check(zone(txt=other), NAME, None, [SENDGRID], [waiting])
    assert (theirs.state, theirs.at) == (State.OK, f"s1._domainkey.{NAME}")


def test_of_a_name_that_does_not_exist_one_thing_is_said():
    report = domain_report.judge(zone(), Subject(NAME, None, (SENDGRID,)))
    assert {one.summary for one in report.findings} == {NOTHING_THERE}
    assert not any(one.paste or one.meaning for one in report.findings)
    assert all(dict(one.facts)["is_no_name"] for one in report.findings)
    above = zone(txt={f"_dmarc.{NAME}": ["v=DMARC1; p=reject"]})
    below = domain_report.judge(above, Subject(f"a.{NAME}", None)).find(CheckName.DMARC)
    assert below.state is State.WARN, "the record above is in force all the same"
    there = domain_report.judge(zone(txt={NAME: Outcome.NO_DATA}), Subject(NAME, None))
    assert NOTHING_THERE not in {one.summary for one in there.findings[:3]}
    assert "is_no_name" not in dict(there.findings[0].facts)


def test_the_dmarc_record_to_begin_with_names_no_mailbox():
    finding = dmarc_check.check(zone(), NAME, ())
    assert [one.value for one in finding.paste] == ["v=DMARC1; p=none"]
    assert "rua=mailto:" in " ".join(finding.meaning)
    book = zone(txt={f"_dmarc.{NAME}": ["v=DMARC1; p=none"]})
    present = dmarc_check.check(book, NAME, ())
    assert (present.paste, "rua=mailto:" in " ".join(present.meaning)) == ((), True)


@pytest.mark.parametrize(
    ("record", "state"),
    [
        ("v=DMARC1; p=none; rua=mailto:d@shop.example", State.OK),
        ("v=DMARC1;p=reject;rua=mailto:d@mail.shop.example;", State.OK),
        ("v=DMARC1; p=none", State.WARN),
        ("v=DMARC1; p=reject; pct=50; rua=mailto:d@shop.example", State.WARN),
        ("v=DMARC1; p=none; rua=mailto:d@agreed.example", State.OK),
        ("v=DMARC1; p=none; rua=mailto:d@silent.example", State.WARN),
        ("v=DMARC1; rua=mailto:d@shop.example", State.OK),  # RFC 7489 6.6.3: as p=none
        ("v=DMARC1; p=strict", State.BAD),
        ("v=DMARC1; p=none; p=reject", State.BAD),
        ("v=DMARC2; p=none", State.BAD),
        ("p=none; v=DMARC1", State.BAD),
    ],
)
def test_dmarc_records(record, state):
    agreed = {f"{NAME}._report._dmarc.agreed.example": ["v=DMARC1"]}
    book = zone(txt={f"_dmarc.{NAME}": [record], **agreed})
    finding = dmarc_check.check(book, NAME, ())
    assert finding.state is state, finding.meaning


def test_dmarc_of_the_organisation_speaks_for_what_is_below():
    record = "v=DMARC1; p=reject; sp=none; rua=mailto:d@shop.example"
    finding = dmarc_check.check(zone(txt={f"_dmarc.{NAME}": [record]}), f"a.b.{NAME}", ())
    assert finding.at == f"_dmarc.{NAME}"
    assert dict(finding.facts)["policy"] == "none"


def test_dmarc_twice_is_none():
    book = zone(txt={f"_dmarc.{NAME}": ["v=DMARC1; p=none", "v=DMARC1; p=reject"]})
    assert dmarc_check.check(book, NAME, ()).state is State.BAD


@pytest.mark.parametrize(
    ("one", "other", "is_strict", "expected"),
    [
        ("shop.example", "shop.example", True, True),
        ("shop.example", "bounces.shop.example", True, False),
        ("shop.example", "bounces.shop.example", False, True),
        ("news.shop.example", "bounces.shop.example", False, True),
        ("shop.co.uk", "other.co.uk", False, False),
        ("shop.example", "amazonses.com", False, False),
    ],
)
def test_alignment(one, other, is_strict, expected):
    assert dmarc.is_aligned(one, other, is_strict=is_strict) is expected


def test_organisations():
    assert organisation.of("a.b.example.co.uk") == "example.co.uk"
    assert organisation.of("co.uk") == "co.uk"


@pytest.mark.parametrize(
    ("records", "state"),
    [
        ({"mx": {NAME: ["10 mx.example"]}}, State.OK),
        ({"mx": {NAME: ["0 ."]}}, State.BAD),  # RFC 7505
        ({"mx": {NAME: Outcome.NO_DATA}, "a": {NAME: ["192.0.2.1"]}}, State.WARN),
        ({"mx": {NAME: Outcome.NO_DATA}}, State.BAD),
        ({}, State.BAD),
        ({"mx": {NAME: Outcome.TIMEOUT}}, State.UNKNOWN),
    ],
)
def test_mx(records, state):
    assert mx_check.check(zone(**records), NAME).state is state


def found(state, *records):
    return Finding(CheckName.SPF, state, "", NAME, found=records)


def test_drift_is_worse_than_it_was_and_nothing_else():
    good, drift = domain_report.compare({}, {}, [found(State.BAD)], now="1")
    assert (good, drift) == ({}, {}), "it never was in order"
    good, drift = domain_report.compare({}, {}, [found(State.OK, "a")], now="1")
    assert (good["spf"]["records"], drift) == (["a"], {})
    _, drift = domain_report.compare(good, {}, [found(State.WARN, "a")], now="2")
    assert drift == {}, "the same record, and a new way out that it does not allow"
    kept, drift = domain_report.compare(good, {}, [found(State.WARN, "b")], now="2")
    assert (kept, drift["spf"]["was"], drift["spf"]["since"]) == (good, ["a"], "2")
    kept, again = domain_report.compare(kept, drift, [found(State.BAD)], now="3")
    assert again["spf"]["since"] == "2"
    assert domain_report.compare(kept, again, [found(State.UNKNOWN)], now="4") == (kept, again)
    kept, mended = domain_report.compare(kept, again, [found(State.OK, "c")], now="5")
    assert (kept["spf"]["records"], mended) == (["c"], {})


@pytest.mark.parametrize(
    ("delivered", "complained", "state"),
    [
        (10, 5, State.UNKNOWN),
        (10_000, 5, State.OK),
        (10_000, 15, State.WARN),
        (10_000, 30, State.BAD),
    ],
)
def test_the_spam_rate(delivered, complained, state):
    traffic = sender_rules.Traffic(delivered, complained, 7)
    rules = sender_rules.judge({}, traffic, cleartext=[])
    [rule] = [rule for rule in rules if "spam" in rule.title]
    assert rule.state is state


@pytest.mark.parametrize(
    ("record", "state"),
    [
        ("v=DMARC1; p=none; rua=https://x.example/,mailto:d@shop.example", State.OK),
        ("v=DMARC1; p=none; rua=mailto:d@mute.example", State.UNKNOWN),
    ],
)
def test_dmarc_reports_go_to_mailboxes_that_take_them(record, state):
    asked = {f"{NAME}._report._dmarc.mute.example": Outcome.TIMEOUT}
    book = zone(txt={f"_dmarc.{NAME}": [record], **asked})
    assert dmarc_check.check(book, NAME, ()).state is state


@pytest.mark.parametrize(
    ("route", "words"),
    [
        (RELAY, "“relay” SPF aligns: envelope senders are at shop.example"),
        (Route("relay", "8.8.4.4", "b.shop.example"), "“relay” SPF aligns"),
        (Route("relay", "8.8.4.4", "other.example"), "“relay” SPF does not align"),
        (SENDGRID, "only with a return path of your own"),
        (Route("main", "smtp.sendgrid.net", "em.shop.example"), "“main” SPF aligns"),
    ],
)
def test_dmarc_says_through_which_routes_spf_aligns(route, words):
    finding = dmarc_check.check(zone(txt={f"_dmarc.{NAME}": ["v=DMARC1; p=none"]}), NAME, [route])
    assert words in finding.meaning[-1]


def test_a_usual_selector_that_does_not_answer_leaves_dkim_unknown():
    at = f"s1._domainkey.{NAME}"
    assert dkim_check.check(zone(txt={at: Outcome.TIMEOUT}), NAME, None, [SENDGRID]).state is (
        State.UNKNOWN
    )
    found = zone(txt={at: Outcome.TIMEOUT, f"s2._domainkey.{NAME}": [KEY]})
    assert dkim_check.check(found, NAME, None, [SENDGRID]).state is State.OK
