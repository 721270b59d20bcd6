"""Adding an SMTP account and changing one: what is typed is kept, but for the password, which is in
no page, no toast and no log.
"""

import pytest

from maild.domain.actor import SYSTEM
from maild.domain.role import Role
from maild.domain.smtp_presets import PRESETS
from maild.models import AuditEntry, SmtpAccount
from maild.services import smtp_accounts
from tests.conftest import WORKSPACE_A, WORKSPACE_B
from tests.web.provider_helpers import (
    PASSWORD,
    PATH,
    audited,
    save,
    soup_of,
    stored,
    toast_of,
    words_of,
)

TYPED = {
    "name": "main",
    "host": "smtp.example.com",
    "port": "587",
    "security": "starttls",
    "username": "user",
    "password": PASSWORD,
    "from_email": "shop@example.com",
    "max_connections": "4",
    "max_per_second": "2.5",
    "priority": "70",
    "return_path": "bounces@example.com",
}


def typed_into(soup):
    """What stands in the fields."""
    found = {}
    form = soup.select_one("main form:has([name=host])")
    for field in form.select("input:not([type=hidden]), select"):
        if field.name == "select":
            chosen = field.select_one("option[selected]")
            found[field["name"]] = chosen["value"] if chosen else None
        else:
            found[field["name"]] = field.get("value", "")
    return found


def errors_of(soup):
    """The complaint at each field that has one."""
    return {
        slot["id"].removesuffix("-error"): slot.text
        for slot in soup.select(".field-error")
        if slot.text
    }


def edit(client, post, row, **fields):
    version = soup_of(client.get(f"{PATH}/{row.id}/edit")).select_one("[name=version]")["value"]
    values = {**TYPED, "password": "", "version": version, **fields}
    return post(client, f"{PATH}/{row.id}/edit", **values)


def save_typed():
    return save(
        host="smtp.example.com",
        security="starttls",
        username="user",
        password=PASSWORD,
        max_connections=4,
        max_per_second=2.5,
        priority=70,
        return_path="bounces@example.com",
    )


# --- Adding -----------------------------------------------------------------------------------


def test_it_adds_an_account_and_leads_to_its_check(client, post):
    response = post(client, f"{PATH}/new", **TYPED)
    [row] = smtp_accounts.list_all(WORKSPACE_A)
    assert (response.status_code, response.location) == (303, f"{PATH}/{row.id}/check")
    assert (row.host, row.port, row.security, row.username) == (
        "smtp.example.com", 587, "starttls", "user",
    )  # fmt: skip
    assert (row.max_connections, row.max_per_second, row.priority) == (4, 2.5, 70)
    assert row.return_path == "bounces@example.com"
    assert not row.is_active
    assert smtp_accounts.get_server(row.id).password == PASSWORD
    assert "“main” is saved" in toast_of(client)
    assert audited(but=()) == ["smtp_account.saved"]


def test_the_form_has_sensible_values_from_the_start(page):
    fields = typed_into(page(f"{PATH}/new"))
    assert fields["port"] == "587"
    assert fields["security"] == "starttls"
    assert fields["max_connections"] == "10"
    assert fields["priority"] == "100"
    assert page(f"{PATH}/new").select_one("label[for=username] .optional")


@pytest.mark.parametrize("preset", PRESETS, ids=lambda preset: preset.key)
def test_a_preset_fills_in_what_is_known(page, preset):
    soup = page(f"{PATH}/new?preset={preset.key}")
    fields = typed_into(soup)
    assert (fields["host"], fields["port"]) == (preset.host, str(preset.port))
    assert (fields["security"], fields["username"]) == (preset.security, preset.username)
    assert preset.hint in words_of(soup.select_one("main .alert"))
    assert soup.select_one(".presets [aria-current]").text == preset.title
    for name in ("username", "password"):
        assert soup.select_one(f"#{name}").has_attr("required")
        assert soup.select_one(f"label[for={name}] .optional") is None
        assert f"{preset.title} needs it" in soup.select_one(f"#{name}-hint").text


