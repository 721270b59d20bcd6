"""cc and bcc: each further recipient is a message of its own, with one content and one look."""

import email
import email.policy

import pytest

from maild.domain.actor import SYSTEM
from maild.domain.states import Status
from maild.models import AcceptedTally, Message, MessageAttachment, MessageBody
from maild.services import policies, suppressions, unsubscribes
from tests.api.conftest import MESSAGE, attachment
from tests.conftest import WORKSPACE_A

ANN, BOB, EVE, DAN = (f"{name}@example.org" for name in ("ann", "bob", "eve", "dan"))


def rows():
    return {message.to_email: message for message in Message.select().order_by(Message.id)}


def submit(api, **fields):
    response = api.submit(**fields)
    assert response.status_code == 201, response.get_data(as_text=True)
    return response.get_json()


def related(api, message):
    answer = api("GET", f"/v1/messages/{message.id}").get_json()
    return answer["submission_id"], answer["related_ids"]


@pytest.fixture
def received(inbox, deliver):
    """Call to send what is due; returns what came in, raw and parsed, by its envelope recipient."""

    def send():
        while deliver():
            pass
        found = {}
        for summary in inbox.messages():
            [recipient] = inbox.envelope(summary["ID"])["Recipients"]
            assert recipient not in found, "nobody gets it twice"
            raw = inbox.raw(summary["ID"])
            found[recipient] = raw, email.message_from_bytes(raw, policy=email.policy.default)
        return found

    return send


# What becomes of a submission


@pytest.mark.proves("accept-recipients")
def test_each_recipient_is_a_message_of_its_own(api):
    answer = submit(api, cc=[BOB, EVE], bcc=[DAN], tags=["a"], metadata={"n": 1})
    found = rows()
    assert list(found) == [ANN, BOB, EVE, DAN]
    assert answer["id"] == answer["submission_id"] == str(found[ANN].id)
    assert answer["to_email"] == ANN
    assert answer["related_ids"] == [str(found[text].id) for text in (BOB, EVE, DAN)]
    for message in found.values():
        assert (message.status, message.tags, message.metadata) == ("queued", ["a"], {"n": 1})
        assert message.submission_id == found[ANN].id
        others = [str(m.id) for m in found.values() if m.id != message.id]
        assert related(api, message) == (answer["id"], others), "in the order of the request"
    assert api("GET", f"/v1/messages/{answer['id']}").get_json() == answer
    assert sum(tally.accepted_count for tally in AcceptedTally.select()) == 4


def test_a_message_to_one_is_its_own_submission(api):
    answer = submit(api)
    assert (answer["submission_id"], answer["related_ids"]) == (answer["id"], [])
    assert Message.get().submission_id is None


def test_whoever_is_named_twice_gets_one_message(api, received):
    answer = submit(
        api,
        cc=[BOB, "Bob@Example.ORG", ANN, EVE],
        bcc=["ANN@example.org", BOB, DAN, DAN, "dan@EXAMPLE.org"],
    )
    assert set(rows()) == {ANN, BOB, EVE, DAN}
    assert len(answer["related_ids"]) == 3
    for _, mail in received().values():
        assert (mail["To"], mail["Cc"]) == (ANN, f"{BOB}, {EVE}")


def test_only_the_same_again_is_a_message_to_one(api):
    answer = submit(api, cc=[ANN], bcc=["ANN@example.org"])
    assert answer["related_ids"] == []
    assert Message.get().submission_id is None


def test_content_and_attachments_are_stored_once(api):
    answer = submit(api, cc=[BOB], bcc=[EVE], attachments=[attachment(), attachment(filename="b")])
    assert [str(body.message_id) for body in MessageBody.select()] == [answer["id"]]
    files = list(MessageAttachment.select())
    assert {str(file.message_id) for file in files} == {answer["id"]}
    assert len(files) == 2
    for message in rows().values():
        body = api("GET", f"/v1/messages/{message.id}?include=body").get_json()["body"]
        assert (body["body_text"], body["cc"]) == ("Hello Ann.", [BOB])
        assert [file["filename"] for file in body["attachments"]] == ["a.txt", "b"]
        assert "eve" not in str(body)


def test_in_a_batch_each_entry_may_have_its_own(api):
    entries = [{**MESSAGE, "cc": [BOB]}, {**MESSAGE, "bcc": [EVE, DAN]}, MESSAGE]
    answer = api("POST", "/v1/messages/batch", json={"messages": entries}).get_json()
    assert [len(result["related_ids"]) for result in answer["results"]] == [1, 2, 0]
    assert Message.select().count() == 6
    by_submission = {str(m.submission_id) for m in Message.select() if m.submission_id}
    assert by_submission == {result["id"] for result in answer["results"][:2]}


# Bad ones


