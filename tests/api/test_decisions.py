"""Why: `include` of GET /v1/messages/{id} and `decision` of the timeline; and who may read them."""

from datetime import UTC, datetime, timedelta

import pytest

from maild.domain.actor import SYSTEM
from maild.domain.freeze import FreezeKind
from maild.models import Message
from maild.services import freezes, policies, smtp_accounts, suppressions, unsubscribes
from maild.services.smtp_account_fields import NewSmtpAccount
from tests.api.conftest import attachment
from tests.conftest import WORKSPACE_A

pytestmark = pytest.mark.proves("decide-explained")


AT_ACCEPT = ["from_domain", "recipient_domain", "suppression", "unsubscribe", "freeze"]
AT_SEND = ["lifetime", *AT_ACCEPT]
LIMITS = ["workspace_limit", "domain_limit"]


def read(api, message_id, include=None, **arguments):
    query = {} if include is None else {"include": include}
    return api("GET", f"/v1/messages/{message_id}", query=query, **arguments)


@pytest.fixture
def why(api):
    """Call with an id to read its decisions, in the timeline as in the message."""

    def ask(message_id):
        decisions = read(api, message_id, "decision").get_json()["decision"]
        path = f"/v1/messages/timeline?message_id={message_id}"
        assert api("GET", path).get_json()["decision"] == decisions
        return decisions

    return ask


def policy(**changes):
    policies.save(WORKSPACE_A, changes=changes, by=SYSTEM)


def names(decision):
    return [check["check"] for check in decision["checks"]]


def last(decision):
    """The check that decided; all before it had passed."""
    *before, check = decision["checks"]
    assert {one["verdict"] for one in before} <= {"pass"}
    return check


def make_due(message_id):
    then = datetime.now(UTC) - timedelta(seconds=1)
    Message.update(next_attempt_at=then).where(Message.id == message_id).execute()


# What is told


def test_a_message_that_waits_tells_why_it_was_accepted(api, why):
    message = api.submit().get_json()
    [decision] = why(message["id"])
    assert set(decision) == {"at", "stage", "attempt_no", "policy_version", "verdict", "checks"}
    assert decision["at"] == message["created_at"]
    assert (decision["stage"], decision["attempt_no"]) == ("accept", None)
    assert (decision["policy_version"], decision["verdict"]) == (0, "pass")
    assert names(decision) == [*AT_ACCEPT, *LIMITS, "provider"]
    assert {check["verdict"] for check in decision["checks"]} == {"pass"}
    assert last(decision)["smtp_account"] == "default"


def test_it_names_the_version_of_the_policy_that_decided(api, why):
    policy(rate_limit_workspace_per_hour=7)
    first = api.submit().get_json()["id"]
    policy(rate_limit_workspace_per_hour=8)
    second = api.submit().get_json()["id"]
    assert [why(one)[0]["policy_version"] for one in (first, second)] == [1, 2]
    limits = [why(one)[0]["checks"][5]["limit"] for one in (first, second)]
    assert limits == [7, 8]


def test_each_attempt_tells_why_it_was_made(api, why, inbox, deliver):
    policy(soft_bounce_threshold=100)
    message_id = api.submit(to_email="tempfail@example.org").get_json()["id"]
    assert deliver() == 1
    policy(rate_limit_workspace_per_hour=5)
    make_due(message_id)
    assert deliver() == 1
    accepted, first, second = why(message_id)
    assert accepted["stage"] == "accept"
    for number, version, decision in ((1, 1, first), (2, 2, second)):
        assert (decision["stage"], decision["attempt_no"]) == ("send", number)
        assert (decision["policy_version"], decision["verdict"]) == (version, "pass")
        assert names(decision) == [*AT_SEND, "provider"]
        assert last(decision) == {
            "check": "provider",
            "verdict": "pass",
            "smtp_account": "default",
            "route": "first_choice",
        }
    times = [datetime.fromisoformat(one["at"]) for one in (accepted, first, second)]
    assert times == sorted(times)


def test_an_attempt_names_its_account_and_why_that_one(api, why, inbox, deliver):
    for name, priority in (("main", 1), ("spare", 2)):
        account = NewSmtpAccount(
            name,
            inbox.smtp.host,
            inbox.smtp.port,
            "shop@example.com",
            security="none",
            priority=priority,
        )
        smtp_accounts.save(WORKSPACE_A, account, by=SYSTEM)
    smtp_accounts.activate(WORKSPACE_A, name="main", by=SYSTEM)
    first = api.submit().get_json()["id"]
    deliver()
    smtp_accounts.pause(WORKSPACE_A, name="main", reason="look", by=SYSTEM)
    second = api.submit().get_json()["id"]
    deliver()
    for message_id, name, route in (
        (first, "main", "first_choice"),
        (second, "spare", "fail_over"),
    ):
        sent = why(message_id)[1]
        assert (last(sent)["smtp_account"], last(sent)["route"]) == (name, route)
        assert read(api, message_id).get_json()["smtp_account"] == name


