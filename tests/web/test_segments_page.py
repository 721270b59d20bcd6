"""/ui/audience/segments: the list, the builder with htmx and without, whom one means, deleting."""

import json
from datetime import timedelta

import pytest
from bs4 import BeautifulSoup

from maild import clock
from maild.domain.actor import SYSTEM
from maild.domain.contact import AttributeKind
from maild.models import AuditEntry, Segment
from maild.services import (
    audience_members,
    audiences,
    contact_attributes,
    contacts,
    segments,
    suppressions,
)
from maild.services.contact_fields import ContactFields
from tests.conftest import WORKSPACE_A, WORKSPACE_B
from tests.counting import count_statements
from tests.web.conftest import HTMX

PATH = "/ui/audience/segments"
PRO = {"field": "attributes.plan", "op": "equals", "value": "pro"}
RULE = {"mode:g": "all", "field:g.0": "attributes.plan", "op:g.0": "equals", "value:g.0": "pro"}


@pytest.fixture
def put(database):
    def make(email, *, workspace_id=WORKSPACE_A, **attributes):
        fields = ContactFields(attributes=attributes)
        return contacts.upsert(workspace_id, email, fields, by=SYSTEM).contact

    return make


@pytest.fixture
def people(put):
    """Three with the plan pro, of whom one is suppressed and one is on the list Staff; one free."""
    put("ann@example.org", plan="pro", country="DE", orders=3)
    put("bob@example.org", plan="pro", country="AT")
    put("eve@example.org", plan="pro", country="FR")
    put("fred@example.org", plan="free", country="DE")
    suppressions.add(WORKSPACE_A, "eve@example.org", reason="r", source="console", by=SYSTEM)
    staff = audiences.create(WORKSPACE_A, name="Staff", by=SYSTEM)
    audience_members.add_emails(WORKSPACE_A, staff.id, ["bob@example.org"], by=SYSTEM)
    return staff


@pytest.fixture
def make(people):
    def store(name="Pros", rules=PRO, *, workspace_id=WORKSPACE_A):
        return segments.create(workspace_id, name=name, rules=rules, by=SYSTEM).segment

    return store


def squeeze(node):
    return " ".join(node.text.split())


def soup_of(response, status=200):
    assert response.status_code == status, response.text
    return BeautifulSoup(response.text, "html.parser")


def htmx(client, post, path, **fields):
    client.environ_base["HTTP_HX_REQUEST"] = "true"
    try:
        return post(client, path, **fields)
    finally:
        del client.environ_base["HTTP_HX_REQUEST"]


def typed(soup):
    """The fields of the form on the page, as a browser would send them."""
    fields = {}
    for one in soup.select("#segment-form [name], #builder [name]"):
        if one.name == "button" or one["name"] in {"csrf_token", "workspace_id"}:
            continue
        if one.name == "select":
            chosen = one.select_one("option[selected]") or one.select_one("option")
            fields[one["name"]] = chosen["value"]
        else:
            fields[one["name"]] = one.text if one.name == "textarea" else one.get("value", "")
    return fields


def only():
    return Segment.get()


# -- the list -------------------------------------------------------------------------------------


def test_an_empty_list_says_what_to_do(page):
    soup = page(PATH)
    assert "No segments yet" in soup.text
    assert soup.select_one(".empty a")["href"] == f"{PATH}/new"
    assert soup.select_one(".tabs [aria-current=page]").text == "Segments"


def test_it_lists_segments_with_their_sentences(page, make):
    make("Pros")
    row = make("Others", {"not": PRO})
    soup = page(PATH)
    assert [squeeze(one) for one in soup.select("tbody th")] == ["Others", "Pros"]
    assert [one.text for one in soup.select(".segment-sentence")] == [
        "not (plan is pro)", "plan is pro",
    ]  # fmt: skip
    assert soup.select_one(f"#count-{row.id} a")["href"] == f"{PATH}/{row.id}"
    assert soup.select_one("table")["hx-get"] == f"{PATH}/counts"


def test_the_counts_come_after_the_page_in_one_statement(client, make):
    first, second = make("Pros"), make("Others", {"not": PRO})

    def look():
        return client.get(f"{PATH}/counts", headers=HTMX)

    told = {one["id"]: one.text for one in soup_of(look()).select("span[hx-swap-oob]")}
    assert told == {f"count-{first.id}": "3", f"count-{second.id}": "1"}
    few = count_statements(look)
    for number in range(5):
        make(f"More {number}")
    assert count_statements(look) == few