def test_fifty_recipients_are_the_most(api, refused, stored):
    cc = [f"c{n}@example.org" for n in range(25)]
    bcc = [f"b{n}@example.org" for n in range(24)]
    assert len(submit(api, cc=cc, bcc=bcc)["related_ids"]) == 49
    before = stored()
    document = refused(api.submit(cc=cc, bcc=[*bcc, DAN]), 422, "invalid_fields", "cc")
    assert "more than 49 further recipients" in document["detail"]
    refused(api.submit(cc=[DAN] * 51), 422, "invalid_fields", "cc")
    assert stored() == before


@pytest.mark.parametrize("name", ["cc", "bcc"])
@pytest.mark.parametrize("bad", ["nobody", "", " ", "a@b@c", "x@example.org\r\nBcc: y@example.org"])
def test_a_bad_address_is_named_by_its_place(api, refused, stored, name, bad):
    good = [f"c{n}@example.org" for n in range(3)]
    response = api.submit(**{name: [*good, bad, "x@example.org"]})
    refused(response, 422, "invalid_fields", f"{name}.3")
    assert stored()["Message"] == 0


@pytest.mark.parametrize("value", ["bob@example.org", {"a": 1}, [1], [None], [["x"]]])
def test_it_refuses_what_is_no_list_of_texts(api, stored, value):
    assert api.submit(cc=value).status_code == 422
    assert stored()["Message"] == 0


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"cc": [BOB, "x@mailinator.com"]}, "cc.1"),
        ({"cc": [BOB], "bcc": [EVE, DAN, "x@mailinator.com"]}, "bcc.2"),
        ({"cc": [BOB, BOB, "x@Mailinator.com"]}, "cc.2"),
    ],
)
def test_a_blocked_domain_refuses_the_whole_submission(api, refused, stored, fields, named):
    document = refused(api.submit(**fields), 422, "blocked_recipient_domain", named)
    assert "mailinator.com is blocked" in document["detail"]
    assert stored()["Message"] == stored()["MessageBody"] == 0


# Their own checks and state


def test_a_suppressed_recipient_stops_its_own_message_alone(api, received):
    suppressions.add(WORKSPACE_A, BOB, reason="asked", source="test")
    answer = submit(api, cc=[BOB, EVE])
    assert answer["status"] == "queued"
    assert {text: m.status for text, m in rows().items()} == {
        ANN: "queued", BOB: "suppressed", EVE: "queued",
    }  # fmt: skip
    found = received()
    assert set(found) == {ANN, EVE}
    assert all(mail["Cc"] == f"{BOB}, {EVE}" for _, mail in found.values())


def test_a_suppressed_to_stops_not_its_copies(api, received):
    suppressions.add(WORKSPACE_A, ANN, reason="asked", source="test")
    answer = submit(api, cc=[BOB], attachments=[attachment()])
    assert (answer["status"], answer["next_attempt_at"]) == ("suppressed", None)
    assert list(received()) == [BOB]


def test_an_unsubscribe_stops_its_own_message_alone(api):
    unsubscribes.add(WORKSPACE_A, BOB, topic="news", source="api", by=SYSTEM)
    submit(api, cc=[BOB, EVE], stream="marketing", topic="News")
    assert {text: m.status for text, m in rows().items()} == {
        ANN: "queued", BOB: "suppressed", EVE: "queued",
    }  # fmt: skip


def test_each_has_a_decision_of_its_own(api):
    suppressions.add(WORKSPACE_A, BOB, reason="asked", source="test")
    submit(api, cc=[BOB])
    verdicts = {}
    for text, message in rows().items():
        path = f"/v1/messages/{message.id}?include=decision"
        [decision] = api("GET", path).get_json()["decision"]
        verdicts[text] = decision["verdict"], decision["checks"][-1]["check"]
    assert verdicts == {ANN: ("pass", "provider"), BOB: ("stop", "suppression")}


def test_one_that_fails_fails_alone_and_is_retried_alone(api, inbox, deliver):
    policies.save(WORKSPACE_A, changes={"transactional": {"max_attempts": 1}}, by=SYSTEM)
    submit(api, cc=["tempfail@example.org"], bcc=[EVE])
    while deliver():
        pass
    found = rows()
    failed = found["tempfail@example.org"]
    assert {text: m.status for text, m in found.items()} == {
        ANN: "sent", "tempfail@example.org": "failed", EVE: "sent",
    }  # fmt: skip
    body = {"message_ids": [str(m.id) for m in found.values()]}
    answer = api("POST", "/v1/messages/retry", json=body).get_json()
    assert (answer["retried"], answer["skipped"]) == (1, 2)
    while deliver():
        pass
    timeline = api("GET", f"/v1/messages/timeline?message_id={failed.id}").get_json()
    assert [attempt["attempt_no"] for attempt in timeline["attempts"]] == [1, 2]
    assert timeline["message"]["to_email"] == "tempfail@example.org"
    assert {event["type"] for event in timeline["events"]} >= {"message.accepted", "message.failed"}
    assert len(inbox.messages()) == 2


