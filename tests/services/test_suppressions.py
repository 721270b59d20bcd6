"""Suppressions: who must not be mailed."""

import logging
import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import peewee
import pytest

from maild.db import database as db
from maild.domain.actor import SYSTEM, Actor
from maild.domain.states import Status, Stream
from maild.domain.suppression import SuppressionClass
from maild.errors import InvalidFields, NotFound
from maild.models import AuditEntry, Message, Suppression
from maild.services import addresses, suppressions
from maild.services.suppressions import Bounced
from maild.services.workers import Lease
from tests.conftest import WORKSPACE_A, WORKSPACE_B
from tests.services.helpers import Accept, ago, at_once, is_suppressed, reload, take

URGENT, PATIENT = Stream.TRANSACTIONAL, Stream.MARKETING


PERSON = Actor("admin key", ip="192.0.2.1", request_id="r1")


def add(email: str = "ann@example.org", **fields: object) -> Suppression:
    values: dict[str, object] = {"reason": "complained", "source": "test", **fields}
    return suppressions.add(WORKSPACE_A, email, **values)  # type: ignore[arg-type]


def later(**spans: float) -> datetime:
    return datetime.now(UTC) + timedelta(**spans)


def let_pass(row: Suppression, **spans: float) -> None:
    """As if it had ended a while ago."""
    Suppression.update(expires_at=ago(**spans)).where(Suppression.id == row.id).execute()


def audited() -> list[AuditEntry]:
    return list(AuditEntry.select().order_by(AuditEntry.seq))


@pytest.mark.parametrize("email", ["ann@example.org", "Ann@Example.ORG", "ANN@EXAMPLE.ORG"])
def test_an_address_is_suppressed_in_every_case(database: None, email: str) -> None:
    assert not is_suppressed(WORKSPACE_A, "ann@example.org", URGENT)
    add(email)
    for asked in ("ann@example.org", "ANN@example.org"):
        for stream in Stream:
            assert is_suppressed(WORKSPACE_A, asked, stream)
    assert not is_suppressed(WORKSPACE_A, "anna@example.org", URGENT)
    assert not is_suppressed(WORKSPACE_B, "ann@example.org", URGENT)


FORMS = [
    ("ann@example.org", "ANN@EXAMPLE.ORG"),
    ("JÖRG@example.org", "jörg@example.org"),
    ("ДМИТРИЙ@example.org", "дмитрий@example.org"),
    ("jo\u0308rg@example.org", "j\u00f6rg@example.org"),  # NFD, NFC
    ("JO\u0308RG@example.org", "jörg@example.org"),
    ("ann@xn--mller-kva.example", "ann@müller.example"),
    ("ann@XN--MLLER-KVA.example", "ann@MÜLLER.example"),
    ("ann@mu\u0308ller.example", "ann@xn--mller-kva.example"),
    ("ann@xn--e1afmkfd.example", "ann@пример.example"),
]


@pytest.mark.parametrize(("one", "other"), [*FORMS, *((b, a) for a, b in FORMS)])
def test_an_address_is_one_in_all_its_forms(database: None, one: str, other: str) -> None:
    row = add(one)
    for form in (one, other):
        # As messages have it: `messages` stores the recipient's normal form.
        to_email = addresses.parse(form).text
        assert is_suppressed(WORKSPACE_A, to_email, URGENT), form
        assert add(form).id == row.id
    assert suppressions.remove(WORKSPACE_A, other, reason="r", by=PERSON).suppression.id == row.id
    assert not is_suppressed(WORKSPACE_A, addresses.parse(one).text, URGENT)


@pytest.mark.parametrize(("one", "other"), [*FORMS, *((b, a) for a, b in FORMS)])
def test_delivery_knows_an_address_in_all_its_forms(
    accept: Accept, lease: Lease, one: str, other: str
) -> None:
    message = accept(to_email=other)
    add(one)
    assert take(lease) == []
    assert reload(message).status is Status.SUPPRESSED


def test_one_stream_leaves_the_other_alone(database: None) -> None:
    add(stream=PATIENT)
    assert is_suppressed(WORKSPACE_A, "ann@example.org", PATIENT)
    assert not is_suppressed(WORKSPACE_A, "ann@example.org", URGENT)


def test_it_ends_when_it_is_over(database: None) -> None:
    add(expires_at=datetime.now(UTC) + timedelta(hours=1))
    assert is_suppressed(WORKSPACE_A, "ann@example.org", URGENT)
    Suppression.update(expires_at=ago(seconds=1)).execute()
    assert not is_suppressed(WORKSPACE_A, "ann@example.org", URGENT)


