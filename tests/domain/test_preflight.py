"""What a look before the start comes to, from the figures alone."""

import dataclasses
from datetime import UTC, datetime, timedelta

import pytest

from maild.domain import preflight as judge
from maild.domain.preflight import Finding, Level, RedisFacts

OK, WARN, FAIL = Level.OK, Level.WARN, Level.FAIL
NOW = datetime(2026, 7, 1, tzinfo=UTC)
REDIS = RedisFacts("Valkey 8.1.0", (7, 2, 4), "master", "noeviction", 0, True, False, False)


def test_it_is_fit_while_nothing_fails() -> None:
    findings = [judge.ok("a", "."), judge.warn("b", ".", "."), judge.skipped("c", ".")]
    assert judge.is_fit(findings)
    assert not judge.is_fit([*findings, judge.fail("d", ".", ".")])


def test_it_tells_itself_in_plain_words() -> None:
    told = judge.fail("a", "b", "c").told()
    assert told == {"name": "a", "level": "fail", "found": "b", "mend": "c"}


@pytest.mark.parametrize(
    ("settings", "level"),
    [
        ({"fsync": "on", "full_page_writes": "on", "synchronous_commit": "on"}, OK),
        ({"synchronous_commit": "remote_apply"}, OK),
        ({"synchronous_commit": "local"}, OK),
        ({"synchronous_commit": "off"}, FAIL),
        ({"fsync": "off", "full_page_writes": "on"}, FAIL),
        ({"full_page_writes": "off"}, FAIL),
    ],
)
def test_what_is_confirmed_must_survive(settings: dict[str, str], level: Level) -> None:
    found = judge.of_durability(settings)
    assert found.level is level
    assert all(f"{name} = on" in found.mend for name, value in settings.items() if value == "off")


@pytest.mark.parametrize(
    ("most", "others", "level"),
    [(100, 0, OK), (63, 0, OK), (62, 0, WARN), (100, 38, WARN), (33, 0, WARN), (32, 0, FAIL)],
)
def test_connections_must_do_for_a_restart(most: int, others: int, level: Level) -> None:
    needed = {"web": 20, "worker": 10}
    assert judge.of_connections(most=most, others=others, needed=needed).level is level


@pytest.mark.parametrize(
    ("skew", "level"),
    [(0.0, OK), (1.9, OK), (-1.9, OK), (2.1, WARN), (-2.1, WARN), (30.1, FAIL), (-31.0, FAIL)],
)
def test_clocks_must_agree(skew: float, level: Level) -> None:
    found = judge.of_clock(skew)
    assert found.level is level
    if level is not OK:
        assert ("behind" in found.found) is (skew > 0)


def levels(**changes: object) -> dict[str, Level]:
    found: list[Finding] = judge.of_redis(dataclasses.replace(REDIS, **changes))  # type: ignore[arg-type]
    return {one.name.partition(": ")[2]: one.level for one in found}


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, {}),
        ({"role": "slave"}, {"server": FAIL}),
        ({"version": (5, 0, 14)}, {"server": FAIL}),
        ({"version": (6, 0, 0)}, {}),
        ({"policy": "allkeys-lru"}, {"eviction": FAIL}),
        ({"policy": "volatile-ttl"}, {"eviction": FAIL}),
        ({"policy": "unknown"}, {"eviction": FAIL}),
        ({"max_bytes": 64 * 1024**2}, {}),
        ({"has_log": False}, {"persistence": WARN}),
        ({"has_log": False, "has_snapshots": True}, {"persistence": WARN}),
        ({"has_log": False, "has_snapshots": None}, {"persistence": WARN}),
        ({"has_snapshots": True, "snapshot_failed": True}, {"persistence": WARN}),
        ({"has_snapshots": False, "snapshot_failed": True}, {}),
    ],
)
def test_redis_must_keep_what_it_has(
    changes: dict[str, object], expected: dict[str, Level]
) -> None:
    assert levels(**changes) == {"server": OK, "eviction": OK, "persistence": OK, **expected}


@pytest.mark.parametrize(("days", "level"), [(90, OK), (14, OK), (13, WARN), (0, WARN)])
def test_a_certificate_must_last(days: int, level: Level) -> None:
    found = judge.of_certificate("TLS", NOW + timedelta(days=days, hours=1), now=NOW)
    assert found.level is level


@pytest.mark.parametrize(
    ("free", "level"), [(2 * 1024**3, OK), (1024**3 - 1, WARN), (100 * 1024**2 - 1, FAIL)]
)
def test_a_disk_must_have_room(free: int, level: Level) -> None:
    found = judge.of_disk("/tmp", free_bytes=free, total_bytes=10 * 1024**3)
    assert found.level is level
