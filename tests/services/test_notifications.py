"""Notifications, by real servers: who is told what, once each, signed, again where it fails, and
never more than anybody wants to read.
"""

# ruff: noqa: F401, F811 - the server is a fixture of `noticing`

import json
import threading
from datetime import timedelta

import pytest

from maild import clock
from maild.domain.incident import EntryKind, Severity
from maild.domain.notification import NotificationStatus, Occasion
from maild.errors import NotFound, Unavailable
from maild.models import IncidentEntry, Notification, NotificationChannel
from maild.services import (
    incident_changes,
    incidents,
    notification_channels,
    notification_delivery,
    notification_loop,
    notifications,
)
from tests.conftest import WORKSPACE_A, WORKSPACE_B
from tests.services.noticing import ANN, add_channel, hook, open_incident, verify

pytestmark = pytest.mark.usefixtures("database")

SENT, WAITING = NotificationStatus.SENT, NotificationStatus.WAITING
FAILED, FOLDED = NotificationStatus.FAILED, NotificationStatus.FOLDED


def rows():
    return list(Notification.select().order_by(Notification.id))


def make_due():
    Notification.update(due_at=clock.now() - timedelta(seconds=1)).execute()


def entries(incident):
    found = IncidentEntry.select().where(
        IncidentEntry.incident == incident.id, IncidentEntry.kind == EntryKind.NOTIFIED
    )
    return [one.data for one in found.order_by(IncidentEntry.id)]


@pytest.mark.proves("explain-told")
def test_a_webhook_is_told_signed_and_the_timeline_has_it(hook):
    _, secret = add_channel(hook.url)
    incident = open_incident(smtp_account="main", recipient_domain="google")
    assert notification_loop.drain() == 1
    [(path, headers, body)] = hook.requests
    verified = verify(secret, headers, body)
    assert path == "/hook/abcd"
    assert headers["Host"] == f"127.0.0.1:{hook.port}"
    assert verified["type"] == "incident.opened"
    data = verified["data"]
    assert data["title"] == "Gmail refuses mail"
    assert (data["workspace"], data["severity"], data["status"]) == ("Default", "major", "open")
    assert (data["smtp_account"], data["recipient_domain"]) == ("main", "google")
    assert data["likely_cause"]
    assert data["url"].endswith(f"/ui/incidents/{incident.id}")
    [row] = rows()
    assert (row.status, row.code, row.outcome) == (SENT, 200, "It answered 200.")
    [entry] = entries(incident)
    assert (entry["channel"], entry["outcome"]) == ("Pager", "sent")
    assert NotificationChannel.get().last_sent_at is not None


def test_an_old_secret_signs_too_until_its_time_is_over(hook):
    channel, old = add_channel(hook.url)
    new = notification_channels.rotate_secret(WORKSPACE_A, channel.id, by=ANN)
    open_incident()
    notification_loop.drain()
    [(_, headers, body)] = hook.requests
    for secret in (old, new):
        assert verify(secret, headers, body)
    newest = notification_channels.rotate_secret(WORKSPACE_A, channel.id, by=ANN)
    assert notification_channels.open_signing(channel) == [newest, new]


@pytest.mark.parametrize(
    ("fields", "is_told"),
    [
        ({}, True),
        ({"min_severity": "critical"}, False),
        ({"min_severity": "major"}, True),
        ({"occasions": ["resolved"]}, False),
        ({"is_active": False}, False),
    ],
)
def test_a_channel_hears_of_what_it_wants_to(hook, fields, is_told):
    add_channel(hook.url, **fields)
    open_incident(severity=Severity.MAJOR)
    assert len(rows()) == is_told


def test_it_is_told_once_and_of_no_other_workspace(hook):
    add_channel(hook.url)
    add_channel(hook.url, workspace_id=WORKSPACE_B)
    incident = open_incident()
    assert notifications.tell(incident, Occasion.OPENED) == 0
    assert [row.workspace_id for row in rows()] == [WORKSPACE_A]


