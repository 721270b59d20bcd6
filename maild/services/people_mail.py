"""The mail that maild itself sends to people: links, and news about their sign-in.

It goes the way of every message, from maild's own workspace: kept durably, tried again, through the
SMTP account of the environment. The texts are plain, as mail that asks somebody to follow a link
should be, and the links lead to PUBLIC_URL, never to where a request came from.
"""

from datetime import datetime

from maild import config, log
from maild.domain.states import Status
from maild.errors import MaildError
from maild.models import Person
from maild.models.smtp_account import DEFAULT_ACCOUNT
from maild.services import messages
from maild.services.messages import NewMessage
from maild.services.workspaces import MAILDS_OWN_ID

SENDER_NAME = "maild"

logger = log.get(__name__)


def send(to_email: str, *, subject: str, text: str, expires_at: datetime | None = None) -> bool:
    """Accept a mail to a person; not inside a transaction. Returns whether it will go out: an
    address that mail came back from is not mailed any more.

    Raises RateLimited, BlockedRecipientDomain, Unavailable.
    """
    message = messages.accept(
        MAILDS_OWN_ID,
        NewMessage(
            from_email=config.current().smtp.from_email,
            from_name=SENDER_NAME,
            to_email=to_email,
            subject=subject,
            body_text=text,
            # RFC 3834 5: no vacation note shall answer it.
            headers=(("Auto-Submitted", "auto-generated"),),
            expires_at=expires_at,
            smtp_account=DEFAULT_ACCOUNT,
        ),
    )
    return message.status is not Status.SUPPRESSED


def link(path: str) -> str:
    """The address of a page, as people reach it."""
    return f"{config.current().public_url}{path}"


def send_news(to_email: str, *, name: str, what: str) -> bool:
    """Tell a person that something about their sign-in has changed. Returns whether it will go
    out: where it cannot, the change stands all the same, and nothing is raised. `what` ends the
    sentence "we write to tell you that".

    Only a confirmed address is told: it may be anybody's, and whoever signed up with it could
    have them mailed at will.
    """
    theirs = (Person.email == to_email, Person.email_verified_at.is_null(False))
    if not Person.select().where(*theirs).exists():
        return False
    try:
        return send(
            to_email,
            subject=f"Your maild sign-in: {what}",
            text=(
                f"Hello {name},\n\n"
                f"we write to tell you that {what}.\n\n"
                "If that was you, there is nothing to do. If it was not, choose another password"
                f" now:\n{link('/reset')}\n"
            ),
        )
    except MaildError as error:
        logger.warning("person.news_not_sent", detail=error.detail)
        return False
