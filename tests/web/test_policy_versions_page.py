"""/ui/policy/versions: who changed what, when and why, and bringing a version back."""

import pytest

from maild.domain.policy import OnLimit
from maild.domain.role import Role
from maild.models import PolicyVersion
from maild.services import policies
from tests.conftest import WORKSPACE_A, WORKSPACE_B
from tests.counting import count_statements
from tests.web.policy_helpers import (
    BOB,
    PATH,
    VERSIONS,
    form_of,
    save,
    soup_of,
    toast_of,
    undo,
    words_of,
)


def page(client, path=VERSIONS, status=200):
    return soup_of(client.get(path), status)


def click(client, soup, selector):
    """Send the form of a button as it stands."""
    form = soup.select_one(selector)
    return client.post(form["action"], data=form_of(soup, selector))


def test_without_one_it_says_what_comes(client):
    assert "The first change that is saved is version 1" in words_of(
        page(client).select_one("main")
    )


def test_it_lists_who_changed_what_when_and_why(client):
    save(reason="spring <sale>", on_limit="defer", blocked_recipient_domains=["a.example"])
    save(soft_bounce_threshold=9)
    policies.roll_back(WORKSPACE_A, version=1, by=BOB)
    save(WORKSPACE_B, reason="elsewhere", on_limit="defer")
    rows = [words_of(row) for row in page(client).select("tbody tr")]
    assert len(rows) == 3
    assert "Version 3 in force" in rows[0]
    assert "rollback to version 1" in rows[0]
    assert "Soft bounces in a row that suppress: 9 → 5" in rows[0]
    assert "“ spring <sale> ”" in rows[2]
    assert "by bob@a.example" in rows[2]
    assert "What is beyond a limit: refused → sent when there is room" in rows[2]
    assert "2 domains → 1 domain Added: a.example Removed: mailinator.com , tempmail.com" in rows[2]


def test_it_goes_through_pages_and_asks_as_often_for_many_as_for_one(client, monkeypatch):
    save(soft_bounce_threshold=6)
    page(client)
    few = count_statements(lambda: page(client))
    for threshold in range(7, 30):
        save(soft_bounce_threshold=threshold)
    assert count_statements(lambda: page(client)) == few
    soup = page(client)
    assert len(soup.select("tbody tr")) == policies.VERSIONS_SHOWN
    older = page(client, soup.select_one("[rel=next]")["href"])
    assert len(older.select("tbody tr")) == 4
    assert older.select("[rel=next]") == []


def test_one_version_is_compared_with_the_one_before_and_with_the_present(client):
    save(on_limit="defer")
    save(soft_bounce_threshold=9)
    save(rate_limit_domain_per_hour=7)
    soup = page(client, f"{VERSIONS}/2")
    now, changed, rules = (words_of(one) for one in soup.select("main .card"))
    assert "Messages an hour, to one domain 100,000,000 7" in now
    assert "beyond" not in now
    assert "Soft bounces in a row that suppress 5 9" in changed
    assert "What is beyond a limit sent when there is room" in rules
    assert "The instance's defaults" in page(client, f"{VERSIONS}/0").select_one("h1").text


@pytest.mark.parametrize("version", [1, 2**31 - 1, 2**40])
def test_a_version_that_is_not_ours_is_not_found(client, version):
    save(WORKSPACE_B, on_limit="defer")
    page(client, f"{VERSIONS}/{version}", 404)


def test_two_clicks_bring_a_version_back_and_the_toast_takes_it_back(client, accept):
    save(blocked_recipient_domains=["example.org"])
    save(blocked_recipient_domains=[])
    accept(to_email="ann@example.org")
    soup = soup_of(click(client, page(client), "td.row-actions form"))
    assert "Roll back to version 1?" in soup.select_one("h1").text
    assert "Added: example.org" in words_of(soup.select_one(".policy-diff"))
    told = words_of(soup.select_one(".alert"))
    assert "This would have stopped 1 of 1 message of the last 24 hours" in told
    assert PolicyVersion.select().count() == 2
    response = click(client, soup, "form.card")
    assert (response.status_code, response.location) == (303, PATH)
    found = policies.get_in_force(WORKSPACE_A)
    assert found.rules.blocked_recipient_domains == ("example.org",)
    assert (found.restored_version, found.reason) == (1, "Back to version 1.")
    assert undo(client).status_code == 303
    found = policies.get_in_force(WORKSPACE_A)
    assert (found.rules.version, found.restored_version) == (4, 2)
    assert found.rules.blocked_recipient_domains == ()


def test_the_defaults_of_the_instance_can_be_brought_back(client):
    save(on_limit="defer")
    soup = soup_of(click(client, page(client, f"{VERSIONS}/0"), ".page-head form"))
    click(client, soup, "form.card")
    assert policies.get(WORKSPACE_A).on_limit is OnLimit.REJECT
    told = words_of(toast_of(client))
    assert "The rules of the instance's defaults are in force again, as version 2." in told


def test_a_rollback_shows_anew_what_somebody_changed_meanwhile(client):
    save(on_limit="defer")
    save(on_limit="reject")
    soup = soup_of(click(client, page(client), "td.row-actions form"))
    save(soft_bounce_threshold=9)
    soup = soup_of(click(client, soup, "form.card"), 409)
    assert "Version 3 of the policy is in force" in soup.select_one(".form-error").text
    assert "Soft bounces" in soup.select_one(".policy-diff").text
    assert PolicyVersion.select().count() == 3
    assert click(client, soup, "form.card").status_code == 303


def test_rules_that_are_in_force_already_are_not_rolled_back_to(client):
    save(on_limit="defer")
    save(on_limit="reject")
    save(on_limit="defer")
    soup = soup_of(click(client, page(client), "tbody tr:nth-of-type(3) form"))
    assert "Its rules are in force already" in soup.text
    assert soup.select("form.card") == []


def test_who_is_no_admin_sees_the_versions_and_rolls_nothing_back(make_person, sign_in, post):
    save(on_limit="defer")
    save(on_limit="reject")
    client = sign_in(make_person("olaf@a.example", Role.OPERATOR))
    soup = page(client)
    assert soup.select("td.row-actions") == []
    assert soup.select_one("#roll-back")["aria-disabled"] == "true"
    assert post(client, f"{VERSIONS}/1/rollback", in_force=2).status_code == 403
    assert post(client, f"{VERSIONS}/1/preview").status_code == 403
