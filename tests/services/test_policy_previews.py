"""Previews: their figures are those that the real decision comes to."""

import dataclasses
import random
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest

from maild import db
from maild.domain.actor import SYSTEM
from maild.domain.limits import Ledger, slot_of
from maild.domain.policy import Check, Facts, OnLimit, Verdict, evaluate
from maild.domain.policy_trial import DECISIVE, DomainFigures, Outcome
from maild.domain.states import Status, Stream
from maild.errors import (
    BlockedRecipientDomain,
    ForbiddenFromDomain,
    InvalidFields,
    NotFound,
    RateLimited,
    Unavailable,
)
from maild.models import Event, Message, Suppression, Unsubscribe
from maild.services import locks, messages, policies, policy_previews, suppressions
from maild.services.messages import NewMessage
from maild.services.policy_previews import UnderWay, Window
from tests.conftest import WORKSPACE_A, WORKSPACE_B
from tests.services.helpers import ago

pytestmark = pytest.mark.usefixtures("database")

HOUR = timedelta(hours=1)


def query(sql, *values):
    return db.database.execute_sql(sql, values)


def save(workspace_id=WORKSPACE_A, **changes):
    return policies.save(workspace_id, changes=changes, by=SYSTEM).in_force.rules


def preview(workspace_id=WORKSPACE_A, *, window=Window.DAY, **changes):
    return policy_previews.run(workspace_id, changes=changes, window=window)


def put(*minutes_ago, workspace_id=WORKSPACE_A, status="sent"):
    """Messages that were accepted so many minutes ago."""
    for minutes in minutes_ago:
        query(
            """
            INSERT INTO messages (id, workspace_id, status, stream, priority, from_email, to_email,
                subject, size_bytes, tags, metadata, created_at)
            VALUES (gen_random_uuid(), %s, %s, 'transactional', 0, 'shop@example.com',
                'ann@example.org', 'Hello', 10, '{}', '{}', now() - %s * interval '1 minute')
            """,
            workspace_id, status, minutes,
        )  # fmt: skip


def fill_past(count, *, hours):
    """A history: many domains, of which few have most of the mail; some of it scheduled, and some
    that was stopped by a suppression or an unsubscribe.
    """
    suppression = Suppression.create(
        workspace=WORKSPACE_A, email="x@example.org", reason="r", source="api",
        class_="manual", created_by="me",
    )  # fmt: skip
    unsubscribe = Unsubscribe.create(
        workspace=WORKSPACE_A, email="x@example.org", source="api", created_by="me"
    )
    query(
        """
        INSERT INTO messages (id, workspace_id, status, stream, priority, from_email, to_email,
            subject, size_bytes, tags, metadata, created_at, scheduled_at, suppression_id,
            unsubscribe_id)
        SELECT gen_random_uuid(), 1,
            CASE WHEN n %% 17 < 2 THEN 'suppressed' ELSE 'sent' END,
            CASE WHEN n %% 3 = 0 THEN 'marketing' ELSE 'transactional' END, 0,
            'shop@' || (ARRAY['example.com', 'mail.example.com', 'other.example'])[1 + n %% 3],
            'user@d' || floor(random() ^ 4 * 200) || '.example', 'Hello ' || n, 10, '{}', '{}',
            at, CASE WHEN n %% 11 = 0 THEN at + random() * interval '10 hours' END,
            CASE WHEN n %% 17 = 0 THEN %s::int END, CASE WHEN n %% 17 = 1 THEN %s::int END
        FROM generate_series(1, %s) AS n,
            LATERAL (SELECT now() - (n - random()) / %s * %s * interval '1 hour') AS t (at)
        """,
        suppression.id, unsubscribe.id, count, count, hours,
    )  # fmt: skip