def test_what_was_stopped_as_it_was_accepted_tells_it_once(api, why):
    row = suppressions.add(WORKSPACE_A, "ann@example.org", reason="complained", source="test")
    [decision] = why(api.submit().get_json()["id"])
    assert (decision["stage"], decision["verdict"]) == ("accept", "stop")
    assert names(decision) == AT_ACCEPT[:3]
    assert last(decision)["suppression_id"] == row.id
    assert last(decision)["reason"] == "complained"


def suppress():
    row = suppressions.add(WORKSPACE_A, "ann@example.org", reason="asked", source="test")
    return {"suppression_id": row.id, "reason": "asked"}


def unsubscribe():
    row = unsubscribes.add(WORKSPACE_A, "ann@example.org", source="api", by=SYSTEM)
    return {"unsubscribe_id": row.id}


def freeze():
    end = datetime.now(UTC) + timedelta(hours=1)
    row = freezes.start(WORKSPACE_A, kind=FreezeKind.WORKSPACE, reason="look", expires_at=end)
    return {"freeze_id": row.id, "reason": "look"}


def block_recipient():
    policy(blocked_recipient_domains=["example.org"])
    return {"value": "example.org"}


def forbid_sender():
    policy(allowed_from_domains=["example.net"])
    return {"value": "example.com"}


def let_expire():
    then = datetime.now(UTC) - timedelta(seconds=1)
    Message.update(expires_at=then).execute()
    return {}


@pytest.mark.parametrize(
    ("act", "check", "verdict", "status"),
    [
        (let_expire, "lifetime", "stop", "expired"),
        (forbid_sender, "from_domain", "stop", "failed"),
        (block_recipient, "recipient_domain", "stop", "failed"),
        (suppress, "suppression", "stop", "suppressed"),
        (unsubscribe, "unsubscribe", "stop", "suppressed"),
        (freeze, "freeze", "wait", "held"),
    ],
)
def test_what_a_claim_stopped_tells_by_what(api, why, inbox, deliver, act, check, verdict, status):
    message_id = api.submit().get_json()["id"]
    evidence = act()
    assert deliver() == 0
    assert read(api, message_id).get_json()["status"] == status
    accepted, decision = why(message_id)
    assert (accepted["stage"], accepted["verdict"]) == ("accept", "pass")
    assert (decision["stage"], decision["verdict"]) == ("send", verdict)
    assert decision["attempt_no"] is None
    assert decision["policy_version"] == policies.find_version_in_force(WORKSPACE_A)
    assert names(decision) == AT_SEND[: AT_SEND.index(check) + 1]
    said = last(decision)
    assert (said["check"], said["verdict"]) == (check, verdict)
    assert said.items() >= evidence.items()
    assert inbox.messages() == []


def test_what_people_do_is_no_decision(api, why, inbox, deliver):
    message_id = api.submit().get_json()["id"]
    body = {"message_ids": [message_id]}
    api("POST", "/v1/messages/hold", json={**body, "reason": "to look"})
    api("POST", "/v1/messages/release", json=body)
    assert len(why(message_id)) == 1
    deliver()
    assert [one["stage"] for one in why(message_id)] == ["accept", "send"]


def test_held_by_a_freeze_and_sent_after_it(api, why, inbox, deliver):
    message_id = api.submit().get_json()["id"]
    freeze_id = freeze()["freeze_id"]
    deliver()
    api("DELETE", "/v1/freezes", json={"id": freeze_id, "reason": "looked"})
    assert deliver() == 1
    stages = [(one["stage"], one["verdict"], one["attempt_no"]) for one in why(message_id)]
    assert stages == [("accept", "pass", None), ("send", "wait", None), ("send", "pass", 1)]


# include


def test_only_what_is_asked_for_is_there(api):
    message = api.submit(body_html="<p>Hi</p>", attachments=[attachment()]).get_json()
    assert read(api, message["id"]).get_json() == message
    for include, parts in (
        ("body", {"body"}),
        ("decision", {"decision"}),
        ("events", {"events"}),
        ("events,body", {"events", "body"}),
        ("body, decision ,events", {"body", "decision", "events"}),
        ("body,body", {"body"}),
    ):
        answer = read(api, message["id"], include).get_json()
        assert set(answer) - set(message) == parts
        assert answer.items() >= message.items()


