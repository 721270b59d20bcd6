"""Who may see what: every page of these blueprints needs a person who is signed in, and what it
changes needs a role, unless its view says otherwise.

A view says so with `public`, `personal` or `allow`. What says nothing may be read by every member
of the workspace that the session shows; a view that takes anything but GET has to say
(`check_declared`).
"""

import contextlib
import re
from collections.abc import Callable
from typing import Any, TypeVar

from flask import Flask, current_app, g, request, session, url_for
from flask_login import LoginManager, UserMixin, current_user
from werkzeug.wrappers import Response as BaseResponse

from maild import config, db, log
from maild.domain import client_address
from maild.domain.actor import Actor
from maild.domain.client_address import Address
from maild.domain.role import ADMINS, OPERATORS, READERS, Roles, words
from maild.errors import AnotherWorkspace, Forbidden, SignInNeeded, Unavailable
from maild.services import sessions
from maild.services.sessions import Visitor
from maild.services.workspaces import Membership
from maild.web import headers, render

View = TypeVar("View", bound=Callable[..., Any])

_LOOPBACK_HOST = re.compile(r"(127\.0\.0\.1|localhost|\[::1\])(:\d{1,5})?", re.IGNORECASE)
_SAFE = {"GET", "HEAD", "OPTIONS"}
_PUBLIC, _PERSONAL = "public", "personal"

AFTER = "after"
"""Where the cookie keeps the path to go on to after logging in, if that is a secret."""

ADMIN_NEEDED = "Only an admin of this workspace can do this."
OPERATOR_NEEDED = "You are a viewer here: you see everything, and change nothing."
"""What stands beside a button that is out of reach."""

READ_MS = 2_000
"""No statement of a page, or of what the API reads, runs for longer. One that changes something
takes as long as it takes: being cut off helps nobody.
"""

_guarded: set[str] = set()
_by_link: set[str] = set()


class User(UserMixin):
    """A visitor, as Flask-Login wants them: known by the token of their session."""

    def __init__(self, token: str, visitor: Visitor) -> None:
        self.id = token
        self.visitor = visitor


def public(view: View) -> View:
    """Let everybody in, signed in or not."""
    view.access = _PUBLIC  # type: ignore[attr-defined]
    return view


def personal(view: View) -> View:
    """Let everybody in who is signed in, also those who belong to no workspace."""
    view.access = _PERSONAL  # type: ignore[attr-defined]
    return view


def allow(roles: Roles) -> Callable[[View], View]:
    """Let members in who have one of these roles."""

    def mark(view: View) -> View:
        view.access = roles  # type: ignore[attr-defined]
        return view

    return mark


def takes_file(max_bytes: int) -> Callable[[View], View]:
    """Let a view take a form with a file, larger than forms may be otherwise."""

    def mark(view: View) -> View:
        view.max_bytes = max_bytes  # type: ignore[attr-defined]
        return view

    return mark


def takes_long_form(max_bytes: int) -> Callable[[View], View]:
    """Let a view take a form with texts that are longer than forms may have otherwise."""

    def mark(view: View) -> View:
        view.max_form_bytes = max_bytes  # type: ignore[attr-defined]
        return view

    return mark


def is_guarded() -> bool:
    """Whether the request is for a page that people come to in a browser."""
    return request.blueprint in _guarded


def find_max_bytes() -> int | None:
    """How large the form of the present view may be, where that is more than for others."""
    view = current_app.view_functions.get(request.endpoint or "")
    return getattr(view, "max_bytes", None)


def _find_max_form_bytes() -> int | None:
    view = current_app.view_functions.get(request.endpoint or "")
    return getattr(view, "max_form_bytes", None)


def register(app: Flask, blueprints: set[str], *, by_link: set[str]) -> None:
    """Guard these blueprints, and tell templates who is there. Those that are reached by a link in
    mail are open under whatever name this machine is called by.
    """
    _guarded.update(blueprints)
    _by_link.update(by_link)
    # Its own context processor would ask the database on every page, also where that is away.
    manager = LoginManager(app, add_context_processor=False)
    manager.session_protection = None  # sessions are ours, and end on the server
    manager.user_loader(_load)
    app.before_request(guard)
    app.teardown_request(lambda error: db.limit_statements(0))
    app.context_processor(_describe)


def check_declared(app: Flask) -> None:
    """Raises AssertionError where a view that changes something does not say who may."""
    for rule in app.url_map.iter_rules():
        blueprint = rule.endpoint.partition(".")[0]
        if blueprint in _guarded and (rule.methods or set()) - _SAFE:
            view = app.view_functions[rule.endpoint]
            assert hasattr(view, "access"), f"{rule.endpoint} does not say who may call it"