def test_what_names_something_that_is_gone_is_marked_and_not_counted(client, page, make, people):
    row = make("Staff", {"field": "list", "op": "in", "value": people.id})
    good = make("Pros")
    audiences.delete(WORKSPACE_A, people.id, by=SYSTEM)
    soup = page(PATH)
    assert "names something that is gone" in soup.text
    assert "in list (deleted)" in soup.text
    counted = soup_of(client.get(f"{PATH}/counts", headers=HTMX))
    assert [one["id"] for one in counted.select("span")] == [f"count-{good.id}"]
    shown = page(f"{PATH}/{row.id}")
    assert "there is no such list, or it was deleted" in shown.text


def test_older_ones_are_on_the_next_page(page, make):
    for number in range(21):
        make(f"Segment {number}")
    soup = page(PATH)
    assert len(soup.select("tbody tr")) == 20
    older = page(soup.select_one(".pager a[rel=next]")["href"])
    assert [squeeze(one) for one in older.select("tbody th")] == ["Segment 0"]


# -- one segment ----------------------------------------------------------------------------------


def test_it_shows_whom_a_segment_means_and_how_they_stand(page, make):
    soup = page(f"{PATH}/{make().id}")
    assert squeeze(soup.select_one(".segment-figures")).startswith(
        "3 contacts; 2 of them can be mailed now."
    )
    assert [one.text for one in soup.select("tbody th a")] == [
        "eve@example.org", "bob@example.org", "ann@example.org",
    ]  # fmt: skip
    assert "suppressed" in soup.select_one("tbody tr").text
    assert json.loads(soup.select_one(".segment-json pre").text) == PRO
    assert soup.select_one(".lede").text == "plan is pro"


def test_it_tells_of_others_only_where_there_are_any(page, make):
    others = "The others are suppressed"
    assert others in squeeze(page(f"{PATH}/{make().id}").select_one(".segment-figures"))
    rules = {"field": "email", "op": "equals", "value": "ann@example.org"}
    figures = squeeze(page(f"{PATH}/{make('Ann', rules).id}").select_one(".segment-figures"))
    assert figures == "1 contact; all of them can be mailed now."


def test_its_contacts_come_in_pages(page, make, put):
    for number in range(51):
        put(f"person{number}@example.net", plan="pro")
    path = f"{PATH}/{make().id}"
    soup = page(path)
    assert len(soup.select("tbody tr")) == 50
    older = page(soup.select_one(".pager a[rel=next]")["href"])
    assert len(older.select("tbody tr")) == 4
    assert older.select_one(".segment-figures") is None


def test_one_that_means_nobody_says_so(page, make):
    row = make("Nobody", {"field": "name", "op": "equals", "value": "nobody"})
    assert "The rules mean nobody" in page(f"{PATH}/{row.id}").text


def test_an_attribute_that_was_deleted_breaks_nothing(page, make):
    row = make()
    contact_attributes.take_away(WORKSPACE_A, "plan")
    soup = page(f"{PATH}/{row.id}")
    assert "there is no attribute “plan”, or it was deleted" in soup.text
    assert soup.select_one(".lede").text == "plan is pro"
    edit = page(f"{PATH}/{row.id}/edit")
    assert edit.select_one("#field-g-0 option[selected]").text == "attributes.plan (deleted)"
    assert "There is no attribute" in edit.select_one("#error-g-0").text
    assert typed(edit)["value:g.0"] == "pro"


@pytest.mark.parametrize("number", [9, 2**31, 2**63])
def test_there_is_none(client, number):
    assert client.get(f"{PATH}/{number}").status_code == 404
    assert client.get(f"{PATH}/{number}/edit").status_code == 404


# -- the builder without JavaScript ---------------------------------------------------------------


def test_it_begins_with_one_empty_rule(page):
    soup = page(f"{PATH}/new")
    assert [one["name"] for one in soup.select("#builder select")] == ["mode:g", "field:g.0"]
    assert "Complete the rules" in soup.select_one("#preview").text


def test_enter_presses_a_button_that_keeps_nothing(page):
    first = page(f"{PATH}/new").select("#segment-form button[type=submit]")[0]
    assert first["value"] == "look"