def test_what_is_over_before_it_was_sent_is_told_as_one(hook):
    add_channel(hook.url)
    add_channel(hook.url, name="Beginnings", occasions=["opened"])
    incident = open_incident()
    incident_changes.resolve(incident, "A typo.", by=ANN)
    notification_loop.drain()
    told = sorted(json.loads(body)["type"] for _, _, body in hook.requests)
    assert told == ["incident.opened", "incident.resolved"]
    [also] = [json.loads(body)["data"]["also"] for _, _, body in hook.requests if b"also" in body]
    assert also == ["opened"]
    assert sorted(row.status for row in rows()) == [FOLDED, SENT, SENT]


def test_who_was_told_is_told_that_it_is_over_however_bad_it_is_by_then(hook):
    add_channel(hook.url, min_severity="major")
    add_channel(hook.url, name="Worst", min_severity="critical")
    incident = open_incident(severity=Severity.MAJOR)
    incidents.set_severity(WORKSPACE_A, incident.id, severity=Severity.MINOR, by=ANN)
    incidents.resolve(WORKSPACE_A, incident.id, cause="Over.", by=ANN)
    notification_loop.drain()
    told = [json.loads(body)["type"].removeprefix("incident.") for _, _, body in hook.requests]
    assert told == ["resolved"]


def test_what_failed_and_is_over_is_not_told_afterwards(hook):
    add_channel(hook.url)
    incident = open_incident()
    hook.answers = [(500, {}, ""), (200, {}, ""), (500, {}, "")]
    notification_loop.drain()
    incident = incident_changes.resolve(incident, "Over.", by=ANN)
    notification_loop.drain()
    incident = incident_changes.reopen(incident, "Not over.")
    notification_loop.drain()  # what is reopened fails
    incident_changes.resolve(incident, "Over.", by=ANN)
    make_due()
    notification_loop.drain()
    told = [json.loads(body) for _, _, body in hook.requests]
    assert [one["type"].removeprefix("incident.") for one in told] == [
        "opened", "resolved", "reopened", "resolved",
    ]  # fmt: skip
    assert [one["data"].get("also") for one in told] == [None, ["opened"], None, ["reopened"]]
    assert [row.status for row in rows()] == [FOLDED, SENT, FOLDED, SENT]
    assert rows()[0].outcome.startswith("It was over before this got through")


def test_a_resolution_that_failed_is_not_told_of_one_that_is_back(hook):
    add_channel(hook.url)
    incident = open_incident()
    hook.answers = [(200, {}, ""), (500, {}, "")]
    notification_loop.drain()
    incident = incident_changes.resolve(incident, "Over.", by=ANN)
    notification_loop.drain()
    incident_changes.reopen(incident, "Not over.")
    make_due()
    notification_loop.drain()
    told = [json.loads(body)["type"].removeprefix("incident.") for _, _, body in hook.requests]
    assert told == ["opened", "resolved", "reopened"]


def test_what_fails_while_it_is_resolved_is_not_told_afterwards(hook):
    add_channel(hook.url)
    incident = open_incident()
    [claimed] = notification_delivery.claim(8)
    request = notification_delivery.prepare(claimed)
    incident_changes.resolve(incident, "Over.", by=ANN)
    assert rows()[0].status is WAITING, "it may get through yet"
    assert notification_loop.drain() == 0, "and then the resolution comes after it"
    hook.answers = [(500, {}, "")]
    notification_delivery.settle(claimed, notification_delivery.send(request))
    notification_loop.drain()
    make_due()
    notification_loop.drain()
    told = [json.loads(body)["type"].removeprefix("incident.") for _, _, body in hook.requests]
    assert told == ["opened", "resolved"]
    assert [row.status for row in rows()] == [FOLDED, SENT]