class Naive:
    """One policy over the same rows with the real decision, message by message."""

    def __init__(self, policy, since):
        self.outcomes = Counter()
        self.by_check = Counter()
        self.domains = {}
        self.samples = {}
        self._ledger = Ledger()
        self._policy = policy
        self._since = since

    def run(self, rows):
        for row in rows:
            self._decide(*row)
        return self

    def _decide(self, id_, created_at, scheduled_at, stream, sender, to, suppression, unsubscribe):
        due_at = max(created_at, scheduled_at or created_at).timestamp()
        domain = to.rpartition("@")[2]
        lifetime = self._policy.stream(Stream(stream)).lifetime_seconds
        facts = Facts(
            stream=Stream(stream),
            from_domain=sender.rpartition("@")[2],
            to_domain=domain,
            due_at=due_at,
            expires_at=due_at + lifetime,
            suppression=suppression and {"suppression_id": suppression},
            unsubscribe=unsubscribe and {"unsubscribe_id": unsubscribe},
        )
        decision = evaluate(self._policy, facts, self._ledger)
        if created_at < self._since:
            return
        outcome = {
            Verdict.PASS: Outcome.PASSED,
            Verdict.WAIT: Outcome.DEFERRED,
            Verdict.STOP: Outcome.SUPPRESSED,
            Verdict.REJECT: Outcome.REJECTED,
        }[decision.verdict]
        self.outcomes[outcome] += 1
        check = None if outcome is Outcome.PASSED else decision.last.check
        if outcome in {Outcome.DEFERRED, Outcome.REJECTED}:
            self.by_check[check] += 1
            self.domains.setdefault(domain, Counter())[outcome] += 1
        evidence = {} if check is None else decision.last.evidence
        until = decision.due_at if outcome is Outcome.DEFERRED else None
        kind = (outcome, "stopped" if outcome is Outcome.SUPPRESSED else check)
        samples = self.samples.setdefault(kind, [])
        if len(samples) < 10:
            samples.append((id_, outcome, check, evidence, until))

    def most_stopped(self):
        order = sorted(self.domains.items(), key=lambda item: (-item[1].total(), item[0]))
        return [
            DomainFigures(domain, counts[Outcome.DEFERRED], counts[Outcome.REJECTED])
            for domain, counts in order[:10]
        ]


def read_rows(since):
    """All that a preview looks at, as the tables have it."""
    return query(
        """
        SELECT id, created_at, scheduled_at, stream, from_email, to_email, suppression_id,
            unsubscribe_id
        FROM messages WHERE workspace_id = 1 AND created_at > %s ORDER BY created_at, id
        """,
        since - timedelta(minutes=65),
    ).fetchall()


def assert_figures(figures, naive):
    assert {outcome: getattr(figures, outcome) for outcome in Outcome} == {
        outcome: naive.outcomes[outcome] for outcome in Outcome
    }
    assert {check: count for check, count in figures.by_check.items() if count} == naive.by_check
    assert figures.total == naive.outcomes.total()


@pytest.mark.long
@pytest.mark.proves("decide-preview")
def test_every_figure_of_100_000_messages_is_that_of_the_real_decision():
    fill_past(100_000, hours=25.2)
    in_force = save(rate_limit_workspace_per_hour=3_000, rate_limit_domain_per_hour=900)
    found = preview(
        on_limit="defer",
        rate_limit_workspace_per_hour=1_000,
        rate_limit_domain_per_hour=120,
        blocked_recipient_domains=["d3.example"],
        allowed_from_domains=["example.com", "*.example.com"],
        marketing={"lifetime_seconds": 3_600},
    )
    rows = read_rows(found.since)
    assert (found.in_force, found.is_truncated) == (in_force, False)
    assert found.until - found.since == timedelta(hours=24)
    tried = Naive(found.tried, found.since).run(rows)
    assert_figures(found.figures, tried)
    assert_figures(found.in_force_figures, Naive(in_force, found.since).run(rows))
    assert found.looked_at > 90_000
    assert found.domains == tried.most_stopped()
    samples = {
        (m.id, s.outcome, s.check, str(s.evidence), s.deferred_until) for m, s in found.samples
    }
    expected = [one for of_kind in tried.samples.values() for one in of_kind]
    assert samples == {(i, o, c, str(e), u) for i, o, c, e, u in expected}
    assert {sample.check for _, sample in found.samples} == {
        None, Check.FROM_DOMAIN, Check.RECIPIENT_DOMAIN, Check.WORKSPACE_LIMIT, Check.DOMAIN_LIMIT,
        Check.SUPPRESSION, Check.UNSUBSCRIBE,
    }  # fmt: skip
    # Each of the figures is there to be compared.
    assert min(found.figures.by_check.values()) > 0
    assert min(found.in_force_figures.passed, found.in_force_figures.rejected) > 0


