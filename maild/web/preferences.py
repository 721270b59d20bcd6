"""The preference centre: what the recipient of a mail hears of from its workspace, as they choose.

It is reached by the token of an unsubscribe link, so that every mail that was ever sent leads here.
What all pages behind links have in common is in `public_links`.
"""

from flask import Blueprint, Response, make_response, render_template, url_for

from maild import db, log
from maild.domain.suppression import SuppressionClass
from maild.errors import InvalidRequest, NotFound
from maild.services import preferences, unsubscribe_links
from maild.services.unsubscribe_links import PREFERENCES_PATH, Link
from maild.web import public_links
from maild.web.public_links import ACTION
from maild.web.unsubscribe_links import UNKNOWN

BODY_MAX_BYTES = 128 * 1024
"""Room for all topics of a page, with names beyond ASCII."""
FIELDS_MAX = preferences.SHOWN_MAX + 10

TOPIC = "topic"
SAVE, NOTHING, AGAIN = "save", "nothing", "again"
"""What the buttons say."""

STOPS = {
    SuppressionClass.HARD_BOUNCE: "because mail to it came back",
    SuppressionClass.SOFT_BOUNCE: "because mail to it came back several times",
    SuppressionClass.COMPLAINT: "because a message was reported as spam",
    SuppressionClass.MANUAL: "because the sender has stopped it",
}
"""Why nothing is sent to an address, in words for its owner."""

blueprint = Blueprint("preferences", __name__, url_prefix=PREFERENCES_PATH.rstrip("/"))
logger = log.get(__name__)


@blueprint.get("/<path:token>")
@db.connection()
def show(token: str) -> Response:
    """The topics, and what is chosen of them. Changes nothing."""
    try:
        return _page(unsubscribe_links.open_token(token), token)
    except NotFound:
        return public_links.unknown(UNKNOWN)


@blueprint.post("/<path:token>")
def save(token: str) -> Response:
    """Keep what was chosen. Committed before it is answered; doing it again changes nothing."""
    fields = public_links.read_fields(max_bytes=BODY_MAX_BYTES, max_fields=FIELDS_MAX)
    with db.connection():
        try:
            link = unsubscribe_links.open_token(token)
            wish = _find_wish(fields)
            _carry_out(link, wish, {value for name, value in fields if name == TOPIC})
            return _page(link, token, wish=wish)
        except NotFound:
            return public_links.unknown(UNKNOWN)


def _carry_out(link: Link, wish: str, chosen: set[str]) -> None:
    by = public_links.recipient()
    if wish == NOTHING:
        preferences.leave_everything(link, by=by)
    elif wish == AGAIN:
        preferences.come_back(link, by=by)
    else:
        preferences.choose(link, chosen, by=by)
    logger.info(
        "preferences.chosen",
        workspace_id=link.workspace_id,
        message_id=str(link.message_id),
        wish=wish,
        topic_count=len(chosen),
    )


def _find_wish(fields: list[tuple[str, str]]) -> str:
    """The value of the button. Raises InvalidRequest."""
    wishes = [value for name, value in fields if name == ACTION]
    if len(wishes) != 1 or wishes[0] not in {SAVE, NOTHING, AGAIN}:
        raise InvalidRequest("This address takes the buttons of its page. Nothing was changed.")
    return wishes[0]


def _page(link: Link, token: str, *, wish: str | None = None) -> Response:
    centre = preferences.get(link)
    return make_response(
        render_template(
            "pages/preferences.html",
            centre=centre,
            stopped_why=STOPS[centre.stopped_by] if centre.stopped_by else None,
            wish=wish,
            unsubscribe_url=url_for("unsubscribe_links.show", token=token),
        )
    )