def test_buttons_put_a_tree_together(client, post, page, people):
    path = f"{PATH}/new"
    fields = typed(page(path))
    steps = [
        ({"field:g.0": "attributes.plan"}, "draw"),
        ({"value:g.0": "pro"}, "group:g"),
        ({"mode:g.1": "any", "field:g.1.0": "attributes.country"}, "rule:g.1"),
        ({"value:g.1.0": "DE", "field:g.1.1": "attributes.country"}, "rule:g"),
        ({"value:g.1.1": "AT", "field:g.2": "list"}, "draw"),
        ({"op:g.2": "not_in", "value:g.2": str(people.id)}, "look"),
    ]
    for more, act in steps:
        soup = soup_of(post(client, path, **{**fields, **more, "act": act}))
        fields = typed(soup)
    preview = soup.select_one("#preview")
    assert squeeze(preview).startswith(
        "plan is pro and (country is DE or country is AT) and not in list Staff"
    )
    assert preview.select_one("#segment-count").text == "1"
    assert [one.text for one in preview.select(".segment-sample a")] == ["ann@example.org"]
    rules = json.loads(preview.select_one("pre").text)
    answer = post(client, path, **{**fields, "name": "Customers", "act": "save"})
    assert answer.status_code == 303
    assert only().rules == rules
    assert answer.location == f"{PATH}/{only().id}"
    assert "“Customers” is saved." in client.get(answer.location).text


def test_a_rule_and_a_group_are_taken_away(client, post):
    fields = {
        **RULE, "mode:g.1": "any", "field:g.1.0": "email", "op:g.1.0": "contains",
        "value:g.1.0": "a", "field:g.2": "name", "op:g.2": "is_set",
    }  # fmt: skip
    soup = soup_of(post(client, f"{PATH}/new", **fields, act="remove:g.0"))
    assert typed(soup)["value:g.0.0"] == "a"
    soup = soup_of(post(client, f"{PATH}/new", **fields, act="remove:g.1"))
    assert typed(soup)["field:g.1"] == "name"
    assert "mode:g.1" not in typed(soup)


def test_another_field_has_its_own_operators(client, post, people):
    fields = {**RULE, "field:g.0": "attributes.orders", "op:g.0": "contains"}
    soup = soup_of(post(client, f"{PATH}/new", **fields, act="draw"))
    ops = [one["value"] for one in soup.select("#op-g-0 option")]
    assert ops[:3] == ["equals", "is_not", "greater_than"]
    assert typed(soup)["op:g.0"] == "equals"
    assert typed(soup)["value:g.0"] == ""


def test_what_is_wrong_stands_beside_its_rule_and_what_was_typed_stays(client, post, people):
    fields = {
        **RULE, "value:g.0": "pro", "field:g.1": "attributes.orders", "op:g.1": "between",
        "value:g.1": "many", "more:g.1": "5", "field:g.2": "", "field:g.3": "created_at",
        "op:g.3": "before", "value:g.3": "yesterday", "field:g.4": "attributes.orders",
        "op:g.4": "between", "value:g.4": "3", "more:g.4": "",
    }  # fmt: skip
    soup = soup_of(post(client, f"{PATH}/new", **fields, name="", act="save"), 422)
    assert "Must not be empty" in soup.select_one("#name-error").text
    assert soup.select_one("#error-g-0").text == ""
    assert "Must be a number" in soup.select_one("#error-g-1").text
    assert soup.select_one("#error-g-2").text == "Choose what the rule is about."
    assert "Must be a day" in soup.select_one("#error-g-3").text
    assert soup.select_one("#error-g-4").text == "Fill in both ends."
    kept = typed(soup)
    assert (kept["value:g.1"], kept["more:g.1"], kept["value:g.3"]) == ("many", "5", "yesterday")
    assert soup.select_one("#value-g-3")["type"] == "text"
    assert Segment.select().count() == 0


def test_no_rules_at_all_are_refused(client, post):
    soup = soup_of(post(client, f"{PATH}/new", name="All", act="save"), 422)
    assert "at least one rule" in soup.select_one(".form-error").text


@pytest.mark.parametrize(
    "fields",
    [
        {"mode:g": "neither", "field:g.0": "email"},
        {"mode:g": "all", "field:g.0": "a\0b", "op:g.0": "\ud83d", "value:g.0": "\r\n"},
        {"mode:" + "g" + ".0" * 9: "all"},
        {"field:g.999": "email", "op:g.999": "equals", "value:g.999": "x" * 5000},
        {"field:g.0": "list", "op:g.0": "in", "value:g.0": "9" * 40},
        {"field:g.0": "list", "op:g.0": "in", "value:g.0": "²"},
        {"field:g": "email", "mode:g.1": "any", "field:g.1": "email"},
        {"act": "rule:g.9"},
        {"act": "remove:g"},
        {"act": "group:" + "g" + ".0" * 99},
    ],
    ids=str,
)
def test_whatever_comes_is_answered(client, post, fields):
    fields = {name: value.encode("utf-8", "replace") for name, value in fields.items()}
    for act in ("save", "look"):
        response = post(client, f"{PATH}/new", **{"name": "n", "act": act, **fields})
        assert response.status_code in {200, 422}, response.text
    assert Segment.select().count() == 0


