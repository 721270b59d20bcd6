"""Before a campaign is sent: what stops it, what its senders should know, whom it would reach.

What stops it is found without counting anything, and asked again whenever somebody submits,
approves or schedules it. Counting is for people who look.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

from maild import clock
from maild.domain import campaign_forecast, campaign_schedule
from maild.domain.campaign import CampaignStatus
from maild.domain.policy import Policy
from maild.domain.states import Stream
from maild.domain.template import Finding, Severity
from maild.errors import Conflict, FieldError, SearchTooLong
from maild.models import Campaign, SmtpAccount
from maild.models.smtp_account import DEFAULT_ACCOUNT
from maild.services import (
    campaign_contents,
    campaign_reach,
    freezes,
    merge_fields,
    policies,
    smtp_accounts,
    template_checks,
    template_rendering,
    templates,
    topics,
)
from maild.services.campaign_contents import Content
from maild.services.campaign_reach import Condition, Lacking, Reach

RENDERED_MAX = 1_000
"""So many contacts that lack something are filled in one by one, where the template has branches:
perhaps they do not need it. Of more of them the figure is the most that it can be.
"""
ROOMY_LIFETIME = timedelta(hours=6)
"""Messages that live less long are told of: providers defer mail for hours."""
WORTH_TELLING = timedelta(minutes=10)
"""What is over sooner needs no word."""
_RANK = {severity: rank for rank, severity in enumerate(Severity)}


@dataclass(frozen=True, slots=True)
class Report:
    """What there is to know before it is sent; findings are the gravest first.

    `reach` is None where there is no audience, or it could not be counted in time. `lacking` are
    merge fields that some contacts have no value for; `is_lacking_exact`: else it is for so many at
    most. `takes` is how long it is under way at its pace and the policy's: zero where nothing slows
    it down, None where that is not known, or is more than years.
    """

    findings: tuple[Finding, ...]
    audience_name: str | None
    reach: Reach | None
    lacking: tuple[Lacking, ...]
    is_lacking_exact: bool
    per_hour: int | None
    takes: timedelta | None

    @property
    def stops(self) -> list[Finding]:
        return [one for one in self.findings if one.severity is Severity.STOP]

    @property
    def can_be_sent(self) -> bool:
        return not self.stops


@dataclass(frozen=True, slots=True)
class _Subject:
    """A campaign with all that is looked at, read once."""

    campaign: Campaign
    content: Content | None
    condition: Condition | None
    broken: str | None
    """Why the rules of its segment do not hold any more."""
    policy: Policy
    accounts: Sequence[SmtpAccount]


def check(campaign: Campaign) -> Report:
    """Look at all of it, and count whom it is for."""
    subject = _read(campaign)
    findings = [*_list_stops(subject), *_list_warnings(subject)]
    reach: Reach | None = None
    lacking: list[Lacking] = []
    is_exact = True
    per_hour = _slowest(campaign.per_hour, subject.policy.rate_limit_workspace_per_hour)
    if subject.condition is not None:
        try:
            reach = campaign_reach.count_reach(campaign, subject.condition)
            findings += _of_reach(subject, reach)
            findings += _of_domains(subject, subject.condition)
            if subject.content is not None:
                lacking, is_exact = _count_lacking(campaign, subject.content, subject.condition)
                findings += _of_lacking(lacking, is_exact=is_exact)
        except SearchTooLong:
            findings.append(_TOO_SLOW)
    takes = None
    if reach is not None:
        takes = campaign_forecast.how_long(
            reach.can_be_mailed,
            per_hour=per_hour,
            ramp=campaign.ramp,
            test_wait=timedelta(minutes=campaign.test_minutes or 0),
        )
        findings += _of_time(campaign, reach.can_be_mailed, per_hour, takes)
    return Report(
        findings=tuple(sorted(_once_each(findings), key=lambda one: _RANK[one.severity])),
        audience_name=campaign_reach.name_of(campaign),
        reach=reach,
        lacking=tuple(lacking),
        is_lacking_exact=is_exact,
        per_hour=per_hour,
        takes=takes,
    )


def require_sendable(campaign: Campaign) -> int:
    """The version of the template that would be sent. Raises Conflict, whose `errors` are all that
    stops it.
    """
    subject = _read(campaign)
    stops = [one for one in _list_stops(subject) if one.severity is Severity.STOP]
    if stops or subject.content is None:
        errors = [FieldError(one.code, f"{one.message} {one.advice}".strip()) for one in stops]
        more = len(stops) - 1
        also = f" ({more} more)" if more else ""
        raise Conflict(f"It cannot be sent: {stops[0].message}{also}", errors=errors)
    return int(subject.content.version.version)


def _read(campaign: Campaign) -> _Subject:
    condition, broken = None, None
    try:
        condition = campaign_reach.find(campaign)
    except Conflict as error:
        broken = error.detail
    return _Subject(
        campaign=campaign,
        content=campaign_contents.find(campaign),
        condition=condition,
        broken=broken,
        policy=policies.get(campaign.workspace_id),
        accounts=smtp_accounts.list_all(campaign.workspace_id),
    )


def _list_stops(subject: _Subject) -> Iterator[Finding]:
    """What stops it; also what else its template is found to be."""
    yield from _of_audience(subject)
    yield from _of_template(subject)
    yield from template_checks.check_sender(
        subject.campaign.workspace_id, subject.campaign.from_email
    )
    yield from _of_accounts(subject)
    yield from _of_schedule(subject.campaign)


def _list_warnings(subject: _Subject) -> Iterator[Finding]:
    campaign = subject.campaign
    for freeze in freezes.list_page(campaign.workspace_id).freezes:
        own = {
            "workspace": None,
            "stream": Stream.MARKETING.value,
            "from_email": campaign.from_email.lower(),
        }
        if freeze.kind in own and own[freeze.kind] == freeze.target:
            yield _warn(
                "frozen",
                f"Its mail is frozen: {freeze.reason}",
                "It waits until the freeze ends, or is lifted.",
            )
    if campaign.topic and topics.find(campaign.workspace_id, campaign.topic) is None:
        yield _hint(
            "topic_not_declared",
            f"The topic “{campaign.topic}” is not declared.",
            "Declare it, and recipients read its name where they choose what they get.",
        )
    lifetime = timedelta(seconds=subject.policy.marketing.lifetime_seconds)
    if lifetime < ROOMY_LIFETIME:
        yield _warn(
            "short_lifetime",
            f"By the policy a marketing message lives {_hours(lifetime)}. Who cannot be reached"
            " within that time gets nothing.",
            "Let marketing messages live longer, in the policy.",
        )


def _of_audience(subject: _Subject) -> Iterator[Finding]:
    kind = subject.campaign.audience_kind
    if subject.broken is not None:
        yield _stop(
            "segment_broken",
            subject.broken,
            "Or choose another segment.",
        )
    elif subject.condition is None:
        yield _stop(
            "no_audience",
            f"No {kind} is chosen, or it was deleted.",
            f"Choose a {kind}.",
        )
    elif campaign_reach.is_empty(subject.condition):
        yield _stop(
            "audience_empty",
            "Nobody is in its audience.",
            "Choose another audience, or add contacts to it.",
        )


def _of_template(subject: _Subject) -> Iterator[Finding]:
    campaign, content = subject.campaign, subject.content
    if content is None:
        yield _stop(
            "no_template",
            "No template is chosen, or it was deleted.",
            "Choose a template.",
        )
        return
    if content.template.archived_at is not None:
        yield _stop(
            "template_archived",
            f"The template “{content.template.name}” is archived.",
            "Bring it back, or choose another one.",
        )
    source = templates.source_of(content.version)
    for text in content.subjects.values():
        yield from template_checks.check(
            campaign.workspace_id,
            replace(source, subject=text),
            templates.compiled_of(content.version),
        )
    for name in campaign_contents.list_needed(content):
        if name.startswith("data.") or (
            name.startswith("campaign.") and name not in campaign_contents.KNOWN
        ):
            yield _stop(
                "field_without_value",
                f"“{name}” has no value in a campaign.",
                "Give it a default, or take it out of the template.",
            )


def _of_accounts(subject: _Subject) -> Iterator[Finding]:
    wanted, accounts = subject.campaign.smtp_account, subject.accounts
    active = next((one for one in accounts if one.is_active), None)
    if wanted is not None and wanted != DEFAULT_ACCOUNT:
        named = next((one for one in accounts if one.name == wanted), None)
        if named is None:
            yield _stop(
                "no_account",
                f"There is no SMTP account named “{wanted}”.",
                "Choose another account, or none in particular.",
            )
            return
        active = named
    elif wanted == DEFAULT_ACCOUNT:
        active = None
    if active is None:
        if wanted is None and any(not one.is_sandbox for one in accounts):
            yield _warn(
                "no_active_account",
                "None of the workspace's SMTP accounts is active: mail goes through the account of"
                " the environment.",
                "Activate the account that the campaign is to go through.",
            )
        return
    if active.is_sandbox:
        yield _warn(
            "sandbox",
            "Mail goes to the sandbox: it reaches nobody.",
            "Activate an SMTP account of a provider when it is meant in earnest.",
        )
    others = [one for one in accounts if one.paused_at is None and not one.is_sandbox]
    if active.paused_at is not None and (wanted is not None or not others):
        yield _stop(
            "account_paused",
            f"The SMTP account “{active.name}” is paused, and no other may stand in for it.",
            "Resume it, or choose another account.",
        )


def _of_schedule(campaign: Campaign) -> Iterator[Finding]:
    if campaign.send_at is None or campaign.status not in {
        CampaignStatus.DRAFT,
        CampaignStatus.IN_REVIEW,
    }:
        return
    try:
        moment = campaign_schedule.find_moment(campaign.send_at, campaign.time_zone)
    except ValueError as error:
        yield _stop("bad_time", f"Its time {error}.", "Choose another time.")
        return
    if moment.at <= clock.now():
        yield _stop(
            "time_is_over",
            "The time at which it is to begin is over already.",
            "Choose a time that is to come, or none.",
        )
    elif moment.comes_twice:
        yield _hint(
            "time_comes_twice",
            f"In {campaign.time_zone} clocks show that time twice on that day. It begins the first"
            f" time: at {moment.at:%H:%M} UTC.",
            "Choose a time an hour earlier or later to be clear.",
        )


def _of_reach(subject: _Subject, reach: Reach) -> Iterator[Finding]:
    if reach.audience and not reach.can_be_mailed:
        yield _warn(
            "nobody_to_mail",
            "Nobody in its audience can be mailed now.",
            "All of them are suppressed or have unsubscribed.",
        )
    if reach.pending:
        yield _hint(
            "pending",
            f"{_contacts(reach.pending)} not confirmed the address yet, and get"
            f"{'s' if reach.pending == 1 else ''} nothing.",
            "They are in the audience as soon as they confirm, if that is before it begins.",
        )
    if (percent := subject.campaign.test_percent) is not None:
        tested = reach.audience * percent // 100
        if tested < 2:
            yield _warn(
                "test_too_small",
                f"{percent} % of the audience are not two contacts: nothing can be tested.",
                "Test with more of it, or with one subject only.",
            )


def _of_domains(subject: _Subject, condition: Condition) -> Iterator[Finding]:
    policy = subject.policy
    most = policy.rate_limit_domain_per_hour
    if not policy.blocked_recipient_domains and most is None:
        return
    domains = campaign_reach.count_domains(condition)
    blocked = [(name, count) for name, count in domains if policy.find_block(name)]
    if blocked:
        total = sum(count for _, count in blocked)
        yield _warn(
            "blocked_domains",
            f"{_contacts(total)} an address at a domain that the policy blocks, such as"
            f" {blocked[0][0]}: the mail fails.",
            "Leave them out of the audience, or have an admin unblock the domain.",
        )
    if most is not None and domains and domains[0][1] > most:
        name, count = domains[0]
        takes = campaign_forecast.how_long(count, per_hour=most, ramp=None)
        yield _hint(
            "domain_limit",
            f"By the policy {most:,} messages an hour go to one domain. The {count:,} to {name}"
            f" take {campaign_forecast.in_words(takes)}.",
            "Have an admin raise the limit if that is too slow.",
        )


def _of_lacking(lacking: Sequence[Lacking], *, is_exact: bool) -> Iterator[Finding]:
    for one in lacking:
        count = one.count
        most = "" if is_exact else "Up to "
        yield _warn(
            "missing_field",
            f"{most}{_contacts(count)} no value for contact.{one.name}. The mail to"
            f" {'that contact' if count == 1 else 'them'} fails, and is not sent.",
            "Give the field a default in the template, or fill it in for them.",
        )


def _of_time(
    campaign: Campaign, count: int, per_hour: int | None, takes: timedelta | None
) -> Iterator[Finding]:
    if takes is not None and takes < WORTH_TELLING:
        return
    pace = f"At {per_hour:,} an hour" if per_hour is not None else "At its pace"
    with_ramp = ", and fewer on its first days" if campaign.ramp and per_hour is not None else ""
    with_test = ", with the wait for its test" if campaign.test_minutes else ""
    contacts = "the one message takes" if count == 1 else f"the {count:,} messages take"
    yield _hint(
        "takes_time",
        f"{pace}{with_ramp}{with_test}, {contacts} {campaign_forecast.in_words(takes)}.",
        "Change its pace, or the limits of the policy, if that is not what you want.",
    )


def _count_lacking(
    campaign: Campaign, content: Content, condition: Condition
) -> tuple[list[Lacking], bool]:
    """What contacts lack of that it needs, and whether those are the exact figures."""
    needed = [
        campaign_contents.attribute_of(name) for name in campaign_contents.list_needed(content)
    ]
    names = [name for name in dict.fromkeys(needed) if name is not None and name != "email"]
    if not names:
        return [], True
    lacking = campaign_reach.count_lacking(condition, names)
    if not lacking or not campaign_contents.has_branches(content):
        return lacking, True
    rows = campaign_reach.list_lacking(condition, names, limit=RENDERED_MAX + 1)
    if len(rows) > RENDERED_MAX:
        return lacking, False
    counts: Counter[str] = Counter()
    samples: dict[str, list[str]] = {}
    for contact in rows:
        missing: dict[str, None] = {}
        for variant in content.subjects:
            try:
                data = template_rendering.contact_data(contact)
                filled = campaign_contents.render(campaign, content, data, variant=variant)
            except (merge_fields.MergeError, merge_fields.TooMuch):
                continue
            found = (campaign_contents.attribute_of(name) for name in filled.missing)
            missing |= {name: None for name in found if name is not None}
        for name in missing:
            counts[name] += 1
            samples.setdefault(name, []).append(contact.email)
    most = campaign_reach.SAMPLE_MAX
    return [Lacking(name, counts[name], tuple(samples[name][:most])) for name in counts], True


def _slowest(*limits: int | None) -> int | None:
    return min((one for one in limits if one is not None), default=None)


def _once_each(findings: Sequence[Finding]) -> list[Finding]:
    """Two subjects of one template have most findings in common."""
    return list(dict.fromkeys(findings))


def _contacts(count: int) -> str:
    return "1 contact has" if count == 1 else f"{count:,} contacts have"


def _hours(time: timedelta) -> str:
    minutes = int(time.total_seconds() // 60)
    if minutes < 120:
        return "a minute" if minutes == 1 else f"{minutes} minutes"
    return f"{minutes // 60} hours"


def _stop(code: str, message: str, advice: str) -> Finding:
    return Finding(Severity.STOP, code, message, advice)


def _warn(code: str, message: str, advice: str) -> Finding:
    return Finding(Severity.WARN, code, message, advice)


def _hint(code: str, message: str, advice: str) -> Finding:
    return Finding(Severity.HINT, code, message, advice)


_TOO_SLOW = _warn(
    "not_counted",
    "Its audience could not be counted in time.",
    "Try again later. It can be sent all the same.",
)