def test_many_who_add_the_same_at_once_make_one(database: None) -> None:
    at_once(*[add] * 5)
    assert Suppression.select().count() == 1


def test_one_for_all_streams_stands_beside_one_for_a_stream(database: None) -> None:
    add(stream=PATIENT)
    add()
    assert is_suppressed(WORKSPACE_A, "ann@example.org", URGENT)


@pytest.mark.parametrize("is_first", [True, False], ids=["first", "second"])
def test_one_without_end_outlives_one_that_passes(is_first: bool, database: None) -> None:
    """I7: what comes later or in another order never makes it end sooner."""
    ends = [None, datetime.now(UTC) + timedelta(hours=1)]
    for expires_at in ends if is_first else ends[::-1]:
        add(expires_at=expires_at)
    [kept] = Suppression.select()
    assert kept.expires_at is None


@pytest.mark.parametrize("is_first", [True, False], ids=["first", "second"])
def test_of_two_ends_the_later_one_holds(is_first: bool, database: None) -> None:
    ends = [datetime.now(UTC) + timedelta(hours=hours) for hours in (1, 2)]
    for expires_at in ends if is_first else ends[::-1]:
        add(expires_at=expires_at)
    [kept] = Suppression.select()
    assert kept.expires_at == ends[1]


def test_the_table_refuses_an_address_in_capitals(database: None) -> None:
    """It would never be found."""
    with pytest.raises(peewee.IntegrityError), db.atomic():
        Suppression.insert(
            class_=SuppressionClass.MANUAL,
            created_by="me",
            workspace=WORKSPACE_A,
            email="Ann@example.org",
            reason="a",
            source="b",
        ).execute()


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"email": ""}, "email"),
        ({"email": "ann"}, "email"),
        ({"email": "a b@example.org"}, "email"),
        ({"email": "a@example.org\r\nX: y"}, "email"),
        ({"reason": ""}, "reason"),
        ({"reason": " "}, "reason"),
        ({"reason": "a\nb"}, "reason"),
        ({"reason": "a\0b"}, "reason"),
        ({"reason": "x" * 501}, "reason"),
        ({"expires_at": datetime(2020, 1, 1, tzinfo=UTC)}, "expires_at"),
    ],
)
def test_it_names_what_it_does_not_take(database: None, fields: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidFields) as raised:
        add(**{"by": PERSON, **fields})
    assert {error.field for error in raised.value.errors} == {field}
    assert Suppression.select().count() == AuditEntry.select().count() == 0


def test_an_unknown_workspace_has_none(database: None) -> None:
    with pytest.raises(NotFound):
        suppressions.add(999, "ann@example.org", reason="r", source="test", by=PERSON)


def test_it_says_where_it_came_from(accept: Accept) -> None:
    message = accept()
    row = add(
        "Ann@Example.org",
        class_=SuppressionClass.COMPLAINT,
        stream=PATIENT,
        message_id=message.id,
        by=PERSON,
    )
    kept = Suppression.get_by_id(row.id)
    for found in (row, kept):
        assert (found.email, found.reason, found.source) == (
            "ann@example.org",
            "complained",
            "test",
        )
        assert (found.class_, found.stream) == (SuppressionClass.COMPLAINT, PATIENT)
        assert (found.message_id, found.created_by) == (message.id, "admin key")
        assert found.expires_at is None is found.removed_at


def test_adding_again_changes_nothing(database: None) -> None:
    for by in (SYSTEM, PERSON):
        add(by=by, reason="the first", stream=URGENT if by is SYSTEM else None)
    for stream, by in ((URGENT, SYSTEM), (None, SYSTEM), (None, PERSON)):
        before = Suppression.select().order_by(Suppression.id).dicts()
        before = list(before)
        add("ANN@example.org", reason="other", source="csv", stream=stream, by=by)
        assert list(Suppression.select().order_by(Suppression.id).dicts()) == before


def test_the_words_of_a_person_take_the_place_of_mailds(accept: Accept) -> None:
    """Or who finds the mailbox repaired would lift what a lawyer asked for."""
    message = accept()
    machine_s = add(
        reason="550 no such user",
        class_=SuppressionClass.HARD_BOUNCE,
        source="smtp_reply",
        message_id=message.id,
    )
    row = add(reason="a lawyer's letter", source="api", by=PERSON, expires_at=later(days=1))
    assert row.id == machine_s.id
    assert (row.reason, row.source, row.created_by) == ("a lawyer's letter", "api", "admin key")
    assert row.class_ is SuppressionClass.MANUAL
    assert row.message_id == message.id
    assert row.expires_at is None  # as before
    [entry] = audited()
    assert entry.before["reason"] == "550 no such user"
    assert entry.after["reason"] == "a lawyer's letter"


