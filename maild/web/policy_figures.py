"""A preview of a policy in words: what it would have stopped, why, and of which mail."""

from dataclasses import dataclass
from datetime import UTC, datetime

from maild import clock
from maild.domain.policy import Check
from maild.domain.policy_trial import DomainFigures, Figures, Outcome, Sample
from maild.errors import Unavailable
from maild.models import Message
from maild.services import policy_previews
from maild.services.policy_previews import Preview, UnderWay, Window
from maild.web import access, filters, policy_words
from maild.web.badges import Badge

TIMEOUT_SECONDS = 8.0
"""Somebody waits in front of the page."""
SAMPLES_SHOWN = 10

_CHECKS: dict[Check, str] = {
    Check.FROM_DOMAIN: "From domain not allowed",
    Check.RECIPIENT_DOMAIN: "Recipient domain blocked",
    Check.WORKSPACE_LIMIT: "Hourly limit, all together",
    Check.DOMAIN_LIMIT: "Hourly limit, to one domain",
}
_REJECTED = Badge("refused", "cross", "bad")
_DEFERRED = Badge("put off", "clock", "warn")


@dataclass(frozen=True, slots=True)
class ToldSample:
    """A message that would have been stopped, and by what."""

    message: Message
    badge: Badge
    why: str


@dataclass(frozen=True, slots=True)
class Told:
    """A preview in words. `warning` is told where the changes are saved; None where they stop no
    more than the rules in force. `checks` are words with the numbers under the rules tried, and
    under those in force.
    """

    headline: str
    warning: str | None
    looked_at: int
    figures: Figures
    in_force: Figures
    is_changed: bool
    checks: list[tuple[str, int, int]]
    domains: list[DomainFigures]
    samples: list[ToldSample]
    since: datetime | None
    """From when on the messages are, where there are too many for the whole window."""


@dataclass(frozen=True, slots=True)
class Outlook:
    """A preview, or why there is none: `trouble` is a sentence, and `is_busy` says that another one
    of the same person is not done.
    """

    told: Told | None
    trouble: str = ""
    is_busy: bool = False


def look(changes: dict[str, object], window: Window) -> Outlook:
    """Try these changes over the window. Raises InvalidFields."""
    try:
        preview = policy_previews.run(
            access.current_workspace_id(),
            changes=changes,
            window=window,
            person_id=access.visitor().id,
            timeout_seconds=TIMEOUT_SECONDS,
        )
    except UnderWay as error:
        return Outlook(None, error.detail, is_busy=True)
    except Unavailable as error:
        return Outlook(None, error.detail)
    return Outlook(tell(preview, window))


def tell(preview: Preview, window: Window) -> Told:
    """A preview in words."""
    span = policy_words.WINDOW[window]
    tried, now = _stopped(preview.figures), _stopped(preview.in_force_figures)
    of_all = f"{_count(tried)} of {_messages(preview.looked_at)} of {span}"
    if not preview.looked_at:
        headline = f"No message was accepted in {span}: there is nothing to try it on."
    elif preview.changes:
        headline = f"Would have stopped {of_all}. The rules in force: {_count(now)}."
    else:
        headline = f"The rules in force would have stopped {of_all}."
    warning = None
    if tried > now:
        warning = f"This would have stopped {of_all}; the rules in force, {_count(now)}."
    return Told(
        headline=headline,
        warning=warning,
        looked_at=preview.looked_at,
        figures=preview.figures,
        in_force=preview.in_force_figures,
        is_changed=bool(preview.changes),
        checks=[
            (words, preview.figures.by_check[check], preview.in_force_figures.by_check[check])
            for check, words in _CHECKS.items()
            if preview.figures.by_check[check] or preview.in_force_figures.by_check[check]
        ],
        domains=preview.domains,
        samples=[
            _sample(message, sample)
            for message, sample in preview.samples
            if sample.outcome in (Outcome.REJECTED, Outcome.DEFERRED)
        ][:SAMPLES_SHOWN],
        since=preview.since if preview.is_truncated else None,
    )


def _sample(message: Message, sample: Sample) -> ToldSample:
    evidence = sample.evidence
    if sample.check is Check.RECIPIENT_DOMAIN:
        why = f"blocked by {evidence['entry']}"
    elif sample.check is Check.FROM_DOMAIN:
        why = f"From domain {evidence['value']} is not allowed"
    else:
        scope = "to this domain" if sample.check is Check.DOMAIN_LIMIT else "all together"
        why = f"limit of {evidence['limit']:,} an hour {scope}"
    if sample.deferred_until is None:
        return ToldSample(message, _REJECTED, why)
    until = filters.moment(datetime.fromtimestamp(sample.deferred_until, UTC), now=clock.now())
    return ToldSample(message, _DEFERRED, f"{why}, until {until}")


def _stopped(figures: Figures) -> int:
    return figures.rejected + figures.deferred


def _count(number: int) -> str:
    return f"{number:,}" if number else "none"


def _messages(number: int) -> str:
    return f"{number:,} message{'' if number == 1 else 's'}"
