"""What the pages behind links in mail share: how their forms are read, and the answer to a link
that is none.

They are public, whoever asks and through whatever proxy. GET and HEAD change nothing: scanners of
links follow every one. No cookie is set or read, and no CSRF token is needed: the token in the path
is the whole authority, no page from elsewhere knows it, and nothing that a browser would add by
itself lends any.
"""

from dataclasses import replace
from urllib.parse import parse_qsl

from flask import Response, g, make_response, render_template, request
from werkzeug.exceptions import RequestEntityTooLarge

from maild.domain.actor import RECIPIENT, Actor
from maild.errors import PayloadTooLarge
from maild.services import failed_tries
from maild.services.failed_tries import At
from maild.web import access

ACTION = "action"
"""The field in which the buttons of these pages say what they mean."""


def read_fields(*, max_bytes: int, max_fields: int) -> list[tuple[str, str]]:
    """The fields of the body, whatever its client calls it (RFC 8058 3.2 asks for multipart or
    urlencoded); none where there are too many. Raises PayloadTooLarge.

    Before the database is asked: a slow client keeps no connection to it waiting.
    """
    request.max_content_length = max_bytes
    try:
        if request.mimetype == "multipart/form-data":
            fields = list(request.form.items(multi=True))
        else:
            body = request.get_data(cache=False)
            # A body without a length is only cut off at the limit.
            if len(body) >= max_bytes:
                raise RequestEntityTooLarge
            text = body.decode(errors="replace")
            fields = parse_qsl(text, keep_blank_values=True, max_num_fields=max_fields)
    except RequestEntityTooLarge:
        raise PayloadTooLarge("The request is too large. Nothing was changed.") from None
    except ValueError:  # too many fields
        fields = []
    return [(name.strip(), value.strip()) for name, value in fields]


def recipient() -> Actor:
    """Who holds the link. The address that they come from is their own, and not kept."""
    return replace(RECIPIENT, request_id=g.get("request_id"))


def unknown(template: str) -> Response:
    """The same for every link that is none, whatever is wrong with it. Raises TooManyRequests."""
    failed_tries.count(At.LINK, access.caller_address())
    return make_response(render_template(template), 404)
