"""What the OpenAPI document says of routes that are not declared as endpoints of /v1, and of the
requests that maild makes itself.
"""

from typing import Any

from pydantic import BaseModel

from maild.api import openapi_answers, schemas

SHAPES: set[type[BaseModel]] = {schemas.Health, schemas.ServiceReadiness, schemas.Notice}
PROBLEM_PAGE = "A page for people."
TOKEN = {
    "name": "token",
    "in": "path",
    "required": True,
    "description": "The token of the link. Whoever has it may use it.",
    "schema": {"type": "string"},
    "example": "AQIDBA",
}


def paths() -> dict[str, dict[str, Any]]:
    """The operations, by path and method."""
    return {
        "/u/{token}": {"get": _show_page(), "post": _unsubscribe()},
        "/preferences/{token}": {"get": _show_preferences(), "post": _choose()},
        "/opt-in/{token}": {"get": _show_question(), "post": _confirm()},
        "/healthz": {"get": _health()},
        "/readyz": {"get": _readiness()},
        "/v1/openapi.json": {"get": _openapi()},
    }


def webhooks() -> dict[str, Any]:
    """What maild sends to a channel of notifications."""
    names = {
        "webhook-id": "The same when the notification is sent again.",
        "webhook-timestamp": "When it is sent, in unix seconds.",
        "webhook-signature": "`v1,` and the base64 HMAC-SHA256 of `id.timestamp.body`; with a space"
        " between where there are several.",
    }
    example = {
        "type": "incident.opened",
        "timestamp": "2026-03-01T09:30:00+00:00",
        "data": {
            "incident_id": 7,
            "workspace_id": 1,
            "workspace": "Shop",
            "title": "Gmail refuses mail",
            "kind": "delivery",
            "severity": "major",
            "status": "open",
            "since": "2026-03-01T09:20:00+00:00",
            "message_count": 214,
            "recipient_count": 198,
            "smtp_account": "main",
            "recipient_domain": "google",
            "likely_cause": "The reputation of the sending domain or address has suffered.",
            "url": "https://maild.example.com/ui/incidents/7",
        },
    }
    operation = {
        "operationId": "receive_notification",
        "summary": "An incident has begun, got worse, ended or come back; or somebody tries it",
        "description": "A POST to the URL of a notification channel, signed as Standard Webhooks"
        " has it with the `signing_secret` that the channel was made with. What is not answered"
        " `2xx` within 12 seconds is tried again for about a day; `410` switches the channel off."
        " A notification may arrive twice: `webhook-id` stays the same.",
        "tags": ["Notifications"],
        "security": [],
        "parameters": [
            {
                "name": name,
                "in": "header",
                "required": True,
                "description": text,
                "schema": {"type": "string"},
            }
            for name, text in names.items()
        ],
        "requestBody": {
            "required": True,
            "content": {
                "application/json": {
                    "schema": {"$ref": "#/components/schemas/Notice"},
                    "example": example,
                }
            },
        },
        "responses": {
            "2XX": {"description": "It was taken."},
            "410": {"description": "Nothing more is to be sent here: the channel is switched off."},
        },
    }
    return {"notification": {"post": operation}}


def _operation(name: str, summary: str, description: str, **more: Any) -> dict[str, Any]:
    return {
        "operationId": name,
        "summary": summary,
        "description": description,
        "security": [],
        "parameters": [],
        **more,
    }


def _answer(description: str, media_type: str, schema: Any, example: Any) -> dict[str, Any]:
    return {
        "description": description,
        "headers": openapi_answers.headers(["X-Request-ID"]),
        "content": {media_type: {"schema": schema, "example": example}},
    }


def _page(description: str) -> dict[str, Any]:
    return _answer(description, "text/html", {"type": "string"}, "<!doctype html>...")


def _show_page() -> dict[str, Any]:
    return _operation(
        "show_unsubscribe_page",
        "The page behind an unsubscribe link, for people; it changes nothing",
        "The link is in the mail, in its `List-Unsubscribe` field and wherever its sender put it."
        " Looking at it does not unsubscribe: scanners of links follow every one.",
        parameters=[TOKEN],
        responses={
            "200": _page("Whose mail it is, and buttons."),
            "404": _page("The link is none, or none any more."),
            "503": _page("The database is away. Try again."),
        },
    )


def _unsubscribe() -> dict[str, Any]:
    taken = _page("The page, which says how it is now.")
    taken["content"]["text/plain"] = {
        "schema": {"type": "string"},
        "example": "You are unsubscribed.\n",
    }
    taken["description"] = "Done: in plain text for one click, as a page for a button."
    form = {
        "type": "object",
        "properties": {
            "List-Unsubscribe": {
                "type": "string",
                "const": "One-Click",
                "description": "What mail programs send (RFC 8058).",
            },
            "action": {
                "type": "string",
                "enum": ["topic", "all", "again"],
                "description": "What the buttons of the page send.",
            },
        },
    }
    return _operation(
        "unsubscribe_by_link",
        "Unsubscribe with one click (RFC 8058), or by a button of the page",
        "Needs no key, no cookie and no login: the token is the whole authority. It answers without"
        " a redirect, and doing it again changes nothing.",
        parameters=[TOKEN],
        requestBody={
            "required": True,
            "content": {
                "application/x-www-form-urlencoded": {
                    "schema": form,
                    "example": {"List-Unsubscribe": "One-Click"},
                }
            },
        },
        responses={
            "200": taken,
            "400": _page("It is neither one click nor a button. Nothing was changed."),
            "404": _page("The link is none, or none any more."),
            "413": _page("The body is larger than 4 KB. Nothing was changed."),
            "503": _page("The database is away. Nothing was changed; try again."),
        },
    )


