"""/ui/settings/api-keys: the list, making a key, limiting and revoking one."""

import datetime as dt
import json
import re

import pytest
from bs4 import BeautifulSoup

from maild import clock
from maild.domain.actor import SYSTEM
from maild.domain.role import Role
from maild.models import ApiKey, AuditEntry, Message
from maild.services import api_keys
from maild.services.api_keys import NewApiKey
from maild.web import verified
from maild.web.api_keys import PAGE_ROWS
from tests.conftest import WORKSPACE_A, WORKSPACE_B, client_of

PATH = "/ui/settings/api-keys"
JUST_NOW = r"(just now|\d+ s ago)"
"""As the machine is busy or not."""


@pytest.fixture
def make_key(database):
    """Call to have a key; returns its row."""

    def make(name="billing", role="sender", workspace_id=WORKSPACE_A, **fields):
        return api_keys.create(workspace_id, NewApiKey(name, role, **fields), by=SYSTEM)[0]

    return make


def create(client, post, **fields):
    form = {"name": "billing", "role": "sender", "expires": "never", "networks": ""}
    return post(client, PATH, **{**form, **fields})


def key_in(response):
    assert response.status_code == 200, response.text
    return BeautifulSoup(response.text, "html.parser").select_one(".secret pre").text


def wrong_in(response):
    """What is said at which field of the form that came back."""
    assert response.status_code == 422
    errors = BeautifulSoup(response.text, "html.parser").select("#make-key .field-error")
    return {e["id"].removesuffix("-error"): e.text for e in errors if e.text}


def submit(app, key):
    body = {"from_email": "a@b.example", "to_email": "c@d.example", "subject": "x",
            "body_text": "x"}  # fmt: skip
    return client_of(app).post("/v1/messages", json=body, headers={"X-API-Key": key})


def rows_of(client, path=PATH):
    return BeautifulSoup(client.get(path).text, "html.parser").select("tbody tr")


def words_of(row):
    return " ".join(" ".join(row.stripped_strings).split())


def test_it_makes_a_key_that_works_and_shows_it_once(app, client, post):
    response = create(client, post, name=" billing ")
    key = key_in(response)
    assert response.headers["Cache-Control"] == "no-store"
    assert submit(app, key).status_code == 201
    row = ApiKey.get()
    assert (row.name, row.role, row.created_by) == ("billing", "sender", "ann@a.example")
    for path in (PATH, "/ui/settings/audit", "/dashboard"):
        assert key not in client.get(path).text
    assert key not in str(client.get_cookie("maild"))
    assert key not in json.dumps([e.after for e in AuditEntry.select()])


def test_it_shows_a_command_that_sends_with_the_key(app, client, post, use_settings):
    use_settings(public_url="https://mail.example.net", api_key_header="X-Our-Key")
    response = create(client, post)
    commands = BeautifulSoup(response.text, "html.parser").select(".code pre")
    assert commands[1].text.startswith(
        f"curl https://mail.example.net/v1/messages \\\n  -H 'X-Our-Key: {key_in(response)}' \\\n"
    )
    body = json.loads(commands[1].text.partition("-d '")[2].rstrip("'"))
    headers = {"X-Our-Key": key_in(response)}
    assert client_of(app).post("/v1/messages", json=body, headers=headers).status_code == 201


def test_a_key_that_may_not_send_is_shown_with_a_command_that_reads(app, client, post):
    response = create(client, post, role="viewer")
    assert "/v1/messages/logs \\" in response.text
    headers = {"X-API-Key": key_in(response)}
    assert client_of(app).get("/v1/messages/logs", headers=headers).status_code == 200
    assert submit(app, key_in(response)).status_code == 403


def test_it_says_that_the_key_is_gone_when_the_page_is_left(client, post):
    assert "When you leave this page it is hidden for good" in create(client, post).text


@pytest.mark.parametrize(("expires", "days"), [("never", None), ("30", 30), ("90", 90),
                                               ("365", 365)])  # fmt: skip
def test_a_key_works_as_long_as_was_chosen(client, post, expires, days):
    create(client, post, expires=expires)
    left = ApiKey.get().expires_at
    if days is None:
        assert left is None
    else:
        assert abs(left - clock.now() - dt.timedelta(days=days)) < dt.timedelta(minutes=1)


def test_a_key_works_from_its_networks_alone(app, client, post):
    key = key_in(create(client, post, networks="\r\n 192.0.2.0/24 \r\n\r\n2001:db8::1\r\n"))
    assert ApiKey.get().allowed_networks == ["192.0.2.0/24", "2001:db8::1/128"]
    assert submit(app, key).status_code == 403


