"""POST /v1/messages, /batch and /validate with `smtp_account`: the one account to go through."""

import pytest

from maild.domain.actor import SYSTEM
from maild.models import Message
from maild.services import smtp_accounts
from maild.services.smtp_account_fields import NewSmtpAccount
from tests.api.conftest import MESSAGE
from tests.conftest import WORKSPACE_A, WORKSPACE_B


@pytest.fixture(autouse=True)
def accounts(database):
    """Workspace A sends through `ses`, and has `postal` too; `theirs` is B's."""
    for workspace_id, name in ((WORKSPACE_A, "ses"), (WORKSPACE_A, "postal"), (WORKSPACE_B, "b")):
        account = NewSmtpAccount(name, "smtp.example.com", 587, "shop@example.com")
        smtp_accounts.save(workspace_id, account, by=SYSTEM)
    smtp_accounts.activate(WORKSPACE_A, name="ses", by=SYSTEM)


def validate(api, **fields):
    return api("POST", "/v1/messages/validate", json={**MESSAGE, **fields})


def provider_of(decision):
    [check] = [check for check in decision["checks"] if check["check"] == "provider"]
    return {name: check.get(name) for name in ("verdict", "smtp_account", "route")}


def pins():
    return sorted(message.pinned_account for message in Message.select())


@pytest.mark.parametrize("name", ["ses", "postal", "default"])
def test_it_is_kept_with_the_message(api, name):
    response = api.submit(smtp_account=name)
    assert response.status_code == 201
    answer = response.get_json()
    assert (answer["pinned_smtp_account"], answer["smtp_account"]) == (name, None)
    assert pins() == [name]
    read = api("GET", f"/v1/messages/{answer['id']}", query={"include": "decision"}).get_json()
    assert read["pinned_smtp_account"] == name
    [decision] = read["decision"]
    assert provider_of(decision) == {"verdict": "pass", "smtp_account": name, "route": "pinned"}
    log = api("GET", "/v1/messages/logs").get_json()
    assert log["messages"][0]["pinned_smtp_account"] == name


def test_without_it_any_account_will_do(api):
    for fields in ({}, {"smtp_account": None}):
        answer = api.submit(**fields).get_json()
        assert answer["pinned_smtp_account"] is None
        read = api("GET", f"/v1/messages/{answer['id']}", query={"include": "decision"})
        [decision] = read.get_json()["decision"]
        assert provider_of(decision)["route"] == "first_choice"
    assert pins() == ["", ""]


@pytest.mark.parametrize(
    "name",
    ["nobody", "b", "SES", " ses", "", "x" * 65, "se\ns", "ses\0", 5, ["ses"]],
    ids=str,
)
def test_an_account_that_is_not_the_workspaces_is_refused(api, refused, stored, name):
    before = stored()
    refused(api.submit(smtp_account=name), 422, "invalid_fields", "smtp_account")
    assert stored() == before


def test_anothers_account_is_refused_in_the_words_for_one_that_nobody_has(api, refused):
    details = [
        refused(api.submit(smtp_account=name), 422, "invalid_fields", "smtp_account")["detail"]
        for name in ("b", "z")
    ]
    assert details[0].replace("'b'", "'z'") == details[1]


def test_each_workspace_has_its_own(api, refused):
    assert api.submit(workspace_id=WORKSPACE_B, smtp_account="b").status_code == 201
    assert api.submit(workspace_id=WORKSPACE_B, smtp_account="default").status_code == 201
    response = api.submit(workspace_id=WORKSPACE_B, smtp_account="ses")
    refused(response, 422, "invalid_fields", "smtp_account")
    assert pins() == ["b", "default"]


def test_all_recipients_share_it(api):
    answer = api.submit(smtp_account="postal", cc=["c@example.org"], bcc=["d@example.org"])
    assert len(answer.get_json()["related_ids"]) == 2
    assert pins() == ["postal"] * 3


def test_one_entry_of_a_batch_with_a_wrong_one_does_not_spoil_the_rest(api):
    names = ["postal", "nobody", None, "b", "", "default"]
    entries = [{**MESSAGE, "smtp_account": name} for name in names]
    answer = api("POST", "/v1/messages/batch", json={"messages": entries}).get_json()
    assert (answer["accepted"], answer["rejected"]) == (3, 3)
    assert ["id" in result for result in answer["results"]] == [
        True, False, True, False, False, True,
    ]  # fmt: skip
    for place in (1, 3, 4):
        result = answer["results"][place]
        assert result["code"] == "invalid_fields"
        assert [e["field"] for e in result["errors"]] == ["smtp_account"]
    assert pins() == ["", "default", "postal"]


def test_asking_tells_the_same(api, refused, stored):
    before = stored()
    answer = validate(api, smtp_account="postal", cc=["c@example.org"]).get_json()
    assert answer["verdict"] == "pass"
    expected = {"verdict": "pass", "smtp_account": "postal", "route": "pinned"}
    assert [provider_of(r["decision"]) for r in answer["recipients"]] == [expected] * 2
    refused(validate(api, smtp_account="nobody"), 422, "invalid_fields", "smtp_account")
    refused(validate(api, smtp_account="b"), 422, "invalid_fields", "smtp_account")
    assert stored() == before


def test_a_repeated_request_is_answered_though_the_account_is_gone(api, refused):
    headers = {"Idempotency-Key": "k"}

    def submit(**fields):
        return api("POST", "/v1/messages", json={**MESSAGE, **fields}, headers=headers)

    first = submit(smtp_account="postal").get_json()
    refused(submit(smtp_account="ses"), 409, "idempotency_conflict")
    Message.update(status="cancelled", next_attempt_at=None).execute()
    smtp_accounts.delete(WORKSPACE_A, name="postal", by=SYSTEM)
    again = submit(smtp_account="postal")
    assert again.status_code == 201
    assert again.get_json() == first
    assert first["pinned_smtp_account"] == "postal"
