"""Suppressions: who must not be mailed."""

from datetime import UTC, datetime, timedelta

import peewee
import pytest

from maild.db import database as db
from maild.domain.states import Stream
from maild.domain.suppression import SuppressionClass
from maild.models import Suppression
from maild.services import suppressions
from tests.conftest import WORKSPACE_A, WORKSPACE_B
from tests.services.helpers import ago, at_once

URGENT, PATIENT = Stream.TRANSACTIONAL, Stream.MARKETING


def add(email: str = "ann@example.org", **fields: object) -> None:
    suppressions.add(WORKSPACE_A, email, reason="complaint", source="test", **fields)  # type: ignore[arg-type]


@pytest.mark.parametrize("email", ["ann@example.org", "Ann@Example.ORG", "ANN@EXAMPLE.ORG"])
def test_an_address_is_suppressed_in_every_case(database: None, email: str) -> None:
    assert not suppressions.is_suppressed(WORKSPACE_A, "ann@example.org", URGENT)
    add(email)
    for asked in ("ann@example.org", "ANN@example.org"):
        for stream in Stream:
            assert suppressions.is_suppressed(WORKSPACE_A, asked, stream)
    assert not suppressions.is_suppressed(WORKSPACE_A, "anna@example.org", URGENT)
    assert not suppressions.is_suppressed(WORKSPACE_B, "ann@example.org", URGENT)


def test_a_domain_is_the_same_in_both_its_forms(database: None) -> None:
    add("ann@xn--mller-kva.example")
    assert suppressions.is_suppressed(WORKSPACE_A, "ann@müller.example", URGENT)


@pytest.mark.parametrize("email", ["JÖRG@example.org", "jörg@example.org"])
def test_letters_beyond_ascii_have_cases_too(database: None, email: str) -> None:
    add(email)
    assert suppressions.is_suppressed(WORKSPACE_A, "Jörg@example.org", URGENT)


def test_one_stream_leaves_the_other_alone(database: None) -> None:
    add(stream=PATIENT)
    assert suppressions.is_suppressed(WORKSPACE_A, "ann@example.org", PATIENT)
    assert not suppressions.is_suppressed(WORKSPACE_A, "ann@example.org", URGENT)


def test_it_ends_when_it_is_over(database: None) -> None:
    add(expires_at=datetime.now(UTC) + timedelta(hours=1))
    assert suppressions.is_suppressed(WORKSPACE_A, "ann@example.org", URGENT)
    Suppression.update(expires_at=ago(seconds=1)).execute()
    assert not suppressions.is_suppressed(WORKSPACE_A, "ann@example.org", URGENT)


def test_adding_again_changes_nothing(database: None) -> None:
    add()
    suppressions.add(WORKSPACE_A, "ANN@example.org", reason="other", source="csv")
    [kept] = Suppression.select()
    assert (kept.email, kept.reason, kept.source) == ("ann@example.org", "complaint", "test")


def test_many_who_add_the_same_at_once_make_one(database: None) -> None:
    at_once(*[add] * 5)
    assert Suppression.select().count() == 1


def test_one_for_all_streams_stands_beside_one_for_a_stream(database: None) -> None:
    add(stream=PATIENT)
    add()
    assert suppressions.is_suppressed(WORKSPACE_A, "ann@example.org", URGENT)


def test_adding_after_an_earlier_one_has_ended_is_in_force(database: None) -> None:
    add(expires_at=ago(hours=1))
    add()
    assert suppressions.is_suppressed(WORKSPACE_A, "ann@example.org", URGENT)


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


@pytest.mark.parametrize("email", ["", "ann", "ann@", "a b@example.org", "a@example.org\r\nX: y"])
def test_what_is_no_address_is_refused(database: None, email: str) -> None:
    with pytest.raises(ValueError, match="address"):
        add(email)
    assert Suppression.select().count() == 0


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
