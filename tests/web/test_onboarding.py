"""The wizard: its steps, what is done in them, and who may."""

import pytest
from bs4 import BeautifulSoup

from maild import clock, config
from maild.config import Addr, Sandbox
from maild.domain.actor import SYSTEM
from maild.domain.role import Role
from maild.domain.states import Status
from maild.models import (
    ApiKey,
    AuditEntry,
    Domain,
    Message,
    OnboardingStep,
    Person,
    PolicyReview,
    ProviderCheck,
    SmtpAccount,
    WebhookEndpoint,
    Workspace,
)
from maild.services import onboarding_steps, policies, smtp_accounts
from maild.services.onboarding_steps import StepId
from tests.conftest import WORKSPACE_A
from tests.web.provider_helpers import save, soup_of, words_of

PATH = "/ui/onboarding"
TYPED = {
    "name": "main",
    "host": "smtp.example.com",
    "port": "587",
    "security": "starttls",
    "username": "user",
    "password": "hunter2-of-the-provider",
    "from_email": "shop@example.com",
    "max_connections": "4",
    "priority": "70",
}


@pytest.fixture
def sandbox(use_settings):
    use_settings(sandbox=Sandbox(Addr("127.0.0.1", 1025), "http://127.0.0.1:8025"))


def path_of(step, rest=""):
    return f"{PATH}/{step}{rest}"


def states(soup):
    return {
        item.a.select_one("span:not(.wizard-mark)").contents[0].strip(): item["class"][0]
        for item in soup.select(".wizard-steps > li")
    }


@pytest.mark.proves("explain-first-steps")
def test_it_leads_to_the_first_step_that_is_left(client, post):
    assert client.get(PATH).location == path_of("provider")
    assert post(client, path_of("provider", "/skip")).location == path_of("domain")
    assert client.get(PATH).location == path_of("domain")


@pytest.mark.parametrize("step", list(StepId))
def test_every_step_has_a_page_that_says_where_it_stands(page, step):
    soup = page(path_of(step))
    assert states(soup) == {
        "Workspace": "done", "Provider": "todo", "Domain": "todo", "Policy": "todo",
        "Test message": "todo", "Webhook": "todo",
    }  # fmt: skip
    assert soup.select_one(".wizard-steps [aria-current=step]")["href"] == path_of(step)
    assert soup.select_one("#wizard-now .trouble").text
    links = [link["href"] for link in soup.select("#wizard-foot a")]
    place = list(StepId).index(step)
    around = [list(StepId)[n] for n in (place - 1, place + 1) if 0 <= n < 6]
    assert links[: len(around)] == [path_of(one) for one in around]


def test_there_is_no_other_step(client, post):
    assert client.get(path_of("nothing")).status_code == 404
    assert post(client, path_of("nothing", "/skip")).status_code == 404


def test_its_poll_hears_of_what_changed_and_of_nothing_else(client, page, partial):
    poller = page(path_of("policy")).select_one("#wizard-now")
    assert client.get(poller["hx-get"], headers={"HX-Request": "true"}).status_code == 204
    policies.save(WORKSPACE_A, changes={"soft_bounce_threshold": 4}, by=SYSTEM)
    soup = partial(poller["hx-get"])
    assert states(soup)["Policy"] == "done"
    assert "Version 1 was saved by" in soup.text
    assert soup.select_one("#wizard-foot")["hx-swap-oob"] == "true"
    assert not soup.select("html")


def test_a_step_is_put_off_by_name_and_taken_up_again(client, post, page):
    post(client, path_of("webhook", "/skip"))
    soup = page(path_of("webhook"))
    assert states(soup)["Webhook"] == "skipped"
    assert "Put off by ann@a.example" in words_of(soup.select_one("#wizard-now"))
    assert soup.select_one("#wizard-foot form")["action"] == path_of("webhook", "/resume")
    assert post(client, path_of("webhook", "/resume")).location == path_of("webhook")
    assert OnboardingStep.get().resumed_by == "ann@a.example"


def test_at_the_end_it_says_so_and_what_to_do_next(client, page):
    for step in StepId:
        onboarding_steps.skip(WORKSPACE_A, step, by=SYSTEM)
    soup = page(PATH)
    assert words_of(soup.h1) == "What is left was put off"
    assert len(soup.select(".checklist > li")) == 6
    assert "Send from your application" in soup.text


