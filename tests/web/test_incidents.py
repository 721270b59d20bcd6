"""/ui/incidents: the inbox, one incident, and what people do to it."""

import pytest
from bs4 import BeautifulSoup

from maild.domain.incident import IncidentKind, IncidentStatus, Severity
from maild.domain.role import Role
from maild.models import AuditEntry, Incident, IncidentEntry, IncidentSignal
from maild.services import incidents
from maild.web import incidents as pages
from tests.conftest import WORKSPACE_B
from tests.services.bulking import put
from tests.services.incidenting import SAMPLE, make_incident

PATH = "/ui/incidents"

pytestmark = pytest.mark.usefixtures("database")


@pytest.fixture
def operator(operator_a, sign_in):
    return sign_in(operator_a)


@pytest.fixture
def act(operator, post):
    """Do something to an incident as its page would; returns the answer."""

    def send(incident, verb, *, client=None, version=None, **fields):
        seen = {"version": incident.version if version is None else version,
                "seen_at": incident.updated_at.isoformat()}  # fmt: skip
        return post(client or operator, f"{PATH}/{incident.id}/{verb}", **seen, **fields)

    return send


def words(tag):
    return " ".join(tag.get_text(" ").split())


def soup(response):
    return BeautifulSoup(response.text, "html.parser")


def now(incident):
    return Incident.get_by_id(incident.id)


def listed(page):
    return [int(link["id"].removeprefix("incident-")) for link in page.select("article .row-link")]


# The inbox


def test_an_empty_inbox_says_that_all_is_calm_and_what_would_be_there(page):
    text = words(page(PATH).main)
    assert "All calm" in text
    assert "appears here by itself" in text


def test_a_card_tells_what_how_much_why_and_what_to_do(page):
    incident = make_incident(
        put(3),
        smtp_account="postmark",
        recipient_domain="google",
        assigned_to="vera@a.example",
        status=IncidentStatus.ACKNOWLEDGED,
    )
    card = page(PATH).select_one("article")
    text = words(card)
    for told in (
        incident.title,
        "major",
        "acknowledged",
        "3 messages to 3 recipients",
        "“postmark”",
        "Gmail",
        SAMPLE,
        "take less from us in an hour than we send",
        "Lower the limit",
        "vera@a.example",
    ):
        assert told in text
    assert card.select_one(".row-link")["href"] == f"{PATH}/{incident.id}"


def test_a_state_that_holds_tells_more_than_what_was_seen_often(page):
    incident = make_incident(put(3), kind=IncidentKind.PROVIDER, smtp_account="first")
    IncidentSignal.insert(
        workspace=incident.workspace_id,
        fingerprint="breaker",
        kind=IncidentKind.PROVIDER,
        error_class="auth",
        sample="535 no",
        detail={},
        incident=incident.id,
        is_state=True,
        is_active=True,
    ).execute()
    text = words(page(PATH).select_one("article"))
    assert "535 no" in text
    assert "does not accept the user name or password" in text


def test_the_worst_comes_first_and_what_is_resolved_only_where_it_is_asked_for(page):
    minor = make_incident(severity=Severity.MINOR)
    old, new = make_incident(), make_incident()
    critical = make_incident(severity=Severity.CRITICAL)
    over = make_incident(
        severity=Severity.CRITICAL, status=IncidentStatus.RESOLVED, resolved_at=minor.opened_at,
        resolved_by="maild", cause="It stopped.",
    )  # fmt: skip
    make_incident(workspace_id=WORKSPACE_B)
    worst_first = [critical.id, new.id, old.id, minor.id]
    assert listed(page(PATH)) == worst_first
    assert listed(page(f"{PATH}?status=all")) == [*worst_first, over.id]
    assert listed(page(f"{PATH}?status=resolved")) == [over.id]
    assert listed(page(f"{PATH}?severity=minor")) == [minor.id]


def test_it_filters_by_kind_account_and_whose_it_is(page, admin_a):
    make_incident()
    ours = make_incident(
        kind=IncidentKind.PROVIDER, smtp_account="first", assigned_to=admin_a.email
    )
    for query in ("kind=provider", "smtp_account=first", "mine=yes"):
        assert listed(page(f"{PATH}?{query}")) == [ours.id]
    assert "No incident matches" in words(page(f"{PATH}?kind=domain").main)


@pytest.mark.parametrize(
    "query", ["status=hungry", "kind=x", "severity=9", "mine=no", "kind=&kind=x"]
)
def test_what_makes_no_sense_is_told_at_its_field(page, query):
    assert "The filter cannot be used" in words(page(f"{PATH}?{query}", status=422).main)


