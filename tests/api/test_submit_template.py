"""Submitting with a template: what is stored is the mail filled in, and its story says of what."""

import pytest

from maild.models import Contact, Message, MessageBody
from maild.services import mail_links
from tests.conftest import WORKSPACE_A, WORKSPACE_B

TO = {"from_email": "shop@example.com", "to_email": "ann@example.org"}
LETTER = {
    "name": "Order shipped",
    "subject": "Order {{ data.order_no }}",
    "source": '<p>Hello {{ contact.first_name | default: "there" }}, {{ data.order_no }}</p>',
}


@pytest.fixture
def template_id(api):
    return api("POST", "/v1/templates", json=LETTER).get_json()["template"]["id"]


def save(api, template_id, version, **fields):
    body = {**LETTER, "template_id": template_id, "version": version, **fields}
    del body["name"]
    response = api("POST", "/v1/templates/save", json=body)
    assert response.status_code == 200, response.text


def submit(api, status=201, key="operator", headers=None, **fields):
    body = {**TO, "template": "Order shipped", "data": {"order_no": "48213"}, **fields}
    body = {name: value for name, value in body.items() if value is not ...}
    response = api("POST", "/v1/messages", json=body, key=key, headers=headers)
    assert response.status_code == status, response.text
    return response.get_json()


@pytest.mark.parametrize("by_name", [True, False])
def test_a_message_is_made_of_a_template(api, template_id, by_name):
    told = submit(api, template="order SHIPPED" if by_name else template_id)
    assert told["subject"] == "Order 48213"
    assert told["body_text"] == "Hello there, 48213"
    whole = api("GET", f"/v1/messages/{told['id']}", query={"include": "body,events"}).get_json()
    assert "<p>Hello there, 48213</p>" in whole["body"]["body_html"]
    assert whole["events"][0]["data"]["template"] == {
        "id": template_id,
        "name": "Order shipped",
        "version": 1,
    }


def test_a_message_without_a_template_says_nothing_of_one(api):
    told = api.submit().get_json()
    whole = api("GET", f"/v1/messages/{told['id']}", query={"include": "events"}).get_json()
    assert set(whole["events"][0]["data"]) == {"decision"}


def test_a_sender_may_use_a_template(api, template_id, sender_key_a):
    assert submit(api, key=sender_key_a)["subject"] == "Order 48213"


def test_the_contact_of_the_recipient_fills_it_in(api, template_id):
    for workspace_id, name in ((WORKSPACE_A, "Annie"), (WORKSPACE_B, "Other")):
        Contact.create(
            workspace_id=workspace_id,
            email="ann@example.org",
            attributes={"first_name": name},
            created_by="x",
        )
    assert submit(api, to_email="Ann@Example.org")["body_text"] == "Hello Annie, 48213"


def test_what_is_missing_is_named(api, template_id, refused):
    document = submit(api, 422, data={"order": 1})
    assert document["code"] == "missing_merge_fields"
    assert [error["field"] for error in document["errors"]] == ["data.order_no"]
    assert submit(api, 422, data=...)["code"] == "missing_merge_fields"
    assert submit(api, 422, data={"order_no": None})["code"] == "missing_merge_fields"
    assert Message.select().count() == 0


def test_a_number_of_any_size_is_no_failure(api, template_id):
    huge = {"order_no": 10**400}
    document = submit(api, 422, data=huge)
    assert document["code"] == "missing_merge_fields"
    entries = [
        {**TO, "template": "Order shipped", "data": data} for data in ({"order_no": 1}, huge)
    ]
    answer = api("POST", "/v1/messages/batch", json={"messages": entries}, key="operator")
    assert answer.status_code == 200
    results = answer.get_json()["results"]
    assert ["id" in one for one in results] == [True, False]
    assert results[1]["code"] == "missing_merge_fields"


@pytest.mark.parametrize(
    ("fields", "field", "says"),
    [
        ({"template": "Other"}, "template", "no template 'Other' in use"),
        ({"template": 2**31 - 1}, "template", "no template"),
        ({"template": 0}, "template", "number or the name"),
        ({"template": True}, "template", "number or the name"),
        ({"template": " "}, "template", "number or the name"),
        ({"template": "a\0"}, "template", "no template"),
        ({"subject": "s"}, "subject", "comes from the template"),
        ({"body_text": "b"}, "body_text", "comes from the template"),
        ({"body_html": "b"}, "body_html", "comes from the template"),
        ({"data": {"order_no": "a" * 33_000}}, "data", "larger than 32768 bytes"),
        ({"data": {"order_no": "a\0"}}, "data.order_no", "NUL"),
        ({"data": [1]}, "data", "object"),
        ({"template": None}, "data", "name a template"),
    ],
)
def test_what_cannot_be_is_refused(api, template_id, fields, field, says):
    document = submit(api, 422, **fields)
    assert document["code"] == "invalid_fields"
    assert document["errors"][0]["field"] == field
    assert says in document["errors"][0]["message"]
    assert Message.select().count() == 0


