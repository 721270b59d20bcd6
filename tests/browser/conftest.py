"""A real browser on the real application: Debian's Chromium, driven by Playwright."""

import os
import shutil
import threading
import uuid
from collections.abc import Callable, Iterator

import pytest
from flask import Flask
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright
from werkzeug.serving import make_server

from maild import clock
from maild.db import database as database_
from maild.domain.states import Status
from maild.models import Message
from maild.services.message_log import TAIL_LAG_SECONDS

CHROMIUM = ("chromium", "chromium-browser", "google-chrome")
ARGUMENTS = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
WIDE = {"width": 1440, "height": 900}


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium, for one file: Playwright keeps the thread's event loop from everybody else."""
    path = next(filter(None, map(shutil.which, CHROMIUM)), None)
    if path is None:
        if os.environ.get("CI"):
            pytest.fail("Chromium is not installed, and CI must have it")
        pytest.skip("Chromium is not installed: apt-get install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def base_url(app: Flask) -> Iterator[str]:
    """The address of the application, served on a free port."""
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever)
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
def open_context(
    browser: Browser, base_url: str, complaints: list[str]
) -> Iterator[Callable[..., BrowserContext]]:
    """Make a browser profile of its own. At the end nothing may have been complained of."""
    contexts: list[BrowserContext] = []

    def make(**options: object) -> BrowserContext:
        context = browser.new_context(**{"viewport": WIDE, "base_url": base_url, **options})
        context.set_default_timeout(20_000)
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
