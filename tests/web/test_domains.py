"""/ui/domains: the list with how each stands, and a page of each with what to paste."""

import pytest
from bs4 import BeautifulSoup

from maild.domain.actor import SYSTEM
from maild.domain.dkim import Algorithm
from maild.models import Domain
from maild.services import dkim_keys, domain_check_loop, domain_checks, domains
from tests.conftest import WORKSPACE_A
from tests.dns_zones import publish

NAME = "shop.example"
HTMX = {"HX-Request": "true"}


@pytest.fixture(autouse=True)
def zone(dns_server, use_settings):
    use_settings(dns_resolvers=(dns_server.addr,), dns_timeout_seconds=1)
    publish(dns_server, NAME)
    return dns_server


@pytest.fixture
def admin(client):
    return client


def soup_of(client, path="/ui/domains", *, status=200, headers=None):
    response = client.get(path, headers=headers)
    assert response.status_code == status, response.text
    return BeautifulSoup(response.text, "html.parser")


def checked(row):
    domain_check_loop.drain()
    return domains.get(row.workspace_id, row.id)


def make():
    return domains.add(WORKSPACE_A, NAME, dkim_selector="s1", by=SYSTEM)


def test_an_empty_list_says_what_to_do_and_suggests(admin, accept):
    accept(from_email="ann@other.example")
    page = soup_of(admin)
    assert "No domain yet" in page.text
    [suggested] = page.select(".suggested input[name=domain]")
    assert suggested["value"] == "other.example"


def test_a_domain_is_added_and_its_page_tells_what_to_paste(admin, post, zone):
    zone.remove(f"_dmarc.{NAME}")
    added = post(admin, "/ui/domains", domain=" Shop.Example ", dkim_selector="s1")
    [row] = Domain.select()
    path = f"/ui/domains/{row.id}"
    assert (added.status_code, added.location, row.name) == (303, path, NAME)
    waiting = soup_of(admin, path).select_one("#domain")
    assert "It is being checked" in waiting.text
    poll = waiting["hx-get"]
    assert admin.get(poll, headers=HTMX).status_code == 204
    checked(row)
    partial = soup_of(admin, poll, headers=HTMX).select_one("#domain")
    assert "hx-get" not in partial.attrs
    assert "Not ready" in partial.text
    copied = [button["data-copy"] for button in partial.select("[data-copy]")]
    assert f"_dmarc.{NAME}" in copied
    assert any(text.startswith("v=DMARC1; p=none") for text in copied)


def test_that_a_name_does_not_exist_is_said_once_and_first(admin, zone):
    row = domains.add(WORKSPACE_A, "nowhere.example", by=SYSTEM)
    checked(row)
    shown = soup_of(admin, f"/ui/domains/{row.id}").select_one("#domain")
    assert shown.text.count("nowhere.example does not exist in the DNS") == 1
    first = shown.select_one(".alert, .dns-check")
    assert "does not exist" in first.text
    assert not shown.select(".paste")


@pytest.mark.parametrize("typed", ["localhost", "a@b.example", ""])
def test_what_is_no_domain_comes_back_as_it_was_typed(admin, post, typed):
    answer = post(admin, "/ui/domains", domain=typed, dkim_selector="s1")
    page = BeautifulSoup(answer.text, "html.parser")
    assert answer.status_code == 422
    assert page.select_one("#domain")["value"] == typed
    assert page.select_one("#domain-error").text.strip()
    assert Domain.select().count() == 0


def test_the_same_domain_twice_is_a_conflict(admin, post):
    make()
    assert post(admin, "/ui/domains", domain=NAME).status_code == 409


def test_the_list_shows_each_check_with_a_word(admin):
    checked(make())
    [row] = soup_of(admin).select("tbody tr")
    assert "ready" in row.text
    assert row.text.count("in order") == 4


def test_drift_is_told_and_taken_for_right(admin, post, zone):
    row = checked(make())
    zone.txt(NAME, "v=spf1 ?all")
    domains.ask_again(WORKSPACE_A, row.id)
    row = checked(row)
    path = f"/ui/domains/{row.id}"
    page = soup_of(admin, path)
    assert "It is not as it was" in page.text
    assert "v=spf1 ip4:192.0.2.0/24 -all" in page.text, "what it was"
    assert post(admin, f"{path}/accept").status_code == 303
    assert domains.get(WORKSPACE_A, row.id).drift == {}


def test_the_selector_is_chosen_and_checked(admin, post, zone):
    row = checked(make())
    path = f"/ui/domains/{row.id}"
    wrong = post(admin, f"{path}/selector", dkim_selector="a b")
    assert wrong.status_code == 422
    assert 'value="a b"' in wrong.text
    assert post(admin, f"{path}/selector", dkim_selector="s2._domainkey").status_code == 303
    assert checked(row).dkim_selector == "s2"


def test_a_domain_is_removed_and_brought_back(admin, post):
    row = make()
    assert post(admin, f"/ui/domains/{row.id}/remove").status_code == 303
    page = soup_of(admin)
    assert Domain.select().count() == 0
    form = page.select_one("#toasts form")
    fields = {field["name"]: field["value"] for field in form.select("input")}
    assert admin.post(form["action"], data=fields).status_code == 303
    assert Domain.get().dkim_selector == "s1"


def test_a_removed_domain_whose_mail_is_signed_still_is_told_of(admin, post):
    row = make()
    [key] = dkim_keys.prepare(WORKSPACE_A, NAME, algorithms=[Algorithm.ED25519], by=SYSTEM)
    dkim_keys.activate(WORKSPACE_A, key.id, insist=True)
    assert "maild has keys" not in soup_of(admin).text
    post(admin, f"/ui/domains/{row.id}/remove")
    page = soup_of(admin)
    assert "signs it still" in page.select_one("#toasts").text
    form = page.select_one("[aria-labelledby=unlisted-title] form")
    fields = {field["name"]: field["value"] for field in form.select("input")}
    assert admin.post(form["action"], data=fields).status_code == 303
    assert Domain.get().name == NAME


def test_check_now_is_limited(admin, post, monkeypatch):
    row = checked(make())
    path = f"/ui/domains/{row.id}"
    post(admin, f"{path}/check")
    assert "It is being checked" in soup_of(admin, path).text
    checked(row)
    monkeypatch.setattr(domain_checks, "PER_MINUTE_MAX", 1)
    post(admin, f"{path}/check")
    page = soup_of(admin, path)
    assert "Wait" in page.select_one("#toasts").text
    assert "It is being checked" not in page.text


def test_a_viewer_sees_all_and_changes_nothing(sign_in, viewer_a, post):
    row = checked(make())
    viewer = sign_in(viewer_a)
    page = soup_of(viewer, f"/ui/domains/{row.id}")
    assert "Ready" in page.text
    assert not page.select(f'form[action="/ui/domains/{row.id}/check"]')
    assert post(viewer, f"/ui/domains/{row.id}/check").status_code == 403
    assert post(viewer, "/ui/domains", domain="x.example").status_code == 403