def test_the_workspace_gets_its_name(client, post):
    assert post(client, path_of("workspace"), name="Paper boats").status_code == 303
    assert Workspace.get_by_id(WORKSPACE_A).name == "Paper boats"
    response = post(client, path_of("workspace"), name="")
    assert response.status_code == 422
    assert soup_of(response).select_one("#name-error").text


def test_who_is_not_confirmed_is_told_where_the_link_is(sign_in, make_person, use_settings):
    client, smtp = sign_in(make_person("new@a.example", is_verified=False)), config.current().smtp
    url = "http://127.0.0.1:8025"
    for port, is_shown in ((smtp.port, True), (smtp.port + 1, False)):  # where maild's mail goes
        use_settings(sandbox=Sandbox(Addr(smtp.host, port), url))
        soup = soup_of(client.get(path_of("workspace")))
        assert bool(soup.select(f'a[href="{url}"]')) == is_shown
        assert soup.select_one("form[action='/confirm'] [name=next]")["value"] == path_of(
            "workspace"
        )


def test_a_preset_fills_the_form_in_and_a_saved_account_is_checked(client, post, page):
    soup = page(path_of("provider") + "?preset=resend")
    assert soup.select_one("#host")["value"] == "smtp.resend.com"
    assert soup.select_one("#port")["value"] == "465"
    response = post(client, path_of("provider"), **TYPED)
    row = SmtpAccount.get()
    assert response.location == path_of("provider") + f"?account={row.id}"
    assert ProviderCheck.get().smtp_account_id == row.id
    assert "It waits for a worker" in page(response.location).text


def test_what_is_wrong_comes_back_with_what_was_typed(client, post):
    response = post(client, path_of("provider"), **{**TYPED, "port": "x", "host": "two words"})
    assert response.status_code == 422
    soup = soup_of(response)
    assert soup.select_one("#port-error").text == "Must be a whole number."
    assert soup.select_one("#host-error").text
    assert soup.select_one("#host")["value"] == "two words"
    assert TYPED["password"] not in response.text


def test_an_account_that_works_is_activated(client, post, page):
    row = save("main")
    path = path_of("provider") + f"?account={row.id}"
    assert not page(path).select("#wizard-now form")
    ProviderCheck.create(
        workspace=WORKSPACE_A, smtp_account=row.id, created_by="ann", steps=[], result={},
        started_at=row.created_at, finished_at=row.created_at, is_valid=True,
    )  # fmt: skip
    form = page(path).select_one("#wizard-now form")
    assert post(client, form["action"]).status_code == 303
    assert SmtpAccount.get().is_active
    assert states(page(path))["Provider"] == "done"


def test_one_click_is_the_sandbox_and_one_is_not(client, post, page, sandbox):
    soup = page(path_of("provider"))
    assert "reaches nobody" in soup.text
    response = post(client, f"{PATH}/sandbox")
    row = SmtpAccount.get()
    assert (response.status_code, row.is_active) == (303, True)
    assert ProviderCheck.get().smtp_account_id == row.id
    assert WebhookEndpoint.get().provider == "maild"
    assert "You are in the sandbox" in page(path_of("policy")).text
    assert "The sandbox reports by itself" in page(path_of("webhook")).text
    assert post(client, f"{PATH}/sandbox/remove").status_code == 303
    assert (SmtpAccount.select().count(), WebhookEndpoint.select().count()) == (0, 0)


def test_a_sandbox_beside_the_active_account_promises_nothing_of_other_mail(
    client, post, page, sandbox
):
    post(client, f"{PATH}/sandbox")
    soup = page(path_of("provider"))
    assert "What you send reaches nobody" in soup.text
    assert "would go to real people" in soup.select_one("#remove-sandbox").text
    smtp_accounts.activate(WORKSPACE_A, name="default", by=SYSTEM)
    soup = page(path_of("provider"))
    assert "What you send reaches nobody" not in soup.text
    assert "Only what goes through it reaches nobody" in soup.text