def test_without_a_template_a_subject_is_required_as_ever(api, refused):
    document = refused(api("POST", "/v1/messages", json=TO), 400, "invalid_request")
    assert "subject" in {error["field"] for error in document["errors"]}
    document = refused(api("POST", "/v1/messages", json={}), 400, "invalid_request")
    assert {error["field"] for error in document["errors"]} == {"from_email", "to_email", "subject"}
    for subject in ("", None):
        body = {**TO, "subject": subject, "body_text": "t"}
        refused(api("POST", "/v1/messages", json=body), 400, "invalid_request")


def test_an_archived_template_is_not_in_use(api, template_id):
    api("DELETE", "/v1/templates", json={"template_id": template_id})
    assert submit(api, 422)["code"] == "invalid_fields"
    assert submit(api, 422, template=template_id)["code"] == "invalid_fields"


def test_another_workspaces_template_is_not_there(api, template_id, make_key):
    key = make_key("operator", workspace_id=WORKSPACE_B)
    for named in (template_id, "Order shipped"):
        document = submit(api, 422, key=key, template=named)
        assert document["errors"][0]["message"].startswith("there is no template")


def test_no_data_makes_a_second_header(api, template_id):
    told = submit(api, data={"order_no": "1\r\nBcc: eve@example.com\u2028x"})
    assert told["subject"] == "Order 1 Bcc: eve@example.com x"


def test_the_links_to_leave_are_of_marketing_mail(api, template_id):
    source = '<a href="{{ unsubscribe_url }}">Leave</a>'
    save(api, template_id, 1, subject="s", source=source)
    document = submit(api, 422)
    assert document["errors"][0]["field"] == "unsubscribe_url"
    told = submit(api, stream="marketing")
    assert MessageBody.get_by_id(told["id"]).body_html.count(mail_links.UNSUBSCRIBE_MARK) == 1


def test_the_first_answer_stays_whatever_becomes_of_the_template(api, template_id):
    headers = {"Idempotency-Key": "k1"}
    first = submit(api, headers=headers)
    save(api, template_id, 1, subject="Changed {{ data.more }}")
    assert submit(api, headers=headers) == first
    api("DELETE", "/v1/templates", json={"template_id": template_id})
    assert submit(api, headers=headers) == first
    assert Message.select().count() == 1
    conflict = submit(api, 409, headers=headers, data={"order_no": "other"})
    assert conflict["code"] == "idempotency_conflict"


def test_validate_tells_what_would_become_of_it(api, template_id):
    body = {**TO, "template": "Order shipped", "data": {"order_no": 1}}
    response = api("POST", "/v1/messages/validate", json=body)
    assert response.get_json()["verdict"] == "pass"
    response = api("POST", "/v1/messages/validate", json={**body, "data": {}})
    assert response.get_json()["code"] == "missing_merge_fields"


def test_a_batch_may_mix_templates_and_texts(api, template_id):
    letter = {**TO, "template": "Order shipped"}
    entries = [
        {**letter, "data": {"order_no": "1"}},
        {**TO, "subject": "s", "body_text": "t"},
        {**letter, "data": {}},
        {**letter, "data": {"order_no": "2"}, "subject": "s"},
        {**letter, "template": "Other"},
        {**TO, "subject": "s", "body_text": "t", "data": {}},
        {**letter, "data": {"order_no": "3"}},
    ]
    headers = {"Idempotency-Key": "b1"}
    response = api("POST", "/v1/messages/batch", json={"messages": entries}, headers=headers)
    told = response.get_json()
    assert (told["accepted"], told["rejected"]) == (3, 4)
    assert [one.get("code") for one in told["results"]] == [
        None,
        None,
        "missing_merge_fields",
        "invalid_fields",
        "invalid_fields",
        "invalid_fields",
        None,
    ]
    subjects = {str(row.id): row.subject for row in Message.select()}
    assert [subjects[told["results"][place]["id"]] for place in (0, 1, 6)] == [
        "Order 1",
        "s",
        "Order 3",
    ]
    save(api, template_id, 1, subject="Changed")
    again = api("POST", "/v1/messages/batch", json={"messages": entries}, headers=headers)
    assert again.get_json() == told
    assert Message.select().count() == 3