def test_the_words_of_a_person_stay_when_maild_adds(database: None) -> None:
    add(reason="on leave", by=PERSON, expires_at=later(days=1))
    row = add(reason="550 no such user", source="smtp_reply")
    assert (row.reason, row.source, row.created_by) == ("on leave", "test", "admin key")
    assert row.expires_at is None


def test_maild_tells_of_what_lasts_longest(database: None) -> None:
    add(reason="five soft bounces", class_=SuppressionClass.SOFT_BOUNCE, expires_at=later(days=1))
    row = add(reason="no such user", class_=SuppressionClass.HARD_BOUNCE)
    assert (row.reason, row.class_) == ("no such user", SuppressionClass.HARD_BOUNCE)
    row = add(reason="soft", class_=SuppressionClass.SOFT_BOUNCE, expires_at=later(days=1))
    assert (row.reason, row.expires_at) == ("no such user", None)


def test_an_expired_one_is_followed_by_another_and_stays_as_history(database: None) -> None:
    old = add(reason="the first", expires_at=later(hours=1), by=PERSON)
    let_pass(old, hours=1)
    row = add(reason="the second")
    assert row.id != old.id
    assert (row.reason, row.expires_at) == ("the second", None)
    assert is_suppressed(WORKSPACE_A, "ann@example.org", URGENT)
    old = Suppression.get_by_id(old.id)
    assert (old.reason, old.created_by, old.removed_by) == ("the first", "admin key", "maild")
    assert old.removed_at == old.expires_at


def test_what_a_person_adds_is_audited(database: None) -> None:
    add()
    assert audited() == []
    add("bob@example.org", by=PERSON, reason="asked us")
    [entry] = audited()
    assert (entry.actor, entry.actor_ip, entry.request_id) == ("admin key", "192.0.2.1", "r1")
    assert (entry.action, entry.target) == ("suppression.added", "suppression:bob@example.org")
    assert (entry.before, entry.reason) == (None, "asked us")
    assert entry.after["email"] == "bob@example.org"


def bounced(
    email: str = "ann@example.org", *, workspace_id: int = WORKSPACE_A, reason: str = "550 no"
) -> Bounced:
    return Bounced(workspace_id, email, uuid.uuid4(), reason)


def test_many_are_added_at_once(database: None) -> None:
    rows = [bounced("Ann@example.org"), bounced("bob@example.org"), bounced("ann@EXAMPLE.org")]
    rows += [bounced(workspace_id=WORKSPACE_B)]
    with db.atomic():
        suppressions.add_many(rows)
    kept = list(Suppression.select().order_by(Suppression.workspace, Suppression.email))
    assert [(row.workspace_id, row.email) for row in kept] == [
        (WORKSPACE_A, "ann@example.org"),
        (WORKSPACE_A, "bob@example.org"),
        (WORKSPACE_B, "ann@example.org"),
    ]
    assert kept[1].message_id == rows[1].message_id
    for row in kept:
        assert (row.reason, row.source, row.created_by) == ("550 no", "smtp_reply", "maild")
        assert (row.class_, row.stream, row.expires_at) == (
            SuppressionClass.HARD_BOUNCE, None, None,
        )  # fmt: skip
    assert audited() == []


def test_many_are_few_statements(database: None, caplog: pytest.LogCaptureFixture) -> None:
    rows = [bounced(f"user{n}@example.org") for n in range(500)]
    with caplog.at_level(logging.DEBUG, "peewee"):
        suppressions.add_many([])
        suppressions.add_many(rows)
    assert len(caplog.records) == 2
    assert Suppression.select().count() == 500


def test_many_weaken_nothing(database: None) -> None:
    person_s = add(by=PERSON)
    passing = add("bob@example.org", expires_at=later(days=1), by=PERSON, reason="on leave")
    machine_s = add("cid@example.org", expires_at=later(days=1), reason="soft")
    over = add("dan@example.org", expires_at=later(days=1), reason="long ago")
    let_pass(over, days=2)
    emails = ("ann", "bob", "cid", "dan")
    suppressions.add_many([bounced(f"{name}@example.org") for name in emails])
    assert Suppression.get_by_id(person_s.id).reason == "complained"
    rows = [Suppression.get_by_id(row.id) for row in (passing, machine_s, over)]
    assert [(row.reason, row.source, row.expires_at) for row in rows[:2]] == [
        ("on leave", "test", None),
        ("550 no", "smtp_reply", None),
    ]
    assert (rows[2].reason, rows[2].removed_by) == ("long ago", "maild")
    assert is_suppressed(WORKSPACE_A, "dan@example.org", URGENT)


