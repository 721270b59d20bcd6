"""POST /v1/messages: from which domains and to which the workspace's policy lets mail go."""

import pytest

from maild.domain.actor import SYSTEM
from maild.models import IdempotencyKey
from maild.services import policies
from tests.api.conftest import MESSAGE
from tests.api.serving import new_workspace
from tests.conftest import WORKSPACE_A, WORKSPACE_B


def policy(workspace_id=WORKSPACE_A, **changes):
    policies.save(workspace_id, changes=changes, by=SYSTEM)


DOMAINS = [
    # entry, domain, is it on the list
    ("example.org", "example.org", True),
    ("Example.ORG", "eXample.org", True),
    ("example.org", "mail.example.org", False),
    ("example.org", "notexample.org", False),
    ("example.org", "example.org.uk", False),
    ("*.example.org", "mail.example.org", True),
    ("*.example.org", "a.b.example.org", True),
    ("*.example.org", "example.org", False),
    ("*.example.org", "notexample.org", False),
    ("bücher.example", "bücher.example", True),
    ("bücher.example", "xn--bcher-kva.example", True),
    ("xn--bcher-kva.example", "BÜCHER.example", True),
    ("*.xn--bcher-kva.example", "mail.bücher.example", True),
    ("*.bücher.example", "mail.xn--bcher-kva.example", True),
    ("*.bücher.example", "bücher.example", False),
]


@pytest.mark.parametrize(("entry", "domain", "is_listed"), DOMAINS)
def test_a_blocked_domain_gets_no_mail(api, refused, stored, entry, domain, is_listed):
    policy(blocked_recipient_domains=["other.example", entry])
    response = api.submit(to_email=f"ann@{domain}")
    if not is_listed:
        assert response.status_code == 201
        return
    document = refused(response, 422, "blocked_recipient_domain", "to_email")
    assert "is blocked" in document["detail"]
    assert stored()["Message"] == 0


@pytest.mark.parametrize(("entry", "domain", "is_listed"), DOMAINS)
def test_mail_comes_from_allowed_domains_alone(api, refused, stored, entry, domain, is_listed):
    policy(allowed_from_domains=["other.example", entry])
    response = api.submit(from_email=f"shop@{domain}")
    if is_listed:
        assert response.status_code == 201
        return
    document = refused(response, 422, "forbidden_from_domain", "from_email")
    assert "does not allow mail from" in document["detail"]
    assert stored()["Message"] == 0


def test_with_no_allowed_domains_mail_comes_from_any(api):
    policy(allowed_from_domains=["example.net"])
    policy(allowed_from_domains=[])
    assert api.submit(from_email="shop@anything.example").status_code == 201


def test_a_refusal_by_a_domain_is_told_for_each_entry_of_a_batch(api):
    policy(allowed_from_domains=["example.com"], blocked_recipient_domains=["example.net"])
    entries = [
        MESSAGE,
        {**MESSAGE, "from_email": "shop@example.net"},
        {**MESSAGE, "to_email": "ann@example.net"},
        {**MESSAGE, "from_email": "shop@example.net", "to_email": "ann@example.net"},
    ]
    headers = {"Idempotency-Key": "k1"}
    response = api("POST", "/v1/messages/batch", json={"messages": entries}, headers=headers)
    results = response.get_json()["results"]
    assert [result.get("code") for result in results] == [
        None, "forbidden_from_domain", "blocked_recipient_domain", "forbidden_from_domain",
    ]  # fmt: skip
    assert IdempotencyKey.select().count() == 1


def test_a_policy_is_its_workspaces_own(api):
    policy(allowed_from_domains=["example.net"], blocked_recipient_domains=["example.org"])
    assert api.submit(workspace_id=WORKSPACE_B).status_code == 201
    assert api.submit(workspace_id=WORKSPACE_A).status_code == 422


def test_the_instances_list_holds_until_a_workspace_has_its_own(api, use_settings):
    use_settings(blocked_recipient_domains=("instance.example",))
    assert api.submit(to_email="ann@instance.example").status_code == 422
    policy(blocked_recipient_domains=["own.example"])
    assert api.submit(to_email="ann@instance.example").status_code == 201
    assert api.submit(to_email="ann@own.example").status_code == 422
    assert api.submit(to_email="ann@instance.example", workspace_id=2).status_code == 422


def test_a_new_version_holds_from_the_next_message_on_in_every_process(serve):
    webs = serve(2)
    workspace_id = new_workspace()
    for blocked, status in ((["example.org"], 422), ([], 201), (["*.org"], 422), (["a.org"], 201)):
        policy(workspace_id, blocked_recipient_domains=blocked)
        assert [web.submit(workspace_id).status for web in webs] == [status] * 2
