"""A provider refuses, then rejects our sign-in, then throttles, then is well again: nothing fails,
and the timeline tells where the mail went instead.
"""

import itertools
from collections.abc import Iterator

import pytest

from tests.crash.drill import SETTINGS, Drill
from tests.crash.rig import running, wait_until

pytestmark = [pytest.mark.crash, pytest.mark.long]


@pytest.fixture(scope="module")
def drill() -> Iterator[Drill]:
    with running(**SETTINGS) as rig:
        yield Drill(rig)


@pytest.mark.proves("I17", "deliver-failover")
def test_a_provider_fails_in_three_ways_and_comes_back(drill: Drill) -> None:
    primary = drill.sinks["primary"]
    drill.submit(20)
    wait_until(lambda: len(primary.lines()) == len(drill.sent), "the first choice takes the mail")

    primary.set_mode("refuse")
    drill.flow_until("provider.failed_over", 1)
    for mode, error_class in (("authfail", "auth"), ("throttle", "rate_limited")):
        primary.set_mode(mode)
        drill.retry_now()
        drill.flow_until_opened(error_class)
    primary.set_mode("ok")
    drill.retry_now()
    drill.flow_until("provider.failed_back", 1)

    for message_id in drill.sent:
        drill.rig.wait_status(message_id, "sent", "failed", "unknown", "expired")
    told = drill.events()
    # A trial that was under way when the mode changed opens it once more for the old reason.
    reasons = [reason for reason, _ in itertools.groupby(drill.opened())]
    assert reasons == ["connection", "auth", "rate_limited"]
    assert [kind for kind, _ in told].count("provider.breaker_closed") == 1
    [over] = [data for kind, data in told if kind == "provider.failed_over"]
    [back] = [data for kind, data in told if kind == "provider.failed_back"]
    assert (over["smtp_account"], over["to"]) == ("primary", "standby")
    assert (back["smtp_account"], back["from"]) == ("primary", "standby")

    took = {name: [line[1] for line in sink.lines()] for name, sink in drill.sinks.items()}
    everywhere = took["primary"] + took["standby"]
    assert sorted(everywhere) == sorted(drill.sent), "each once, whichever way it took"
    accounts = drill.rig.query(
        "SELECT a.smtp_account_name, a.message_id FROM attempts a JOIN messages m"
        " ON m.id = a.message_id WHERE m.workspace_id = %s AND a.status = 'sent'",
        drill.workspace_id,
    )
    assert sorted(accounts) == sorted(
        (name, message_id) for name, ids in took.items() for message_id in ids
    ), "each attempt names the account that took the message"


@pytest.mark.proves("deliver-recipients-no-breaker")
def test_recipients_that_do_not_exist_open_nothing(drill: Drill) -> None:
    before = drill.count("provider.breaker_opened")
    refused = drill.submit(100, "permfail")
    for message_id in refused:
        drill.rig.wait_status(message_id, "failed")
    drill.rig.wait_status(drill.submit()[0], "sent")
    assert drill.count("provider.breaker_opened") == before
    states = drill.rig.query(
        "SELECT DISTINCT b.state FROM breakers b JOIN smtp_accounts a ON a.id = b.account_id"
        " WHERE a.workspace_id = %s",
        drill.workspace_id,
    )
    assert states in ([], [("closed",)])
