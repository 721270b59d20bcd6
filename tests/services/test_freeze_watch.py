"""What stands still right now: one small statement."""

from datetime import timedelta

import pytest

from maild import clock
from maild.db import database as database_
from maild.services import freeze_watch, freezes
from tests.conftest import WORKSPACE_A, WORKSPACE_B
from tests.counting import count_statements
from tests.services.freezing import BY, K, hold, make_key, start
from tests.services.helpers import Accept, ago, fill, set_end


def names():
    return [(one.kind, one.target) for one in freeze_watch.look(WORKSPACE_A)]


def test_nothing_is_frozen_at_first(database):
    assert freeze_watch.look(WORKSPACE_A) == []


def test_the_widest_comes_first_and_of_one_kind_the_oldest(database):
    start(K.RECIPIENT_DOMAIN, "b.example")
    start(K.RECIPIENT_DOMAIN, "a.example")
    start(K.STREAM, "marketing")
    start()
    assert names() == [
        (K.WORKSPACE, None),
        (K.STREAM, "marketing"),
        (K.RECIPIENT_DOMAIN, "b.example"),
        (K.RECIPIENT_DOMAIN, "a.example"),
    ]


def test_it_tells_why_by_whom_until_when_and_how_much_is_held(accept: Accept):
    freeze = start(reason="the host <melts>")
    hold(freeze, accept, count=3)
    [one] = freeze_watch.look(WORKSPACE_A)
    assert (one.reason, one.created_by, one.held_count) == ("the host <melts>", BY.name, 3)
    assert one.expires_at == freeze.expires_at
    assert one.id == freeze.id


def test_the_count_of_what_is_held_is_bounded(accept: Accept, monkeypatch):
    monkeypatch.setattr(freeze_watch, "HELD_MAX", 2)
    hold(start(), accept, count=4)
    assert freeze_watch.look(WORKSPACE_A)[0].held_count == 2


def test_the_list_is_bounded(database, monkeypatch):
    monkeypatch.setattr(freeze_watch, "LISTED_MAX", 2)
    for number in range(4):
        start(K.FROM_EMAIL, f"a{number}@example.com")
    assert len(freeze_watch.look(WORKSPACE_A)) == 2


def test_it_names_the_api_key_by_its_name(database):
    key_id = make_key()
    start(K.API_KEY, str(key_id))
    [one] = freeze_watch.look(WORKSPACE_A)
    assert (one.target, one.key_name) == (str(key_id), "billing")


def test_what_is_over_is_not_there(database):
    lifted, expired = start(K.STREAM, "marketing"), start(K.STREAM, "transactional")
    freezes.lift(lifted, reason="r", by=BY)
    set_end(expired, ago(seconds=1))
    assert freeze_watch.look(WORKSPACE_A) == []


def test_another_workspaces_freezes_are_not_there(accept: Accept):
    hold(start(workspace_id=WORKSPACE_B), accept)
    assert freeze_watch.look(WORKSPACE_A) == []


def test_it_is_one_statement_however_many_there_are(accept: Accept):
    assert count_statements(lambda: freeze_watch.look(WORKSPACE_A)) == 1
    for number in range(5):
        hold(start(K.FROM_EMAIL, f"a{number}@example.com"), accept)
    assert count_statements(lambda: freeze_watch.look(WORKSPACE_A)) == 1


@pytest.mark.parametrize("share", [1, 50])
def test_it_reads_no_table_from_end_to_end(database, share):
    """Also where the freeze holds all the mail there is, and reading that looks like a bargain."""
    fill(2_000)
    freeze = start()
    database_.execute_sql(
        "UPDATE messages SET status = 'held', next_attempt_at = NULL, hold_reason = 'r',"
        " freeze_id = %s WHERE abs(hashtext(id::text)) %% %s = 0",
        (freeze.id, share),
    )
    database_.execute_sql("ANALYZE messages")
    values = {"workspace": WORKSPACE_A, "kinds": list(K), "listed": 20, "held": 1000}
    plan = database_.execute_sql(f"EXPLAIN {freeze_watch._STANDING}", values).fetchall()
    text = "\n".join(line for (line,) in plan)
    assert "Seq Scan on messages" not in text, text


@pytest.mark.parametrize("hours", [1, 24 * 29])
def test_a_later_end_is_told(database, hours):
    freeze = start(K.STREAM, "marketing")
    end = clock.now() + timedelta(hours=hours + 1)
    freezes.extend(freeze, expires_at=end, reason="r", by=BY)
    [one] = freeze_watch.look(WORKSPACE_A)
    assert one.expires_at == end
