"""/ui/settings/notifications: the channels, adding, changing and trying one, and what was told."""

# ruff: noqa: F401, F811 - the server is a fixture of `noticing`

import pytest
from bs4 import BeautifulSoup

from maild.models import AuditEntry, Notification, NotificationChannel
from maild.services import notification_channels, notification_loop
from tests.conftest import WORKSPACE_A
from tests.services.noticing import add_channel, hook, open_incident
from tests.web.conftest import HTMX

PATH = "/ui/settings/notifications"


def add(client, post, **fields):
    form = {"name": "Pager", "kind": "webhook", "url": "https://hooks.example.com/T0/B0/secretpart"}
    form |= {"min_severity": "major", "occasions": ["opened", "resolved"]}
    return post(client, PATH, **{**form, **fields})


def soup(response):
    return BeautifulSoup(response.text, "html.parser")


def test_an_admin_adds_a_webhook_and_sees_its_secret_once(client, post):
    response = add(client, post)
    assert response.status_code == 200, response.text
    secret = soup(response).select_one(".secret pre").text
    assert secret.startswith("whsec_")
    row = NotificationChannel.get()
    assert (row.name, row.occasions) == ("Pager", ["opened", "resolved"])
    assert notification_channels.open_signing(row) == [secret]
    for page in (client.get(PATH), client.get(f"{PATH}/{row.id}")):
        assert page.status_code == 200
        assert secret not in page.text
        assert "secretpart" not in page.text
        assert "https://hooks.example.com/…part" in page.text
    audited = str([(one.before, one.after) for one in AuditEntry.select()])
    assert "secretpart" not in audited
    assert secret not in audited


def test_it_adds_a_members_address(client, post):
    response = add(client, post, kind="email", url="", email="ann@a.example")
    assert response.status_code == 303
    assert NotificationChannel.get().target == "ann@a.example"
    assert "Send it a test" in client.get(response.location).text


@pytest.mark.parametrize(
    ("fields", "field", "said"),
    [
        ({"name": ""}, "name", "required"),
        ({"url": ""}, "url", "required"),
        ({"url": "ftp://x.example/"}, "url", "address such as"),
        ({"url": "https://10.0.0.1/x"}, "url", "must be public"),
        ({"url": "https://user:pass@x.example/"}, "url", "password"),
        ({"kind": "email", "email": "eve@x.example"}, "email", "confirmed address"),
        ({"kind": "email", "email": "ann@a.example\0"}, "email", "NUL"),
        ({"url": "https://x.example/\0"}, "url", "address such as"),
        ({"occasions": []}, "occasions", "one or more"),
    ],
)
def test_what_is_wrong_is_told_at_its_field_and_what_was_typed_stays(
    client, post, fields, field, said
):
    response = add(client, post, **fields)
    assert response.status_code == 422
    page = soup(response)
    assert said in page.select_one(f"#{field}-error").text
    if "name" not in fields:
        assert page.select_one("#name")["value"] == "Pager"
    assert NotificationChannel.select().count() == 0


def test_it_changes_a_channel_and_keeps_its_address(client, post, app):
    row, _ = add_channel("https://hooks.example.com/T0/B0/secretpart")
    form = {"name": "On call", "kind": "webhook", "url": "", "min_severity": "critical"}
    form |= {"occasions": "opened", "version": row.version}
    assert post(client, f"{PATH}/{row.id}", **form).status_code == 303
    row = notification_channels.get(WORKSPACE_A, row.id)
    assert (row.name, row.min_severity.value, row.is_active) == ("On call", "critical", False)
    assert notification_channels.open_url(row).endswith("/secretpart")
    stale = post(client, f"{PATH}/{row.id}", **form)
    assert stale.status_code == 409
    assert "Somebody has changed this channel" in stale.text
    odd = post(client, f"{PATH}/{row.id}", **{**form, "version": "9" * 5_000})
    assert odd.status_code == 409


def test_a_test_shows_what_came_of_it(client, post, hook):
    row, _ = add_channel(hook.url)
    hook.answers = [(404, {}, "no_service")]
    assert post(client, f"{PATH}/{row.id}/test").status_code == 303
    page = client.get(f"{PATH}/{row.id}")
    told = soup(page).select_one("#told")
    assert "waiting" in told.text
    poll = told["hx-get"]
    assert client.get(poll, headers=HTMX).status_code == 204
    notification_loop.drain()
    partial = client.get(poll, headers=HTMX)
    assert "It answered 404: no_service" in partial.text
    assert "hx-get" not in soup(partial).select_one("#told").attrs
    assert soup(partial).select_one("#channel-state[hx-swap-oob]").text == "failing"
    assert "does not get through" in client.get(PATH).text


def test_a_test_is_not_sent_again_and_again(client, post):
    row, _ = add_channel("https://hooks.example.com/x")
    for _ in range(7):
        post(client, f"{PATH}/{row.id}/test")
    assert Notification.select().count() == notification_channels.TESTS_PER_MINUTE


def test_it_renews_a_secret_and_removes_a_channel(client, post):
    row, old = add_channel("https://hooks.example.com/x")
    open_incident()
    renewed = post(client, f"{PATH}/{row.id}/secret")
    new = soup(renewed).select_one(".secret pre").text
    assert notification_channels.open_signing(row) == [new, old]
    assert post(client, f"{PATH}/{row.id}/remove").status_code == 303
    assert Notification.select().count() == 0
    assert client.get(f"{PATH}/{row.id}").status_code == 404


def test_others_see_the_channels_and_change_none(sign_in, operator_a, post):
    row, _ = add_channel("https://hooks.example.com/x")
    client = sign_in(operator_a)
    page = client.get(PATH)
    assert "Pager" in page.text
    assert soup(page).select_one("#add-channel")["aria-disabled"] == "true"
    assert add(client, post, name="Mine").status_code == 403
    for path in ("", "/test", "/secret", "/remove"):
        assert post(client, f"{PATH}/{row.id}{path}").status_code == 403
    assert NotificationChannel.select().count() == 1
