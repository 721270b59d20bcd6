"""Whether an SPF record lets an address send, as receivers come to it, and what a walk tells."""

from ipaddress import ip_address

import pytest

from maild.domain import spf, spf_check
from maild.domain.dns_answer import Answer, Book, Kind, Outcome, Question
from maild.domain.dns_finding import State
from maild.domain.sending_route import Route

NAME = "shop.example"
OURS, OURS_V6 = "8.8.4.4", "2001:4860::4"
RELAY = Route("relay", "relay.example")
NAMES = {
    ("yes.example", Kind.TXT): (f"v=spf1 ip4:{OURS} -all",),
    ("no.example", Kind.TXT): ("v=spf1 -all",),
    ("twice.example", Kind.TXT): ("v=spf1 +all", "v=spf1 -all"),
    ("broken.example", Kind.TXT): ("v=spf1 ip5:1 +all",),
    ("many.example", Kind.A): ("8.8.8.1", OURS),
    ("many.example", Kind.AAAA): (OURS_V6,),
    ("near.example", Kind.A): ("8.8.4.9",),
    ("near.example", Kind.MX): ("10 near.example",),
    ("odd.example", Kind.A): ("no address", OURS),
}


def book_of(record, **outcomes):
    """A DNS with one record at NAME and those above; `outcomes` are those of other names."""
    book = Book()
    for (name, kind), texts in {**NAMES, (NAME, Kind.TXT): (record,)}.items():
        book.answers[Question(name, kind)] = Answer(Outcome.FOUND, texts)
    for label, outcome in outcomes.items():
        for kind in Kind:
            book.answers[Question(f"{label}.example", kind)] = Answer(outcome)
    return book


@pytest.mark.parametrize(
    ("record", "address", "expected"),
    [
        (f"v=spf1 ip4:{OURS} -all", OURS, True),
        (f"v=spf1  ip4:{OURS}   -all ", OURS, True),
        (f"v=spf1 ip4:{OURS} -all", OURS_V6, False),
        (f"v=spf1 ~ip4:{OURS} +all", OURS, False),
        ("v=spf1 ip4:192.0.2.1", OURS, False),  # RFC 7208 4.7: neutral is no yes
        ("v=spf1 redirect=yes.example", OURS, True),
        ("v=spf1 redirect=no.example", OURS, False),
        (f"v=spf1 redirect=no.example ip4:{OURS}", OURS, True),  # 6.1: a redirect comes last
        ("v=spf1 include:yes.example -all", OURS, True),
        ("v=spf1 -include:yes.example +all", OURS, False),
        # 5.2: that an include says no is no match, and the next mechanism decides.
        (f"v=spf1 include:no.example ip4:{OURS} -all", OURS, True),
        ("v=spf1 include:gone.example +all", OURS, None),
        ("v=spf1 include:twice.example +all", OURS, None),
        ("v=spf1 include:broken.example +all", OURS, None),
        (f"v=spf1 include:{NAME} +all", OURS, None),
        ("v=spf1 include:%{d}.example +all", OURS, None),
        ("v=spf1 a:%{d}.example +all", OURS, None),
        ("v=spf1 ptr +all", OURS, None),
        (f"v=spf1 exp=why.example ip4:{OURS} -all", OURS, True),
        ("v=spf1 a:many.example -all", OURS, True),
        ("v=spf1 a:many.example -all", OURS_V6, True),
        ("v=spf1 a:many.example -all", "8.8.8.8", False),
        ("v=spf1 a:odd.example -all", OURS, True),
        ("v=spf1 mx:near.example -all", OURS, False),
        ("v=spf1 mx:near.example/24 -all", OURS, True),
        ("v=spf1 a:mute.example +all", OURS, None),
        ("v=spf1 mx:mute.example +all", OURS, None),
    ],
)
def test_the_first_mechanism_that_matches_decides(record, address, expected):
    book = book_of(record, gone=Outcome.NO_NAME, mute=Outcome.TIMEOUT)
    assert spf.permits(book, NAME, ip_address(address)) is expected


def test_a_chain_without_an_end_is_left_where_receivers_leave_it():
    book = book_of("v=spf1 include:c0.example -all")
    for at in range(spf.LOOKUPS_MAX + 1):
        text = f"v=spf1 include:c{at + 1}.example -all"
        book.answers[Question(f"c{at}.example", Kind.TXT)] = Answer(Outcome.FOUND, (text,))
    assert spf.permits(book, NAME, ip_address(OURS)) is None
    assert Question(f"c{spf.LOOKUPS_MAX + 1}.example", Kind.TXT) not in book.wanted


@pytest.mark.parametrize(
    ("record", "words"),
    [
        ("v=spf1 ip4:192.0.2.1 ıp4:192.0.2.2 -all", "not ASCII"),
        ("v=spf1 a:x\x00y -all", "not ASCII"),
        ("v=spf1 redirect=a.example redirect=b.example", "redirect= stands in it more than once"),
        ("v=spf1 exp=a.example exp=b.example -all", "exp= stands in it more than once"),
        ("v=spf1 ip4:192.0.2.1 -=- -all", "“-=-” is no mechanism that SPF knows"),
    ],
)
def test_a_record_that_nobody_can_read_says_why(record, words):
    assert words in str(spf.parse(record).problem)
    tree = spf.walk(book_of(record), NAME)
    assert tree.problems
    assert words in tree.problems[0]


def test_names_that_do_not_answer_make_a_walk_unsure():
    for term in ("a:mute.example", "mx:mute.example", "include:mute.example"):
        tree = spf.walk(book_of(f"v=spf1 {term} -all", mute=Outcome.SERVER_FAILURE), NAME)
        assert tree.unanswered == Answer(Outcome.SERVER_FAILURE), term
        assert not tree.problems


def test_a_trouble_is_told_once_however_often_it_comes():
    void = {f"v{at}": Outcome.NO_NAME for at in range(5)}
    record = f"v=spf1 {' '.join(f'a:{label}.example' for label in void)} -all"
    tree = spf.walk(book_of(record, **void), NAME)
    assert tree.void_count == len(void)
    assert tree.problems == [f"More than {spf.VOIDS_MAX} of its lookups lead to nothing."]


@pytest.mark.parametrize(
    ("hosts", "state", "words"),
    [
        ({Kind.A: ("8.8.4.4",)}, State.OK, "It allows relay.example"),
        ({Kind.A: ("8.8.4.4",), Kind.AAAA: ("2001:db8::4",)}, State.WARN, "It does not allow"),
        ({Kind.A: ("8.8.8.8",)}, State.WARN, "It does not allow relay.example"),
        ({}, State.OK, "could not be found out"),
        (None, State.OK, "could not be found out"),
    ],
)
def test_a_server_with_a_name_is_allowed_where_all_its_addresses_are(hosts, state, words):
    book = book_of(f"v=spf1 ip4:{OURS} -all", relay=Outcome.NO_DATA)
    for kind, addresses in (hosts or {}).items():
        book.answers[Question("relay.example", kind)] = Answer(Outcome.FOUND, addresses)
    if hosts is None:
        book.answers[Question("relay.example", Kind.AAAA)] = Answer(Outcome.TIMEOUT)
    finding = spf_check.check(book, NAME, [RELAY])
    assert finding.state is state
    assert words in " ".join(finding.meaning)
    proposed = [f"v=spf1 ip4:{OURS} a:relay.example -all"] if state is State.WARN else []
    assert [one.value for one in finding.paste] == proposed