def test_an_unknown_preset_is_none(page):
    assert typed_into(page(f"{PATH}/new?preset=x"))["host"] == ""


def test_a_preset_whose_place_was_not_filled_in_is_refused(client, post):
    response = post(client, f"{PATH}/new", **{**TYPED, "host": "email-smtp.<region>.amazonaws.com"})
    assert response.status_code == 422
    assert set(errors_of(soup_of(response))) == {"host"}


@pytest.mark.parametrize(
    ("field", "value", "why"),
    [
        ("name", "", "Must be printable"),
        ("name", "default", "environment"),
        ("name", "x" * 101, "longer than"),
        ("host", "", "host name"),
        ("host", "no host", "host name"),
        ("port", "", "whole number"),
        ("port", "x", "whole number"),
        ("port", "1.5", "whole number"),
        ("port", "0", "1 to 65535"),
        ("port", "9" * 30, "whole number"),
        ("port", "²", "whole number"),
        ("security", "x", "must be one of"),
        ("password", "", "together"),
        ("username", "", "together"),
        ("from_email", "nobody", ""),
        ("max_connections", "0", "from 1 to"),
        ("max_connections", "x", "whole number"),
        ("max_per_second", "x", "must be a number"),
        ("max_per_second", "0", "more than 0"),
        ("max_per_second", "-1", "more than 0"),
        ("max_per_second", "nan", "more than 0"),
        ("max_per_second", "inf", "at most"),
        ("priority", "1001", "from 0 to"),
        ("priority", "", "whole number"),
        ("return_path", "x", ""),
    ],
)
def test_what_is_wrong_is_told_at_its_field_and_the_rest_is_kept(client, post, field, value, why):
    typed = {**TYPED, field: value}
    response = post(client, f"{PATH}/new", **typed)
    assert response.status_code == 422
    soup = soup_of(response)
    at = "password" if "together" in why else field
    assert why.lower() in errors_of(soup)[at].lower()
    shown = typed_into(soup)
    for name, text in typed.items():
        if name not in {"password", "security"}:
            assert shown[name] == text, name
    assert shown["password"] == ""
    assert SmtpAccount.select().count() == 0


def test_all_that_is_wrong_is_told_at_once(client, post):
    wrong = {"name": "", "host": "no host", "port": "x", "max_per_second": "y"}
    response = post(client, f"{PATH}/new", **{**TYPED, **wrong})
    assert set(errors_of(soup_of(response))) == {"name", "host", "port", "max_per_second"}


def test_a_name_that_is_taken_replaces_nothing(client, post):
    row = save(host="other.example.com")
    response = post(client, f"{PATH}/new", **TYPED)
    assert response.status_code == 422
    assert "taken" in errors_of(soup_of(response))["name"]
    assert stored(row).host == "other.example.com"


def test_a_host_in_a_private_network_is_refused(client, post, use_settings):
    use_settings(allowed_private_networks=())
    response = post(client, f"{PATH}/new", **{**TYPED, "host": "10.0.0.1"})
    assert response.status_code == 422
    assert "must be public" in errors_of(soup_of(response))["host"]


def test_too_many_are_too_many(client, post, page, monkeypatch):
    monkeypatch.setattr(smtp_accounts, "ACCOUNTS_MAX", 1)
    save("one")
    response = post(client, f"{PATH}/new", **TYPED)
    assert response.status_code == 422
    assert "as many as it may" in soup_of(response).select_one(".form-error").text
    assert page(PATH).select_one("#add-account")["aria-disabled"] == "true"


# --- Changing ---------------------------------------------------------------------------------


def test_the_form_shows_what_is_stored_but_no_password(client):
    row = save_typed()
    response = client.get(f"{PATH}/{row.id}/edit")
    shown = typed_into(soup_of(response))
    assert shown == {**{k: v for k, v in TYPED.items() if k != "name"}, "password": ""}
    assert PASSWORD not in response.text


