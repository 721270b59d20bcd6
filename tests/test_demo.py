"""The demo's story, its reports and its care for other stacks. A whole run is in the tests of
crashes, which start the product.
"""

import itertools
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from uuid import uuid4

import pytest

from maild.api.schemas import MessageIn
from maild.domain import bounce_mail
from maild.models import ApiKey, Invitation, Member, Person
from maild.services import people, workspaces
from maild.transports.webhooks import mailgun, postmark
from maild.transports.webhooks.base import BadSignature, Keys, Request
from tools.demo import cast, content, plan, providers, reports, stack
from tools.demo.__main__ import main
from tools.demo.plan import Plan, Stage
from tools.demo.reports import Report, Sent

NOW = datetime(2026, 11, 28, 13, 20, tzinfo=UTC)
HOUR = timedelta(hours=1)
RESERVED = (".example", ".test", "example.com", "example.org", "example.net")


@pytest.fixture(scope="module")
def told() -> Plan:
    return plan.make(Random(7), NOW, None)


def spans(window: plan.Window) -> list[tuple[datetime, datetime]]:
    return [window.span(stage) for stage in Stage]


@pytest.mark.parametrize("ago", [None, 30 * HOUR, 5 * HOUR, HOUR / 3, timedelta(0)])
def test_the_stages_follow_each_other_until_now(ago: timedelta | None) -> None:
    window = plan.window(NOW, None if ago is None else NOW - ago)
    found = spans(window)
    assert found[0][0] == (NOW - plan.DAY if ago is None or ago > plan.DAY else NOW - ago)
    assert found[-1][1] == NOW
    assert all(begin <= end for begin, end in found)
    assert all(one[1] == other[0] for one, other in itertools.pairwise(found))


def test_the_outage_was_an_hour_ago_where_there_is_room() -> None:
    window = plan.window(NOW, None)
    begin, end = window.begins[Stage.REFUSED], window.begins[Stage.SINCE]
    assert HOUR * 0.8 < NOW - end < NOW - begin < HOUR
    assert NOW - plan.window(NOW, NOW - HOUR).begins[Stage.REFUSED] < HOUR / 2


def test_the_campaign_is_at_no_time_of_night() -> None:
    for hours in range(24):
        at = plan.window(NOW + hours * HOUR, None).begins[Stage.CAMPAIGN]
        assert plan.HOUR_WEIGHTS[at.hour] >= 12, at


def test_too_little_time_is_not_spread() -> None:
    assert plan.window(NOW, NOW - HOUR).is_spread
    assert not plan.window(NOW, NOW - timedelta(minutes=2)).is_spread
    assert not plan.window(NOW, NOW + timedelta(seconds=1)).is_spread


def test_times_are_in_order_and_rare_at_night() -> None:
    found = plan.times(Random(1), 1_000, NOW - plan.DAY, NOW)
    assert found == sorted(found)
    assert found[0] >= NOW - plan.DAY
    assert found[-1] <= NOW
    night = sum(1 <= at.hour < 5 for at in found)
    assert 0 < night < 50


def test_each_message_is_in_its_stage_and_in_order(told: Plan) -> None:
    for stage, planned in told.messages.items():
        begin, end = told.window.span(stage)
        assert planned
        assert all(begin <= one.at <= end for one in planned)
        assert [one.at for one in planned] == sorted(one.at for one in planned)
    assert 600 < sum(map(len, told.messages.values())) < 1_000


def test_the_api_takes_every_message_and_nobody_real_gets_one(told: Plan) -> None:
    for planned in (one for messages in told.messages.values() for one in messages):
        taken = MessageIn.model_validate(planned.body)
        assert taken.from_email.endswith(f"@{content.DOMAIN}")
        for address in (taken.to_email, *taken.cc):
            is_blocked = address.partition("@")[2] in content.BLOCKED_DOMAINS
            assert address.endswith(RESERVED) or is_blocked, address
            assert is_blocked == (planned.deed == "rejected")


def test_groups_keep_the_order_and_have_one_stream_each(told: Plan) -> None:
    planned = told.messages[Stage.CAMPAIGN]
    groups = list(plan.groups(planned, 40))
    assert [one for group in groups for one in group] == planned
    assert all(len({one.is_marketing for one in group}) == 1 for group in groups)
    assert max(map(len, groups)) <= 40


@pytest.fixture
def sent() -> list[Sent]:
    """Two messages to each of a hundred people."""
    rng = Random(3)
    people_ = content.make_customers(rng, 100)
    return [
        Sent(
            id=uuid4(),
            to_email=people_[number % 100].email,
            is_marketing=number % 3 == 0,
            status="sent",
            account=providers.SECOND if number % 5 == 0 else providers.FIRST,
            at=NOW - 20 * HOUR + number * timedelta(minutes=5),
        )
        for number in range(200)
    ]


