"""A real browser on the real application: Debian's Chromium, driven by Playwright."""

import os
import re
import threading
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from flask import Flask
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright
from werkzeug.serving import make_server

from maild import clock, config, db
from maild.db import database as database_
from maild.domain.states import Status
from maild.models import Message, Person
from maild.services.message_log import TAIL_LAG_SECONDS
from tests.conftest import Inbox, session_cookie
from tests.services.conftest import wait_until
from tools import chromium

WIDE = {"width": 1440, "height": 900}

expect.set_options(timeout=15_000)  # ms; five seconds are too few where two files run on busy cores


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium, for one file: Playwright keeps the thread's event loop from everybody else."""
    path = chromium.find()
    if path is None:
        if os.environ.get("CI"):
            pytest.fail("Chromium is not installed, and CI must have it")
        pytest.skip(chromium.MISSING)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=chromium.ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def base_url(app: Flask) -> Iterator[str]:
    """The address of the application, served on a free port."""
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def complaints() -> list[str]:
    """What the browser complains of: errors of scripts and loads, breaches of the policy."""
    return []


@pytest.fixture
def forgive(complaints: list[str]) -> Callable[[int], None]:
    """Call with a status that was meant: the browser complains of each answer that is an error."""

    def drop(status: int) -> None:
        complaints[:] = [text for text in complaints if f"status of {status}" not in text]

    return drop


@pytest.fixture
def admin(make_person: Callable[..., Person]) -> Person:
    """The admin of workspace A."""
    return make_person("ann@a.example")


@pytest.fixture
def open_context(
    app: Flask, browser: Browser, base_url: str, complaints: list[str], admin: Person
) -> Iterator[Callable[..., BrowserContext]]:
    """Make a browser profile of its own, in which the admin is signed in, or `person`; with None,
    nobody. At the end nothing may have been complained of.
    """
    contexts: list[BrowserContext] = []

    def make(*, person: Person | None = admin, **options: object) -> BrowserContext:
        context = browser.new_context(**{"viewport": WIDE, "base_url": base_url, **options})
        context.set_default_timeout(20_000)
        if person is not None:
            name, value = session_cookie(app, person)
            context.add_cookies([{"name": name, "value": value, "url": base_url}])
        context.on(
            "console", lambda line: complaints.append(line.text) if line.type == "error" else None
        )
        context.on("weberror", lambda error: complaints.append(str(error.error)))
        contexts.append(context)
        return context

    yield make
    for context in contexts:
        context.close()
    assert complaints == []


@pytest.fixture
def tab(open_context: Callable[..., BrowserContext]) -> Page:
    """A tab whose timers `tab.clock.run_for(milliseconds)` brings forward, to save the wait."""
    page = open_context().new_page()
    page.clock.install()
    return page


@pytest.fixture
def settled(accept: Callable[..., Message]) -> Callable[..., Message]:
    """Accept a message, as old as the live log lags behind."""

    def make(**fields: object) -> Message:
        message = accept(**fields)
        database_.execute_sql(
            "UPDATE messages SET created_at = now() - %s * interval '1 second' WHERE id = %s",
            (TAIL_LAG_SECONDS, str(message.id)),
        )
        return message

    return make


@pytest.fixture
def fail_message(database: None) -> Callable[[Message], None]:
    """Let a queued message fail, as a worker would."""

    def fail(message: Message) -> None:
        row = Message.update(status=Status.SENDING, worker_id=uuid.uuid4(), next_attempt_at=None)
        row.where(Message.id == message.id).execute()
        row = Message.update(
            status=Status.FAILED,
            worker_id=None,
            attempt_count=1,
            last_error="550 5.1.1 User unknown in virtual mailbox table",
            error_class="invalid_recipient",
            updated_at=clock.now(),
        )
        row.where(Message.id == message.id).execute()

    return fail


@pytest.fixture
def mailed_path(inbox: Inbox, deliver: Callable[[], int]) -> Callable[[], str]:
    """Let the mail go out, and return the path of the link in the one message that arrives."""

    def in_a_thread() -> int:
        with db.connection():
            return deliver()

    def read() -> str:
        with ThreadPoolExecutor(1) as pool:  # Playwright has the event loop of this one
            # Some mail is written only when the answer is out.
            wait_until(lambda: pool.submit(in_a_thread).result())
        text = inbox.only().get_content()
        inbox.clear()
        [path] = re.findall(re.escape(config.current().public_url) + r"(/\S+)", text)
        return str(path)

    return read