@pytest.mark.proves("console-keeps")
def test_it_names_the_line_of_each_network_that_is_wrong_and_keeps_what_was_typed(client, post):
    typed = "192.0.2.0/24\r\n\r\nnonsense\r\n10.0.0.1/8"
    response = create(client, post, name="grafana", role="viewer", expires="90", networks=typed)
    assert wrong_in(response) == {
        "networks": "Line 3 must be an address or a network such as 192.0.2.0/24."
        " Line 4 names an address inside the network 10.0.0.0/8: write that."
    }
    soup = BeautifulSoup(response.text, "html.parser")
    assert soup.select_one("#make-key").has_attr("open")
    assert soup.select_one("#name")["value"] == "grafana"
    assert soup.select_one("[name=role][checked]")["value"] == "viewer"
    assert soup.select_one("#expires [selected]")["value"] == "90"
    assert "nonsense" in soup.select_one("#networks").text
    assert ApiKey.select().count() == 0


@pytest.mark.parametrize(
    ("fields", "field", "words"),
    [
        ({"name": ""}, "name", "Must be printable"),
        ({"name": " \t "}, "name", "Must be printable"),
        ({"name": "a\nb"}, "name", "Must be printable"),
        ({"name": "x" * 65}, "name", "longer than 64"),
        ({"name": "\x00"}, "name", "Must be printable"),
        ({"role": "owner"}, "role", "Must be one of sender, viewer"),
        ({"role": ""}, "role", "Must be one of"),
        ({"expires": "1"}, "expires", "Must be one of never, 30, 90, 365"),
        ({"expires": ""}, "expires", "Must be one of"),
        ({"networks": "192.0.2.1\n" * 101}, "networks", "Must have 1 to 100 entries"),
        ({"networks": "fe80::1%eth0"}, "networks", "Line 1 must be an address"),
    ],
)
def test_it_says_what_is_wrong(client, post, fields, field, words):
    found = wrong_in(create(client, post, **fields))
    assert list(found) == [field]
    assert words in found[field]
    assert ApiKey.select().count() == 0


def test_a_form_with_nothing_in_it_is_told_what_is_missing(client, post):
    assert post(client, PATH).status_code == 422
    assert ApiKey.select().count() == 0


def test_it_explains_all_four_roles(page):
    words = [label.text for label in page(PATH).select("#make-key .choice label")]
    assert [word.partition(":")[0] for word in words] == ["sender", "viewer", "operator", "admin"]


def test_it_lists_what_matters_of_each_key(client, make_key):
    make_key(workspace_id=WORKSPACE_B, name="of B")
    plain = make_key("plain")
    late = make_key("late", "viewer", expires_at=clock.now() + dt.timedelta(days=3))
    ApiKey.update(expires_at=clock.now() - dt.timedelta(hours=2)).where(
        ApiKey.id == late.id
    ).execute()
    networks = [f"192.0.2.{number}" for number in range(5)]
    gone = make_key("gone", "admin", allowed_networks=networks)
    api_keys.revoke(WORKSPACE_A, key_id=gone.id, by=SYSTEM)
    soon = make_key("soon", "operator", expires_at=clock.now() + dt.timedelta(days=3, hours=1))
    ApiKey.update(last_used_at=clock.now() - dt.timedelta(minutes=5)).where(
        ApiKey.id == soon.id
    ).execute()
    rows = rows_of(client)
    assert [row.select_one("bdi").text for row in rows] == ["soon", "gone", "late", "plain"]
    badges = [[badge.text for badge in row.select(".badge")] for row in rows]
    assert badges == [["operator", "active"], ["admin", "revoked"], ["viewer", "expired"],
                      ["sender", "active"]]  # fmt: skip
    soon_row, gone_row, late_row, plain_row = map(words_of, rows)
    assert "expires in 3 d" in soon_row
    assert "5 m ago" in soon_row
    assert re.search(JUST_NOW + " by maild", gone_row)
    assert "192.0.2.2/32 and 2 more 192.0.2.3/32" in gone_row
    assert "expired 2 h ago" in late_row
    assert (
        f"{plain.prefix}… sender 6,000 requests a minute active does not expire everywhere never"
        in plain_row
    )
    assert re.search("made " + JUST_NOW + " by maild", plain_row)


def test_it_says_so_where_there_is_none(page):
    assert "No API keys yet" in page(PATH).select_one(".empty").text