def test_the_body_is_as_it_was_submitted(api):
    message = api.submit(
        body_html="<p>Hi</p>",
        from_name="The Shop",
        reply_to="help@example.com",
        headers={"X-A": "1"},
        cc=["bob@example.org"],
        bcc=["eve@example.org"],
        attachments=[attachment()],
    ).get_json()
    assert read(api, message["id"], "body").get_json()["body"] == {
        "from_name": "The Shop",
        "reply_to": "help@example.com",
        "cc": ["bob@example.org"],
        "headers": [["X-A", "1"]],
        "body_text": "Hello Ann.",
        "body_html": "<p>Hi</p>",
        "attachments": [
            {"filename": "a.txt", "content_type": "application/octet-stream", "size_bytes": 3}
        ],
    }


def test_the_events_are_those_of_the_timeline(api, inbox, deliver):
    message_id = api.submit().get_json()["id"]
    deliver()
    events = read(api, message_id, "events").get_json()["events"]
    assert [event["type"] for event in events] == ["message.accepted", "message.sent"]
    path = f"/v1/messages/timeline?message_id={message_id}"
    assert api("GET", path).get_json()["events"] == events


@pytest.mark.parametrize("include", ["", "other", "body,other", "Body", "body,", "body;events"])
def test_an_unknown_part_is_refused(api, refused, include):
    message_id = api.submit().get_json()["id"]
    refused(read(api, message_id, include), 400, "invalid_request", "include")


# A sender's own


@pytest.fixture
def submitted(api, make_key):
    """The id of a message of each of two senders, of a workspace's operator, and of nobody's key;
    with the keys.
    """
    keys = {name: make_key("sender", name=name) for name in ("one", "two")}
    keys |= {"operator": make_key("operator"), "viewer": make_key("viewer"), "instance": "operator"}
    senders = ("one", "two", "operator", "instance")
    ids = {name: api.submit(key=keys[name], cc=["bob@example.org"]) for name in senders}
    return keys, {name: response.get_json() for name, response in ids.items()}


def reads(api, key, message):
    """Whether the key reads the message, by each of the ways; they must agree."""
    paths = (
        f"/v1/messages/{message['id']}",
        f"/v1/messages/{message['id']}?include=body,decision,events",
        f"/v1/messages/timeline?message_id={message['id']}",
    )
    answers = [api("GET", path, key=key) for path in paths]
    [status] = {answer.status_code for answer in answers}
    if status == 404:
        assert all("no such message" in answer.get_data(as_text=True) for answer in answers)
    page = api("GET", "/v1/messages/logs", key=key).get_json()
    is_listed = message["id"] in {one["id"] for one in page["messages"]}
    assert is_listed == (status == 200)
    return is_listed


def test_a_sender_reads_its_own_and_no_other(api, submitted):
    keys, messages = submitted
    for name in ("one", "two"):
        assert {other for other in messages if reads(api, keys[name], messages[other])} == {name}


def test_a_sender_reads_the_copies_of_its_own(api, submitted):
    keys, messages = submitted
    [copy_id] = messages["one"]["related_ids"]
    assert reads(api, keys["one"], {"id": copy_id})
    assert not reads(api, keys["two"], {"id": copy_id})


@pytest.mark.parametrize("name", ["operator", "viewer", "instance"])
def test_the_others_read_all(api, submitted, name):
    keys, messages = submitted
    assert all(reads(api, keys[name], message) for message in messages.values())


def test_a_senders_log_is_filtered_and_paged_over_its_own(api, submitted):
    keys, messages = submitted
    own = {messages["one"]["id"], *messages["one"]["related_ids"]}
    found, query = [], {"limit": 1}
    while query:
        page = api("GET", "/v1/messages/logs", key=keys["one"], query=query).get_json()
        found += [message["id"] for message in page["messages"]]
        query = page["next_cursor"] and {"limit": 1, "cursor": page["next_cursor"]}
    assert (set(found), len(found)) == (own, 2)
    for query in ({"to_email": "bob@example.org"}, {"q": "bob"}):
        page = api("GET", "/v1/messages/logs", key=keys["one"], query=query).get_json()
        assert [message["id"] for message in page["messages"]] == messages["one"]["related_ids"]


def test_a_foreign_message_looks_as_one_that_does_not_exist(api, refused, submitted):
    keys, messages = submitted
    answers = [
        refused(read(api, message_id, key=keys["one"]), 404, "not_found")
        for message_id in (messages["two"]["id"], "01890a5d-ac96-774b-bcce-b302099a8057")
    ]
    assert {**answers[0], "request_id": ""} == {**answers[1], "request_id": ""}
