"""/ui/settings/retention: how long what is kept, what a change would remove, and the room."""

import pytest
from bs4 import BeautifulSoup

from maild.db import database as db
from maild.domain.actor import SYSTEM
from maild.domain.retention import Choice, Keep
from maild.models import AuditEntry, Workspace
from maild.services import retention, retention_pruner
from tests.conftest import WORKSPACE_A, WORKSPACE_B
from tests.services.test_audit_cuts import write

PATH = "/ui/settings/retention"


def words(response):
    return " ".join(BeautifulSoup(response.text, "html.parser").get_text(" ").split())


def age_all(days):
    db.execute_sql(
        "UPDATE messages SET status = 'cancelled', next_attempt_at = NULL,"
        " created_at = now() - %s * interval '1 day', updated_at = now() - %s * interval '1 day'",
        (days, days),
    )


def test_it_says_how_long_what_is_kept(client):
    text = words(client.get(PATH))
    for said in ("Now: 30 days", "Now: 90 days", "Now: 400 days", "Empty: 90 days"):
        assert said in text
    assert "The database" not in text, "there are others in it"


@pytest.mark.proves("run-retention-shown")
def test_what_would_go_is_shown_before_it_is_saved(client, post, accept):
    accept()
    accept()
    age_all(20)
    shown = post(
        client, PATH, bodies_days="10", messages_days="15", webhooks_days="10", version="0"
    )
    assert shown.status_code == 200
    assert "This is what goes" in shown.text
    assert retention.get(WORKSPACE_A).version == 0, "nothing is saved yet"
    page = BeautifulSoup(shown.text, "html.parser")
    cells = [cell.text.strip() for cell in page.select("#preview td[data-label='How much goes']")]
    assert cells == ["2", "2", "nothing", "nothing"]
    fields = {one["name"]: one["value"] for one in page.select("#preview input[type=hidden]")}
    fields = {name: fields[name] for name in fields if name not in {"csrf_token", "workspace_id"}}
    saved = post(client, PATH, **fields)
    assert saved.status_code == 303
    assert retention.get(WORKSPACE_A).choice == Choice(bodies=10, messages=15, webhooks=10)
    [entry] = AuditEntry.select().where(AuditEntry.action == "retention.changed")
    assert entry.actor == "ada@a.example" or "@" in entry.actor
    assert "Saved" in client.get(PATH).text


@pytest.mark.parametrize(
    ("typed", "field", "said"),
    [
        ("ten", "bodies_days", "Must be a whole number of days, or empty."),
        ("-1", "bodies_days", "Must be a whole number of days, or empty."),
        ("99999999999999999999", "bodies_days", "Must be a whole number of days, or empty."),
        ("0", "bodies_days", "Must be 1 to 3,650 days."),
        ("91", "bodies_days", "Must not be longer than messages are kept, which is 90 days."),
        ("12", "audit_days", "Must be 90 to 3,650 days."),
    ],
)
def test_what_is_wrong_is_told_at_its_field_and_kept(client, post, typed, field, said):
    response = post(client, PATH, **{field: typed, "version": "0", "seen": "1"})
    assert response.status_code == 422
    page = BeautifulSoup(response.text, "html.parser")
    assert page.select_one(f"#{field}-error").text.strip() == said
    assert page.select_one(f"input#{field}")["value"] == typed
    assert retention.get(WORKSPACE_A).version == 0


@pytest.mark.parametrize("version", ["0", "7", "x", ""])
def test_a_stale_form_changes_nothing_and_shows_what_is(client, post, version):
    retention.save(WORKSPACE_A, Choice(bodies=5), version=0, by=SYSTEM)
    response = post(client, PATH, bodies_days="9", version=version, seen="1")
    assert response.status_code == 409
    page = BeautifulSoup(response.text, "html.parser")
    assert page.select_one("input#bodies_days")["value"] == "5"
    assert "Somebody has changed this meanwhile" in response.text


def test_others_than_admins_see_it_and_change_nothing(sign_in, operator_a, viewer_a, post):
    for person in (operator_a, viewer_a):
        browser = sign_in(person)
        assert "Only an admin of this workspace can do this." in browser.get(PATH).text
        assert post(browser, PATH, bodies_days="9", version="0", seen="1").status_code == 403
    assert retention.get_keep(WORKSPACE_A) == Keep(30, 90, 30, 400)


def test_who_has_the_database_alone_sees_its_size(client):
    Workspace.delete().where(Workspace.id == WORKSPACE_B).execute()
    text = words(client.get(PATH))
    assert "The database" in text
    assert "Everything else" in text


@pytest.mark.proves("run-retention")
def test_a_message_without_content_says_so(client, accept):
    message = accept()
    age_all(40)
    retention_pruner.prune(seconds=5, rest=lambda seconds: None)
    page = client.get(f"/ui/messages/{message.id}")
    text = words(page)
    assert "The content was removed" in text
    assert "Resend a copy" not in text
    assert "Download .eml" not in text
    for part in ("raw", "preview", "text"):
        assert client.get(f"/ui/messages/{message.id}/{part}").status_code == 404
    assert client.get(f"/ui/messages/{message.id}/bundle").status_code == 200


def test_the_check_of_the_audit_log_says_what_was_cut(client):
    write(500, 10)
    retention_pruner.prune(seconds=5, rest=lambda seconds: None)
    text = words(client.get("/ui/settings/audit/check"))
    assert "The log is as it was written" in text
    assert "Entries 1 to 1 were old, and cut off" in text