def test_nobody_leaves_the_sandbox_while_its_mail_waits(client, post, page, sandbox, accept):
    other = save("main")
    post(client, f"{PATH}/sandbox")
    accept()
    sandbox_id = SmtpAccount.get(SmtpAccount.name == "sandbox").id
    for path in (f"{PATH}/sandbox/remove", f"{PATH}/provider/{other.id}/activate"):
        response = post(client, path)
        assert response.status_code == 409
        problem = soup_of(response).select_one(".form-error")
        assert "1 message of the sandbox is queued" in problem.text
        assert problem.a["href"] == "/ui/logs?status=queued"
    response = post(client, f"/ui/providers/{other.id}/activate")
    assert response.status_code == 409
    assert soup_of(response).select_one(".form-error a")["href"] == "/ui/logs?status=queued"
    assert "You leave the sandbox" in soup_of(response).select_one("#activate").text
    assert SmtpAccount.get_by_id(sandbox_id).is_active
    edit = f"/ui/providers/{sandbox_id}/edit"
    version = page(edit).select_one("input[name=version]")["value"]
    typed = {
        "host": "127.0.0.1", "port": "2526", "security": "none", "username": "sandbox",
        "password": "x", "from_email": "typed@example.com", "max_connections": "1",
        "priority": "1", "version": version,
    }  # fmt: skip
    response = post(client, edit, **typed)
    soup = soup_of(response)
    assert response.status_code == 409
    assert soup.select_one("form .form-error a")["href"] == "/ui/logs?status=queued"
    assert soup.select_one("#from_email")["value"] == "typed@example.com"
    assert not soup.select(".differences")
    Message.update(status=Status.CANCELLED, next_attempt_at=None).execute()
    assert post(client, edit, **typed).status_code == 303


def test_a_sandbox_that_cannot_be_says_why(client, post, sandbox, use_settings):
    use_settings(allowed_private_networks=())
    response = post(client, f"{PATH}/sandbox")
    assert response.status_code == 422
    assert "ALLOWED_PRIVATE_NETWORKS" in soup_of(response).select_one(".form-error").text


def test_without_a_sandbox_nothing_is_said_of_one(client, post, page):
    assert "sandbox" not in page(path_of("provider")).text.lower()
    assert post(client, f"{PATH}/sandbox").status_code == 404


def test_a_domain_is_added_and_its_check_shows_by_itself(client, post, page, partial):
    save("main", active=True)
    assert page(path_of("domain")).select_one("#domain")["value"] == "example.com"
    response = post(client, path_of("domain"), domain="two words")
    assert response.status_code == 422
    assert soup_of(response).select_one("#domain-error").text
    assert post(client, path_of("domain"), domain="Shop.Example.com").status_code == 303
    soup = page(path_of("domain"))
    shown = words_of(soup.select_one(".wizard-domains"))
    assert shown.startswith("shop.example.com being checked")
    spf = {"state": "bad", "summary": "There is no SPF record."}
    Domain.update(checked_at=clock.now(), is_ready=False, results={"spf": spf}).execute()
    soup = partial(soup.select_one("#wizard-now")["hx-get"])
    assert states(soup)["Domain"] == "warn"
    standing = soup.select_one(".health")
    assert "warn" in standing["class"]
    assert "Domain: checked" in words_of(standing)
    assert "SPF is not in order" in words_of(standing)
    assert "There is no SPF record." in soup.text
    assert "not ready" in words_of(soup.select_one(".wizard-domains"))
    Domain.update(checked_at=clock.now(), is_ready=True, results={}).execute()
    assert "ok" in page(path_of("domain")).select_one(".health")["class"]


def test_the_policy_is_told_and_reviewed(client, post, page):
    soup = page(path_of("policy"))
    assert "Blocked recipient domains" in soup.text
    form = soup.select_one("form[action$=review]")
    version = form.select_one("[name=version]")["value"]
    assert post(client, form["action"], version=version).status_code == 303
    assert (PolicyReview.get().version, PolicyReview.get().reviewed_by) == (0, "ann@a.example")
    assert AuditEntry.select().where(AuditEntry.action == "policy.reviewed").count() == 1


def test_a_policy_that_changed_meanwhile_is_read_again(client, post):
    policies.save(WORKSPACE_A, changes={"soft_bounce_threshold": 4}, by=SYSTEM)
    response = post(client, path_of("policy", "/review"), version="0")
    assert response.status_code == 409
    assert "was changed since" in soup_of(response).select_one(".form-error").text
    assert PolicyReview.select().count() == 0


def test_a_test_message_goes_out_and_is_shown(client, post, page):
    save("main", active=True)
    soup = page(path_of("test-message"))
    assert soup.select_one("#from_email")["value"] == "shop@example.com"
    assert soup.select_one("#to_email")["value"] == "ann@a.example"
    response = post(
        client, path_of("test-message"), from_email="hello@example.com", to_email="bob@example.org"
    )
    message = Message.get()
    assert (message.from_email, message.to_email) == ("hello@example.com", "bob@example.org")
    assert response.location == path_of("test-message") + f"?message={message.id}"
    assert page(response.location).select(f'a[href="/ui/messages/{message.id}"]')


