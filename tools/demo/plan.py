"""The demo's story: which mail, in which order, and when it shall seem to have been submitted.
Pure.

A run tells of the time since the run before it, of 24 hours at most: everyday mail, a campaign, an
outage of the first provider an hour ago, in which the second one did not take all of it either, and
what has come since. Mail is submitted in the order of the story, within a minute; `past` moves it
to its times afterwards. Where too little time has passed for that, everything stays when it really
happened.
"""

from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from itertools import accumulate
from random import Random

from tools.demo import content
from tools.demo.content import Body, Person

DAY = timedelta(hours=24)
SPREAD_MIN = timedelta(minutes=15)
"""Less than this is not spread."""
OUTAGE_AGO, OUTAGE_LENGTH = timedelta(minutes=57), timedelta(minutes=6)
REFUSED_SHARE = 0.4
"""Of the outage: so long the second provider knows nothing of the sender's domain."""
CAMPAIGN_LENGTH = timedelta(minutes=40)
CUSTOMERS = 260
HOUR_WEIGHTS = (
    2,
    1,
    1,
    1,
    1,
    2,
    4,
    8,
    12,
    15,
    15,
    14,
    13,
    13,
    12,
    12,
    12,
    13,
    15,
    17,
    16,
    12,
    7,
    4,
)
"""How busy a shop is by the hour of the day, in UTC."""


class Stage(StrEnum):
    """A part of the story. Between two of them people do something by hand."""

    BEFORE = "before"
    CAMPAIGN = "campaign"
    AFTER = "after"
    REFUSED = "refused"
    """The first provider is out, and the second refuses the sender."""
    OUTAGE = "outage"
    """The first provider is still out."""
    SINCE = "since"


@dataclass(frozen=True, slots=True)
class Window:
    """The time that a run tells of. Its stages begin at `begins`, in order; it ends at `end`."""

    begins: dict[Stage, datetime]
    end: datetime
    is_spread: bool

    @property
    def length(self) -> timedelta:
        return self.end - self.begins[Stage.BEFORE]

    def span(self, stage: Stage) -> tuple[datetime, datetime]:
        """When a stage begins and ends."""
        stages = list(Stage)
        place = stages.index(stage) + 1
        return self.begins[stage], self.begins[stages[place]] if place < len(stages) else self.end

    def stage_of(self, at: datetime) -> Stage:
        """The stage that a moment belongs to."""
        return [stage for stage, begin in self.begins.items() if begin <= at][-1]


@dataclass(frozen=True, slots=True)
class Planned:
    """A message of the story. `deed` says what is done to it later, if anything."""

    at: datetime
    body: Body
    deed: str = ""

    @property
    def is_marketing(self) -> bool:
        return self.body.get("stream") == "marketing"


@dataclass(slots=True)
class Plan:
    """The messages by stage, each in the order of the story."""

    window: Window
    customers: list[Person]
    messages: dict[Stage, list[Planned]] = field(default_factory=dict)


def window(now: datetime, last_at: datetime | None) -> Window:
    """The time since `last_at`, when something happened last, of a day at most."""
    begin = max(now - DAY, last_at) if last_at else now - DAY
    length = max(now - begin, timedelta(0))
    outage_at = now - min(OUTAGE_AGO, length * 0.35)
    # Letters are sent when people read them.
    places = [begin + (outage_at - begin) * share / 100 for share in range(25, 85, 5)]
    campaign_at = max(places, key=lambda at: HOUR_WEIGHTS[at.hour])
    outage_length = min(OUTAGE_LENGTH, length * 0.1)
    begins = {
        Stage.BEFORE: begin,
        Stage.CAMPAIGN: campaign_at,
        Stage.AFTER: campaign_at + min(CAMPAIGN_LENGTH, length * 0.05),
        Stage.REFUSED: outage_at,
        Stage.OUTAGE: outage_at + outage_length * REFUSED_SHARE,
        Stage.SINCE: outage_at + outage_length,
    }
    return Window(begins, now, is_spread=length >= SPREAD_MIN)


