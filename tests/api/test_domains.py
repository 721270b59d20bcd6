"""/v1/domains: readiness of any domain, and the workspace's own."""

import pytest

from maild.services import domain_checks, domains
from tests.dns_zones import publish

NAME = "shop.example"


@pytest.fixture(autouse=True)
def zone(dns_server, use_settings):
    use_settings(dns_resolvers=(dns_server.addr,), dns_timeout_seconds=1)
    publish(dns_server, NAME)
    return dns_server


def ready(api, **body):
    return api("POST", "/v1/domains/readiness", json={"domain": NAME, **body}, key="operator")


@pytest.mark.proves("explain-domains")
def test_it_tells_whether_a_domain_is_ready(api):
    answer = ready(api, dkim_selector="S1").get_json()
    expected = {"spf_valid": True, "dkim_valid": True, "dmarc_valid": True, "ready": True}
    assert {name: answer[name] for name in expected} == expected
    assert (answer["domain"], answer["dkim_selector"]) == (NAME, "s1")
    assert answer["details"]["dkim"]["facts"]["key_bits"] == 2048


def test_it_tells_silence_from_absence(api, zone):
    zone.fail(NAME)
    zone.remove(f"_dmarc.{NAME}")
    answer = ready(api, dkim_selector="s1").get_json()
    assert answer["ready"] is False
    assert answer["details"]["spf"]["state"] == "unknown"
    assert answer["details"]["dmarc"]["state"] == "bad"
    assert answer["details"]["dmarc"]["paste"][0]["name"] == f"_dmarc.{NAME}"


def test_it_keeps_nothing(api):
    ready(api)
    assert api("GET", "/v1/domains", key="operator").get_json()["domains"] == []


@pytest.mark.parametrize(
    "body",
    [{"domain": "localhost"}, {"domain": "a b.org"}, {"domain": "x" * 5_000}, {"domain": ""},
     {"dkim_selector": "-"}, {"domain": None}],
)  # fmt: skip
def test_it_refuses_what_is_no_domain(api, body):
    response = ready(api, **body)
    assert response.status_code == 422
    assert response.get_json()["errors"]


def test_it_takes_internationalised_names(api, zone):
    publish(zone, "xn--bcher-kva.example")
    answer = ready(api, domain="Bücher.example", dkim_selector="s1").get_json()
    assert answer["ready"] is True
    assert answer["domain"] == "xn--bcher-kva.example"


def test_it_has_a_limit(api, monkeypatch):
    monkeypatch.setattr(domain_checks, "PER_MINUTE_MAX", 1)
    assert ready(api).status_code == 200
    response = ready(api)
    assert response.status_code == 429
    assert int(response.headers["Retry-After"]) > 0


def test_a_domain_is_added_checked_listed_and_removed(api, zone):
    body = {"domain": NAME, "dkim_selector": "s1"}
    added = api("POST", "/v1/domains", json=body, key="admin")
    assert added.status_code == 201
    assert added.get_json()["ready"] is None
    assert added.get_json()["details"] is None
    assert api("POST", "/v1/domains", json=body, key="admin").status_code == 409
    named = {"domain": NAME}
    checked = api("POST", "/v1/domains/check", json=named, key="operator").get_json()
    assert checked["ready"] is True
    assert checked["checked_at"]
    [listed] = api("GET", "/v1/domains", key="operator").get_json()["domains"]
    assert listed == checked
    assert api("DELETE", "/v1/domains", json=named, key="operator").status_code == 403
    assert api("DELETE", "/v1/domains", json=named, key="admin").status_code == 200
    assert api("POST", "/v1/domains/check", json=named, key="operator").status_code == 404


def test_the_list_has_pages(api):
    from maild.domain.actor import SYSTEM

    for name in ("a.example", "b.example", "c.example"):
        domains.add(1, name, by=SYSTEM)
    first = api("GET", "/v1/domains", query={"limit": 2}, key="operator").get_json()
    assert [one["domain"] for one in first["domains"]] == ["a.example", "b.example"]
    query = {"limit": 2, "cursor": first["next_cursor"]}
    second = api("GET", "/v1/domains", query=query, key="operator").get_json()
    assert [one["domain"] for one in second["domains"]] == ["c.example"]
    assert second["next_cursor"] is None
    bad = api("GET", "/v1/domains", query={"cursor": "x"}, key="operator")
    assert bad.status_code == 400