def test_pages_follow_each_other_without_a_gap(page, monkeypatch):
    monkeypatch.setattr(pages, "PAGE_CARDS", 2)
    made = [make_incident(severity=one) for one in (*Severity, *Severity)]
    seen, path = [], PATH
    while path:
        shown = page(path)
        seen += listed(shown)
        older = shown.select_one(".pager [rel=next]")
        path = older["href"] if older else None
    assert seen == [one.id for one in sorted(made, key=lambda m: (-m.severity.rank, -m.id))]


def test_a_poll_is_answered_only_when_something_has_changed(partial, client, act):
    incident = make_incident()
    shown = partial(PATH)
    [root] = [one for one in shown.find_all(recursive=False) if one.get("id") == "incidents"]
    assert root["hx-trigger"] == "every 5s"
    assert client.get(root["hx-get"], headers={"HX-Request": "true"}).status_code == 204
    act(incident, "acknowledge")
    assert "acknowledged" in words(partial(root["hx-get"]))


def test_it_is_acknowledged_and_taken_from_the_card_and_leads_back(operator, act, operator_a):
    incident = make_incident()
    response = act(incident, "acknowledge", back=f"{PATH}?severity=major")
    assert (response.status_code, response.location) == (303, f"{PATH}?severity=major")
    assert now(incident).acknowledged_by == operator_a.email
    assert "Acknowledged." in operator.get(PATH).text
    act(now(incident), "take", back=PATH)
    assert now(incident).assigned_to == operator_a.email
    toasts = soup(operator.get(PATH)).select_one("#toasts")
    undo = toasts.select_one("form")
    fields = {field["name"]: field["value"] for field in undo.select("input")}
    operator.post(undo["action"], data=fields)
    assert now(incident).assigned_to is None


def test_a_viewer_sees_all_of_it_and_does_nothing(viewer_a, sign_in, act):
    viewer, incident = sign_in(viewer_a), make_incident(put(2))
    for path in (PATH, f"{PATH}/{incident.id}"):
        page = soup(viewer.get(path))
        assert not page.select("main form[method=post]")
        assert page.select("main [aria-disabled=true]")
    assert act(incident, "acknowledge", client=viewer).status_code == 403
    assert now(incident).status is IncidentStatus.OPEN


# One incident


def test_its_page_tells_all_that_is_known(page, act):
    ids = put(12)
    incident = make_incident(ids, smtp_account="default", title="It <b>breaks</b>")
    act(incident, "note", text="I have <i>called</i> them.\nThey look.")
    shown = page(f"{PATH}/{incident.id}")
    text = words(shown.main)
    assert shown.h1.text == "It <b>breaks</b>"
    assert SAMPLE in text
    assert "olaf@a.example wrote" in text
    assert "I have <i>called</i> them." in text
    assert "It began to go wrong more often than usual" in text
    assert "failed 12" in words(shown.select_one(".incident-counts"))
    assert len(shown.select(".incident-messages tbody tr")) == 10
    assert "Environment" in words(shown.select_one(".accounts"))
    every = page(shown.select_one(".incident-more a")["href"])
    assert len(every.select("tbody tr")) == 12


def test_its_page_looks_again_and_shows_what_is_new(partial, client, act):
    incident = make_incident(put(1))
    poll = partial(f"{PATH}/{incident.id}").select_one("#incident")["hx-get"]
    assert client.get(poll, headers={"HX-Request": "true"}).status_code == 204
    act(incident, "note", text="News")
    assert "News" in words(partial(poll))


@pytest.mark.parametrize(
    ("verb", "fields", "said"),
    [
        ("assign", {"to": "olaf@a.example"}, "olaf@a.example took it"),
        ("severity", {"severity": "critical"}, "says that it is critical"),
        ("resolve", {"cause": "An outage"}, "olaf@a.example resolved it"),
        ("note", {"text": "Look"}, "olaf@a.example wrote"),
    ],
)
def test_what_is_done_is_told_and_audited(operator, act, verb, fields, said):
    incident = make_incident()
    response = act(incident, verb, **fields)
    assert (response.status_code, response.location) == (303, f"{PATH}/{incident.id}")
    assert said in words(soup(operator.get(response.location)).main)
    assert now(incident).version == incident.version + 1
    assert AuditEntry.get().target == f"incident {incident.id}"


