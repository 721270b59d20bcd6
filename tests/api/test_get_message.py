"""GET /v1/messages/{id}."""

import pytest

from maild.domain.states import Status
from maild.models import Message


def test_it_answers_the_message_as_it_was_accepted(api):
    created = api.submit(tags=["a"], metadata={"n": 1}, stream="marketing").get_json()
    response = api("GET", f"/v1/messages/{created['id']}")
    assert response.status_code == 200
    assert response.get_json() == created


def test_it_shows_where_the_message_stands(api, accept):
    message = accept()
    Message.update(
        status=Status.FAILED,
        next_attempt_at=None,
        attempt_count=3,
        last_error="550 5.1.1 no such user",
        error_class="invalid_recipient",
        smtp_account_name="ses",
    ).where(Message.id == message.id).execute()
    answer = api("GET", f"/v1/messages/{message.id}", key="operator").get_json()
    assert (answer["status"], answer["attempt_count"]) == ("failed", 3)
    assert answer["next_attempt_at"] is None
    assert (answer["last_error"], answer["error_class"]) == (
        "550 5.1.1 no such user",
        "invalid_recipient",
    )
    assert answer["smtp_account"] == "ses"


def test_it_takes_an_id_in_capitals(api, accept):
    message = accept()
    response = api("GET", f"/v1/messages/{str(message.id).upper()}")
    assert response.get_json()["id"] == str(message.id)


@pytest.mark.parametrize("query", [{}, {"workspace_id": 1}])
def test_another_workspaces_message_is_404(api, refused, accept, query):
    foreign = accept(workspace_id=2)
    document = refused(api("GET", f"/v1/messages/{foreign.id}", query=query), 404, "not_found")
    unknown = "01890a5d-ac96-774b-bcce-b302099a8057"
    same = refused(api("GET", f"/v1/messages/{unknown}", query=query), 404, "not_found")
    assert {**document, "request_id": ""} == {**same, "request_id": ""}
    own = api("GET", f"/v1/messages/{foreign.id}", query={"workspace_id": 2})
    assert own.get_json()["workspace_id"] == 2


@pytest.mark.parametrize(
    "text",
    [
        "1", "nonsense", "%00", "01890a5dac96774bbcceb302099a8057",
        "{01890a5d-ac96-774b-bcce-b302099a8057}",
        "urn:uuid:01890a5d-ac96-774b-bcce-b302099a8057", "01890a5d-ac96-774b-bcce-b302099a805",
        "01890a5d-ac96-774b-bcce-b302099a8057%0A", "' OR 1=1 --", "a" * 5000,
    ],
)  # fmt: skip
def test_what_is_no_id_is_404(api, refused, text):
    refused(api("GET", f"/v1/messages/{text}"), 404, "not_found")


def test_it_refuses_an_unknown_parameter(api, refused, accept):
    path = f"/v1/messages/{accept().id}"
    refused(api("GET", path, query={"worksapce_id": "1"}), 400, "invalid_request", "worksapce_id")
    refused(
        api("GET", path, query=[("workspace_id", "1"), ("workspace_id", "2")]),
        400,
        "invalid_request",
        "workspace_id",
    )
