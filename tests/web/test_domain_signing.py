"""Signing on /ui/domains/<id>: keys with their records, and each step, without a script."""

import pytest
from bs4 import BeautifulSoup

from maild.domain import dkim
from maild.domain.actor import SYSTEM
from maild.domain.dkim import KeyState
from maild.models import AuditEntry, DkimKey, Domain
from maild.services import dkim_keys, domain_check_loop
from tests.conftest import WORKSPACE_A, WORKSPACE_B
from tests.counting import count_statements
from tests.dns_server import dns_server  # noqa: F401 - a fixture


@pytest.fixture
def zone(dns_server, use_settings):  # noqa: F811
    use_settings(dns_resolvers=(dns_server.addr,), dns_timeout_seconds=1)
    return dns_server


def add_domain(name="example.com", workspace_id=WORKSPACE_A):
    return Domain.create(
        workspace=workspace_id, name=name, created_by="x", results={}, good={}, drift={}
    )


@pytest.fixture
def path(database):
    return f"/ui/domains/{add_domain().id}/signing"


def soup_of(client, path):
    response = client.get(path.removesuffix("/signing"))
    assert response.status_code == 200, response.text
    return BeautifulSoup(response.text, "html.parser")


def words_of(tag):
    return " ".join(" ".join(tag.stripped_strings).split())


def publish(zone, key):
    value = dkim.record_value(key.algorithm, key.public_key)
    zone.txt(dkim.record_name(key.selector, key.domain), value)


def test_from_the_first_key_to_its_end(client, post, path, zone):
    assert "does not sign" in words_of(soup_of(client, path).select_one("#signing"))
    assert post(client, path, algorithms="rsa").status_code == 303
    [key] = DkimKey.select()
    page = soup_of(client, path)
    shown = [code.text for code in page.select(".signing-record code")]
    assert shown[0] == f"{key.selector}._domainkey.example.com"
    assert shown[1] == dkim.record_value(key.algorithm, key.public_key)
    assert shown[2].count('"') == 4
    assert "PRIVATE" not in page.text

    post(client, f"{path}/{key.id}/activate")
    page = soup_of(client, path)
    assert "does not show this key's record yet" in words_of(page.select_one("#toasts"))
    assert "not there" in words_of(page.select_one(".signing-key"))
    publish(zone, key)
    post(client, f"{path}/check")
    assert "signs mail from example.com" in words_of(soup_of(client, path))

    post(client, f"{path}/{key.id}/rotate")
    new = DkimKey.get(DkimKey.id > key.id)
    publish(zone, new)
    post(client, f"{path}/{new.id}/activate")
    assert {k.id: k.state for k in DkimKey.select()} == {
        key.id: KeyState.RETIRING, new.id: KeyState.ACTIVE,
    }  # fmt: skip

    post(client, f"{path}/{new.id}/retire")
    page = soup_of(client, path)
    undo = page.select_one("#toasts form")
    fields = {field["name"]: field["value"] for field in undo.select("input")}
    client.post(undo["action"], data=fields)
    assert DkimKey.get_by_id(new.id).state is KeyState.ACTIVE
    post(client, f"{path}/{key.id}/retire", at_once="y")
    page = soup_of(client, path)
    assert key.selector in words_of(page.select_one(".signing-retired"))
    assert {e.action for e in AuditEntry.select()} == {
        "dkim_key.prepared", "dkim_key.activated", "dkim_key.stopped", "dkim_key.retired",
    }  # fmt: skip


def test_the_dkim_card_tells_of_mailds_own_keys_and_judges_them(client, post, path, zone):
    zone.txt("example.com", "the name exists")
    shown = soup_of(client, path).select_one("[aria-labelledby=dkim-title]")
    assert "key of its own" not in words_of(shown)
    post(client, path, algorithms="rsa")
    [key] = DkimKey.select()
    name = dkim.record_name(key.selector, key.domain)
    domain_check_loop.drain()
    page = soup_of(client, path)
    card = page.select_one("[aria-labelledby=dkim-title]")
    assert name in words_of(card.select_one(".own-keys"))
    assert card.select_one("a")["href"].endswith("#signing")
    assert "its record is not in the DNS" in words_of(card)
    assert dkim.record_value(key.algorithm, key.public_key) in words_of(card.select_one(".paste"))
    assert "<selector>" not in card.text
    primary = [words_of(one) for one in page.select("#signing .button.primary")]
    assert primary == [f"Look for its record, and sign with it ({key.selector})"]
    publish(zone, key)
    post(client, f"{path}/check")
    domain_check_loop.drain()
    card = soup_of(client, path).select_one("[aria-labelledby=dkim-title]")
    assert "In order" in words_of(card)


def test_two_keys_at_once_and_no_second_one_of_a_kind(client, post, path):
    post(client, path, algorithms="both")
    assert DkimKey.select().count() == 2
    post(client, path, algorithms="ed25519")
    assert "waits for its record" in words_of(soup_of(client, path).select_one("#toasts"))
    assert DkimKey.select().count() == 2


def test_an_ed25519_key_alone_is_warned_about(client, post, path):
    post(client, path, algorithms="ed25519")
    [key] = DkimKey.select()
    post(client, f"{path}/{key.id}/activate", insist="y")
    assert "verify RSA signatures only" in words_of(soup_of(client, path))


def test_others_see_the_keys_and_change_none(client, operator_a, sign_in, post, path):
    operator = sign_in(operator_a)
    post(client, path, algorithms="ed25519")
    page = soup_of(operator, path)
    assert page.select_one("#make-key")["aria-disabled"] == "true"
    assert page.select("#signing form") == []
    assert post(operator, path).status_code == 403


def test_a_key_is_reached_through_its_own_domain_only(client, post, path):
    post(client, path, algorithms="ed25519")
    [key] = DkimKey.select()
    other = f"/ui/domains/{add_domain('other.example').id}/signing"
    foreign = f"/ui/domains/{add_domain('b.example', WORKSPACE_B).id}/signing"
    for wrong in (other, foreign):
        assert post(client, f"{wrong}/{key.id}/activate", insist="y").status_code == 404
    assert post(client, foreign).status_code == 404
    assert post(client, "/ui/domains/99999999999999/signing").status_code == 404
    assert DkimKey.get_by_id(key.id).state is KeyState.PREPARED


def test_more_keys_take_no_more_statements(client, post, path):
    few = count_statements(lambda: soup_of(client, path))
    post(client, path, algorithms="both")
    soup_of(client, path)  # with its toast
    assert count_statements(lambda: soup_of(client, path)) <= few


def test_the_page_of_a_message_tells_which_key_signed(client, accept, deliver, inbox):
    [key] = dkim_keys.prepare(
        WORKSPACE_A, "example.com", algorithms=[dkim.Algorithm.ED25519], by=SYSTEM
    )
    dkim_keys.activate(WORKSPACE_A, key.id, insist=True, by=SYSTEM)
    message = accept()
    deliver()
    page = soup_of(client, f"/ui/messages/{message.id}")
    assert f"Signed with {key.selector} for example.com" in words_of(page.select_one(".timeline"))