def test_many_at_once_do_not_stand_in_each_others_way(database: None) -> None:
    rows = [bounced(f"user{n}@example.org") for n in range(200)]

    def record(some: list[Bounced]) -> Callable[[], None]:
        return lambda: suppressions.add_many(some)

    at_once(*(record(some) for some in (rows, rows[::-1], rows, rows[::-1])))
    assert Suppression.select().count() == 200


@pytest.mark.parametrize("reason", ["a\nb", "a\0b", "x" * 9_000, "\udcff"])
def test_no_reason_of_a_server_stops_many(database: None, reason: str) -> None:
    suppressions.add_many([bounced(reason=reason)])
    [row] = Suppression.select()
    assert len(row.reason) <= suppressions.REASON_MAX_CHARS
    assert "\n" not in row.reason


def block(row: Suppression, *messages: Message) -> None:
    for message in messages:
        Message.update(status=Status.SUPPRESSED, next_attempt_at=None, suppression=row.id).where(
            Message.id == message.id
        ).execute()


def test_removing_tells_what_was_held_back(accept: Accept) -> None:
    row = add(reason="no such user")
    held_back = [accept() for _ in range(3)]
    block(row, *held_back)
    block(add("bob@example.org"), accept(to_email="bob@example.org"))
    removal = suppressions.remove(WORKSPACE_A, "ANN@example.org", reason="it works", by=PERSON)
    assert (removal.blocked_count, removal.has_more_blocked) == (3, False)
    assert removal.blocked_ids == [message.id for message in held_back[::-1]]
    assert removal.remaining == []
    assert not is_suppressed(WORKSPACE_A, "ann@example.org", URGENT)
    kept = Suppression.get_by_id(row.id)
    assert (kept.reason, kept.removed_by, kept.removal_reason) == (
        "no such user", "admin key", "it works",
    )  # fmt: skip
    assert kept.removed_at is not None
    [entry] = audited()
    assert (entry.action, entry.reason) == ("suppression.removed", "it works")
    assert entry.before["reason"] == "no such user"
    assert add().id != row.id


def test_removing_counts_up_to_a_bound(accept: Accept, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(suppressions, "BLOCKED_COUNT_MAX", 2)
    monkeypatch.setattr(suppressions, "BLOCKED_SHOWN", 1)
    block(add(), *(accept() for _ in range(3)))
    removal = suppressions.remove(WORKSPACE_A, "ann@example.org", reason="r", by=PERSON)
    assert (removal.blocked_count, removal.has_more_blocked) == (2, True)
    assert len(removal.blocked_ids) == 1


def test_removing_one_tells_which_others_remain(database: None) -> None:
    everywhere, one_stream = add(), add(stream=PATIENT)
    removal = suppressions.remove(WORKSPACE_A, "ann@example.org", reason="r", by=PERSON)
    assert removal.suppression.id == everywhere.id
    assert removal.remaining == [one_stream]
    assert is_suppressed(WORKSPACE_A, "ann@example.org", PATIENT)
    assert not is_suppressed(WORKSPACE_A, "ann@example.org", URGENT)


def test_only_what_is_in_force_is_removed(database: None) -> None:
    let_pass(add(expires_at=later(hours=1)), hours=1)
    add("bob@example.org", stream=PATIENT)
    for email, workspace_id in (
        ("ann@example.org", WORKSPACE_A),  # is over
        ("bob@example.org", WORKSPACE_A),  # of one stream
        ("bob@example.org", WORKSPACE_B),
        ("cid@example.org", WORKSPACE_A),
    ):
        with pytest.raises(NotFound):
            suppressions.remove(workspace_id, email, reason="r", by=PERSON)
    assert audited() == []
    suppressions.remove(WORKSPACE_A, "bob@example.org", stream=PATIENT, reason="r", by=PERSON)
    with pytest.raises(NotFound):
        suppressions.remove(WORKSPACE_A, "bob@example.org", stream=PATIENT, reason="r", by=PERSON)


def test_of_two_who_remove_one_at_once_one_does(database: None) -> None:
    add()
    outcomes: list[str] = []

    def remove() -> None:
        try:
            suppressions.remove(WORKSPACE_A, "ann@example.org", reason="r", by=PERSON)
            outcomes.append("removed")
        except NotFound:
            outcomes.append("not found")

    at_once(*[remove] * 3)
    assert sorted(outcomes) == ["not found", "not found", "removed"]
    assert len(audited()) == 1


def test_removing_needs_a_reason(database: None) -> None:
    add()
    with pytest.raises(InvalidFields):
        suppressions.remove(WORKSPACE_A, "ann@example.org", reason=" ", by=PERSON)
    assert is_suppressed(WORKSPACE_A, "ann@example.org", URGENT)
