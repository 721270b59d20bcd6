"""Double opt-in: the page behind the link by which the owner of an address says yes.

What all pages behind links have in common is in `public_links`.
"""

from flask import Blueprint, Response, make_response, render_template

from maild import db, log
from maild.errors import InvalidRequest, NotFound
from maild.services import confirmation_links, confirmations
from maild.services.confirmations import Question
from maild.web import access, public_links
from maild.web.public_links import ACTION

BODY_MAX_BYTES = 4_096
FIELDS_MAX = 20
UNKNOWN = "pages/confirmation_unknown.html"
CONFIRM = "confirm"
"""What the button says."""

blueprint = Blueprint("confirmations", __name__, url_prefix=confirmation_links.PATH.rstrip("/"))
logger = log.get(__name__)


@blueprint.get("/<path:token>")
@db.connection()
def show(token: str) -> Response:
    """What is asked, and a button. Changes nothing: scanners of mail open links."""
    try:
        return _page(confirmations.open_link(token))
    except NotFound:
        return public_links.unknown(UNKNOWN)


@blueprint.post("/<path:token>")
def confirm(token: str) -> Response:
    """Say yes. Committed before it is answered; saying it again changes nothing."""
    fields = public_links.read_fields(max_bytes=BODY_MAX_BYTES, max_fields=FIELDS_MAX)
    with db.connection():
        try:
            question = confirmations.open_link(token)
            if [value for name, value in fields if name == ACTION] != [CONFIRM]:
                raise InvalidRequest(
                    "This address takes the button of its page. Nothing was changed."
                )
            question = confirmations.confirm(
                token, address=access.caller_address(), by=public_links.recipient()
            )
        except NotFound:
            return public_links.unknown(UNKNOWN)
        logger.info("contact.confirmed")
        return _page(question, is_done=True)


def _page(question: Question, *, is_done: bool = False) -> Response:
    return make_response(
        render_template("pages/confirmation.html", question=question, is_done=is_done)
    )
