"""What may be said of a campaign: checked, in the form in which rows have it. Writes nothing.

Changes are a mapping from the names of columns to values; what is left out stays as it is.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from maild.domain import campaign_schedule, submission
from maild.domain import template as template_limits
from maild.domain.campaign import AudienceKind, TestMetric
from maild.domain.submission import Complaint
from maild.domain.suppression import normalise_topic
from maild.errors import FieldError, InvalidFields, summarise
from maild.models import Campaign
from maild.services import addresses, audiences, merge_fields, segments, templates

NAME_MAX_CHARS = 200
PER_HOUR_MAX = 100_000_000
RAMP_DAYS_MAX = 90
TEST_MINUTES_MAX = 7 * 24 * 60

TEST = ("test_percent", "test_minutes", "test_metric")
NAMES = (
    "name", "audience_kind", "audience_id", "segment_id", "topic", "from_email", "from_name",
    "reply_to", "smtp_account", "template_id", "subject", "subject_b", *TEST, "per_hour", "ramp",
    "send_at", "time_zone",
)  # fmt: skip
"""All that a person says of a campaign."""
REQUIRED = ("name", "audience_kind", "from_email")
_WORDS = {
    "send_at": "must be the time of a clock, such as 2027-01-31T09:30:00, without an offset",
    "per_hour": f"must be a whole number from 1 to {PER_HOUR_MAX:,}",
    "test_percent": "must be a whole number from 1 to 100",
    "test_minutes": f"must be a whole number from 1 to {TEST_MINUTES_MAX:,}",
}


@dataclass(frozen=True, slots=True)
class _Range:
    least: int
    most: int

    def has(self, value: Any) -> bool:
        is_number = isinstance(value, int) and not isinstance(value, bool)
        return is_number and self.least <= value <= self.most


_RANGES = {
    "per_hour": _Range(1, PER_HOUR_MAX),
    "test_percent": _Range(1, 100),
    "test_minutes": _Range(1, TEST_MINUTES_MAX),
}


def values_of(campaign: Campaign) -> dict[str, Any]:
    """What a campaign says, as a change could say it."""
    return {name: getattr(campaign, name) for name in NAMES}


def check(
    workspace_id: int, changes: Mapping[str, Any], *, before: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """All that a campaign says with these changes to what it said before, in normal form.

    Raises InvalidFields with every complaint, and NotFound where it names a list, a segment or a
    template that the workspace does not have.
    """
    unknown = sorted(changes.keys() - set(NAMES))
    problems: list[Complaint] = [(name, "is no field of a campaign") for name in unknown]
    values = {**dict.fromkeys(NAMES), "time_zone": "UTC", **(before or {})}
    values |= {name: changes[name] for name in NAMES if name in changes}
    for name in NAMES:
        if isinstance(values[name], str):
            values[name] = values[name].strip()
    for name in NAMES:
        if values[name] == "" and name not in REQUIRED:
            values[name] = None
    problems += _check_texts(values)
    problems += _check_addresses(values)
    problems += _check_audience(values)
    problems += _check_test(values)
    problems += _check_pace(values)
    problems += _check_time(values)
    if problems:
        errors = [FieldError(name, message) for name, message in problems]
        raise InvalidFields(summarise(errors), errors=errors)
    _require_named(workspace_id, values, before or {})
    return values


def _check_texts(values: dict[str, Any]) -> Iterator[Complaint]:
    values["name"] = re.sub(" +", " ", values["name"] or "")
    if not values["name"]:
        yield "name", "must not be empty"
    yield from submission.check_line("name", values["name"], max_chars=NAME_MAX_CHARS)
    for name, most in (
        ("from_name", submission.NAME_MAX_CHARS),
        ("smtp_account", submission.ACCOUNT_MAX_CHARS),
    ):
        if values[name] is not None:
            yield from submission.check_line(name, values[name], max_chars=most)
    for name in ("subject", "subject_b"):
        if values[name] is not None:
            yield from _check_subject(name, values[name])
    if (topic := values["topic"]) is not None:
        complaints = list(submission.check_topic("topic", topic))
        yield from complaints
        if not complaints:
            values["topic"] = normalise_topic(topic)


def _check_subject(name: str, text: str) -> Iterator[Complaint]:
    """A subject may have merge fields, as a template's."""
    complaints = list(
        submission.check_line(name, text, max_chars=template_limits.SUBJECT_MAX_CHARS)
    )
    yield from complaints
    if complaints:
        return
    try:
        merge_fields.parse(text)
    except merge_fields.MergeError as error:
        yield name, str(error)