def test_it_changes_nothing():
    put(1, 2, 3)
    before = query("SELECT count(*) FROM policies").fetchone()
    found = preview(rate_limit_workspace_per_hour=1)
    assert (found.tried.rate_limit_workspace_per_hour, found.figures.passed) == (1, 1)
    assert policies.get(WORKSPACE_A) == policies.default() == found.in_force
    assert query("SELECT count(*) FROM policies").fetchone() == before
    assert Message.select().where(Message.status == "sent").count() == 3


def test_it_tells_what_the_changes_are():
    save(rate_limit_workspace_per_hour=5)
    found = preview(rate_limit_workspace_per_hour=5, marketing={"max_attempts": 3})
    assert [change.field for change in found.changes] == ["marketing.max_attempts"]
    assert found.tried.version == found.in_force.version == 1


def test_nothing_to_look_at_is_an_answer():
    put(1, workspace_id=WORKSPACE_B)
    found = preview()
    assert (found.looked_at, found.samples, found.domains) == (0, [], [])


def test_the_window_says_how_far_it_looks():
    put(10, 60 * 23, 60 * 25, 60 * 24 * 6, 60 * 24 * 8)
    assert preview(window=Window.DAY).looked_at == 2
    assert preview(window=Window.WEEK).looked_at == 4


def test_what_came_in_the_hour_before_the_window_is_in_the_limits_and_not_in_the_figures():
    put(60 * 24 + 20, 60 * 24 - 20)
    found = preview(rate_limit_workspace_per_hour=1)
    assert (found.looked_at, found.figures.rejected) == (1, 1)


def test_a_scheduled_message_counts_at_its_time():
    put(90, 10)
    query(
        "UPDATE messages SET scheduled_at = now() - interval '15 minutes'"
        " WHERE created_at < now() - interval '1 hour'"
    )
    found = preview(rate_limit_workspace_per_hour=1)
    assert (found.figures.passed, found.figures.rejected) == (1, 1)


def test_what_was_stopped_uses_up_no_limit_but_is_rejected_before():
    put(30, 20, status="suppressed")
    put(10)
    found = preview(rate_limit_workspace_per_hour=1)
    assert (found.figures.suppressed, found.figures.passed) == (2, 1)
    blocked = preview(blocked_recipient_domains=["example.org"])
    assert (blocked.figures.suppressed, blocked.figures.rejected) == (0, 3)


def test_a_lifetime_ends_a_deferral():
    put(30, 20, 10)
    changes = {"rate_limit_workspace_per_hour": 1, "on_limit": "defer"}
    assert preview(**changes).figures.deferred == 2
    short = preview(**changes, transactional={"lifetime_seconds": 3_600})
    assert (short.figures.deferred, short.figures.rejected) == (1, 1)


def test_a_deferred_sample_says_until_when():
    put(30, 20)
    [(_, passed), (message, deferred)] = preview(
        rate_limit_workspace_per_hour=1, on_limit="defer"
    ).samples
    assert (passed.outcome, passed.check, passed.deferred_until) == (Outcome.PASSED, None, None)
    assert deferred.check is Check.WORKSPACE_LIMIT
    waits = deferred.deferred_until - message.created_at.timestamp()
    assert 45 * 60 <= waits <= 60 * 60


