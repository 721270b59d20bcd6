"""What needs somebody, as the overview says it."""

import uuid
from urllib.parse import parse_qs, urlsplit

from maild import clock
from maild.domain.incident import Severity
from maild.models import Incident, Message
from maild.services.failures import COUNT_MIN
from maild.web.needs import INCIDENTS_SHOWN
from tests.conftest import WORKSPACE_B
from tests.services.incidenting import make_incident


def fail(message):
    """As a worker would, through the account `second`."""
    row = Message.update(status="sending", worker_id=uuid.uuid4(), next_attempt_at=None)
    row.where(Message.id == message.id).execute()
    row = Message.update(
        status="failed",
        worker_id=None,
        smtp_account_name="second",
        error_class="policy",
        last_error="550 <b>no</b>",
    )
    row.where(Message.id == message.id).execute()


def test_a_cause_leads_to_just_its_messages(page, accept):
    accept()
    for _ in range(COUNT_MIN):
        fail(accept())
    [need] = [one for one in page("/ui").select(".attention li") if "second" in one.text]
    assert f"{COUNT_MIN} messages failed through “second”" in need.text
    assert "550 <b>no</b>" in need.text
    link = need.select_one("a")["href"]
    assert parse_qs(urlsplit(link).query) == {
        "status": ["failed"],
        "range": ["24h"],
        "smtp_account": ["second"],
        "error_class": ["policy"],
    }
    assert len(page(link).select("tr.message")) == COUNT_MIN


def needs_of(soup):
    return [" ".join(one.text.split()) for one in soup.select(".attention li")]


def test_incidents_come_first_the_worst_of_them_and_the_others_by_number(page):
    for severity in (*Severity, *Severity):
        make_incident(title=f"A {severity.value} one", severity=severity)
    make_incident(title="Over", status="resolved", resolved_at=clock.now())
    make_incident(title="Not ours", workspace_id=WORKSPACE_B)
    told = needs_of(page("/ui"))
    assert len(told) == INCIDENTS_SHOWN + 1
    assert told[0].startswith("A critical one")
    assert "Nobody looks after it yet" in told[0]
    assert told[-1].startswith("1 more incident")


def test_what_an_incident_tells_is_not_told_twice(page, accept):
    for _ in range(COUNT_MIN):
        fail(accept())
    incident = make_incident(title="It says no", smtp_account="second", error_class="policy")
    [told] = needs_of(page("/ui"))
    assert told.startswith("It says no")
    Incident.update(smtp_account="first").where(Incident.id == incident.id).execute()
    assert len(needs_of(page("/ui"))) == 2


def test_an_incident_hides_no_failures_of_another_cause(page, accept):
    for _ in range(COUNT_MIN):
        fail(accept())
    make_incident(title="Too fast", smtp_account="second", error_class="rate_limited")
    [first, second] = needs_of(page("/ui"))
    assert first.startswith("Too fast")
    assert f"{COUNT_MIN} messages failed through “second”" in second


def test_the_dashboard_counts_them_and_leads_there(page):
    make_incident()
    make_incident()
    link = page("/dashboard").select_one(".glance a[href='/ui/incidents']")
    assert "2 incidents" in link.text