def test_a_channel_has_one_under_way_whoever_claims(hook):
    add_channel(hook.url)
    first, second = open_incident(), open_incident("Another")
    [claimed] = notification_delivery.claim(8)
    assert claimed.incident_id == first.id
    assert notification_delivery.claim(8) == [], "they would arrive in any order"
    request = notification_delivery.prepare(claimed)
    hook.answers = [(500, {}, "")]
    assert notification_delivery.settle(claimed, notification_delivery.send(request))
    [claimed] = notification_delivery.claim(8)
    assert claimed.incident_id == second.id, "one that waits to be tried again stops nobody"
    make_due()  # a worker that is gone stops nobody either
    [claimed] = notification_delivery.claim(8)
    assert (claimed.incident_id, claimed.attempt_count) == (first.id, 2)


def test_a_mistake_of_our_own_is_the_trouble_of_one_alone(hook, monkeypatch):
    for name in ("Posted badly", "Made badly", "Fine"):
        add_channel(hook.url, name=name)
    bad = [channel.id for channel in NotificationChannel.select().order_by(NotificationChannel.id)]
    real_post, real_open = notification_delivery.post, notification_channels.open_url
    urls = []

    def post(url, *args, **fields):
        urls.append(url)
        if len(urls) == 1:
            raise AttributeError("a mistake")
        return real_post(url, *args, **fields)

    def open_url(channel):
        if channel.id == bad[1]:
            raise AttributeError("a mistake")
        return real_open(channel)

    monkeypatch.setattr(notification_delivery, "post", post)
    monkeypatch.setattr(notification_channels, "open_url", open_url)
    open_incident()
    assert notification_loop.drain() == 3
    crashed = (WAITING, notification_delivery.CRASHED)
    told = [(row.status, row.outcome) for row in rows()]
    assert sorted(told) == sorted([crashed, crashed, (SENT, "It answered 200.")])


@pytest.mark.parametrize(
    ("path", "answer", "told"),
    [
        (
            "/services/T0/B0/SECRETSECRET",
            "Cannot POST /services/T0/B0/SECRETSECRET",
            "Cannot POST …",
        ),
        ("/a?key=SECRET%20SECRET", "No such key: SECRET SECRET", "No such key: …"),
        ("/a/b", "No /a/b here, at 9/10", "No … here, at 9/10"),
        ("/", "try /services", "try /services"),
    ],
)
def test_what_is_secret_of_an_address_is_not_repeated(hook, path, answer, told):
    add_channel(f"http://127.0.0.1:{hook.port}{path}")
    hook.answers = [(404, {}, answer)]
    open_incident()
    notification_loop.drain()
    [row] = rows()
    assert row.outcome == f"It answered 404: {told}"


def test_each_time_it_comes_back_is_told(hook):
    add_channel(hook.url)
    incident = open_incident()
    notification_loop.drain()
    for _ in range(2):
        incident = incident_changes.resolve(incident, "Over.", by=ANN)
        notification_loop.drain()
        incident = incident_changes.reopen(incident, "Not over.")
        notification_loop.drain()
    told = [json.loads(body)["type"].removeprefix("incident.") for _, _, body in hook.requests]
    assert told == ["opened", "resolved", "reopened", "resolved", "reopened"]


def test_a_failure_is_tried_again_with_the_same_id_and_body(hook):
    add_channel(hook.url)
    incident = open_incident()
    hook.answers = [(500, {}, "out of\norder")]
    notification_loop.drain()
    [row] = rows()
    assert (row.status, row.code) == (WAITING, 500)
    assert row.outcome == "It answered 500: out of order"
    assert timedelta(seconds=5) < row.due_at - clock.now() < timedelta(seconds=15)
    assert NotificationChannel.get().failing_since is not None
    assert entries(incident)[0]["outcome"] == "retrying"
    make_due()
    notification_loop.drain()
    (_, first, body), (_, second, again) = hook.requests
    assert first["webhook-id"] == second["webhook-id"]
    assert body == again
    assert rows()[0].status is SENT
    assert NotificationChannel.get().failing_since is None
    assert [one["outcome"] for one in entries(incident)] == ["retrying", "sent"]