def test_it_pages(client, make_key):
    for number in range(PAGE_ROWS + 2):
        make_key(f"key {number}")
    soup = BeautifulSoup(client.get(PATH).text, "html.parser")
    assert len(soup.select("tbody tr")) == PAGE_ROWS
    older = soup.select_one(".pager [rel=next]")["href"]
    soup = BeautifulSoup(client.get(older).text, "html.parser")
    assert [row.select_one("bdi").text for row in soup.select("tbody tr")] == ["key 1", "key 0"]
    assert soup.select(".pager") == []
    assert soup.select_one(f"main p a[href='{PATH}']").text == "Newest keys"


def test_a_page_that_is_just_full_is_the_last(page, make_key):
    for number in range(PAGE_ROWS):
        make_key(f"key {number}")
    assert page(PATH).select(".pager") == []


@pytest.mark.parametrize("mark", ["x", "1", "-1", "AAAA", "é"])
def test_a_mark_that_maild_did_not_give_out_is_refused(client, mark):
    assert client.get(PATH, query_string={"older_than": mark}).status_code == 400


def test_a_name_is_text(client, make_key):
    make_key('"><script>alert(1)</script>')
    assert "<script>alert" not in client.get(PATH).text


def test_it_revokes_with_a_reason(app, client, post):
    key = key_in(create(client, post))
    row = ApiKey.get()
    response = post(client, f"{PATH}/revoke", key=row.id, reason=" got lost ")
    assert (response.status_code, response.location) == (303, PATH)
    assert submit(app, key).status_code == 401
    assert "“billing” is revoked" in client.get(PATH).text
    entry = AuditEntry.get(AuditEntry.action == "api_key.revoked")
    assert (entry.actor, entry.reason) == ("ann@a.example", "got lost")


def test_it_needs_no_reason_and_revokes_once(client, post, make_key):
    row = make_key()
    post(client, f"{PATH}/revoke", key=row.id, reason=" ")
    first = ApiKey.get().revoked_at
    post(client, f"{PATH}/revoke", key=row.id, reason="again")
    assert "was revoked already" in client.get(PATH).text
    assert ApiKey.get().revoked_at == first
    reasons = [e.reason for e in AuditEntry.select().where(AuditEntry.action == "api_key.revoked")]
    assert reasons == [None]


@pytest.mark.parametrize("reason", ["x" * 501, "a\u0007b", "a\x00"])
def test_it_says_what_is_wrong_with_a_reason_and_keeps_it(client, post, make_key, reason):
    rows = [make_key(f"key {number}") for number in range(PAGE_ROWS + 2)]
    row = rows[0]
    response = post(client, f"{PATH}/revoke", key=row.id, reason=reason)
    assert response.status_code == 422
    soup = BeautifulSoup(response.text, "html.parser")
    dialog = soup.select_one(f"#revoke-{row.id}")
    assert dialog.has_attr("open")
    assert dialog.select_one(".field-error").text
    assert dialog.select_one("[name=reason]")["value"].startswith(reason[:1])
    assert ApiKey.get_by_id(row.id).revoked_at is None


def test_a_revoked_key_has_no_button(client, make_key):
    row = make_key()
    assert rows_of(client)[0].select_one(".row-actions form") is not None
    api_keys.revoke(WORKSPACE_A, key_id=row.id, by=SYSTEM)
    assert rows_of(client)[0].select_one(".row-actions").text.strip() == ""


@pytest.mark.parametrize("number", ["", "x", "0", "-1", "9" * 30])
def test_there_is_no_such_key(client, post, make_key, number):
    make_key()
    assert post(client, f"{PATH}/revoke", key=number).status_code == 404
    assert ApiKey.get().revoked_at is None


def test_keys_of_another_workspace_are_out_of_reach(sign_in, post, admin_b, make_key):
    row = make_key("secret pipeline")
    client = sign_in(admin_b)
    response = post(client, f"{PATH}/revoke", workspace_id=WORKSPACE_B, key=row.id)
    assert response.status_code == 404
    assert post(client, f"{PATH}/revoke", key=row.id).status_code == 409
    response = post(client, f"{PATH}/revoke", workspace_id=WORKSPACE_B, key=row.id, reason="\x07")
    assert "secret pipeline" not in response.text
    assert "secret pipeline" not in client.get(PATH).text
    assert ApiKey.get().revoked_at is None
    assert create(client, post).status_code == 409
    create(client, post, workspace_id=WORKSPACE_B)
    assert [key.workspace_id for key in ApiKey.select().order_by(ApiKey.id)] == [1, 2]