def test_only_the_newest_are_looked_at_and_the_window_says_so(monkeypatch):
    put(50, 40, 30, 20, 10)
    monkeypatch.setattr(policy_previews, "LOOKED_AT_MAX", 2)
    found = preview(rate_limit_workspace_per_hour=4)
    assert found.is_truncated
    # Those before are in the limits all the same.
    assert (found.looked_at, found.figures.passed, found.figures.rejected) == (2, 1, 1)
    third = Message.select().order_by(Message.created_at)[2]
    assert found.since == third.created_at
    monkeypatch.setattr(policy_previews, "LOOKED_AT_MAX", 5)
    assert not preview().is_truncated


def test_messages_of_one_moment_are_told_apart_where_it_is_cut(monkeypatch):
    put(10, 10, 10, 10)
    query("UPDATE messages SET created_at = now() - interval '10 minutes'")
    monkeypatch.setattr(policy_previews, "LOOKED_AT_MAX", 3)
    found = preview(rate_limit_workspace_per_hour=3)
    assert (found.looked_at, found.figures.passed, found.figures.rejected) == (3, 2, 1)


def test_the_warm_up_is_bounded_too(monkeypatch):
    put(*[60 * 24 + 10] * 4, 60 * 24 - 10)
    monkeypatch.setattr(policy_previews, "WARM_UP_MAX", 2)
    assert preview(rate_limit_workspace_per_hour=2).figures.rejected == 1
    assert preview(rate_limit_workspace_per_hour=3).figures.passed == 1


def test_many_rows_are_read_in_pieces(monkeypatch):
    monkeypatch.setattr(policy_previews, "_FETCH", "FETCH 2 FROM preview")
    put(5, 4, 3, 2, 1)
    assert preview().looked_at == 5


@pytest.mark.parametrize("name", ["STATEMENT_TIMEOUT_MS", "TIMEOUT_SECONDS"])
def test_one_that_takes_too_long_is_cut_off_with_words(monkeypatch, name):
    put(5)
    if name == "STATEMENT_TIMEOUT_MS":
        monkeypatch.setattr(policy_previews, name, 50)
        monkeypatch.setattr(policy_previews, "_FETCH", "SELECT pg_sleep(60)")
    else:
        monkeypatch.setattr(policy_previews, name, -1.0)
    with pytest.raises(Unavailable, match="took too long") as caught:
        preview()
    assert caught.value.retry_after_seconds
    assert query("SELECT 1").fetchone() == (1,)


def test_it_refuses_what_no_policy_may_say():
    with pytest.raises(InvalidFields) as caught:
        policy_previews.run(
            WORKSPACE_A, changes={"on_limit": "x"}, window=Window.DAY, within="policy."
        )
    assert [error.field for error in caught.value.errors] == ["policy.on_limit"]


def test_it_knows_the_workspaces_that_there_are():
    with pytest.raises(NotFound, match="workspace 999"):
        preview(999)


def test_the_default_policy_can_be_tried_as_it_is():
    put(1)
    found = preview()
    assert found.figures == found.in_force_figures
    assert found.changes == []
    assert dataclasses.replace(found.tried, on_limit=OnLimit.REJECT) == policies.default()


# -- a preview, and the same mail once more with that policy in force -----------------------------

STRICT = {
    "rate_limit_workspace_per_hour": 70,
    "rate_limit_domain_per_hour": 30,
    "blocked_recipient_domains": ["*.blocked.example", "blocked.example"],
    "allowed_from_domains": ["example.com", "*.example.com"],
    "marketing": {"lifetime_seconds": 3_600},
}
DOMAINS = ("big.example", "big.example", "mid.example", "a.example", "sub.blocked.example")
SENDERS = ("shop@example.com", "shop@mail.example.com", "shop@example.com", "shop@other.example")


def mail(chance):
    """A message of many kinds, and now and then several alike at once."""
    soon = datetime.now(UTC) + timedelta(minutes=chance.randrange(10, 200))
    new = NewMessage(
        from_email=chance.choice(SENDERS),
        to_email=f"user{chance.randrange(60)}@{chance.choice(DOMAINS)}",
        subject="Hello",
        body_text="Hello.",
        stream=chance.choice(list(Stream)),
        scheduled_at=soon if chance.random() < 0.1 else None,
    )
    return [new] * (chance.randrange(2, 9) if chance.random() < 0.1 else 1)