def test_it_is_given_up_after_a_day_of_trying(hook):
    add_channel(hook.url)
    incident = open_incident()
    Notification.update(attempt_count=10).execute()
    hook.answers = [(500, {}, "")]
    notification_loop.drain()
    assert rows()[0].status is FAILED
    assert entries(incident)[0]["outcome"] == "failed"


def test_the_server_may_ask_for_a_longer_pause(hook):
    add_channel(hook.url)
    open_incident()
    hook.answers = [(429, {"Retry-After": "900"}, "")]
    notification_loop.drain()
    assert timedelta(minutes=14) < rows()[0].due_at - clock.now() < timedelta(minutes=16)


def test_410_switches_the_channel_off(hook):
    channel, _ = add_channel(hook.url)
    open_incident()
    hook.answers = [(410, {}, "")]
    notification_loop.drain()
    channel = notification_channels.get(WORKSPACE_A, channel.id)
    assert not channel.is_active
    assert "410" in channel.off_reason
    assert rows()[0].status is FAILED
    open_incident("Another")
    assert len(rows()) == 1


def test_redirects_are_not_followed(hook):
    add_channel(hook.url)
    open_incident()
    hook.answers = [(302, {"Location": hook.url + "/elsewhere"}, "")]
    notification_loop.drain()
    assert len(hook.requests) == 1
    assert "redirect" in rows()[0].outcome


@pytest.mark.proves("security-ssrf")
@pytest.mark.parametrize("target", ["http://127.0.0.1:1/x", "http://169.254.169.254/latest"])
def test_an_address_that_is_not_permitted_is_refused_before_and_at_the_dial(
    hook, use_settings, target
):
    add_channel(hook.url)
    use_settings(allowed_private_networks=())
    with pytest.raises(Exception, match="must be public"):
        add_channel(target, name="Inside")
    open_incident()
    notification_loop.drain()
    assert hook.requests == []
    assert "must be public" in rows()[0].outcome


def test_a_worker_that_dies_costs_a_repetition_and_no_notification(hook):
    add_channel(hook.url)
    open_incident()
    [claimed] = notification_delivery.claim(8)
    notification_delivery.send(notification_delivery.prepare(claimed))  # and then it dies
    assert notification_loop.drain() == 0
    make_due()
    notification_loop.drain()
    assert len({headers["webhook-id"] for _, headers, _ in hook.requests}) == 1
    assert len(hook.requests) == 2
    late = notification_delivery.send(notification_delivery.prepare(claimed))
    assert not notification_delivery.settle(claimed, late)
    assert rows()[0].attempt_count == 2


def test_one_that_hangs_does_not_keep_the_others_waiting(hook):
    add_channel(hook.url)
    other_hook = type(hook)()
    add_channel(other_hook.url, name="Other")
    hook.release.clear()
    open_incident()
    thread = threading.Thread(target=_release_when, args=(hook, other_hook))
    thread.start()
    notification_loop.drain()
    thread.join()
    other_hook.close()
    assert [row.status for row in rows()] == [SENT, SENT]


def _release_when(hook, other):
    """Let the hanging one go only when the other has been told."""
    for _ in range(2_000):
        if other.requests:
            break
        threading.Event().wait(0.01)
    assert other.requests
    hook.release.set()