def test_fifty_rules_are_the_most(client, post):
    fields = {"mode:g": "any"}
    for number in range(50):
        fields |= {f"field:g.{number}": "name", f"op:g.{number}": "is_set"}
    soup = soup_of(post(client, f"{PATH}/new", **fields, act="rule:g"))
    assert "field:g.50" not in typed(soup)
    assert "There are 50 rules" in soup.text


def test_groups_lie_five_deep_and_no_deeper(client, post):
    fields = {"mode:g": "all"}
    for _ in range(6):
        deepest = max(name for name in fields if name.startswith("mode:")).removeprefix("mode:")
        soup = soup_of(post(client, f"{PATH}/new", **fields, act=f"group:{deepest}"))
        fields = typed(soup)
    assert max(name.count(".") for name in fields if name.startswith("mode:")) == 4
    assert soup.select_one("button[value='group:g.0']") is not None
    assert not soup.select("button[value^='group:g.0.0.0.0']")


# -- the builder with htmx ------------------------------------------------------------------------


def test_a_step_answers_the_rules_alone_which_then_ask_for_whom_they_mean(client, post):
    soup = soup_of(htmx(client, post, f"{PATH}/new", **RULE, act="rule:g"))
    assert [one["id"] for one in soup.select("section")] == ["builder"]
    asks = soup.select_one("[hx-trigger=load]")
    assert (asks["hx-target"], json.loads(asks["hx-vals"])) == ("#preview", {"act": "look"})


def test_looking_answers_whom_they_mean_alone(client, post, people):
    soup = soup_of(htmx(client, post, f"{PATH}/new", **RULE, act="look"))
    assert [one["id"] for one in soup.select("section")] == ["preview"]
    figures = [one.text for one in soup.select("dd")]
    assert figures[:2] == ["3", "2"]


def test_what_keeps_rules_from_being_looked_up_is_told_in_a_line(client, post, people):
    fields = {**RULE, "field:g.0": "attributes.orders", "value:g.0": "many"}
    soup = soup_of(htmx(client, post, f"{PATH}/new", **fields, act="look"))
    assert soup.select_one(".note").text.startswith("Rule 1: Must be a number")
    fields = {**RULE, "field:g.1": ""}
    soup = soup_of(htmx(client, post, f"{PATH}/new", **fields, act="look"))
    assert "Complete the rules" in soup.text


# -- changing -------------------------------------------------------------------------------------


BRIEF = {
    "all": [
        PRO,
        {"any": [{"field": "attributes.orders", "op": "between", "value": [1, 2.5]}, PRO]},
        {"not": {"any": [{"field": "email", "op": "is_one_of", "value": ["a", "b"]}]}},
        {"not": {"all": [{"field": "name", "op": "is_set"}]}},
        {"field": "consent.at", "op": "in_last_days", "value": 30},
        {"field": "created_at", "op": "between", "value": ["2026-01-01", "2026-01-31"]},
        {"field": "status", "op": "equals", "value": "active"},
        {"field": "topics", "op": "has_not", "value": "news"},
    ]
}


def test_a_tree_comes_back_from_the_form_as_it_was(client, post, page, make):
    row = make("Pros", BRIEF)
    fields = typed(page(f"{PATH}/{row.id}/edit"))
    answer = post(client, f"{PATH}/{row.id}/edit", **{**fields, "name": "Pro", "act": "save"})
    assert answer.status_code == 303, answer.text
    changed = only()
    assert (changed.rules, changed.name, changed.version) == (BRIEF, "Pro", 2)


@pytest.mark.parametrize("rules", [{"not": PRO}, {"not": {"not": PRO}}, PRO])
def test_a_tree_that_no_button_makes_can_be_changed_too(client, post, page, make, rules):
    row = make("Pros", rules)
    fields = typed(page(f"{PATH}/{row.id}/edit"))
    assert post(client, f"{PATH}/{row.id}/edit", **fields, act="save").status_code == 303
    assert segments.get(WORKSPACE_A, row.id).rules.problems == ()


def test_a_stale_form_is_not_saved_and_keeps_what_was_typed(client, post, page, make):
    row = make()
    fields = typed(page(f"{PATH}/{row.id}/edit"))
    segments.change(WORKSPACE_A, row.id, name="Theirs", by=SYSTEM)
    mine = {**fields, "value:g.0": "free", "name": "Mine", "act": "save"}
    soup = soup_of(post(client, f"{PATH}/{row.id}/edit", **mine), 409)
    assert "has changed this segment since" in soup.select_one(".form-error").text
    assert (typed(soup)["value:g.0"], typed(soup)["name"]) == ("free", "Mine")
    assert only().name == "Theirs"
    again = post(client, f"{PATH}/{row.id}/edit", **typed(soup), act="save")
    assert again.status_code == 303
    assert (only().name, only().version) == ("Mine", 3)