def test_it_changes_the_account_and_keeps_the_password(client, post):
    row = save_typed()
    response = edit(client, post, row, max_connections="9", max_per_second="")
    assert (response.status_code, response.location) == (303, f"{PATH}/{row.id}/edit")
    changed = stored(row)
    assert (changed.max_connections, changed.max_per_second) == (9, None)
    assert smtp_accounts.get_server(row.id).password == PASSWORD
    assert toast_of(client) == "“main” is saved."


def test_a_new_password_takes_the_place_of_the_old_one(client, post):
    row = save_typed()
    edit(client, post, row, password="another one")
    assert smtp_accounts.get_server(row.id).password == "another one"


def test_a_password_is_not_sent_to_another_host_unseen(client, post):
    row = save_typed()
    response = edit(client, post, row, host="evil.example.com")
    assert response.status_code == 422
    soup = soup_of(response)
    assert "type it again" in errors_of(soup)["password"].lower()
    assert typed_into(soup)["host"] == "evil.example.com"
    assert stored(row).host == "smtp.example.com"
    assert edit(client, post, row, host="new.example.com", password="p").status_code == 303


def test_the_name_cannot_be_changed(client, post):
    row = save_typed()
    edit(client, post, row, name="another")
    assert stored(row).name == "main"


@pytest.mark.parametrize(("field", "value"), [("port", "x"), ("priority", "1001")])
def test_what_is_wrong_changes_nothing(client, post, field, value):
    row = save_typed()
    response = edit(client, post, row, **{field: value, "max_connections": "9"})
    assert response.status_code == 422
    soup = soup_of(response)
    assert set(errors_of(soup)) == {field}
    assert typed_into(soup)["max_connections"] == "9"
    assert stored(row).max_connections == 4


def test_of_two_who_change_it_the_second_sees_both(client, post):
    row = save_typed()
    old = soup_of(client.get(f"{PATH}/{row.id}/edit")).select_one("[name=version]")["value"]
    edit(client, post, row, max_connections="8")
    response = edit(client, post, row, version=old, max_connections="9", password=PASSWORD)
    assert response.status_code == 409
    soup = soup_of(response)
    assert "Somebody else has changed “main”" in soup.select_one(".form-error").text
    rows = [
        [cell.text for cell in line.select("th, td")]
        for line in soup.select(".differences tbody tr")
    ]
    assert rows == [["Connections at once", "8", "9"]]
    assert typed_into(soup)["max_connections"] == "9"
    assert typed_into(soup)["password"] == ""
    assert PASSWORD not in response.text
    assert stored(row).max_connections == 8
    again = soup.select_one("[name=version]")["value"]
    assert edit(client, post, row, version=again, max_connections="9").status_code == 303
    assert stored(row).max_connections == 9


@pytest.mark.parametrize("wrong", [{"port": "x"}, {"priority": "1001"}, {"version": "x"}])
def test_a_new_password_that_did_not_come_through_is_asked_for_again(client, post, wrong):
    row = save_typed()
    soup = soup_of(edit(client, post, row, password="another one", **wrong))
    assert errors_of(soup)["password"].endswith("never sent back to the page.")
    assert "another one" not in soup.decode()
    meant = {"password_meant": soup.select_one("[name=password_meant]")["value"]}
    response = edit(client, post, row, max_connections="9", **meant)
    assert response.status_code == 422
    soup = soup_of(response)
    assert set(errors_of(soup)) == {"password"}
    assert soup.select_one("[name=keep_password]:not([checked])")
    assert soup.select_one("[name=password_meant]")["value"] == meant["password_meant"]
    assert stored(row).max_connections == 4
    assert edit(client, post, row, password="another one", **meant).status_code == 303
    assert smtp_accounts.get_server(row.id).password == "another one"


