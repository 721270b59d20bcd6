"""Suppressing several addresses at once, each for itself, and telling what became of each."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from maild.domain.actor import Actor
from maild.domain.states import Stream
from maild.domain.suppression import SuppressionClass
from maild.errors import FieldError, InvalidFields
from maild.models import Suppression
from maild.services import suppressions

EMAILS_MAX = 100
"""For more there are files."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one address: the row in force, or the problem with it."""

    email: str
    suppression: Suppression | None = None
    is_new: bool = False
    problem: str | None = None


def add_each(
    workspace_id: int,
    emails: Sequence[str],
    *,
    reason: str,
    source: str,
    stream: Stream | None = None,
    class_: SuppressionClass = SuppressionClass.MANUAL,
    expires_at: datetime | None = None,
    by: Actor,
) -> list[Outcome]:
    """Suppress these addresses, in their order; one that is none stops none of the others.

    Raises InvalidFields for what is wrong with all of them, before anything is done.
    """
    if not 1 <= len(emails) <= EMAILS_MAX:
        text = f"must be 1 to {EMAILS_MAX} addresses; import a file for more"
        raise InvalidFields(f"emails: {text}", errors=[FieldError("emails", text)])
    suppressions.check_words(reason=reason, expires_at=expires_at)
    outcomes = []
    for email in emails:
        try:
            added = suppressions.suppress(
                workspace_id,
                email,
                reason=reason,
                source=source,
                stream=stream,
                class_=class_,
                expires_at=expires_at,
                by=by,
            )
        except InvalidFields as error:
            outcomes.append(Outcome(email, problem=error.errors[0].message))
        else:
            outcomes.append(Outcome(email, added.suppression, added.is_new))
    return outcomes
