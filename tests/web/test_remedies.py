"""/ui/incidents/N/remedies: what each will touch, carrying it out, and who may."""

import pytest
from bs4 import BeautifulSoup

from maild.domain.actor import SYSTEM
from maild.domain.incident import EntryKind, IncidentKind
from maild.domain.states import EventType, Status
from maild.models import IncidentEntry, IncidentSignal, Job, SmtpAccount
from maild.services import job_steps, smtp_accounts, suppressions
from maild.services.smtp_account_fields import NewSmtpAccount
from maild.services.suppressions import Bounced
from tests.conftest import WORKSPACE_A, WORKSPACE_B
from tests.services.bulking import events_of, put, statuses
from tests.services.helpers import ago
from tests.services.incidenting import add_messages, make_incident

pytestmark = pytest.mark.usefixtures("database")


@pytest.fixture
def operator(operator_a, sign_in):
    return sign_in(operator_a)


@pytest.fixture
def account():
    """Save an SMTP account of workspace A."""

    def make(name, *, active=False):
        new = NewSmtpAccount(
            name=name, host="127.0.0.1", port=25, from_email="a@example.com", security="none"
        )
        row = smtp_accounts.save(WORKSPACE_A, new, by=SYSTEM)
        if active:
            smtp_accounts.activate(WORKSPACE_A, name=name, by=SYSTEM)
        return row

    return make


def path(incident, remedy, account=None):
    query = f"?account={account.id}" if account else ""
    return f"/ui/incidents/{incident.id}/remedies/{remedy}{query}"


def words(tag):
    return " ".join(tag.get_text(" ").split())


def soup(response, status=200):
    assert response.status_code == status, response.text
    return BeautifulSoup(response.text, "html.parser")


def offered(client, incident):
    """What the page of an incident offers: words and whether it is in reach."""
    page = soup(client.get(f"/ui/incidents/{incident.id}"))
    return {words(one): one.name == "a" for one in page.select(".remedies .button")}


def test_it_is_seen_first_then_done_and_leads_to_its_job(operator, post):
    incident = make_incident([*put(12), *put(2, Status.SENT)])
    link = soup(operator.get(f"/ui/incidents/{incident.id}")).select_one("#remedy-retry")
    page = soup(operator.get(link["href"]))
    text = words(page.main)
    assert "Retried now 12" in text
    assert "Left as they are 2" in text
    assert "those that are still queued then are cancelled" in text
    assert len(page.select("tbody tr")) == 10
    assert page.select_one("#reason")["value"] == f"Incident {incident.id}: {incident.title}"
    assert not Job.select().exists()
    add_messages(IncidentSignal.get(), put(1, newest=ago(minutes=9)))  # seen after the look
    until = page.select_one("[name=until]")["value"]
    response = post(operator, link["href"], reason="It is over.", until=until)
    [job] = Job.select()
    assert response.location == f"/ui/jobs/{job.id}"
    job_steps.drain()
    assert statuses() == {"queued": 12, "sent": 2, "failed": 1}
    shown = soup(operator.get(f"/ui/incidents/{incident.id}"))
    assert "olaf@a.example: Retry what has failed" in words(shown.select_one(".timeline"))
    assert shown.select_one(f".timeline a[href='{response.location}']")
    page = soup(operator.get(response.location))
    assert incident.title in words(page.select_one(f"main a[href='/ui/incidents/{incident.id}']"))


def test_what_waits_is_sent_at_once(operator, post):
    ids = put(2, Status.QUEUED)
    incident = make_incident(ids)
    assert "Sent at once now 2" in words(soup(operator.get(path(incident, "send"))).main)
    post(operator, path(incident, "send"), reason="It is over.")
    job_steps.drain()
    [job] = Job.select()
    assert (job.kind, job.done_count) == ("incidents.send", 2)
    assert set(events_of(EventType.HASTENED)) == set(ids)


def test_suppressions_are_for_admins_to_undo(operator, client, post):
    [message_id] = put(1, error_class="invalid_recipient")
    incident = make_incident([message_id])
    row = Bounced(WORKSPACE_A, "user1@example.org", message_id, "550 no")
    suppressions.add_many([row])
    assert not offered(operator, incident)["Undo suppressions…"]
    assert offered(client, incident)["Undo suppressions…"]
    assert operator.get(path(incident, "unsuppress")).status_code == 403
    assert post(operator, path(incident, "unsuppress"), reason="x").status_code == 403
    page = soup(client.get(path(incident, "unsuppress")))
    assert "user1@example.org" in words(page.select_one("tbody"))
    location = post(client, path(incident, "unsuppress"), reason="The server was wrong.").location
    job_steps.drain()
    assert "user1@example.org" in words(soup(client.get(location)).main)
    assert "Undo suppressions…" not in offered(client, incident)