def test_one_is_cancelled_alone(api, received):
    submit(api, cc=[BOB])
    body = {"message_ids": [str(rows()[ANN].id)]}
    assert api("POST", "/v1/messages/cancel", json=body).get_json()["done"] == 1
    assert {text: m.status for text, m in rows().items()} == {ANN: "cancelled", BOB: "queued"}
    assert list(received()) == [BOB], "though the other holds the content"


def test_resending_one_is_a_message_to_that_one(api, inbox, received):
    submit(api, cc=[BOB], bcc=[EVE], attachments=[attachment()])
    received()
    inbox.clear()
    body = {"message_ids": [str(rows()[EVE].id)]}
    answer = api("POST", "/v1/messages/resend", json=body).get_json()
    assert answer["resent"] == 1
    [(recipient, (raw, mail))] = received().items()
    assert (recipient, mail["To"], mail["Cc"]) == (EVE, EVE, None)
    assert b"bob" not in raw
    assert len(list(mail.iter_attachments())) == 1
    copy = Message.get_by_id(answer["outcomes"][0]["new_message_id"])
    assert copy.submission_id is None


def test_the_log_shows_each(api):
    answer = submit(api, cc=[BOB], bcc=[EVE])
    page = api("GET", "/v1/messages/logs").get_json()
    assert {message["to_email"] for message in page["messages"]} == {ANN, BOB, EVE}
    assert {message["submission_id"] for message in page["messages"]} == {answer["id"]}


# On the wire


@pytest.mark.proves("accept-recipients")
def test_all_see_the_same_and_nobody_sees_a_bcc(api, received):
    submit(
        api,
        cc=[BOB, "cleo@example.net"],
        bcc=[EVE, "dan@secret.example"],
        body_html="<p>Hello <b>all</b></p>",
        attachments=[attachment(content_base64="/+8=", content_type="image/png")],
        headers={"X-Order": "7"},
    )
    found = received()
    assert set(found) == {ANN, BOB, "cleo@example.net", EVE, "dan@secret.example"}
    for raw, mail in found.values():
        assert mail["To"] == ANN
        assert mail["Cc"] == f"{BOB}, cleo@example.net"
        assert mail["Bcc"] is None
        assert b"bcc" not in raw.lower()
        assert b"eve@" not in raw
        assert b"secret.example" not in raw
        assert mail["X-Order"] == "7"
        assert mail.get_body(("plain",)).get_content().strip() == "Hello Ann."
        [file] = mail.iter_attachments()
        assert (file.get_content(), file.get_content_type()) == (b"\xff\xef", "image/png")
    assert len({mail["Message-ID"] for _, mail in found.values()}) == 1


def test_the_message_id_that_is_answered_is_the_one_on_the_wire(api, received):
    answer = submit(api, cc=[BOB])
    ids = {str(mail["Message-ID"]) for _, mail in received().values()}
    assert ids == {answer["message_id_header"]}
    for message in rows().values():
        read = api("GET", f"/v1/messages/{message.id}").get_json()
        assert read["message_id_header"] == answer["message_id_header"]


def test_a_message_to_one_with_bcc_alone_shows_no_cc(api, received):
    submit(api, bcc=[EVE])
    found = received()
    assert set(found) == {ANN, EVE}
    for raw, mail in found.values():
        assert (mail["To"], mail["Cc"]) == (ANN, None)
        assert b"eve@" not in raw


def test_each_of_a_marketing_submission_leaves_by_a_link_of_its_own(api, received):
    submit(api, cc=[BOB], stream="marketing")
    links = {mail["List-Unsubscribe"] for _, mail in received().values()}
    assert len(links) == 2


def test_a_large_one_goes_to_all(api, received):
    text = "\n".join(["x" * 70] * 6000)
    submit(api, cc=[BOB], bcc=[EVE], body_text=text)
    found = received()
    assert len(found) == 3
    for _, mail in found.values():
        assert mail.get_body(("plain",)).get_content().replace("\r\n", "\n").strip() == text


def test_internationalised_addresses_may_be_copies(api, received):
    submit(
        api,
        cc=["bob@xn--bcher-kva.example", "BOB@Bücher.example", "用户@例え.jp"],
        bcc=["jörg@bücher.example"],
    )
    assert set(rows()) == {ANN, "bob@bücher.example", "用户@例え.jp", "jörg@bücher.example"}
    found = received()
    assert len(found) == 4
    for raw, _ in found.values():  # RFC 6532: what needs UTF-8 is there as UTF-8
        assert "\r\nCc: bob@xn--bcher-kva.example, 用户@xn--r8jz45g.jp\r\n" in raw.decode()
        assert "jörg" not in raw.decode()
    assert {m.status for m in Message.select()} == {Status.SENT}


def test_a_domain_blocked_in_one_form_is_blocked_in_the_other(api, refused):
    changes = {"blocked_recipient_domains": ["xn--bcher-kva.example"]}
    policies.save(WORKSPACE_A, changes=changes, by=SYSTEM)
    response = api.submit(cc=[BOB, "x@BÜCHER.example"])
    refused(response, 422, "blocked_recipient_domain", "cc.1")