def test_a_test_that_is_refused_keeps_what_was_typed(client, post):
    response = post(client, path_of("test-message"), from_email="x", to_email="y@example.org")
    assert response.status_code == 422
    soup = soup_of(response)
    assert soup.select_one("#from_email-error").text
    assert soup.select_one("#to_email")["value"] == "y@example.org"
    assert Message.select().count() == 0


@pytest.mark.parametrize("named", ["x", "0197a5f0-0000-7000-8000-000000000000"])
def test_only_a_message_of_the_workspace_is_shown(client, named):
    assert client.get(path_of("test-message") + f"?message={named}").status_code == 404


def test_a_key_is_shown_once_and_in_every_sample(client, post, page):
    assert "$MAILD_API_KEY" in page(path_of("test-message")).text
    response = post(client, f"{PATH}/key")
    row = ApiKey.get()
    soup = soup_of(response)
    key = soup.select_one(".secret pre").text
    assert key.startswith(row.prefix)
    assert row.role == "sender"
    samples = {one["data-sample"]: one.text for one in soup.select("[data-sample]")}
    assert set(samples) == {"curl", "python", "node", "php", "go"}
    assert all(key in text for text in samples.values())
    assert key not in page(path_of("test-message")).text


def test_who_is_not_confirmed_gets_no_key_and_sends_no_test(sign_in, make_person, post):
    client = sign_in(make_person("new@a.example", is_verified=False))
    assert post(client, f"{PATH}/key").status_code == 403
    fields = {"from_email": "a@example.com", "to_email": "b@example.com"}
    assert post(client, path_of("test-message"), **fields).status_code == 403
    assert (ApiKey.select().count(), Message.select().count()) == (0, 0)


def test_an_endpoint_is_made_for_the_account_that_carries_the_mail(client, post, page):
    save("main", active=True, host="smtp.postmarkapp.com")
    chosen = page(path_of("webhook")).select_one("#provider option[selected]")
    assert chosen["value"] == "postmark"
    response = post(client, path_of("webhook"), provider="postmark")
    assert response.location == path_of("webhook")
    row = WebhookEndpoint.get()
    assert (row.provider, row.smtp_account_name) == ("postmark", "main")
    soup = page(path_of("webhook"))
    assert "In Postmark, choose the server" in soup.text
    assert "/v1/webhooks/providers/postmark/" in soup.text
    assert soup.select_one("#endpoint")
    assert post(client, path_of("webhook"), provider="ses").status_code == 422


@pytest.mark.parametrize("role", [Role.OPERATOR, Role.VIEWER])
def test_who_may_not_sees_it_all_and_changes_nothing(sign_in, make_person, post, sandbox, role):
    save("main", active=True)
    client = sign_in(make_person("vera@a.example", role))
    for step in StepId:
        assert client.get(path_of(step)).status_code == 200
    webhook = soup_of(client.get(path_of("webhook")))
    assert not webhook.select("main form:has([name=provider]) [type=submit]")
    for path in (
        *("workspace", "provider", "sandbox", "sandbox/remove"),
        *("domain", "policy/review", "key", "webhook"),
    ):
        assert post(client, path_of(path)).status_code == 403, path
    may_skip = role is Role.OPERATOR
    assert post(client, path_of("domain", "/skip")).status_code == (303 if may_skip else 403)


def test_a_new_person_lands_in_it(anonymous):
    soup = BeautifulSoup(anonymous.get("/signup").text, "html.parser")
    form = {
        "csrf_token": soup.select_one("[name=csrf_token]")["value"],
        "name": "Zoë",
        "email": "zoe@example.com",
        "password": "paper boats on the canal",
        "workspace_name": "Boats",
    }
    assert anonymous.post("/signup", data=form).location == path_of("workspace")
    assert Person.select().where(Person.email == "zoe@example.com").exists()


def test_who_makes_a_workspace_lands_in_it(client, post):
    response = post(client, "/workspaces/new", name="Another", workspace_id=None)
    assert response.location == path_of("workspace")


def test_the_dashboard_leads_to_it(page):
    links = [link["href"] for link in page("/dashboard").select("#set-up a")]
    assert PATH in links
    assert {path_of("provider"), path_of("policy"), path_of("webhook")} <= set(links)