def events(found: list[Report]) -> Iterator[tuple[Report, str, str | None]]:
    """What the product reads in each report that it can read: its type, and its recipient."""
    for report in found:
        body, headers = report.request
        if report.account == providers.LAST:
            [event] = bounce_mail.read(body).events
        elif json.loads(body).get("RecordType") == "Inbound" or report.is_refused:
            continue
        else:
            module = mailgun if report.account == providers.SECOND else postmark
            request = Request(
                body=body, content_type=headers["Content-Type"], received_at=datetime.now(UTC)
            )
            [event] = module.parse(request)
            assert event.timestamp is None or event.timestamp <= report.at
        yield report, event.event_type.value, event.recipient


def test_reports_are_read_and_none_is_of_the_future(sent: list[Sent]) -> None:
    found = reports.plan(Random(5), sent, NOW)
    assert [one.at for one in found] == sorted(one.at for one in found)
    assert found[-1].at < NOW
    kinds = {kind for _, kind, _ in events(found)}
    assert {"delivered", "opened", "bounced", "complained"} <= kinds


def test_nobody_is_written_to_after_what_suppresses(sent: list[Sent]) -> None:
    last = {one.to_email: one.at for one in sent}
    complaints = [
        (report, to)
        for seed in range(9)
        for report, kind, to in events(reports.plan(Random(seed), sent, NOW))
        if kind == "complained" and to
    ]
    assert complaints
    assert all(report.at > last[to] for report, to in complaints)


def test_signatures_hold_and_the_forged_one_does_not() -> None:
    keys = Keys(signing=("the-demo-signs-with-this-key-0123456789",))

    def check(request: providers.Request) -> None:
        body, headers = request
        mailgun.verify(
            Request(body=body, content_type=headers["Content-Type"], received_at=datetime.now(UTC)),
            keys,
        )

    check(providers.mailgun({"event": "delivered"}))
    with pytest.raises(BadSignature):
        check(providers.mailgun({"event": "delivered"}, is_forged=True))


def test_the_people_are_made_once(database: None) -> None:
    first, second = cast.make(), cast.make()
    assert (first.is_new, second.is_new) == (True, False)
    assert first.workspace_id == second.workspace_id
    assert workspaces.get(first.workspace_id).name == cast.SHOP
    rows = Member.select(Member, Person).join(Person)
    rows = rows.where(Member.workspace == first.workspace_id)
    members = {row.person.email: row.role for row in rows}
    assert members == {email: role for email, _, role in cast.PEOPLE}
    for email in members:
        person = people.authenticate(email, cast.PASSWORD)
        assert person is not None
        assert person.email_verified_at is not None
    assert Invitation.select().where(Invitation.accepted_at.is_null()).count() == 2
    in_force = ApiKey.select().where(ApiKey.revoked_at.is_null())
    assert (ApiKey.select().count(), in_force.count()) == (6, 3)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A MAILD_HOME of its own, and nothing else in the environment."""
    for name in (*stack.OURS, "APP_ENV"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("MAILD_HOME", str(tmp_path))
    return tmp_path


STACK = {
    "POSTGRES_DSN": "postgresql://maild:x@/maild?host=/tmp/x",
    "REDIS_URL": "unix://:x@/tmp/x.sock?db=0",
    "SMTP_HOST": "127.0.0.1",
    "SMTP_PORT": "1025",
    "APP_ADDR": "0.0.0.0:8080",
}


def write(home: Path, **changes: str | None) -> None:
    told = {name: value for name, value in {**STACK, **changes}.items() if value is not None}
    (home / "stack.env").write_text("".join(f"{n}={v}\n" for n, v in told.items()))


def test_it_finds_the_stack_that_runs(home: Path) -> None:
    write(home)
    found = stack.find()
    assert str(found.web) == "127.0.0.1:8080"
    assert found.settings.postgres_dsn == STACK["POSTGRES_DSN"]


def test_without_a_stack_it_says_how_to_start_one(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([]) == 1
    said = capsys.readouterr().err
    assert f"No maild runs on {home}" in said
    assert "make run" in said


@pytest.mark.parametrize("name", ["POSTGRES_DSN", "REDIS_URL", "SMTP_HOST"])
def test_it_leaves_a_stack_alone_of_which_a_part_is_elsewhere(home: Path, name: str) -> None:
    write(home, **{name: None})
    with pytest.raises(stack.Refused, match=f"{name} lead"):
        stack.find()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("POSTGRES_DSN", "postgresql://maild@db.example.com/maild"),
        ("SMTP_HOST", "smtp.example.com"),
    ],
)
def test_it_follows_no_terminal_that_leads_elsewhere(
    home: Path, monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    write(home)
    monkeypatch.setenv(name, value)
    with pytest.raises(stack.Refused, match=f"sets {name}"):
        stack.find()


def test_it_refuses_production(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(home)
    monkeypatch.setenv("APP_ENV", "production")
    assert main([]) == 1
