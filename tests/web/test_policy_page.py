"""/ui/policy: the rules, trying others over real mail, saving them, and two who do so at once."""

from urllib.parse import urlencode

import pytest

from maild.domain.actor import SYSTEM
from maild.domain.freeze import FreezeKind
from maild.domain.policy import OnLimit
from maild.models import AuditEntry, PolicyVersion
from maild.services import policies, policy_changes, policy_previews
from maild.web import policy_figures, policy_forms
from tests.conftest import WORKSPACE_A
from tests.services.freezing import start
from tests.web.policy_helpers import PATH, form_of, save, soup_of, toast_of, undo, words_of

HTMX = {"HX-Request": "true"}


@pytest.fixture
def editor(client):
    """The fields of the editor as it opens, with what is typed into them."""

    def fill(**typed):
        return {**form_of(soup_of(client.get(PATH))), **typed}

    return fill


@pytest.fixture
def look(client, editor):
    """What htmx is answered while this is typed."""

    def ask(**typed):
        response = client.post(f"{PATH}/preview", data=editor(**typed), headers=HTMX)
        return soup_of(response), response

    return ask


def seen_by(client, fields):
    """The form with its changes looked at, as without a script."""
    return form_of(soup_of(client.post(f"{PATH}/preview", data=fields)))


# The rules


def test_it_shows_the_rules_in_force_and_who_saved_them(client):
    save(reason="spring", marketing={"lifetime_seconds": 129_600}, on_limit="defer")
    soup = soup_of(client.get(PATH))
    assert "Version 1 is in force" in words_of(soup.select_one(".lede"))
    assert "bob@a.example : “ spring ”" in words_of(soup.select_one(".lede"))
    fields = form_of(soup)
    assert fields["marketing_lifetime"] == "1 d 12 h"
    assert fields["on_limit"] == "defer"
    assert fields["blocked_recipient_domains"] == "mailinator.com\ntempmail.com"
    assert "Default: mailinator.com, tempmail.com." in soup.text


def test_every_field_says_what_it_does_and_what_the_default_is(client):
    soup = soup_of(client.get(PATH))
    fields = soup.select("#policy-rules .field")
    assert len(fields) == 12
    for field in fields:
        hint = words_of(field.select_one(".field-hint"))
        assert "Default: " in hint
        assert len(hint.split(". Default: ")[0]) > 10


def test_a_viewer_reads_the_rules_and_an_operator_tries_others(viewer_a, operator_a, sign_in):
    soup = soup_of(sign_in(viewer_a).get(PATH))
    assert soup.select("#policy-form") == []
    assert "mailinator.com" in words_of(soup.select_one(".policy-rules"))
    client = sign_in(operator_a)
    soup = soup_of(client.get(PATH))
    assert soup.select_one("#save-policy")["aria-disabled"] == "true"
    fields = form_of(soup)
    assert client.post(f"{PATH}/preview", data=fields).status_code == 200
    assert client.post(PATH, data=fields).status_code == 403


def test_it_lists_what_is_frozen(client):
    start(FreezeKind.STREAM, "marketing", reason="the host melts")
    text = words_of(soup_of(client.get(PATH)).select_one(".policy-freezes"))
    assert "Marketing mail" in text
    assert "the host melts" in text


# Trying


def test_while_typing_it_tells_what_would_have_been_stopped(look, accept):
    for to_email in ("ann@example.org", "bob@example.org", "eve@example.com"):
        accept(to_email=to_email)
    soup, _ = look(blocked_recipient_domains="example.org")
    headline = words_of(soup.select_one("#policy-state"))
    assert headline == (
        "Would have stopped 2 of 3 messages of the last 24 hours. The rules in force: none."
    )
    assert "It stops more mail than now" in words_of(soup.select_one("#policy-changes"))
    assert words_of(soup.select_one(".policy-domains")) == "example.org 2"
    samples = [words_of(one) for one in soup.select(".policy-samples li")]
    assert len(samples) == 2
    assert "refused Hello to ann@example.org" in samples[0]
    assert samples[0].endswith("blocked by example.org")
    assert soup.select_one(".policy-samples a")["href"].startswith("/ui/messages/")