def _show_preferences() -> dict[str, Any]:
    return _operation(
        "show_preference_centre",
        "The preference centre behind the link of a newsletter, for people; it changes nothing",
        "It takes the token of the unsubscribe link of the same mail.",
        parameters=[TOKEN],
        responses={
            "200": _page("The topics, and what is chosen of them."),
            "404": _page("The link is none, or none any more."),
            "503": _page("The database is away. Try again."),
        },
    )


def _choose() -> dict[str, Any]:
    fields = {
        "action": {
            "type": "string",
            "enum": ["save", "nothing", "again"],
            "description": "What the buttons of the page send: hear of the topics that are ticked"
            " and of no other that it shows, of nothing, or of newsletters again.",
        },
        "topic": {
            "type": "array",
            "items": {"type": "string"},
            "description": "What is ticked, for `save`.",
        },
    }
    return _operation(
        "choose_topics_by_link",
        "Choose what to hear of, by a button of the preference centre",
        "Needs no key, no cookie and no login: the token is the whole authority. It takes back what"
        " was done by a link, and nothing else; doing it again changes nothing.",
        parameters=[TOKEN],
        requestBody=_form(fields, {"action": "save", "topic": ["news"]}),
        responses={
            "200": _page("The page, which says how it is now."),
            "400": _page("It is no button of the page. Nothing was changed."),
            "404": _page("The link is none, or none any more."),
            "413": _page("The body is larger than 128 KB. Nothing was changed."),
            "503": _page("The database is away. Nothing was changed; try again."),
        },
    )


def _show_question() -> dict[str, Any]:
    return _operation(
        "show_opt_in_page",
        "The page behind the link of a double opt-in, for people; it changes nothing",
        "The link is in the mail that `double_opt_in` of `POST /v1/contacts` sends, and works for"
        " seven days.",
        parameters=[TOKEN],
        responses={
            "200": _page("What is asked, and a button."),
            "404": _page("The link is none, or none any more."),
            "503": _page("The database is away. Try again."),
        },
    )


def _confirm() -> dict[str, Any]:
    fields = {
        "action": {
            "type": "string",
            "const": "confirm",
            "description": "What the button of the page sends.",
        }
    }
    return _operation(
        "confirm_by_link",
        "Say yes to a double opt-in, by the button of its page",
        "Needs no key, no cookie and no login: the token is the whole authority. Doing it again"
        " changes nothing.",
        parameters=[TOKEN],
        requestBody=_form(fields, {"action": "confirm"}),
        responses={
            "200": _page("The page, which says that it is done."),
            "400": _page("It is not the button of the page. Nothing was changed."),
            "404": _page("The link is none, or none any more."),
            "413": _page("The body is larger than 4 KB. Nothing was changed."),
            "503": _page("The database is away. Nothing was changed; try again."),
        },
    )


def _form(fields: dict[str, Any], example: dict[str, Any]) -> dict[str, Any]:
    """The body of a form with a button."""
    schema = {"type": "object", "properties": fields, "required": ["action"]}
    return {
        "required": True,
        "content": {"application/x-www-form-urlencoded": {"schema": schema, "example": example}},
    }


def _health() -> dict[str, Any]:
    schema = {"$ref": "#/components/schemas/Health"}
    return _operation(
        "check_health",
        "Whether this process answers at all",
        "Asks nobody else: for restarting what hangs.",
        responses={
            "200": _answer("It does.", "application/json", schema, {"status": "ok"}),
        },
    )


def _readiness() -> dict[str, Any]:
    schema = {"$ref": "#/components/schemas/ServiceReadiness"}
    names = ("postgres", "redis", "migrations", "worker")
    ready = {
        "status": "ready",
        "missing": [],
        "checks": {name: {"ok": True, "detail": "ok"} for name in names},
    }
    away = {
        "status": "unavailable",
        "missing": ["redis"],
        "checks": {
            **ready["checks"],  # type: ignore[dict-item]
            "redis": {"ok": False, "detail": "Redis does not answer."},
        },
    }
    missing = _answer("Something is missing, by name.", "application/json", schema, away)
    missing["headers"] = openapi_answers.headers(["X-Request-ID", "Retry-After"])
    return _operation(
        "check_readiness",
        "Whether mail can be accepted and sent",
        "Asks the database, Redis and for a worker: for load balancers, and for people.",
        responses={
            "200": _answer("It can.", "application/json", schema, ready),
            "503": missing,
        },
    )


def _openapi() -> dict[str, Any]:
    whole = _answer(
        "The document.",
        "application/json",
        {"type": "object", "required": ["openapi", "info", "paths"]},
        {"openapi": "3.1.0", "info": {"title": "maild", "version": "0.1.0"}, "paths": {}},
    )
    return _operation(
        "get_openapi",
        "This document",
        "OpenAPI 3.1, generated from the code that validates requests. It holds nothing of any"
        " workspace.",
        responses={
            "200": whole,
            "304": {"description": "It is still the one of `If-None-Match`."},
        },
    )
