"""Jobs in words: what each kind is called, what it does to what it touches, and how it stands."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

from maild.domain.job import JobStatus
from maild.domain.role import ADMINS, OPERATORS, Roles
from maild.domain.states import UNFINISHED, Status
from maild.models import Job
from maild.web import badges
from maild.web.badges import Badge

STATUS: dict[JobStatus, Badge] = {
    JobStatus.QUEUED: Badge("waiting", "queue", "neutral"),
    JobStatus.RUNNING: Badge("running", "arrow", "info"),
    JobStatus.DONE: Badge("done", "check", "ok"),
    JobStatus.FAILED: Badge("failed", "cross", "bad"),
    JobStatus.CANCELLED: Badge("stopped", "minus", "neutral"),
}
STOPPING = Badge("stopping", "minus", "warn")
STUMBLED = Badge("trying again", "retry", "warn")


class Target(StrEnum):
    """What the numbers are that a job notes of what it has changed."""

    MESSAGE = "message"
    SUPPRESSION = "suppression"
    REPORT = "report"
    CONTACT = "contact"


@dataclass(frozen=True, slots=True)
class KindWords:
    """`done` is what has become of what was changed: `12 retried`. `undo` are the words of the
    button, and `undo_text` says what it does; for kinds that have no undo they are not shown.
    `roles` may start such a job, stop it, let it go on, and undo it. `leads_to` is where it moves
    messages that then go on by themselves, or by others; None where they are where they end, or it
    moves none.
    """

    title: str
    done: str
    target: Target = Target.MESSAGE
    undo: str = "Undo"
    undo_text: str = "What it has changed is taken back, by a job of its own."
    roles: Roles = OPERATORS
    leads_to: Status | None = None


KINDS: dict[str, KindWords] = {
    "messages.retry": KindWords(
        "Retry messages",
        "retried",
        leads_to=Status.QUEUED,
        undo="Take the retry back",
        undo_text="Those of its messages that are still queued are cancelled. What has gone out"
        " meanwhile stays sent.",
    ),
    "messages.retry.undo": KindWords("Take a retry back", "cancelled"),
    "messages.cancel": KindWords("Cancel messages", "cancelled"),
    "messages.hold": KindWords(
        "Hold messages",
        "held",
        leads_to=Status.HELD,
        undo="Release them",
        undo_text="Those of its messages that are still held are released, and go out.",
    ),
    "messages.hold.undo": KindWords("Take a hold back", "released", leads_to=Status.QUEUED),
    "messages.release": KindWords(
        "Release messages",
        "released",
        leads_to=Status.QUEUED,
        undo="Hold them again",
        undo_text="Those of its messages that are still queued are held again. What has gone out"
        " meanwhile stays sent.",
    ),
    "messages.release.undo": KindWords("Take a release back", "held", leads_to=Status.HELD),
    "messages.suppress": KindWords(
        "Suppress recipients",
        "suppressed",
        target=Target.SUPPRESSION,
        undo="Remove its suppressions",
        undo_text="The suppressions that this job has made are removed, and no others. Mail to"
        " those addresses goes out again.",
        roles=ADMINS,
    ),
    "messages.suppress.undo": KindWords(
        "Remove the suppressions of a job", "removed", target=Target.SUPPRESSION, roles=ADMINS
    ),
    "incidents.send": KindWords("Send at once what waits", "sent at once", leads_to=Status.QUEUED),
    "incidents.unsuppress": KindWords(
        "Undo the suppressions of an incident",
        "removed",
        target=Target.SUPPRESSION,
        undo="Suppress them again",
        undo_text="The suppressions that this job has ended are in force again, and no others.",
        roles=ADMINS,
    ),
    "incidents.unsuppress.undo": KindWords(
        "Suppress again what an incident had suppressed",
        "suppressed again",
        target=Target.SUPPRESSION,
        roles=ADMINS,
    ),
    "dead_letters.replay": KindWords("Replay dead letters", "replayed", target=Target.REPORT),
    "dead_letters.dismiss": KindWords(
        "Dismiss dead letters",
        "dismissed",
        target=Target.REPORT,
        undo="Bring them back",
        undo_text="Those that are still dismissed are dead letters again.",
    ),
    "dead_letters.dismiss.undo": KindWords(
        "Bring dismissed dead letters back", "brought back", target=Target.REPORT
    ),
    "suppressions.import": KindWords(
        "Import suppressions",
        "suppressed",
        target=Target.SUPPRESSION,
        undo="Remove what it has added",
        undo_text="The suppressions that this import has added are removed, and no others.",
        roles=ADMINS,
    ),
    "contacts.check_import": KindWords(
        "Look at a file of contacts", "would be imported", target=Target.CONTACT
    ),
    "contacts.import": KindWords(
        "Import contacts",
        "imported or changed",
        target=Target.CONTACT,
        undo="Take the import back",
        undo_text="Contacts that it has made are deleted, those that it has changed are as they"
        " were, and who has joined the list leaves it. What somebody has changed since stays.",
    ),
    "contacts.import.undo": KindWords(
        "Take an import of contacts back", "taken back", target=Target.CONTACT
    ),
    "contacts.delete_attribute": KindWords(
        "Delete an attribute of contacts", "contacts had a value", target=Target.CONTACT
    ),
    "suppressions.import.undo": KindWords(
        "Take an import back", "removed", target=Target.SUPPRESSION, roles=ADMINS
    ),
}


@dataclass(frozen=True, slots=True)
class Fate:
    """What so many of a job's messages have come to by now, as `12 sent`; `status` is None for
    those that are not kept any more.
    """

    status: Status | None
    badge: Badge


_GONE = Badge("not kept any more", "minus", "neutral")


def of(job: Job) -> KindWords:
    """Its words; what this version does not know is called as it is stored."""
    return KINDS.get(job.kind) or KindWords(job.kind, "done")


def badge(job: Job) -> Badge:
    """How it stands."""
    if job.is_open and job.cancelled_by is not None:
        return STOPPING
    if job.is_open and job.error is not None:
        return STUMBLED
    return STATUS[job.status]


def counts(job: Job) -> list[tuple[int, str]]:
    """`(12, "retried")`, `(3, "skipped")`; what there is none of is left out, but for the first."""
    found = [(job.done_count, of(job).done)]
    if job.skipped_count:
        found.append((job.skipped_count, "skipped"))
    if job.failed_count:
        found.append((job.failed_count, "failed"))
    return found


def fates(job: Job, found: Mapping[Status | None, int]) -> list[Fate]:
    """`12 sent`, `3 failed again`, `2 still queued`: what is not finished goes last."""
    statuses = sorted(Status, key=lambda status: status in UNFINISHED)
    return [
        Fate(status, replace(badge, word=f"{found[status]:,} {badge.word}"))
        for status in (*statuses, None)
        if status in found
        for badge in [_badge_of_fate(job, status)]
    ]


def _badge_of_fate(job: Job, status: Status | None) -> Badge:
    if status is None:
        return _GONE
    badge = badges.STATUS[status]
    if status is of(job).leads_to:
        return replace(badge, word=f"still {badge.word}")
    if status is Status.FAILED and job.kind == "messages.retry":
        return replace(badge, word="failed again")
    return badge
