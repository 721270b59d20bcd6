"""/ui/providers/<id>/webhooks and the page of an endpoint: adding one, what to do at the provider,
its secrets, and waiting for the first event.
"""

import pytest

from maild.domain.actor import SYSTEM
from maild.domain.provider_event import ReportStatus
from maild.domain.role import Role
from maild.models import ProviderEvent, WebhookEndpoint, WebhookPayload, WebhookSecret
from maild.services import webhook_endpoints, webhook_secrets
from maild.services.webhook_secrets import Kind
from tests.conftest import WORKSPACE_A, WORKSPACE_B
from tests.services.helpers import ago
from tests.web.conftest import HTMX
from tests.web.provider_helpers import PATH, audited, save, soup_of, toast_of, words_of

SECRET = "s3cret-of-the-webhook-0123456789"
TOPIC = "arn:aws:sns:eu-west-1:123456789012:ses-events"


def add(provider="postmark", *, workspace_id=WORKSPACE_A, account="default", **fields):
    return webhook_endpoints.add(
        workspace_id, provider=provider, smtp_account=account, by=SYSTEM, **fields
    )


def path_of(row):
    return f"{PATH}/webhooks/{row.id}"


def come_in(row, **fields):
    """An event, as the loop that reads reports stores it."""
    payload = WebhookPayload.create(
        workspace=row.workspace_id, endpoint_id=row.id, provider=row.provider,
        content_type="application/json", headers={}, body=b"{}", status="read",
    )  # fmt: skip
    values = {
        "position": 0, "status": ReportStatus.APPLIED, "event_type": "delivered",
        "email": "ann@example.org", "report": {},
    }  # fmt: skip
    ProviderEvent.create(
        workspace=row.workspace_id, payload=payload.id, provider=row.provider,
        **{**values, **fields},
    )  # fmt: skip
    WebhookEndpoint.update(last_event_at=ago()).where(WebhookEndpoint.id == row.id).execute()


def verdict_of(soup):
    return words_of(soup.select_one("#endpoint .verdict"))


# --- The list, and adding one -----------------------------------------------------------------


def test_an_account_without_any_says_what_it_misses(page):
    row = save()
    soup = page(f"{PATH}/{row.id}/webhooks")
    assert "Nothing is reported on this account's mail" in soup.text
    assert soup.select_one("h2#add-title").text == "Add an endpoint"


def test_the_provider_is_known_by_the_host(page):
    row = save(host="smtp.eu.mailgun.org")
    soup = page(f"{PATH}/{row.id}/webhooks")
    assert soup.select_one("[name=provider] [selected]")["value"] == "mailgun"
    assert "belongs to Mailgun" in soup.text


def test_the_list_has_those_of_the_account_with_their_state(page):
    row = save()
    own = add(account="main")
    come_in(own)
    add()
    soup = page(f"{PATH}/{row.id}/webhooks")
    [line] = soup.select("tbody tr")
    assert line.th.a["href"] == path_of(own)
    assert "receiving" in words_of(line)


def test_it_adds_an_endpoint_and_says_what_to_do(client, post, page):
    row = save()
    response = post(client, f"{PATH}/{row.id}/webhooks", provider="postmark")
    [endpoint] = WebhookEndpoint.select()
    assert (response.status_code, response.location) == (303, path_of(endpoint))
    assert (endpoint.smtp_account_name, endpoint.created_by) == ("main", "ann@a.example")
    soup = page(response.location)
    url = webhook_endpoints.url_of(endpoint)
    assert soup.select_one("main .code pre").text == url
    steps = [words_of(step) for step in soup.select(".setup-steps li")]
    assert any(url in step for step in steps)
    assert "save a user name and a password on this page" in " ".join(steps)
    assert "POST /v1" not in soup.main.text
    assert audited() == ["webhook_endpoint.added"]


def test_it_is_added_with_the_secrets_that_are_there_already(client, post):
    fields = {
        "provider": "mailgun", "signing_secret": SECRET,
        "auth_username": "mail", "auth_password": "a: b",
    }  # fmt: skip
    post(client, f"{PATH}/0/webhooks", **fields)
    [endpoint] = WebhookEndpoint.select()
    values = webhook_secrets.values_of(endpoint)
    assert values == {Kind.SIGNING: (SECRET,), Kind.BASIC_AUTH: ("mail:a: b",)}
    assert endpoint.smtp_account_name == "default"