def test_what_a_limit_puts_off_is_told_with_the_time(look, accept):
    for _ in range(3):
        accept()
    soup, _ = look(rate_limit_domain_per_hour="1", on_limit="defer")
    assert "Would have stopped 2 of 3" in words_of(soup.select_one("#policy-state"))
    [first, _] = [words_of(one) for one in soup.select(".policy-samples li")]
    assert "put off" in first
    assert "limit of 1 an hour to this domain, until" in first


def test_with_nothing_typed_it_tells_of_the_rules_in_force(look, accept):
    accept()
    soup, _ = look()
    headline = words_of(soup.select_one("#policy-state"))
    assert headline == (
        "The rules in force would have stopped none of 1 message of the last 24 hours."
    )
    assert "Nothing is different" in soup.select_one("#policy-changes").text


def test_what_is_wrong_is_told_by_line_and_the_last_figures_stay(look):
    soup, response = look(
        blocked_recipient_domains=(
            "ok.example\na.example b@x.example # y\n*.bücher.example a.bücher.example"
        ),
        rate_limit_workspace_per_hour="many",
        marketing_lifetime="31 d",
        soft_bounce_threshold="0",
    )
    assert response.headers["HX-Reswap"] == "none"
    assert all(one.has_attr("hx-swap-oob") for one in soup.find_all(recursive=False))
    notes = words_of(soup.select_one("#blocked_recipient_domains-notes"))
    assert "Line 2: “b@x.example” is an address" in notes
    assert "Line 3: a.bücher.example is within *.bücher.example already." in notes
    assert "*.bücher.example goes over the wire as *.xn--bcher-kva.example" in notes
    told = {one["id"]: one.text for one in soup.select(".field-error") if one.text}
    assert told == {
        "blocked_recipient_domains-error": "1 entry is wrong: below stands which, by line.",
        "rate_limit_workspace_per_hour-error": ("Must be a whole number, or empty for no limit."),
        "marketing_lifetime-error": "Must be from 1 m to 30 d.",
        "soft_bounce_threshold-error": "Must be a whole number from 1 to 100.",
    }
    assert not soup.select("[name=seen]")


def test_words_are_no_domains_unless_they_are_in_force(look):
    policies.save(WORKSPACE_A, changes={"blocked_recipient_domains": ["intranet"]}, by=SYSTEM)
    pasted = "ok.example\nnot a domain!\nintranet\n*.example\nb.test\nx"
    soup, _ = look(blocked_recipient_domains=pasted)
    notes = words_of(soup.select_one("#blocked_recipient_domains-notes"))
    for line, word in ((2, "not"), (2, "a"), (6, "x")):
        assert f"Line {line}: “{word}” is not a domain: it has no dot." in notes
    assert "Line 2: “domain!” is not a domain" in notes
    assert "“intranet”" not in notes
    assert "4 domains on the list, 2 lines to mend." in notes


@pytest.mark.parametrize(
    ("trouble", "words"),
    [("busy", "this one follows"), ("slow", "took too long")],
)
def test_a_preview_that_does_not_come_leaves_the_last_one(
    look, accept, monkeypatch, trouble, words
):
    accept()
    if trouble == "busy":
        monkeypatch.setattr(policy_previews.locks, "take_trial", lambda person_id: False)
    else:
        monkeypatch.setattr(policy_figures, "TIMEOUT_SECONDS", -1.0)
    soup, response = look(on_limit="defer")
    assert response.headers["HX-Reswap"] == "none"
    state = soup.select_one("#policy-state")
    assert state["class"] == ["is-stale"]
    assert words in words_of(state)
    assert bool(state.select("[hx-trigger]")) == (trouble == "busy")
    assert "is not known" in words_of(soup.select_one("#policy-changes"))


def test_nothing_is_changed_by_trying(look):
    look(on_limit="defer")
    assert PolicyVersion.select().count() == 0


def test_ten_thousand_domains_may_be_pasted(client, editor):
    domains = "\n".join(f"some-subdomain-{number:05}.example.com" for number in range(10_000))
    fields = editor(blocked_recipient_domains=domains, allowed_from_domains=domains)
    soup = soup_of(client.post(f"{PATH}/preview", data=fields, headers=HTMX))
    assert "10,000 domains" in words_of(soup.select_one("#blocked_recipient_domains-notes"))
    fields["blocked_recipient_domains"] += "\none-more.example"
    soup = soup_of(client.post(f"{PATH}/preview", data=fields, headers=HTMX))
    error = soup.select_one("#blocked_recipient_domains-error")
    assert error.text == "Has more than 10,000 entries."