def test_steps_keep_the_version_that_the_form_was_made_of(client, post, page, make):
    row = make()
    fields = typed(page(f"{PATH}/{row.id}/edit"))
    segments.change(WORKSPACE_A, row.id, name="Theirs", by=SYSTEM)
    soup = soup_of(post(client, f"{PATH}/{row.id}/edit", **fields, act="rule:g"))
    assert typed(soup)["version"] == "1"


def test_a_name_that_is_taken_is_said(client, post, make):
    make("Pros")
    soup = soup_of(post(client, f"{PATH}/new", **RULE, name="PROS", act="save"), 409)
    assert "called “Pros” already" in soup.select_one(".form-error").text


# -- deleting -------------------------------------------------------------------------------------


def test_it_is_deleted_and_brought_back(client, post, page, make):
    row = make()
    answer = post(client, f"{PATH}/{row.id}/delete")
    assert answer.location == PATH
    soup = page(PATH)
    assert "No segments yet" in soup.text
    form = soup.select_one("#toasts form")
    fields = {one["name"]: one["value"] for one in form.select("input")}
    assert client.post(form["action"], data=fields).status_code == 303
    assert "Pros" in page(PATH).text
    told = [entry.action for entry in AuditEntry.select().order_by(AuditEntry.seq)]
    assert told[-2:] == ["segment.deleted", "segment.restored"]


def test_later_on_it_cannot_be_brought_back(client, post, page, make):
    row = make()
    segments.delete(WORKSPACE_A, row.id, by=SYSTEM)
    long_ago = clock.now() - timedelta(minutes=segments.RESTORE_MINUTES)
    Segment.update(removed_at=long_ago).execute()
    post(client, f"{PATH}/{row.id}/restore")
    assert "cannot be taken back any more" in page(PATH).text


# -- who may --------------------------------------------------------------------------------------


def test_a_viewer_sees_all_and_changes_nothing(viewer_a, sign_in, post, make):
    client, row = sign_in(viewer_a), make()
    for path in (PATH, f"{PATH}/{row.id}"):
        soup = soup_of(client.get(path))
        assert soup.select_one(".locked button[aria-disabled=true]") is not None
    for path in (f"{PATH}/new", f"{PATH}/{row.id}/edit"):
        assert client.get(path).status_code == 403
        assert post(client, path, **RULE, name="n", act="save").status_code == 403
    assert post(client, f"{PATH}/{row.id}/delete").status_code == 403
    assert only().version == 1


def test_an_operator_may(operator_a, sign_in, post, people):
    client = sign_in(operator_a)
    answer = post(client, f"{PATH}/new", **RULE, name="n", act="save")
    assert answer.status_code == 303


def test_another_workspaces_segment_is_not_there(admin_b, sign_in, post, make):
    client, row = sign_in(admin_b), make()
    assert client.get(f"{PATH}/{row.id}").status_code == 404
    for verb in ("edit", "delete", "restore"):
        answer = post(client, f"{PATH}/{row.id}/{verb}", workspace_id=WORKSPACE_B, **RULE)
        assert answer.status_code == 404


def test_another_workspaces_attribute_and_list_are_none(admin_b, sign_in, post, people):
    fields = {**RULE, "field:g.1": "list", "op:g.1": "in", "value:g.1": str(people.id)}
    answer = post(
        sign_in(admin_b), f"{PATH}/new", workspace_id=WORKSPACE_B, **fields, name="n", act="save"
    )
    soup = soup_of(answer, 422)
    assert "There is no attribute “plan”" in soup.select_one("#error-g-0").text
    assert "Staff" not in soup.text


def test_nobody_gets_there_without_logging_in(anonymous):
    assert anonymous.get(PATH).status_code == 303
    assert anonymous.get(f"{PATH}/new").status_code == 303


def test_an_attribute_of_every_kind_can_be_chosen(page, database):
    for kind in AttributeKind:
        contact_attributes.declare(WORKSPACE_A, f"of_{kind.value}", kind, by=SYSTEM)
    soup = page(f"{PATH}/new")
    [own] = [one for one in soup.select("optgroup") if one["label"] == "Attributes"]
    assert [one.text for one in own.select("option")] == [
        "of_boolean", "of_date", "of_number", "of_text",
    ]  # fmt: skip
