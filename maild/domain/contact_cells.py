"""What the cells of a file of contacts say, and addresses that are nobody's in particular. Pure."""

import re
from collections.abc import Collection, Iterator
from datetime import UTC, datetime, timedelta

from maild.domain.contact import TOPICS_MAX
from maild.domain.suppression import TOPIC_MAX_CHARS, normalise_topic

CLOCKS_DIFFER = timedelta(minutes=5)
"""A consent may lie so far in the future: its time is another machine's."""

# RFC 2142 2-5: mailboxes of an organisation, of its network, and of its services.
_OF_STANDARD = (
    "info marketing sales support abuse noc security postmaster hostmaster usenet news webmaster"
    " www uucp ftp"
)
_COMMON = (
    "admin administrator accounting accounts all billing board bounce bounces careers compliance"
    " contact devnull dns donotreply do-not-reply everyone feedback finance hello help helpdesk hr"
    " inbox invoice invoices it jobs legal list lists maildaemon mailer-daemon media no-reply"
    " nobody noreply no_reply null office operator orders payments phish phishing press privacy"
    " registrar remove request returns root service shop spam staff subscribe sysadmin tech team"
    " undisclosed-recipients unsubscribe webteam"
)
"""Read by several people, by none, or by a program."""
ROLES = frozenset(_OF_STANDARD.split()) | frozenset(_COMMON.split())
_LIST_REQUEST = "-request"  # RFC 2142 6
_SEPARATORS = re.compile(r"[,;|\n]")


def is_role(local_part: str) -> bool:
    """Whether the part before the @ is that of a function, not of a person."""
    plain = local_part.lower().partition("+")[0]
    return plain in ROLES or plain.endswith(_LIST_REQUEST)


def is_of(domain: str, domains: Collection[str]) -> bool:
    """Whether a domain, in A-labels, is one of these or below one of them."""
    labels = domain.lower().split(".")
    return any(".".join(labels[place:]) in domains for place in range(len(labels) - 1))


def read_topics(cell: str) -> list[str]:
    """Topics in normal form, each once. Raises ValueError with a sentence for people."""
    found = list(dict.fromkeys(_topics_of(cell)))
    if len(found) > TOPICS_MAX:
        raise ValueError(f"has more than {TOPICS_MAX} topics")
    return found


def _topics_of(cell: str) -> Iterator[str]:
    for text in _SEPARATORS.split(cell):
        topic = normalise_topic(" ".join(text.split()))
        if len(topic) > TOPIC_MAX_CHARS:
            raise ValueError(f"has a topic that is longer than {TOPIC_MAX_CHARS} characters")
        if topic:
            yield topic


def read_time(cell: str, *, now: datetime) -> datetime:
    """A time as ISO 8601 writes it, or a day; without a zone it is in UTC. Raises ValueError with a
    sentence for people.
    """
    try:
        time = datetime.fromisoformat(cell.strip())
        time = (time if time.tzinfo else time.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        raise ValueError(
            "must be a day or a time such as 2027-01-31 or 2027-01-31T09:30:00Z"
        ) from None
    if time > now and time - CLOCKS_DIFFER > now:
        raise ValueError("must not lie in the future")
    return time
