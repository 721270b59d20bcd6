"""Under load: a short run of the killer, stops and deploys in the middle of the flow, a backlog."""

from collections import Counter
from collections.abc import Iterator

import pytest

from tests.crash.__main__ import drain, run
from tests.crash.audit import Stop, audit
from tests.crash.desk import Desk
from tests.crash.load import POOL_SIZE, Load, pool_address
from tests.crash.rig import Rig, running, wait_until

pytestmark = [pytest.mark.crash, pytest.mark.long]


@pytest.fixture
def rig() -> Iterator[Rig]:
    """A rig of the test's own: the audit looks at everything that was ever sent."""
    with running(APP_MAX_ATTEMPTS="3") as rig:
        yield rig


@pytest.mark.proves("I1", "I2", "I3")
def test_nothing_is_lost_whatever_is_killed(rig: Rig) -> None:
    """The short form of `make crash`, which says more."""
    _, _, report = run(rig, kills=8, seed=20260101, per_second=60, with_points=False)
    assert not report.violations, "\n".join(report.violations[:20])
    assert report.lost == report.phantoms == report.duplicates_of_held == 0
    assert report.duplicates <= report.bound


@pytest.mark.proves("I21")
def test_stops_and_deploys_in_the_middle_of_the_flow(rig: Rig) -> None:
    """I6: no DATA begins after a stop but for the last look of half a second ago. I21: a graceful
    restart of every process loses nothing, repeats nothing, and leaves nothing unknown.
    """
    load = Load(rig.web_addr, [1], seed=1, clients=4, per_second=150)
    desk = Desk(rig)
    load.start()
    try:
        wait_until(lambda: len(load.acknowledged) > 150, "mail flows")
        addresses = [pool_address(n) for n in range(12)]
        stops = [Stop(1, desk.suppress(1, address), email=address) for address in addresses]
        clicker, link = wait_until(lambda: find_link(rig), "one of the others has a link")
        stops.append(Stop(1, rig.click(link), email=clicker, stream="marketing"))
        for part in (*rig.workers, *rig.schedulers, rig.web):
            assert part.terminate() == 0
            part.start()
        freeze_id, since = desk.freeze(1, "marketing")
        before = len(load.acknowledged)
        wait_until(lambda: len(load.acknowledged) > before + 150, "mail flows on")
        stops.append(Stop(1, since, desk.lift(freeze_id), stream="marketing"))
    finally:
        load.stop()
    rig.restart_all()
    assert drain(rig) == []
    report = audit(
        rig,
        load.acknowledged,
        stops=stops,
        differences=desk.differences(),
    )
    desk.close()
    assert not report.violations, "\n".join(report.violations[:20])
    assert report.lost == report.duplicates == report.late == report.untold == 0
    assert report.stopped > 0
    lost_contact = rig.query(
        "SELECT count(*) FROM attempts JOIN messages ON id = message_id"
        " WHERE attempts.status IN ('unknown', 'interrupted')"
        " AND to_email NOT LIKE 'drop-after-dot%%'"
    )
    assert lost_contact == [(0,)]


def find_link(rig: Rig) -> tuple[str, str] | None:
    """One of those who get much and are not suppressed, and the unsubscribe link of a mail."""
    addresses = [pool_address(number) for number in range(12, POOL_SIZE)]
    found = ((address, rig.tap.link_of(address)) for address in addresses)
    return next(((address, link) for address, link in found if link), None)


@pytest.mark.proves("I24")
def test_a_backlog_leaves_oldest_first(rig: Rig) -> None:
    """I24: after an outage; and whoever rescues, an attempt ends once."""
    for worker in rig.workers:
        worker.kill()
    lanes = [1, rig.add_workspace("Other")]
    order = {
        workspace_id: [
            rig.submit(f"person-{n}@example.org", workspace_id=workspace_id) for n in range(150)
        ]
        for workspace_id in lanes
    }
    rig.workers[0].start()  # the other one would be a slice ahead
    for message_ids in order.values():
        for message_id in message_ids:
            rig.wait_status(message_id, "sent")
    lines = rig.sink.lines()
    assert set(Counter(line[1] for line in lines).values()) == {1}
    for message_ids in order.values():
        places = {message_id: place for place, message_id in enumerate(message_ids)}
        left = [places[line[1]] for line in lines if line[1] in places]
        displaced = max(abs(place - position) for position, place in enumerate(left))
        assert displaced < 50, "no further out of order than what is on the wire at once"