def times(rng: Random, count: int, begin: datetime, end: datetime) -> list[datetime]:
    """So many moments between the two, in order, as busy as the hours of the day are."""
    pieces = 288
    step = (end - begin) / pieces
    weights = [HOUR_WEIGHTS[(begin + step * piece).hour] for piece in range(pieces)]
    sums = list(accumulate(weights))
    found = []
    for _ in range(count):
        piece = bisect_left(sums, rng.random() * sums[-1])
        found.append(begin + step * (piece + rng.random()))
    return sorted(found)


def make(rng: Random, now: datetime, last_at: datetime | None, *, scale: float = 1.0) -> Plan:
    """The whole story; `scale` is how much mail of the usual kind there is, 1 for a run by hand."""
    plan = Plan(window(now, last_at), content.make_customers(rng, CUSTOMERS))
    builder = _Builder(rng, plan, scale)
    builder.everyday(450, Stage.BEFORE, Stage.AFTER)
    builder.everyday(14, Stage.REFUSED)
    builder.everyday(16, Stage.OUTAGE)
    builder.everyday(70, Stage.SINCE)
    builder.campaign(150, Stage.CAMPAIGN, content.letter)
    builder.campaign(40, Stage.SINCE, content.arrivals)
    _add_foreign(builder)
    _add_faults(builder, now)
    for planned in plan.messages.values():
        planned.sort(key=lambda one: one.at)
    return plan


SUPPRESSED = (
    "returns-desk@example.net",
    "old-partner@example.org",
    "do-not-write@fastpost.example",
)
"""Who is suppressed by hand, and written to all the same."""


def _add_foreign(builder: "_Builder") -> None:
    rng = builder.rng
    for number, subject in enumerate(content.SUBJECTS):
        stage = Stage.SINCE if number % 2 else Stage.AFTER
        body = content.foreign(rng, builder.customer(), subject)
        builder.add(stage, body)
    for stage in (Stage.BEFORE, Stage.AFTER, Stage.SINCE):
        body = content.answered(rng, builder.customer())
        builder.add(stage, {**body, "cc": [f"archive@{content.DOMAIN}", builder.customer().email]})


def _add_faults(builder: "_Builder", now: datetime) -> None:
    """What goes wrong, each by its recipient's name."""
    for place, name in enumerate(("closed-account", "typo", "left-the-company", "hweber", "info2")):
        stage = (Stage.BEFORE, Stage.AFTER)[place % 2]
        builder.fault(stage, f"permfail+{builder.fresh(name)}@webmail.example")
    for name in ("kaya", "lange", "moreau", "sato"):
        builder.fault(Stage.BEFORE, f"greylist+{builder.fresh(name)}@posthorn.example")
    for name in ("archive", "list-17", "old-phone"):
        to = Person("Full Mailbox", f"tempfail+{name}@city-post.example")
        builder.add(Stage.CAMPAIGN, content.letter(to))
    for name in ("becker", "olsen", "rossi", "silva"):
        builder.fault(Stage.AFTER, f"drop-after-dot+{name}@fastpost.example")
    builder.fault(Stage.AFTER, "slow+2@uni-nordhafen.example", "slow+3@uni-nordhafen.example")
    for email in (*SUPPRESSED, SUPPRESSED[0]):
        builder.fault(Stage.AFTER, email)
    for domain in content.BLOCKED_DOMAINS:
        builder.fault(Stage.AFTER, f"anybody@{domain}", deed="rejected")
    for _ in range(3):
        body = content.code(builder.rng, builder.customer())
        pinned = {**body, "smtp_account": "fallback-postfix"}
        builder.add(Stage.BEFORE, pinned, deed="expires")
    _add_latest(builder, now)