def test_beyond_the_limit_one_stands_for_all(hook, monkeypatch):
    monkeypatch.setattr(notification_delivery, "HOUR_MAX", 2)
    add_channel(hook.url)
    for number in range(5):
        open_incident(f"Trouble {number}")
    notification_loop.drain()
    assert len(hook.requests) == 2
    assert [row.status for row in rows()] == [SENT, SENT, FOLDED, FOLDED, WAITING]
    assert rows()[-1].due_at > clock.now() + timedelta(minutes=58)
    open_incident("Trouble 5")
    notification_loop.drain()
    an_hour_ago = clock.now() - timedelta(hours=2)
    Notification.update(settled_at=an_hour_ago).where(Notification.status == SENT).execute()
    make_due()
    notification_loop.drain()
    data = json.loads(hook.requests[-1][2])["data"]
    assert (data["title"], data["more_count"]) == ("Trouble 5", 3)
    assert len(hook.requests) == 3


def test_slack_gets_a_text_that_cannot_call_anybody(hook):
    add_channel(hook.url, kind="slack")
    open_incident("<!channel> a & b\nrefuse")
    notification_loop.drain()
    [(_, headers, body)] = hook.requests
    text = json.loads(body)["text"]
    assert text.startswith("*Incident: &lt;!channel&gt; a &amp; b refuse*\n")
    assert "|Open it in maild>" in text
    assert "webhook-signature" not in headers


def test_a_test_is_tried_once_and_says_what_the_server_said(hook):
    channel, _ = add_channel(hook.url)
    hook.answers = [(404, {}, "no_service")]
    notification_channels.test(WORKSPACE_A, channel.id, by=ANN)
    notification_loop.drain()
    [row] = rows()
    assert (row.status, row.outcome) == (FAILED, "It answered 404: no_service")
    assert json.loads(hook.requests[0][2])["type"] == "test"


def test_old_ones_are_forgotten(hook):
    add_channel(hook.url)
    open_incident()
    notification_loop.drain()
    open_incident("Another")
    Notification.update(settled_at=clock.now() - timedelta(days=91)).where(
        Notification.status == SENT
    ).execute()
    horizon = clock.now() - timedelta(days=90)
    assert notifications.prune(WORKSPACE_A, horizon, limit=10) == 1
    assert [row.status for row in rows()] == [WAITING]


def test_one_of_a_channel_that_was_switched_off_meanwhile_is_not_sent(hook):
    channel, _ = add_channel(hook.url)
    open_incident()
    notification_channels.switch_off(channel, reason="Too loud.", by=ANN)
    notification_loop.drain()
    [row] = rows()
    assert (row.status, hook.requests) == (FAILED, [])
    assert "off" in row.outcome
    assert notification_channels.get(WORKSPACE_A, channel.id).failing_since is None


def test_slack_is_told_how_many_one_stands_for(hook, monkeypatch):
    monkeypatch.setattr(notification_delivery, "HOUR_MAX", 1)
    add_channel(hook.url, kind="slack")
    for number in range(3):
        open_incident(f"Trouble {number}")
    notification_loop.drain()
    Notification.update(settled_at=clock.now() - timedelta(hours=2)).where(
        Notification.status == SENT
    ).execute()
    make_due()
    notification_loop.drain()
    first, last = (json.loads(body)["text"] for _, _, body in hook.requests)
    assert "at the same time" not in first
    assert "And 1 other notification came at the same time." in last


def test_what_waits_is_left_waiting_when_the_database_goes_away(hook, monkeypatch):
    add_channel(hook.url)
    open_incident()

    def be_away(row):
        raise Unavailable("The database does not answer.")

    with monkeypatch.context() as patch:
        patch.setattr(notification_delivery, "prepare", be_away)
        with pytest.raises(Unavailable):
            notification_loop.drain()
    assert [row.status for row in rows()] == [WAITING]


def test_a_foreign_one_is_not_there(hook):
    channel, _ = add_channel(hook.url)
    row = notification_channels.test(WORKSPACE_A, channel.id, by=ANN)
    assert notifications.get(WORKSPACE_A, row.id).channel_id == channel.id
    for workspace_id, number in ((WORKSPACE_B, row.id), (WORKSPACE_A, row.id + 1)):
        with pytest.raises(NotFound):
            notifications.get(workspace_id, number)