def test_who_typed_a_new_password_may_still_keep_the_stored_one(client, post, page):
    row = save_typed()
    assert page(f"{PATH}/{row.id}/edit").select("[name=keep_password], [name=password_meant]") == []
    keeps = {"password_meant": "yes", "keep_password": "y"}
    soup = soup_of(edit(client, post, row, port="x", **keeps))
    assert set(errors_of(soup)) == {"port"}
    assert soup.select_one("[name=keep_password][checked]")
    soup = soup_of(edit(client, post, row, port="x", password="another one", **keeps))
    assert soup.select_one("[name=keep_password]:not([checked])")
    assert edit(client, post, row, max_connections="9", **keeps).status_code == 303
    assert stored(row).max_connections == 9
    assert smtp_accounts.get_server(row.id).password == PASSWORD


@pytest.mark.parametrize("version", ["", "x", "2020-01-01T00:00:00+00:00"])
def test_a_version_that_is_none_is_stale(client, post, version):
    row = save_typed()
    assert edit(client, post, row, version=version).status_code == 409
    assert audited() == []


def test_the_password_is_in_no_page_no_log_and_no_entry(client, post, caplog):
    post(client, f"{PATH}/new", **TYPED)
    [row] = smtp_accounts.list_all(WORKSPACE_A)
    pages = [PATH, f"{PATH}/{row.id}", f"{PATH}/{row.id}/edit", f"{PATH}/{row.id}/check"]
    texts = [client.get(path).text for path in pages]
    texts += [post(client, f"{PATH}/new", **TYPED).text]
    texts += [str(e.__data__) for e in AuditEntry.select()] + [caplog.text]
    assert [text for text in texts if PASSWORD in text] == []


# --- The environment's account, and who may ---------------------------------------------------


def test_the_environments_account_says_where_it_comes_from(page, client, post):
    soup = page(f"{PATH}/0/edit")
    assert "SMTP_HOST" in soup.text
    assert soup.select("[name=host]") == []
    assert post(client, f"{PATH}/0/edit", **TYPED).status_code == 404


def test_the_settings_that_are_named_are_settings(page):
    import re
    from pathlib import Path

    known = (Path(__file__).parents[2] / ".env.production.example").read_text()
    named = set(re.findall(r"SMTP_[A-Z_]+", page(f"{PATH}/0/edit").text))
    assert {name for name in named if not re.search(rf"^#? ?{name}\b", known, re.M)} == set()


@pytest.mark.parametrize("role", [Role.OPERATOR, Role.VIEWER])
def test_who_is_no_admin_sees_the_fields_and_why_they_are_off(sign_in, post, make_person, role):
    client = sign_in(make_person("otto@a.example", role))
    row = save_typed()
    for path in (f"{PATH}/new", f"{PATH}/{row.id}/edit"):
        soup = soup_of(client.get(path))
        fields = soup.select("main form input:not([type=hidden]), main form select")
        assert fields
        assert all(field.has_attr("disabled") for field in fields)
        assert soup.find(id="save-reason").text == "Only an admin of this workspace can do this."
        assert soup.select("main form [type=submit]") == []
        assert post(client, path, **TYPED).status_code == 403
    assert audited() == []


def test_an_account_of_another_workspace_is_out_of_reach(client, post):
    row = save(workspace_id=WORKSPACE_B)
    assert client.get(f"{PATH}/{row.id}/edit").status_code == 404
    assert post(client, f"{PATH}/{row.id}/edit", **TYPED).status_code == 404
    smtp_accounts.pause(WORKSPACE_B, name="main", reason="r", by=SYSTEM)
    assert stored(row).host == "smtp.example.com"


def test_a_form_without_its_token_changes_nothing(client):
    row = save_typed()
    for path in (f"{PATH}/new", f"{PATH}/{row.id}/edit"):
        form = {**TYPED, "workspace_id": WORKSPACE_A, "name": "x"}
        assert client.post(path, data=form).status_code == 400
    assert SmtpAccount.select().count() == 1


def test_who_is_not_signed_in_does_nothing(anonymous, post):
    assert anonymous.get(f"{PATH}/new").location == f"/login?next={PATH}/new"
    assert post(anonymous, f"{PATH}/new", **TYPED).status_code == 401
