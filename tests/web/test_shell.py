"""What stands around every page of the console: rail, top bar, banners, toasts."""

import json

import pytest
from bs4 import BeautifulSoup

from maild.models import Member
from tests.conftest import WORKSPACE_A, WORKSPACE_B

RAIL = [
    "/dashboard",
    "/ui",
    "/ui/logs",
    "/ui/incidents",
    "/ui/webhooks",
    "/ui/providers",
    "/ui/policy",
    "/ui/suppressions",
    "/ui/unsubscribes",
    "/ui/domains",
    "/ui/freezes",
    "/ui/campaigns",
    "/ui/audience",
    "/ui/templates",
    "/ui/jobs",
    "/ui/onboarding",
    "/ui/settings",
]


def soup_of(client, path, **options):
    return BeautifulSoup(client.get(path, **options).text, "html.parser")


def test_the_help_lists_the_letter_of_every_page(page):
    soup = page("/ui")
    links = {f"g {link['data-go']}": link.text for link in soup.select(".rail .rail-links a")}
    listed = {
        " ".join(key.text for key in row.select("kbd")): row.dd.text
        for row in soup.select("#help .keys > div")
    }
    assert len(links) == len(RAIL)
    assert {keys: words for keys, words in listed.items() if keys.startswith("g ")} == links


def test_single_keys_can_be_switched_off_in_the_help(page):
    soup = page("/ui")
    box = soup.select_one("#help input[type=checkbox][data-keys]")
    assert box.has_attr("checked")
    assert soup.select_one(f"#help label[for={box['id']}]").text == "Single keys do something"
    # Then the help is reached by its buttons, one of them where the screen is narrow.
    wide, narrow = soup.select("[data-dialog=help]")
    assert (wide["aria-label"], narrow.text.strip()) == ("Keyboard shortcuts", "Keyboard shortcuts")
    assert "only-narrow" in narrow.parent["class"]


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("/dashboard", "Dashboard"),
        ("/ui", "Overview"),
        ("/ui/logs", "Logs"),
        ("/ui/settings/profile", "Settings"),
        ("/ui/settings/workspace", "Settings"),
    ],
)
def test_it_marks_the_present_page(page, path, words):
    current = page(path).select(".rail [aria-current]")
    assert [link.text for link in current] == [words]


def test_it_marks_the_logs_while_a_message_is_shown(page, accept):
    soup = page(f"/ui/messages/{accept().id}")
    assert [link.text for link in soup.select(".rail [aria-current]")] == ["Logs"]


def test_it_offers_the_same_pages_where_there_is_no_room_for_the_rail(page):
    soup = page("/ui")
    wide, narrow = (
        [link["href"] for link in soup.select(f"{place} .rail-links a")]
        for place in (".rail", "#pages-menu")
    )
    assert wide == narrow == RAIL


def test_it_switches_the_workspace_with_a_plain_form(client, admin_a):
    Member.insert(workspace=WORKSPACE_B, person=admin_a.id, role="viewer").execute()
    form = soup_of(client, "/ui").select_one("#switcher form")
    assert [button["value"] for button in form.select("button")] == ["1", "2"]
    assert form.select_one("[aria-current]")["value"] == str(WORKSPACE_A)
    token = form.select_one("[name=csrf_token]")["value"]
    # A page that is behind must be able to switch too, so the form names no workspace of its own.
    assert not form.select("[name=workspace_id]")
    answer = client.post(form["action"], data={"csrf_token": token, "to": WORKSPACE_B})
    assert answer.status_code == 303
    assert "Other" in soup_of(client, "/ui").select_one("#switcher summary").text


def test_it_tells_htmx_what_to_send_along(page, anonymous):
    headers = json.loads(page("/ui").body["hx-headers"])
    assert set(headers) == {"X-CSRFToken", "X-Workspace"}
    assert headers["X-Workspace"] == str(WORKSPACE_A)
    assert not soup_of(anonymous, "/login").body.has_attr("hx-headers")


def test_it_does_without_a_workspace(make_person, sign_in):
    client = sign_in(make_person("eve@example.org", None))
    soup = soup_of(client, "/ui/settings/profile")
    assert [link.text for link in soup.select(".rail-links a")][:2] == ["Dashboard", "Settings"]
    assert not soup.select("#switcher, .topbar .search")
    assert set(json.loads(soup.body["hx-headers"])) == {"X-CSRFToken"}
    assert [link.text for link in soup.select(".subnav a")] == ["Profile", "Security"]


def test_it_logs_out_with_a_plain_form(client):
    form = soup_of(client, "/ui").select_one("#person-menu form")
    token = form.select_one("[name=csrf_token]")["value"]
    client.post(form["action"], data={"csrf_token": token})
    assert client.get("/ui").status_code == 303


def test_it_asks_to_confirm_the_address_until_that_is_done(page, make_person, sign_in):
    assert not page("/ui").select(".banner")
    client = sign_in(make_person("new@example.org", is_verified=False))
    banner = soup_of(client, "/ui").select_one(".banner")
    assert "new@example.org" in banner.text
    assert banner.form["method"] == "post"


def test_it_says_what_was_done_and_offers_to_undo_it(client, post):
    post(client, "/ui/styleguide/toast", kind="undo")
    toast = soup_of(client, "/ui").select_one("#toasts .toast")
    assert "not suppressed any more" in toast.p.text
    fields = {one["name"]: one["value"] for one in toast.select("form input")}
    assert fields["kind"] == "info"
    assert fields["workspace_id"] == str(WORKSPACE_A)
    assert not soup_of(client, "/ui").select("#toasts .toast"), "it is said once"


def test_it_offers_no_account_to_who_follows_a_link_in_a_mail(page):
    assert not page("/unsubscribe/nothing", status=404).select(".way-in a")