def test_ten_thousand_of_the_longest_names_may_be_pasted_twice(client, editor):
    rest = ".".join(("a" * 63, "b" * 63, "c" * 60))
    domains = "\r\n".join(f"{number:063}.{rest}" for number in range(10_000))
    fields = editor(blocked_recipient_domains=domains, allowed_from_domains=domains)
    assert len(urlencode(fields)) > 5_000_000
    soup = soup_of(client.post(f"{PATH}/preview", data=fields, headers=HTMX))
    assert "10,000 domains" in words_of(soup.select_one("#allowed_from_domains-notes"))


def test_a_list_without_end_is_not_read(client, editor):
    words = "\n".join(f"x{number}" for number in range(policy_forms.TYPED_MAX + 1))
    for path in (f"{PATH}/preview", PATH):
        fields = editor(blocked_recipient_domains=f"# a comment, of words\n{words}")
        soup = soup_of(client.post(path, data=fields), 422)
        error = soup.select_one("#blocked_recipient_domains-error").text
        assert error == "Has more than 40,000 entries, and may have 10,000."
        assert form_of(soup)["blocked_recipient_domains"].endswith(words[-9:])


# Saving


def test_nothing_is_saved_that_was_not_shown_first(client, editor):
    fields = editor(on_limit="defer", reason="fewer refusals")
    soup = soup_of(client.post(PATH, data=fields))
    assert "Nothing is saved yet" in words_of(soup.select_one(".policy-fields"))
    assert "refused sent when there is room" in words_of(soup.select_one("#policy-changes"))
    assert PolicyVersion.select().count() == 0
    shown = form_of(soup)
    assert shown["reason"] == "fewer refusals"
    changed = {**shown, "soft_bounce_threshold": "9"}  # after it was shown
    soup_of(client.post(PATH, data=changed))
    assert PolicyVersion.select().count() == 0
    response = client.post(PATH, data=shown)
    assert (response.status_code, response.location) == (303, PATH)
    assert policies.get(WORKSPACE_A).on_limit is OnLimit.DEFER
    assert "Version 1 is in force now." in words_of(toast_of(client))
    entry = AuditEntry.get()
    assert (entry.action, entry.actor) == ("policy.changed", "ann@a.example")
    assert entry.reason == "fewer refusals"


def test_a_save_needs_a_reason_and_keeps_what_was_typed(client, editor):
    fields = seen_by(client, editor(blocked_recipient_domains="b.example\na.example"))
    soup = soup_of(client.post(PATH, data=fields), 422)
    assert "Say why" in soup.select_one("#reason-error").text
    assert form_of(soup)["blocked_recipient_domains"] == "b.example\na.example"
    soup = soup_of(client.post(PATH, data={**fields, "reason": "x" * 501}), 422)
    assert "500" in soup.select_one("#reason-error").text
    assert PolicyVersion.select().count() == 0


def test_what_is_wrong_is_not_saved_and_keeps_what_was_typed(client, editor):
    fields = editor(allowed_from_domains="# ours\na b@c", transactional_lifetime="soon", reason="r")
    soup = soup_of(client.post(PATH, data=fields), 422)
    assert "Nothing was saved" in soup.select_one(".form-error").text
    shown = form_of(soup)
    assert shown["allowed_from_domains"] == "# ours\na b@c"
    assert shown["transactional_lifetime"] == "soon"
    assert "Line 2: “b@c”" in words_of(soup.select_one("#allowed_from_domains-notes"))


def test_the_toast_takes_a_save_back_unless_somebody_saved_on_top(client, editor):
    client.post(PATH, data=seen_by(client, editor(on_limit="defer", reason="r")))
    assert undo(client).status_code == 303
    assert policies.get(WORKSPACE_A).on_limit is OnLimit.REJECT
    toast_of(client)
    client.post(PATH, data=seen_by(client, editor(on_limit="defer", reason="r")))
    save(soft_bounce_threshold=9)
    soup = soup_of(undo(client), 409)
    assert "Version 4 of the policy is in force" in soup.select_one(".form-error").text
    assert policies.get(WORKSPACE_A).soft_bounce_threshold == 9


def test_a_save_that_changes_nothing_says_so(client, editor):
    client.post(PATH, data=seen_by(client, editor(reason="r")))
    assert "Nothing was saved" in words_of(toast_of(client))
    assert PolicyVersion.select().count() == 0