@pytest.mark.parametrize(
    ("fields", "at"),
    [
        ({"provider": "nobody"}, "provider"),
        ({"provider": ""}, "provider"),
        ({"provider": "ses"}, "topic_arn"),
        ({"provider": "ses", "topic_arn": "arn:x"}, "topic_arn"),
        ({"provider": "postmark", "topic_arn": TOPIC}, "topic_arn"),
        ({"provider": "postmark", "signing_secret": SECRET}, "signing_secret"),
        ({"provider": "postmark", "auth_username": "a:b", "auth_password": "x"}, "auth_username"),
        ({"provider": "postmark", "auth_password": "x"}, "auth_password"),
    ],
)
def test_what_is_wrong_is_told_at_its_field(client, post, fields, at):
    response = post(client, f"{PATH}/0/webhooks", **fields)
    assert response.status_code == 422
    soup = soup_of(response)
    assert soup.find(id=f"{at}-error").text
    if "topic_arn" in fields:
        assert soup.select_one("[name=topic_arn]")["value"] == fields["topic_arn"]
    assert SECRET not in response.text
    assert WebhookEndpoint.select().count() == 0


def test_too_many_are_too_many(client, post, monkeypatch):
    monkeypatch.setattr(webhook_endpoints, "ENDPOINTS_MAX", 0)
    response = post(client, f"{PATH}/0/webhooks", provider="postmark")
    assert response.status_code == 422
    assert "as many as it may" in soup_of(response).select_one(".form-error").text


# --- How it does ------------------------------------------------------------------------------


def test_it_waits_for_the_first_event_and_shows_it(client, page, partial):
    row = add()
    soup = page(path_of(row))
    assert verdict_of(soup) == "Waiting for a first event"
    poll = soup.select_one("#endpoint")["hx-get"]
    assert client.get(poll, headers=HTMX).status_code == 204
    come_in(row)
    soup = partial(poll)
    assert verdict_of(soup) == "Events come in"
    [arrival] = soup.select(".arrivals li")
    assert "Postmark reports that the recipient's server took it: ann@example.org" in words_of(
        arrival
    )


def test_an_event_that_could_not_be_applied_says_why(page):
    row = add()
    come_in(
        row, status=ReportStatus.DEAD_LETTER, event_type=None, report=None, position=None,
        last_error="No <b>such</b> message.",
    )  # fmt: skip
    [arrival] = page(path_of(row)).select(".arrivals li")
    assert "No <b>such</b> message." in words_of(arrival)


def test_refusals_say_why_and_what_to_do(page):
    row = add("mailgun", signing_secret=SECRET)
    for _ in range(2):
        webhook_endpoints.refused(row.id, "The signature does not hold.")
    WebhookEndpoint.update(refusing_since=ago(hours=1)).execute()
    soup = page(path_of(row))
    assert verdict_of(soup) == "It refuses what comes in"
    text = words_of(soup.select_one("#endpoint"))
    assert "The signature does not hold." in text
    assert "Compare the secret at Mailgun" in text
    assert "2 refused in the last 24 hours" in text


def test_one_that_needs_a_secret_has_its_form_open(page):
    soup = page(path_of(add("mailgun")))
    assert verdict_of(soup) == "It needs a secret, and refuses everything until then"
    [form] = soup.select("main details[open] form:has([name=value])")
    assert "HTTP webhook signing key" in form.text


def test_silence_says_since_when(page):
    row = add()
    WebhookEndpoint.update(silent_since=ago(hours=2), last_event_at=ago(hours=9)).execute()
    soup = page(path_of(row))
    assert verdict_of(soup) == "It has fallen silent"
    assert "since 2 h ago" in words_of(soup.select_one("#endpoint"))


def test_an_endpoint_whose_account_is_gone_still_has_its_page(page):
    row = add()
    WebhookEndpoint.update(smtp_account_name="gone").execute()
    soup = page(path_of(row))
    assert [link["href"] for link in soup.select(".crumbs a")] == [PATH]


def test_an_address_that_no_key_opens_is_said(page):
    row = add()
    WebhookEndpoint.update(token_encrypted=b"x" * 60).execute()
    soup = page(path_of(row))
    assert "It cannot be read" in soup.text
    assert soup.select(".setup-steps") == []


# --- Secrets ----------------------------------------------------------------------------------


def test_it_saves_a_signing_secret_and_never_shows_it(client, post, page):
    row = add("mailgun")
    response = post(
        client, f"{path_of(row)}/secrets", kind="signing", value=f" {SECRET} ",
        old_valid_seconds="86400",
    )  # fmt: skip
    assert (response.status_code, response.location) == (303, path_of(row))
    assert webhook_secrets.values_of(row)[Kind.SIGNING] == (SECRET,)
    soup = page(path_of(row))
    assert SECRET not in str(soup)
    assert verdict_of(soup) == "Waiting for a first event"
    assert audited() == ["webhook_endpoint.added", "webhook_secret.added"]


def test_while_one_takes_the_place_of_another_both_are_told(client, post, page):
    row = add("mailgun", signing_secret=SECRET)
    fields = {"kind": "signing", "value": "k" * 32, "old_valid_seconds": "3600"}
    post(client, f"{path_of(row)}/secrets", **fields)
    lines = [words_of(line) for line in page(path_of(row)).select("tbody tr")]
    assert len(lines) == 2
    assert "until it is replaced" in lines[0]
    assert "until in 59 m" in lines[1] or "until in 1 h" in lines[1]