def _add_latest(builder: "_Builder", now: datetime) -> None:
    """What is not finished yet."""
    for name in ("desk", "gate", "stores", "crew", "captain", "office"):
        builder.fault(Stage.SINCE, f"{name}@{content.FROZEN_DOMAIN}")
    for name in ("meyer", "novak", "kim"):
        builder.fault(Stage.SINCE, f"tempfail+{name}@city-post.example", late=True)
    for name in ("duarte", "fischer", "tanaka"):
        email = f"greylist+{builder.fresh(name)}@posthorn.example"
        builder.fault(Stage.SINCE, email, late=True)
    # The provider's fault: they are tried again and again, until their lifetime ends.
    until = {"expires_at": (now + timedelta(minutes=15)).isoformat()}
    for name in ("throttle+1", "drop-before-dot+1"):
        body = content.code(builder.rng, Person("Somebody", f"{name}@webmail.example"))
        builder.add(Stage.SINCE, {**body, **until}, late=True)
    deeds = ("", "", "cancel", "cancel", "hold")
    for hours, deed in zip((2, 14, 20, 26, 5), deeds, strict=True):
        body = content.answered(builder.rng, builder.customer())
        at = now + timedelta(hours=hours)
        told = {"subject": f"Your pick-up is at {at:%H:%M} on {at:%A}", "tags": ["reminder"]}
        body = {**body, **told, "scheduled_at": at.isoformat()}
        builder.add(Stage.SINCE, body, deed=deed)


class _Builder:
    """Puts messages into a plan, at times of their stage."""

    def __init__(self, rng: Random, plan: Plan, scale: float) -> None:
        self.rng = rng
        self._plan = plan
        self._scale = scale
        plan.messages = {stage: [] for stage in Stage}

    def customer(self) -> Person:
        return self.rng.choice(self._plan.customers)

    def fresh(self, name: str) -> str:
        """A name that no run before has used: the inbox remembers, and so do suppressions."""
        return f"{name}.{self.rng.randrange(1_000, 10_000)}"

    def everyday(self, count: int, first: Stage, last: Stage | None = None) -> None:
        """What customers cause, over one stage, or from one to another."""
        begin, end = self._plan.window.begins[first], self._plan.window.span(last or first)[1]
        for at in times(self.rng, self._count(count), begin, end):
            body = content.transactional(self.rng, self.customer())
            self._plan.messages[self._plan.window.stage_of(at)].append(Planned(at, body))

    def campaign(self, count: int, stage: Stage, write: Callable[[Person], Body]) -> None:
        """All at once: within a third of the stage."""
        begin, end = self._plan.window.span(stage)
        middle = begin + (end - begin) / 3
        readers = self.rng.sample(self._plan.customers, self._count(count))
        for reader, at in zip(readers, times(self.rng, len(readers), begin, middle), strict=True):
            self._plan.messages[stage].append(Planned(at, write(reader)))

    def fault(self, stage: Stage, *emails: str, deed: str = "", late: bool = False) -> None:
        """Mail to these addresses; `late`: in the last minutes of the stage."""
        for email in emails:
            name = email.partition("@")[0].rpartition("+")[2].title()
            body = content.transactional(self.rng, Person(name, email))
            self.add(stage, body, deed=deed, late=late)

    def add(self, stage: Stage, body: Body, *, deed: str = "", late: bool = False) -> None:
        begin, end = self._plan.window.span(stage)
        if late:
            begin = end - min((end - begin) / 8, timedelta(minutes=1))
        at = times(self.rng, 1, begin, end)[0]
        self._plan.messages[stage].append(Planned(at, body, deed))

    def _count(self, count: int) -> int:
        return max(3, round(count * self._scale))


def groups(planned: Sequence[Planned], most: int) -> Iterator[list[Planned]]:
    """The messages in their order, as they are submitted together: of one stream, `most` at a
    time.
    """
    group: list[Planned] = []
    for one in planned:
        if group and (len(group) == most or group[0].is_marketing != one.is_marketing):
            yield group
            group = []
        group.append(one)
    if group:
        yield group