def accept_all(workspace_id, groups):
    """Accept each group at once; what became of each message, in their order."""
    outcomes = []
    for group in groups:
        outcomes += messages.accept_many(workspace_id, group)
    return outcomes


def what_became_of(outcome):
    """As a preview tells it: the outcome and the check that decided."""
    if isinstance(outcome, ForbiddenFromDomain):
        return Outcome.REJECTED, Check.FROM_DOMAIN
    if isinstance(outcome, BlockedRecipientDomain):
        return Outcome.REJECTED, Check.RECIPIENT_DOMAIN
    if isinstance(outcome, RateLimited):
        is_all = outcome.detail.startswith("This workspace")
        return Outcome.REJECTED, Check.WORKSPACE_LIMIT if is_all else Check.DOMAIN_LIMIT
    assert isinstance(outcome, Message)
    if outcome.status is Status.SUPPRESSED:
        return Outcome.SUPPRESSED, None
    if outcome.next_attempt_at == max(outcome.created_at, outcome.scheduled_at or ago(days=1)):
        return Outcome.PASSED, None
    decision = Event.get(Event.message == outcome.id, Event.type == "message.accepted").data
    waiting = [one["check"] for one in decision["decision"]["checks"] if one["verdict"] == "wait"]
    return Outcome.DEFERRED, Check(waiting[-1])


@pytest.mark.parametrize("on_limit", OnLimit)
def test_the_same_mail_under_that_policy_comes_to_the_same(on_limit):
    strict = {**STRICT, "on_limit": on_limit.value}
    save(WORKSPACE_B, **strict)
    for workspace_id in (WORKSPACE_A, WORKSPACE_B):
        for number in range(10):
            suppressions.add(workspace_id, f"user{number}@big.example", reason="r", source="api")
    for seed in range(5):
        chance = random.Random(seed)
        groups = [mail(chance) for _ in range(400)]
        accepted = accept_all(WORKSPACE_A, groups)
        assert all(isinstance(one, Message) for one in accepted)
        found = preview(**strict)
        became = [what_became_of(one) for one in accept_all(WORKSPACE_B, groups)]
        slots = query("SELECT min(created_at), clock_timestamp() FROM messages").fetchone()
        if len({slot_of(at.timestamp()) for at in slots}) == 1:
            break
        # What lies in two slots of five minutes has other windows: once more, from nothing.
        query("DELETE FROM messages")
        query("DELETE FROM limit_tallies")
    else:
        pytest.fail("five times in a row it went on into another slot")
    outcomes = Counter(outcome for outcome, _ in became)
    by_check = Counter(check for _, check in became if check is not None)
    figures = found.figures
    assert {o: getattr(figures, o) for o in Outcome if getattr(figures, o)} == outcomes
    assert {check: count for check, count in figures.by_check.items() if count} == by_check
    assert found.looked_at == found.in_force_figures.total == len(became)
    assert found.in_force_figures.passed + found.in_force_figures.suppressed == len(became)
    # It is about something: each check stops some, and some pass.
    assert set(by_check) == set(DECISIVE)
    assert min(outcomes[Outcome.PASSED], outcomes[Outcome.SUPPRESSED]) > 0
    assert (outcomes[Outcome.DEFERRED] > 0) is (on_limit is OnLimit.DEFER)


def test_of_one_person_one_preview_runs_at_a_time():
    put(1)
    with ThreadPoolExecutor(1) as pool, db.database.atomic():
        assert locks.take_trial(7)

        def try_as(person_id):
            with db.connection():
                return policy_previews.run(
                    WORKSPACE_A, changes={}, window=Window.DAY, person_id=person_id
                )

        with pytest.raises(UnderWay, match="still under way"):
            pool.submit(try_as, 7).result()
        assert pool.submit(try_as, 8).result().looked_at == 1
    assert (
        policy_previews.run(WORKSPACE_A, changes={}, window=Window.DAY, person_id=7).looked_at == 1
    )
