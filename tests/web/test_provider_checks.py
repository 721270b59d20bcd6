"""/ui/providers/<id>/check: asking for a check, and looking at it while it goes on."""

import pytest

from maild import clock
from maild.domain.actor import Actor
from maild.domain.role import Role
from maild.models import ProviderCheck
from maild.services import check_loop, provider_checks
from tests.conftest import WORKSPACE_A, WORKSPACE_B, free_ports
from tests.web.conftest import HTMX
from tests.web.provider_helpers import PATH, audited, save, soup_of, toast_of, words_of


def steps_of(soup):
    return [
        (words_of(step.strong), words_of(step.select_one(".badge")))
        for step in soup.select(".check-steps > li")
    ]


def verdict_of(soup):
    return words_of(soup.select_one("#check .verdict"))


@pytest.fixture
def row(inbox):
    return save(host=inbox.smtp.host, port=inbox.smtp.port, security="none")


@pytest.fixture
def path(row):
    return f"{PATH}/{row.id}/check"


@pytest.fixture
def start(client, post, path):
    return lambda: post(client, path)


def test_before_the_first_check_it_says_what_to_do(page, path):
    soup = page(path)
    assert "It has not been checked yet" in soup.select_one("#check").text
    assert "hx-get" not in soup.select_one("#check").attrs
    assert soup.select_one(f"form[action='{path}'] [type=submit]").text == "Check it"


def test_a_check_goes_on_while_the_page_looks_and_survives_a_reload(start, page, partial, path):
    response = start()
    assert (response.status_code, response.location) == (303, path)
    soup = page(path)
    assert verdict_of(soup) == "It waits for a worker"
    assert {word for _, word in steps_of(soup)} == {"to come"}
    poll = soup.select_one("#check")["hx-get"]
    partial(poll, status=204)
    check_loop.drain()
    for soup in (partial(poll), page(path)):
        assert verdict_of(soup) == "It works"
        assert steps_of(soup) == [
            ("Look up the name", "ok"),
            ("Connect", "ok"),
            ("Wait for the greeting", "ok"),
            ("Ask what it offers (EHLO)", "ok"),
        ]
        assert "hx-get" not in soup.select_one("#check").attrs
        assert "by ann@a.example" in words_of(soup.select_one("#check"))
        assert "PIPELINING" in soup.select_one(".offers").text
    assert audited() == ["smtp_account.checked"]


def test_a_failure_says_what_it_means_and_what_to_do(client, post, page):
    row = save(host="127.0.0.1", port=free_ports(1)[0], security="none")
    path = f"{PATH}/{row.id}/check"
    post(client, path)
    check_loop.drain()
    soup = page(path)
    assert verdict_of(soup) == "It does not work"
    assert [word for _, word in steps_of(soup)] == ["ok", "failed", "not reached", "not reached"]
    failed = words_of(soup.select(".check-steps > li")[1])
    assert "connection refused" in failed
    assert "nothing listens on this port" in failed
    assert "What to do: Look at the port" in failed
    assert soup.select_one(f"#check a[href='{PATH}/{row.id}/edit']")


def test_a_certificate_is_told_with_its_days(page, row, path):
    until = clock.now().replace(year=clock.now().year + 2)
    certificate = {
        "subject": "smtp.example.com",
        "issuer": "R11, Let's Encrypt",
        "names": ["smtp.example.com", "<b>mail</b>"],
        "name_count": 5,
        "valid_until": until.isoformat(),
    }
    ProviderCheck.create(
        workspace=WORKSPACE_A,
        smtp_account=row.id,
        created_by="x",
        started_at=clock.now(),
        finished_at=clock.now(),
        is_valid=True,
        steps=[{"stage": "tls", "ok": True, "text": "TLSv1.3", "ms": 12.3}],
        result={"certificate": certificate, "tls": ["TLSv1.3", "TLS_AES_256_GCM_SHA384"]},
    )
    row.security = "starttls"
    row.save()
    facts = {words_of(one.dt): words_of(one.dd) for one in page(path).select(".certificate > div")}
    assert facts["Certificate of"] == "smtp.example.com"
    assert facts["Issued by"] == "R11, Let's Encrypt"
    assert facts["For the names"] == "smtp.example.com, <b>mail</b> and 3 more"
    assert facts["Valid until"].startswith(f"{until:%Y-%m-%d}: ")
    assert "days left" in facts["Valid until"]
    assert facts["Cipher"] == "TLS_AES_256_GCM_SHA384"


def test_that_nobody_is_there_to_check_is_said(start, page, path, lease):
    start()
    assert "No worker is alive" not in page(path).text
    from maild.services import workers

    workers.leave(lease)
    assert "No worker is alive" in page(path).text


def test_one_under_way_is_not_begun_again(start):
    start()
    start()
    assert ProviderCheck.select().count() == 1


def test_too_many_at_once_are_refused_in_words(client, post, monkeypatch):
    monkeypatch.setattr(provider_checks, "OPEN_MAX", 1)
    for name in ("one", "two"):
        post(client, f"{PATH}/{save(name).id}/check")
    assert "under way" in toast_of(client)
    assert ProviderCheck.select().count() == 1


def test_checks_before_are_told(start, page, path):
    for _ in range(3):
        start()
        check_loop.drain()
    assert len(page(path).select(".earlier li")) == 2


def test_the_environments_account_is_checked_too(client, post, page, inbox):
    post(client, f"{PATH}/0/check")
    check_loop.drain()
    assert verdict_of(page(f"{PATH}/0/check")) == "It works"


def test_an_operator_may_and_a_viewer_sees_why_not(sign_in, post, make_person, path):
    operator = sign_in(make_person("olaf@a.example", Role.OPERATOR))
    assert post(operator, path).status_code == 303
    viewer = sign_in(make_person("vera@a.example", Role.VIEWER))
    soup = soup_of(viewer.get(path))
    assert soup.find(id="check-it-reason").text.startswith("You are a viewer here")
    assert post(viewer, path).status_code == 403


def test_checks_of_another_workspace_are_out_of_reach(client, post):
    row = save(workspace_id=WORKSPACE_B)
    provider_checks.start(WORKSPACE_B, row.id, by=Actor("bob@b.example"))
    assert client.get(f"{PATH}/{row.id}/check").status_code == 404
    assert post(client, f"{PATH}/{row.id}/check").status_code == 404
    assert client.get(f"{PATH}/{row.id}/check", headers=HTMX).status_code == 404
    assert ProviderCheck.select().count() == 1


def test_who_is_not_signed_in_does_nothing(anonymous, post, path):
    assert anonymous.get(path).status_code == 303
    assert post(anonymous, path).status_code == 401
