"""/ui/settings/audit/check: whether the audit log is as it was written."""

import pytest
from bs4 import BeautifulSoup

from maild.db import database
from maild.domain.actor import SYSTEM
from maild.domain.role import Role
from maild.services import audit
from maild.web import audit as pages
from maild.web import throttle
from tests.conftest import WORKSPACE_A, WORKSPACE_B
from tests.web.conftest import HTMX

PATH = "/ui/settings/audit"
CHECK = f"{PATH}/check"


def write(*, workspace_id=WORKSPACE_A, **told):
    audit.record(workspace_id, SYSTEM, action="policy.changed", target="policy 2", **told)


def words_of(tag):
    return " ".join(" ".join(tag.stripped_strings).split())


def tamper(statement):
    """Change the log behind maild's back, as who owns the tables can."""
    with database.atomic():
        database.execute_sql("ALTER TABLE audit_entries DISABLE TRIGGER USER")
        database.execute_sql(statement)
        database.execute_sql("ALTER TABLE audit_entries ENABLE TRIGGER USER")


def chain_of(client, **query):
    response = client.get(CHECK, query_string=query)
    assert response.status_code == 200, response.text
    return BeautifulSoup(response.text, "html.parser").select_one("#chain")


def test_it_checks_the_log_and_shows_the_head_to_keep(client):
    write()
    write()
    chain = chain_of(client)
    head = str(audit.get_head(WORKSPACE_A))
    assert "The log has 2 entries." in words_of(chain)
    assert "The log is as it was written" in chain.text
    assert chain.select_one("[data-copy]")["data-copy"] == head
    assert f"maild trail verify --workspace {WORKSPACE_A} --kept HEAD" in words_of(chain)
    assert head.startswith("2:")


def test_the_check_comes_with_the_page_where_no_script_runs(page):
    write()
    soup = page(CHECK)
    assert soup.select_one("h1").text == "Audit log"
    assert len(soup.select("tbody tr")) == 1
    form = soup.select_one("#chain form")
    assert (form["method"], form["action"]) == ("get", f"{CHECK}#chain")


def test_the_check_alone_goes_to_htmx(client):
    write()
    response = client.get(CHECK, headers=HTMX)
    assert response.text.lstrip().startswith('<section class="card" id="chain"')
    form = BeautifulSoup(response.text, "html.parser").select_one("form")
    assert form["hx-indicator"] == "#chain"


def test_it_shows_a_log_that_was_changed(client):
    write()
    write()
    tamper("UPDATE audit_entries SET actor = 'somebody' WHERE seq = 1")
    chain = chain_of(client)
    assert chain.select_one(".alert.bad") is not None
    assert "Entry 1 does not fit its hash: it was changed." in words_of(chain)
    assert "as it was written" not in chain.select_one("[role=status]").text
    assert chain.select("[data-copy]") == []  # nobody keeps the head of such a log


def test_it_compares_with_a_head_that_was_kept(client):
    write()
    kept = str(audit.get_head(WORKSPACE_A))
    write()
    assert "the head that you have kept is among them" in words_of(chain_of(client, kept=kept))
    tamper("DELETE FROM audit_entries; DELETE FROM audit_heads")
    write(reason="written anew")
    chain = chain_of(client, kept=f" {kept} ")
    assert "Entry 1 is not the one whose hash was kept: the log was rewritten." in words_of(chain)
    assert chain.select_one("#kept")["value"] == kept


@pytest.mark.parametrize("kept", ["x", "1", "1:ab", "-1:" + "0" * 64, "1:" + "g" * 64])
@pytest.mark.parametrize("headers", [{}, HTMX])
def test_it_says_what_is_wrong_with_a_head_and_keeps_it(client, kept, headers):
    write()
    response = client.get(CHECK, query_string={"kept": kept}, headers=headers)
    assert response.status_code == 422
    chain = BeautifulSoup(response.text, "html.parser").select_one("#chain")
    assert "a colon and 64 hexadecimal digits" in chain.select_one("#kept-error").text
    assert chain.select_one("#kept")["value"] == kept
    assert chain.select("[role=status]") == []


def test_an_empty_log_is_in_order(client):
    chain = chain_of(client)
    assert "There is nothing in it yet." in chain.text
    assert chain.select("[data-copy]") == []


def test_a_very_long_log_is_left_to_the_command_line(client, monkeypatch):
    monkeypatch.setattr(pages, "CHECK_MAX", 1)
    write()
    assert chain_of(client).select_one("[role=status]") is not None
    write()
    chain = chain_of(client)
    assert chain.select("form, [role=status]") == []
    assert f"maild trail verify --workspace {WORKSPACE_A}" in words_of(chain)


def test_nobody_keeps_a_processor_busy(client):
    throttle.limiter.enabled = True
    throttle.limiter.reset()
    try:
        statuses = [client.get(CHECK).status_code for _ in range(11)]
        assert client.get(PATH).status_code == 200
    finally:
        throttle.limiter.reset()
        throttle.limiter.enabled = False
    assert statuses == [200] * 10 + [429]


def test_only_the_log_of_the_workspace_is_checked(sign_in, admin_b):
    write(reason="of A")
    write(workspace_id=WORKSPACE_B, reason="of B")
    client = sign_in(admin_b)
    tamper(f"UPDATE audit_entries SET reason = 'x' WHERE workspace_id = {WORKSPACE_A}")
    assert "The log is as it was written" in chain_of(client).text
    kept = str(audit.get_head(WORKSPACE_A))
    assert "Entry 1 is not the one" in words_of(chain_of(client, kept=kept))
    assert client.get(CHECK, headers={"X-Workspace": str(WORKSPACE_A)}).headers["HX-Refresh"]


@pytest.mark.parametrize("role", [Role.OPERATOR, Role.VIEWER])
def test_only_admins_check_it(sign_in, make_person, role):
    assert sign_in(make_person("otto@a.example", role)).get(CHECK).status_code == 403


def test_who_is_not_signed_in_checks_nothing(anonymous):
    response = anonymous.get(CHECK)
    assert (response.status_code, response.location) == (303, f"/login?next={CHECK}")


def test_a_check_changes_nothing(client, post):
    assert post(client, CHECK).status_code == 405