# Two at once


def collide(client, editor, **typed):
    """The page that comes where somebody else has saved meanwhile."""
    fields = seen_by(client, editor(reason="mine", **typed))
    save(
        reason="theirs",
        blocked_recipient_domains=["mailinator.com", "theirs.example"],
        rate_limit_domain_per_hour=10,
        soft_bounce_threshold=8,
    )
    return soup_of(client.post(PATH, data=fields), 409)


def rows_of(soup):
    return {
        words_of(row.select_one("th")): [words_of(cell) for cell in row.select("td")]
        for row in soup.select("tbody tr")
    }


def test_what_does_not_collide_is_put_together(client, editor):
    soup = collide(
        client,
        editor,
        on_limit="defer",
        blocked_recipient_domains="mailinator.com\ntempmail.com\nmine.example",
    )
    rows = rows_of(soup)
    assert "by bob@a.example: “theirs”" in soup.select_one(".alert").text
    assert rows["What is beyond a limit"][-1] == "sent when there is room"
    assert rows["Soft bounces in a row that suppress"] == ["5", "8", "5", "8"]
    assert rows["Blocked recipient domains"][-1] == (
        "3 domains: + mine.example, + theirs.example, − tempmail.com"
    )
    assert not soup.select("[type=radio]")
    soup = soup_of(client.post(f"{PATH}/merge", data=form_of(soup, ".policy-merge")))
    assert "Put together, and nothing is saved yet" in soup.text
    fields = form_of(soup)
    assert fields["reason"] == "mine"
    assert client.post(PATH, data=fields).status_code == 303
    rules = policies.get(WORKSPACE_A)
    assert (rules.version, rules.on_limit) == (2, OnLimit.DEFER)
    assert (rules.rate_limit_domain_per_hour, rules.soft_bounce_threshold) == (10, 8)
    assert rules.blocked_recipient_domains == ("mailinator.com", "mine.example", "theirs.example")


@pytest.mark.parametrize(("choice", "threshold"), [("yours", 3), ("theirs", 8)])
def test_what_collides_is_chosen(client, editor, choice, threshold):
    soup = collide(client, editor, soft_bounce_threshold="3")
    fields = form_of(soup, ".policy-merge")
    soup = soup_of(client.post(f"{PATH}/merge", data=fields), 422)
    assert "Choose one" in soup.select_one(".form-error").text
    fields["choose-soft_bounce_threshold"] = choice
    soup = soup_of(client.post(f"{PATH}/merge", data=fields))
    assert form_of(soup)["soft_bounce_threshold"] == str(threshold)
    assert form_of(soup)["rate_limit_domain_per_hour"] == "10"
    assert PolicyVersion.select().count() == 1


def test_one_more_save_while_choosing_is_seen(client, editor):
    fields = form_of(collide(client, editor, soft_bounce_threshold="3"), ".policy-merge")
    save(soft_bounce_threshold=9)
    soup = soup_of(client.post(f"{PATH}/merge", data=fields), 409)
    assert rows_of(soup)["Soft bounces in a row that suppress"][:3] == ["5", "9", "3"]


@pytest.mark.parametrize("version", ["", "x", "7", "9" * 12])
def test_a_form_from_no_version_that_there_is_comes_to_nothing(client, editor, version):
    save(on_limit="defer")
    fields = editor(reason="r", version=version)
    assert client.post(PATH, data=fields).status_code == 404
    assert PolicyVersion.select().count() == 1


def test_no_get_tries_anything(client, accept, monkeypatch):
    monkeypatch.setattr(policy_previews, "run", None)
    accept()
    for path in (PATH, f"{PATH}/versions", f"{PATH}/versions/0"):
        soup_of(client.get(path))


def test_a_list_that_is_too_long_put_together_comes_back_to_be_mended(client, editor, monkeypatch):
    soup = collide(client, editor, blocked_recipient_domains="a.example\nb.example\nc.example")
    monkeypatch.setattr(policy_changes, "ENTRIES_MAX", 3)
    soup = soup_of(client.post(f"{PATH}/merge", data=form_of(soup, ".policy-merge")), 422)
    assert "more than 3 entries" in soup.select_one("#blocked_recipient_domains-error").text
    assert "theirs.example" in form_of(soup)["blocked_recipient_domains"]
    assert form_of(soup)["reason"] == "mine"