def _check_addresses(values: dict[str, Any]) -> Iterator[Complaint]:
    if not values["from_email"]:
        yield "from_email", "must not be empty"
    for name in ("from_email", "reply_to"):
        if values[name]:
            try:
                values[name] = addresses.parse(values[name]).text
            except ValueError as error:
                yield name, str(error)


def _check_audience(values: dict[str, Any]) -> Iterator[Complaint]:
    """A draft may do without its list or segment. What belongs to another kind is dropped."""
    kind = values["audience_kind"]
    if kind not in list(AudienceKind):
        yield "audience_kind", "must be one of " + ", ".join(AudienceKind)
        return
    values["audience_kind"] = AudienceKind(kind)
    if kind != AudienceKind.LIST:
        values["audience_id"] = None
    if kind != AudienceKind.SEGMENT:
        values["segment_id"] = None


def _check_test(values: dict[str, Any]) -> Iterator[Complaint]:
    given = [name for name in TEST if values[name] is not None]
    if values["subject_b"] is None:
        for name in given:
            yield name, "belongs to a test of two subjects: give subject_b too"
    for name in TEST:
        value = values[name]
        if value is None and values["subject_b"] is not None:
            yield name, "is needed for a test of two subjects"
        elif value is not None and name in _RANGES and not _RANGES[name].has(value):
            yield name, _WORDS[name]
    metric = values["test_metric"]
    if metric is not None and metric not in list(TestMetric):
        yield "test_metric", "must be one of " + ", ".join(TestMetric)
    elif metric is not None:
        values["test_metric"] = TestMetric(metric)


def _check_pace(values: dict[str, Any]) -> Iterator[Complaint]:
    if values["per_hour"] is not None and not _RANGES["per_hour"].has(values["per_hour"]):
        yield "per_hour", _WORDS["per_hour"]
    ramp = values["ramp"]
    if ramp is None:
        return
    if not isinstance(ramp, list):
        yield "ramp", "must be a list of numbers, one for each day"
        return
    values["ramp"] = ramp or None
    if len(ramp) > RAMP_DAYS_MAX:
        yield "ramp", f"has more than {RAMP_DAYS_MAX} days"
        return
    for day, most in enumerate(ramp):
        if not _RANGES["per_hour"].has(most):
            yield f"ramp.{day}", _WORDS["per_hour"]


def _check_time(values: dict[str, Any]) -> Iterator[Complaint]:
    """Whether it lies in the past is asked when it is scheduled: a draft may wait."""
    zone = values["time_zone"] or "UTC"
    values["time_zone"] = zone
    if not campaign_schedule.is_zone(zone):
        yield "time_zone", "is no time zone such as Europe/Vienna"
        return
    if values["send_at"] is None:
        return
    if not isinstance(values["send_at"], datetime) or values["send_at"].tzinfo is not None:
        yield "send_at", _WORDS["send_at"]
        return
    values["send_at"] = values["send_at"].replace(microsecond=0, fold=0)
    try:
        campaign_schedule.find_moment(values["send_at"], zone)
    except ValueError as error:
        yield "send_at", str(error)


def _require_named(workspace_id: int, values: Mapping[str, Any], before: Mapping[str, Any]) -> None:
    """What it named before may be gone: that is for `campaign_checks` to tell."""
    for name, get in (
        ("audience_id", audiences.get),
        ("segment_id", segments.get),
        ("template_id", templates.get),
    ):
        if values[name] is not None and values[name] != before.get(name):
            get(workspace_id, values[name])