def test_an_account_is_paused_and_resumed_from_the_incident(client, post, account):
    first = account("first", active=True)
    account("second")
    incident = make_incident(kind=IncidentKind.PROVIDER, smtp_account="first")
    assert offered(client, incident) == {
        "Switch to “second”…": True, "Pause “first”…": True, "Freeze mail…": True,
    }  # fmt: skip
    text = words(soup(client.get(path(incident, "pause", first))).main)
    assert "Mail goes through “second” meanwhile." in text
    response = post(client, path(incident, "pause", first), reason="Broken.")
    assert response.location == f"/ui/incidents/{incident.id}"
    assert SmtpAccount.get_by_id(first.id).pause_reason == "Broken."
    page = soup(client.get(response.location))
    assert "ann@a.example: Pause “first”" in words(page.select_one(".timeline"))
    assert "“first” is paused" in words(page.select_one("#toasts"))
    post(client, path(incident, "resume", first), reason="Mended.")
    assert SmtpAccount.get_by_id(first.id).paused_at is None


def test_mail_is_switched_to_another_account_and_the_toast_takes_it_back(client, post, account):
    account("first", active=True)
    second = account("second")
    incident = make_incident(kind=IncidentKind.PROVIDER, smtp_account="first")
    text = words(soup(client.get(path(incident, "switch", second))).main)
    assert "goes through “second” first" in text
    post(client, path(incident, "switch", second), reason="Broken.")
    assert SmtpAccount.get_by_id(second.id).is_active
    undo = soup(client.get("/ui")).select_one("#toasts form")
    fields = {field["name"]: field["value"] for field in undo.select("input")}
    client.post(undo["action"], data=fields)
    assert SmtpAccount.get(SmtpAccount.name == "first").is_active


def test_a_paused_account_is_resumed_and_the_environment_is_one_to_switch_to(client, account):
    account("first", active=True)
    smtp_accounts.pause(WORKSPACE_A, name="first", reason="x", by=SYSTEM)
    incident = make_incident(kind=IncidentKind.PROVIDER, smtp_account="first")
    assert offered(client, incident) == {
        "Switch to the account of the environment…": True,
        "Resume “first”…": True,
        "Freeze mail…": True,
    }


def test_the_freeze_form_is_filled_in_and_leads_back(operator, post):
    incident = make_incident(recipient_domain="example.org")
    here = f"/ui/incidents/{incident.id}"
    link = soup(operator.get(here)).select_one("#remedy-freeze")["href"]
    form = soup(operator.get(link)).select_one("#freeze-form")
    assert form.select_one("option[selected]")["value"] == "recipient_domain"
    assert form.select_one("[name=target]")["value"] == "example.org"
    assert incident.title in form.select_one("[name=reason]")["value"]
    assert form.select_one("[name=back]")["value"] == here
    fields = {"what": "recipient_domain", "target": "example.org", "reason": "x", "lasts": "30m"}
    assert post(operator, "/ui/freezes", **fields, back=here).location == here
    assert "mail to example.org stands still" in operator.get(here).text


@pytest.mark.parametrize("remedy", ["retry", "send", "unsuppress"])
def test_without_a_reason_nothing_starts_and_with_nothing_to_do_it_says_so(client, post, remedy):
    incident = make_incident([])
    assert "Nothing to do" in words(soup(client.get(path(incident, remedy))).main)
    full = make_incident(put(1))
    soup(post(client, path(full, remedy), reason=" "), 422)
    assert not Job.select().exists()
    assert not IncidentEntry.select().where(IncidentEntry.kind == EntryKind.REMEDY).exists()


def test_what_is_not_there_is_not_found(client, account, post):
    incident, foreign = make_incident(), make_incident(workspace_id=WORKSPACE_B)
    assert client.get(path(foreign, "retry")).status_code == 404
    assert client.get(path(incident, "dance")).status_code == 404
    assert client.get(path(incident, "pause")).status_code == 404
    assert client.get(f"{path(incident, 'pause')}?account=0").status_code == 404
    assert post(client, path(foreign, "retry"), reason="x").status_code == 404