def test_it_saves_a_user_name_with_a_password(client, post):
    row = add()
    fields = {"username": "mail", "password": " p:w ", "old_valid_seconds": "0"}
    post(client, f"{path_of(row)}/secrets", kind="basic_auth", **fields)
    assert webhook_secrets.values_of(row)[Kind.BASIC_AUTH] == ("mail: p:w ",)


@pytest.mark.parametrize(
    "fields",
    [
        {"kind": "signing", "value": ""},
        {"kind": "signing", "value": "x" * 5_000},
        {"kind": "signing", "value": SECRET, "old_valid_seconds": "12345678"},
        {"kind": "basic_auth", "username": "", "password": "x"},
    ],
)
def test_a_secret_that_is_none_is_refused_and_its_form_stays_open(client, post, fields):
    row = add("mailgun")
    response = post(client, f"{path_of(row)}/secrets", **{"old_valid_seconds": "0", **fields})
    assert response.status_code == 422
    soup = soup_of(response)
    assert soup.select_one("main details[open] .field-error:not(:empty)")
    assert SECRET not in response.text
    assert WebhookSecret.select().count() == 0


def test_a_kind_that_is_none_is_refused(client, post):
    row = add("mailgun")
    assert post(client, f"{path_of(row)}/secrets", kind="x", value="y").status_code == 422


def test_it_ends_a_secret(client, post):
    row = add("mailgun", signing_secret=SECRET)
    [secret] = WebhookSecret.select()
    response = post(client, f"{path_of(row)}/secrets/{secret.id}/end")
    assert (response.status_code, response.location) == (303, path_of(row))
    assert WebhookSecret.select().count() == 0
    assert post(client, f"{path_of(row)}/secrets/{secret.id}/end").status_code == 404


def test_ending_the_last_one_warns_of_what_happens_then(page):
    text = words_of(page(path_of(add("mailgun", signing_secret=SECRET))).select_one("tbody dialog"))
    assert "refused until you save another" in text


def test_it_deletes_an_endpoint(client, post):
    account = save()
    row = add(account="main")
    response = post(client, f"{path_of(row)}/delete")
    assert (response.status_code, response.location) == (303, f"{PATH}/{account.id}/webhooks")
    assert "The endpoint of Postmark is deleted." in toast_of(client)
    assert client.get(path_of(row)).status_code == 404


# --- Who may ----------------------------------------------------------------------------------

FORMS = ("secrets", "secrets/1/end", "delete")


@pytest.mark.parametrize("role", [Role.OPERATOR, Role.VIEWER])
def test_who_is_no_admin_sees_neither_address_nor_forms(sign_in, post, make_person, role):
    client = sign_in(make_person("otto@a.example", role))
    row = add("mailgun", signing_secret=SECRET)
    response = client.get(path_of(row))
    url = webhook_endpoints.url_of(row)
    assert url.rpartition("/")[2] not in response.text
    assert soup_of(response).select("main form, .setup-steps") == []
    assert "Only an admin sees it" in response.text
    for path in (f"{PATH}/0/webhooks", *(f"{path_of(row)}/{form}" for form in FORMS)):
        assert post(client, path, provider="postmark", kind="signing").status_code == 403
    soup = soup_of(client.get(f"{PATH}/0/webhooks"))
    assert soup.select_one("#add-endpoint")["aria-disabled"] == "true"
    assert WebhookEndpoint.select().count() == 1


def test_endpoints_of_another_workspace_are_out_of_reach(client, post):
    row = add("mailgun", workspace_id=WORKSPACE_B, signing_secret=SECRET)
    [secret] = WebhookSecret.select()
    assert client.get(path_of(row)).status_code == 404
    fields = {"kind": "signing", "value": "y" * 30, "old_valid_seconds": "0"}
    for form in ("secrets", f"secrets/{secret.id}/end", "delete"):
        assert post(client, f"{path_of(row)}/{form}", **fields).status_code == 404
    mine = add("mailgun")
    assert post(client, f"{path_of(mine)}/secrets/{secret.id}/end").status_code == 404
    theirs = save("theirs", workspace_id=WORKSPACE_B)
    assert client.get(f"{PATH}/{theirs.id}/webhooks").status_code == 404
    response = post(client, f"{PATH}/{theirs.id}/webhooks", provider="postmark")
    assert response.status_code == 404
    assert WebhookSecret.select().count() == 1
    assert WebhookEndpoint.select().count() == 2


def test_who_is_not_signed_in_does_nothing(anonymous, post):
    row = add()
    assert anonymous.get(path_of(row)).status_code == 303
    for form in FORMS:
        assert post(anonymous, f"{path_of(row)}/{form}").status_code == 401
