"""What cells of files of contacts say, and whose addresses are nobody's in particular."""

from datetime import UTC, datetime, timedelta

import pytest

from maild.domain import contact_cells

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize("local", ["info", "INFO", "no-reply", "postmaster", "sales+spring",
                                   "friends-request"])  # fmt: skip
def test_functions_are_no_persons(local: str) -> None:
    assert contact_cells.is_role(local)


@pytest.mark.parametrize("local", ["ann", "information", "ann.info", "request.ann", ""])
def test_persons_are_no_functions(local: str) -> None:
    assert not contact_cells.is_role(local)


@pytest.mark.parametrize(
    ("domain", "expected"),
    [
        ("mailinator.com", True),
        ("MAILINATOR.com", True),
        ("x.y.mailinator.com", True),
        ("notmailinator.com", False),
        ("com", False),
        ("", False),
    ],
)
def test_what_is_below_a_domain_is_of_it(domain: str, expected: bool) -> None:
    assert contact_cells.is_of(domain, {"mailinator.com", "com"}) is expected


def test_topics() -> None:
    assert contact_cells.read_topics(" News ; Offers,news|\n") == ["news", "offers"]
    with pytest.raises(ValueError, match="longer than 100"):
        contact_cells.read_topics("x" * 101)
    with pytest.raises(ValueError, match="more than 50"):
        contact_cells.read_topics(",".join(map(str, range(51))))


@pytest.mark.parametrize(
    ("cell", "time"),
    [
        ("2026-01-31", datetime(2026, 1, 31, tzinfo=UTC)),
        ("2026-01-31 09:30", datetime(2026, 1, 31, 9, 30, tzinfo=UTC)),
        ("2026-01-31T09:30:00+02:00", datetime(2026, 1, 31, 7, 30, tzinfo=UTC)),
        (" 2026-01-31T09:30:00Z ", datetime(2026, 1, 31, 9, 30, tzinfo=UTC)),
        ("0001-01-01", datetime(1, 1, 1, tzinfo=UTC)),
    ],
)
def test_times(cell: str, time: datetime) -> None:
    assert contact_cells.read_time(cell, now=NOW) == time


@pytest.mark.parametrize(
    "cell",
    ["", "yesterday", "31.01.2026", "2026-13-01", "0001-01-01T00:00:00+14:00", "2026-06-02",
     "9999-12-31T23:59:59-14:00"],
)  # fmt: skip
def test_what_is_no_time_in_the_past_is_told(cell: str) -> None:
    with pytest.raises(ValueError, match="must"):
        contact_cells.read_time(cell, now=NOW)


def test_clocks_may_differ_a_little() -> None:
    soon = (NOW + timedelta(minutes=4)).isoformat()
    assert contact_cells.read_time(soon, now=NOW) > NOW