def test_what_is_resolved_is_reopened_with_a_reason(operator, act):
    incident = make_incident()
    act(incident, "resolve", cause="An outage")
    shown = soup(operator.get(f"{PATH}/{incident.id}"))
    assert "Resolved" in words(shown.select_one(".state"))
    assert shown.select_one("#act-reopen")
    assert not shown.select("#act-resolve, #act-merge")
    assert act(now(incident), "reopen", reason="").status_code == 422
    act(now(incident), "reopen", reason="It is back")
    assert now(incident).status is IncidentStatus.OPEN


def test_two_are_merged_and_the_page_goes_to_the_one_that_is_left(operator, act):
    ids = put(3)
    small, large = make_incident(ids[:1]), make_incident(ids[1:])
    assert act(small, "merge", into="").status_code == 422
    response = act(small, "merge", into=large.id)
    assert response.location == f"{PATH}/{large.id}"
    assert "3 messages to 3 recipients" in operator.get(response.location).text
    old = words(soup(operator.get(f"{PATH}/{small.id}")).main)
    assert f"It is part of incident {large.id}" in old


def test_of_two_at_once_the_second_sees_what_the_first_did_and_keeps_what_they_typed(act):
    incident = make_incident()
    act(incident, "note", text="I was first.")
    response = act(incident, "resolve", cause="My <b>own</b> words", version=incident.version)
    page = soup(response)
    assert response.status_code == 409
    told = words(page.select_one(".trouble-told"))
    assert "olaf@a.example wrote" in told
    assert "I was first." in told
    assert page.select_one("#cause")["value"] == "My <b>own</b> words"
    assert page.select_one("#act-resolve").has_attr("open")
    assert now(incident).status is IncidentStatus.OPEN
    again = {one["name"]: one["value"] for one in page.select("#act-resolve input[name]")}
    assert again["version"] == str(now(incident).version)


@pytest.mark.parametrize(
    ("verb", "fields", "field"),
    [
        ("note", {"text": " "}, "text"),
        ("note", {"text": "x" * (incidents.NOTE_MAX_CHARS + 1)}, "text"),
        ("resolve", {"cause": ""}, "cause"),
        ("severity", {"severity": "awful"}, None),
        ("assign", {"to": "bob@b.example"}, "to"),
    ],
)
def test_what_is_wrong_is_told_at_the_form_which_stays_open(act, verb, fields, field):
    incident = make_incident()
    response = act(incident, verb, **fields)
    page = soup(response)
    assert response.status_code == 422
    assert page.select_one(f"#act-{verb}").has_attr("open")
    assert page.select_one(f"#{verb}-error").text
    if field:
        assert page.select_one(f"#{field}")["aria-invalid"] == "true"
    assert now(incident).version == incident.version


def test_unknown_and_foreign_ones_are_not_there(operator, act):
    foreign = make_incident(workspace_id=WORKSPACE_B)
    for path in (f"{PATH}/{foreign.id}", f"{PATH}/{2**31}", f"{PATH}/{foreign.id}/messages"):
        assert operator.get(path).status_code == 404
    for verb in ("acknowledge", "take", "assign", "note", "severity", "resolve", "reopen"):
        assert act(foreign, verb, text="x", severity="minor").status_code == 404
    assert now(foreign).version == foreign.version


# From a message


def test_an_incident_is_opened_from_a_message_once(operator, post, accept):
    message = accept(subject="Strange")
    path = f"/ui/messages/{message.id}"
    assert soup(operator.get(path)).select_one("#act-open-incident")
    response = post(
        operator, f"{PATH}/of-message/{message.id}", title="Look at this", note="It looks odd."
    )
    [incident] = Incident.select()
    assert response.location == f"{PATH}/{incident.id}"
    page = words(soup(operator.get(response.location)).main)
    assert "Strange" in page
    assert "It looks odd." in page
    shown = soup(operator.get(path))
    assert shown.select_one(f"a[href='{PATH}/{incident.id}']")
    assert not shown.select("#act-open-incident")
    post(operator, f"{PATH}/of-message/{message.id}")
    assert Incident.select().count() == 1


def test_only_a_member_who_may_act_opens_one(make_person, sign_in, post, accept):
    message = accept()
    viewer = sign_in(make_person("vic@a.example", Role.VIEWER))
    assert post(viewer, f"{PATH}/of-message/{message.id}").status_code == 403
    stranger = sign_in(make_person("bea@b.example", Role.ADMIN, workspace_id=WORKSPACE_B))
    response = post(stranger, f"{PATH}/of-message/{message.id}", workspace_id=WORKSPACE_B)
    assert response.status_code == 404
    assert not IncidentEntry.select().exists()