def guard() -> BaseResponse | None:
    """Before every request: what is answered in place of the view, if anything.

    Raises Forbidden, AnotherWorkspace, SignInNeeded, Unavailable.
    """
    db.limit_statements(READ_MS if request.method in _SAFE else 0)
    _refuse_other_names()
    if request.endpoint is None or request.blueprint not in _guarded:
        return None
    if request.method == "HEAD":
        # RFC 9110 9.3.2: the same as GET, whose body the server then leaves out. A view that tells
        # the first showing of a form from the sending of it shall not take HEAD for the latter.
        request.method = "GET"
    need = getattr(current_app.view_functions[request.endpoint], "access", READERS)
    if need == _PUBLIC:
        return None
    visitor = find_visitor()
    if visitor is None:
        return _ask_to_sign_in()
    log.bind(person_id=visitor.id)
    if need == _PERSONAL:
        return None
    if visitor.workspace is None:
        return render.go_to(url_for("dashboard.index"))
    # Before anything reads the form, and for people who are signed in only.
    request.max_content_length = find_max_bytes() or request.max_content_length
    request.max_form_memory_size = _find_max_form_bytes() or request.max_form_memory_size
    return _admit(visitor.workspace, need)


def _admit(membership: Membership, need: Roles) -> BaseResponse | None:
    """Let a member in who may, and whose page is of the workspace that the session shows."""
    log.bind(workspace_id=membership.id)
    if is_another_workspace(membership):
        if request.method in _SAFE:
            return render.reload()
        raise AnotherWorkspace(
            f"You have gone over to the workspace “{membership.name}” in another tab, and this form"
            " was made for another one. Nothing was changed. Switch back to that one before you"
            " send it again, or open the page anew."
        )
    if membership.role not in need:
        raise Forbidden(
            f"This needs the role {words(need)}; you are {membership.role.value} in the workspace"
            f" “{membership.name}”."
        )
    return None


def find_visitor() -> Visitor | None:
    """Who is signed in; None where nobody is. Raises Unavailable where only the database could
    tell.
    """
    user = current_user
    return user.visitor if user.is_authenticated else None


def visitor() -> Visitor:
    """Who is signed in, in a view that only they get to."""
    found = find_visitor()
    assert found is not None
    return found


def current_workspace() -> Membership:
    """The workspace that the console shows, and what its visitor is in it."""
    membership = visitor().workspace
    assert membership is not None
    return membership


def current_workspace_id() -> int:
    """The id of that workspace."""
    return current_workspace().id


def actor() -> Actor:
    """The visitor, as the audit log names them."""
    return Actor(visitor().email, ip=client_ip(), request_id=g.get("request_id"))


def caller_address() -> Address | None:
    """From where the request comes."""
    return client_address.find(
        request.remote_addr,
        request.headers.get("X-Forwarded-For"),
        config.current().trusted_proxies,
    )


def client_ip() -> str | None:
    """The same as text."""
    address = caller_address()
    return None if address is None else str(address)


def is_another_workspace(membership: Membership) -> bool:
    """Whether the page that asks was made for another workspace than the session shows now.

    A form must say for which; a poll may, and does so in a header.
    """
    named = request.headers.get("X-Workspace") or request.form.get("workspace_id")
    if named is None:
        return request.method not in _SAFE
    return named != str(membership.id)


def safe_path(url: str | None) -> str | None:
    """`url` where it is a path of maild's own, to go on to after signing in; None for all else, so
    that nobody is led elsewhere.
    """
    if not url or not url.startswith("/") or url.startswith("//"):
        return None
    return url if url.isprintable() and "\\" not in url else None


def _load(token: str) -> User | None:
    with db.connection():
        visitor = sessions.find(token, ip=client_ip())
    return None if visitor is None else User(token, visitor)


def _ask_to_sign_in() -> BaseResponse:
    if request.method not in _SAFE:
        raise SignInNeeded(
            "You are not signed in any more. Nothing was changed. Log in, open the page anew, and"
            " send it from there."
        )
    path = render.current_path()
    if path.startswith(headers.SECRET_PATHS):
        session[AFTER] = path  # not into an address, which proxies write down
        return render.go_to(url_for("sign_in.password"))
    return render.go_to(url_for("sign_in.password", next=path))


def _describe() -> dict[str, object]:
    """What every template knows. Where the database is away, nobody is there; nor is anybody on
    the pages behind links in mail, which know their reader by the link alone.
    """
    visitor = None
    if request.blueprint is None or request.blueprint in _guarded:
        with contextlib.suppress(Unavailable):
            visitor = find_visitor()
    membership = visitor.workspace if visitor else None
    role = membership.role if membership else None
    return {
        "person": visitor,
        "workspace": membership,
        "workspaces": visitor.workspaces if visitor else (),
        "can_admin": role in ADMINS,
        "can_operate": role in OPERATORS,
        "ADMIN_NEEDED": ADMIN_NEEDED,
        "OPERATOR_NEEDED": OPERATOR_NEEDED,
    }


def _refuse_other_names() -> None:
    """The keys of development are known to everybody, and whoever comes may sign up: a page from
    elsewhere, whose name resolves to this machine (DNS rebinding), must get at neither.
    """
    if _is_private() and not _is_named_locally() and request.blueprint not in _by_link:
        raise Forbidden(
            "In development maild answers only to the names 127.0.0.1, localhost and [::1]."
            f" Use http://{config.current().addr} instead."
        )


def _is_private() -> bool:
    """Whether this is a development copy that listens to its own machine only."""
    settings = config.current()
    return not settings.is_production and settings.addr.host in {"127.0.0.1", "::1", "localhost"}


def _is_named_locally() -> bool:
    return bool(_LOOPBACK_HOST.fullmatch(request.headers.get("Host", "")))
