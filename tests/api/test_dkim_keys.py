"""/v1/domains/dkim-keys: making, letting sign, replacing, retiring; no private half comes out."""

import pytest

from tests.dns_server import dns_server  # noqa: F401 - a fixture

PATH = "/v1/domains/dkim-keys"
MAKE = {"domain": "Example.COM", "algorithms": ["ed25519-sha256"]}


@pytest.fixture
def zone(dns_server, use_settings):  # noqa: F811
    use_settings(dns_resolvers=(dns_server.addr,), dns_timeout_seconds=1)
    return dns_server


def test_the_whole_way_of_a_key(api, zone):
    made = api("POST", PATH, json=MAKE)
    assert made.status_code == 201
    [key] = made.json["keys"]
    assert (key["domain"], key["state"]) == ("example.com", "prepared")
    assert key["record"]["name"] == f"{key['selector']}._domainkey.example.com"
    assert key["record"]["value"].startswith("v=DKIM1; k=ed25519; p=")
    early = api("POST", f"{PATH}/activate", json={"id": key["id"]})
    assert (early.status_code, early.json["code"]) == (409, "conflict")

    zone.txt(key["record"]["name"], key["record"]["value"])
    active = api("POST", f"{PATH}/activate", json={"id": key["id"]})
    assert (active.json["state"], active.json["record_state"]) == ("active", "published")
    new = api("POST", f"{PATH}/rotate", json={"id": key["id"]})
    assert new.status_code == 201
    second = new.json["keys"][0]["id"]
    api("POST", f"{PATH}/activate", json={"id": second, "insist": True})
    listed = api("GET", PATH, query={"domain": "example.com"}).json
    assert [(k["id"], k["state"]) for k in listed["keys"]] == [
        (second, "active"), (key["id"], "retiring"),
    ]  # fmt: skip
    assert listed["keys"][1]["retire_at"] is not None
    gone = api("POST", f"{PATH}/retire", json={"id": second, "at_once": True})
    assert gone.json["state"] == "retired"
    assert "PRIVATE" not in str(listed)


def test_pages_of_keys(api):
    for name in ("a.example", "b.example", "c.example"):
        api("POST", PATH, json={**MAKE, "domain": name})
    first = api("GET", PATH, query={"limit": 2}).json
    rest = api("GET", PATH, query={"limit": 2, "cursor": first["next_cursor"]}).json
    assert [k["domain"] for k in first["keys"] + rest["keys"]] == [
        "c.example", "b.example", "a.example",
    ]  # fmt: skip
    assert rest["next_cursor"] is None


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"domain": "no domain"}, "domain"),
        ({"domain": "example.com", "algorithms": []}, "algorithms"),
        ({"domain": "example.com", "algorithms": ["rsa-sha1"]}, "algorithms.0"),
        ({}, "domain"),
    ],
)
def test_bad_input_is_named(api, body, field):
    response = api("POST", PATH, json=body)
    assert response.status_code in {400, 422}
    assert response.json["errors"][0]["field"] == field
    assert api("GET", PATH).json["count"] == 0
