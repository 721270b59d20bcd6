"""What is behind the unsubscribe links in mail: a page for people, one click for mail programs.

What all such pages have in common is in `public_links`.
"""

from flask import Blueprint, Response, make_response, render_template, url_for

from maild import db, log
from maild.errors import InvalidRequest, NotFound
from maild.services import unsubscribe_links, unsubscribe_standings, unsubscribes
from maild.services.unsubscribe_links import Link
from maild.web import public_links
from maild.web.public_links import ACTION

BODY_MAX_BYTES = 4_096
FIELDS_MAX = 20
UNKNOWN = "pages/unsubscribe_unknown.html"

TOPIC, ALL, AGAIN = "topic", "all", "again"
"""What the buttons of the page say, in the field ACTION."""

blueprint = Blueprint("unsubscribe_links", __name__, url_prefix=unsubscribe_links.PATH.rstrip("/"))
logger = log.get(__name__)


@blueprint.get("/<path:token>")
@db.connection()
def show(token: str) -> Response:
    """Whose mail it is, and buttons. Changes nothing."""
    try:
        link = unsubscribe_links.open_token(token)
    except NotFound:
        return public_links.unknown(UNKNOWN)
    return _page(link, token)


@blueprint.post("/<path:token>")
def act(token: str) -> Response:
    """What a mail program (RFC 8058 3.2) or a button asks for. Committed before it is answered."""
    fields = public_links.read_fields(max_bytes=BODY_MAX_BYTES, max_fields=FIELDS_MAX)
    with db.connection():
        try:
            link = unsubscribe_links.open_token(token)
            wish = _find_wish(fields)
            _carry_out(link, wish)
        except NotFound:
            return public_links.unknown(UNKNOWN)
        if wish is None:
            # RFC 8058 3.1: no redirect. Nobody reads this.
            return Response("You are unsubscribed.\n", mimetype="text/plain")
        return _page(link, token, wish=wish)


def _carry_out(link: Link, wish: str | None) -> None:
    by = public_links.recipient()
    if wish == AGAIN:
        unsubscribes.come_back(link, by=by)
    else:
        source = unsubscribe_standings.PAGE if wish else unsubscribe_standings.ONE_CLICK
        unsubscribes.leave(link, everything=wish == ALL, source=source, by=by)
    logger.info(
        "unsubscribe.by_link",
        workspace_id=link.workspace_id,
        message_id=str(link.message_id),
        wish=wish or "one click",
    )


def _find_wish(fields: list[tuple[str, str]]) -> str | None:
    """The value of the button, or None for one click. Raises InvalidRequest."""
    wishes = [value for name, value in fields if name == ACTION]
    if not wishes and unsubscribe_links.ONE_CLICK in fields:
        return None
    if len(wishes) != 1 or wishes[0] not in {TOPIC, ALL, AGAIN}:
        raise InvalidRequest(
            "This address takes List-Unsubscribe=One-Click, or a button of its page. Nothing was"
            " changed."
        )
    return wishes[0]


def _page(link: Link, token: str, *, wish: str | None = None) -> Response:
    """Where the person stands now, after what they asked for."""
    return make_response(
        render_template(
            "pages/unsubscribe.html",
            link=link,
            sender=unsubscribe_standings.find_sender(link),
            standing=unsubscribe_standings.get_standing(link),
            wish=wish,
            preferences_url=url_for("preferences.show", token=token),
        )
    )
