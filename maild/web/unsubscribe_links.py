"""What is behind the unsubscribe links in mail: a page for people, one click for mail programs.

Public, whoever asks and through whatever proxy. GET and HEAD change nothing: scanners of links
follow every one. No cookie is set or read, and no CSRF token is needed: the token in the path is
the whole authority, no page from elsewhere knows it, and nothing that a browser would add by itself
lends any.
"""

from dataclasses import replace
from urllib.parse import parse_qsl

from flask import Blueprint, Response, g, make_response, render_template, request
from werkzeug.exceptions import RequestEntityTooLarge

from maild import db, log
from maild.domain.actor import RECIPIENT
from maild.errors import InvalidRequest, NotFound, PayloadTooLarge
from maild.services import unsubscribe_links, unsubscribe_standings, unsubscribes
from maild.services.unsubscribe_links import Link

BODY_MAX_BYTES = 4_096
FIELDS_MAX = 20

ACTION = "action"
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
        return _unknown()
    return _page(link)


@blueprint.post("/<path:token>")
def act(token: str) -> Response:
    """What a mail program (RFC 8058 3.2) or a button asks for. Committed before it is answered."""
    fields = _read_fields()  # first: a slow client keeps no connection to the database waiting
    with db.connection():
        try:
            link = unsubscribe_links.open_token(token)
            wish = _find_wish(fields)
            _carry_out(link, wish)
        except NotFound:
            return _unknown()
        if wish is None:
            # RFC 8058 3.1: no redirect. Nobody reads this.
            return Response("You are unsubscribed.\n", mimetype="text/plain")
        return _page(link, wish=wish)


def _carry_out(link: Link, wish: str | None) -> None:
    # The address that it comes from is the recipient's own, and not kept.
    by = replace(RECIPIENT, request_id=g.get("request_id"))
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


def _read_fields() -> list[tuple[str, str]]:
    """The fields of the body, whatever its client calls it (RFC 8058 3.2 asks for multipart or
    urlencoded). Raises PayloadTooLarge.
    """
    request.max_content_length = BODY_MAX_BYTES
    try:
        if request.mimetype == "multipart/form-data":
            fields = list(request.form.items(multi=True))
        else:
            body = request.get_data(cache=False)
            # A body without a length is only cut off at the limit.
            if len(body) >= BODY_MAX_BYTES:
                raise RequestEntityTooLarge
            text = body.decode(errors="replace")
            fields = parse_qsl(text, keep_blank_values=True, max_num_fields=FIELDS_MAX)
    except RequestEntityTooLarge:
        raise PayloadTooLarge("The request is too large. Nothing was changed.") from None
    except ValueError:  # too many fields
        fields = []
    return [(name.strip(), value.strip()) for name, value in fields]


def _page(link: Link, *, wish: str | None = None) -> Response:
    """Where the person stands now, after what they asked for."""
    return make_response(
        render_template(
            "pages/unsubscribe.html",
            link=link,
            sender=unsubscribe_standings.find_sender(link),
            standing=unsubscribe_standings.get_standing(link),
            wish=wish,
        )
    )


def _unknown() -> Response:
    """The same for every link that is none, whatever is wrong with it."""
    return make_response(render_template("pages/unsubscribe_unknown.html"), 404)