def test_who_has_not_confirmed_their_own_address_makes_none(sign_in, post, make_person, make_key):
    client = sign_in(make_person("eve@a.example", is_verified=False))
    soup = BeautifulSoup(client.get(PATH).text, "html.parser")
    assert verified.NEEDED in soup.select_one(".locked").text
    assert soup.select(f"form[action='{PATH}']") == []
    response = create(client, post)
    assert response.status_code == 403
    assert verified.NEEDED in response.text
    assert ApiKey.select().count() == 0
    row = make_key()
    assert post(client, f"{PATH}/revoke", key=row.id).status_code == 303


@pytest.mark.parametrize("role", [Role.OPERATOR, Role.VIEWER])
def test_who_is_no_admin_sees_them_and_changes_nothing(sign_in, post, make_person, make_key, role):
    client = sign_in(make_person("otto@a.example", role))
    row = make_key()
    soup = BeautifulSoup(client.get(PATH).text, "html.parser")
    assert "billing" in soup.select_one("tbody").text
    assert "Only an admin" in soup.select_one(".locked").text
    assert soup.select("main form") == []
    [button] = soup.select("tbody button")
    assert button["aria-disabled"] == "true"
    assert "Only an admin" in soup.find(id=button["aria-describedby"]).text
    assert create(client, post).status_code == 403
    assert post(client, f"{PATH}/revoke", key=row.id).status_code == 403
    assert [key.revoked_at for key in ApiKey.select()] == [None]


def test_who_is_not_signed_in_sees_nothing(anonymous, post, make_key):
    row = make_key()
    response = anonymous.get(PATH)
    assert (response.status_code, response.location) == (303, f"/login?next={PATH}")
    assert create(anonymous, post).status_code == 401
    assert post(anonymous, f"{PATH}/revoke", key=row.id).status_code == 401
    assert [key.revoked_at for key in ApiKey.select()] == [None]


def test_a_form_without_its_token_changes_nothing(client, make_key):
    row = make_key()
    for path in (PATH, f"{PATH}/revoke"):
        form = {"workspace_id": WORKSPACE_A, "key": row.id, "name": "x", "role": "admin",
                "expires": "never"}  # fmt: skip
        assert client.post(path, data=form).status_code == 400
    assert [key.revoked_at for key in ApiKey.select()] == [None]
    assert Message.select().count() == 0


def test_a_key_may_have_a_limit_of_requests(client, post):
    response = create(client, post, requests_per_minute=" 600 ")
    key_in(response)
    assert ApiKey.get().requests_per_minute == 600
    assert "600" in response.text
    [row] = rows_of(client)
    assert "600 requests a minute" in words_of(row)


@pytest.mark.parametrize(("default", "told"), [(6_000, "6,000"), (0, "any number of")])
def test_a_key_without_a_limit_shows_the_instances(client, make_key, use_settings, default, told):
    use_settings(api_requests_per_minute=default)
    make_key()
    [row] = rows_of(client)
    assert f"{told} requests a minute" in words_of(row)


@pytest.mark.parametrize("typed", ["0", "6001", "many", "-1", "1e3"])
def test_a_limit_that_cannot_be_is_told_at_its_field(client, post, typed):
    wrong = wrong_in(create(client, post, requests_per_minute=typed))
    assert list(wrong) == ["requests_per_minute"]
    assert ApiKey.select().count() == 0


def test_the_limit_of_a_key_can_be_changed(client, post, make_key):
    row = make_key()

    def limit(typed):
        return post(client, f"{PATH}/limit", key=row.id, requests_per_minute=typed)

    assert limit("600").status_code == 303
    assert "600 requests a minute" in words_of(rows_of(client)[0])
    entry = AuditEntry.get(AuditEntry.action == "api_key.limited")
    assert (entry.actor, entry.after["requests_per_minute"]) == ("ann@a.example", 600)
    for wrong in ("many", "6001", "0"):
        page = BeautifulSoup(limit(wrong).text, "html.parser")
        form = page.select_one(f"#limit-{row.id}")
        assert form.has_attr("open")
        assert form.select_one(f"#requests-{row.id}")["value"] == wrong
        assert form.select_one(".field-error").text
    assert limit("").status_code == 303
    assert ApiKey.get().requests_per_minute is None
    api_keys.revoke(WORKSPACE_A, key_id=row.id, by=SYSTEM)
    assert limit("5").status_code == 303
    assert "The API key is revoked." in client.get(PATH).text
    assert ApiKey.get().requests_per_minute is None
