"""A visitor: a person without a browser, who signs up, reads pages and sends their forms."""

import urllib.request
from http.cookiejar import CookieJar
from typing import Any
from urllib.parse import urlencode

from bs4 import BeautifulSoup, Tag

from tests.crash.rig import Rig

TIMEOUT_SECONDS = 30
PASSWORD = "seven brass kettles on a sill"


class Visitor:
    """Somebody who has signed up, with a workspace of their own."""

    def __init__(self, rig: Rig, name: str) -> None:
        self._home = f"http://{rig.web_addr}"
        cookies = urllib.request.HTTPCookieProcessor(CookieJar())
        self._opener = urllib.request.build_opener(cookies)
        email = f"{name.lower()}@example.com"
        form = self.open("/signup").select_one("form[action='/signup']")
        self.send(form, name=name, email=email, password=PASSWORD, workspace_name=name)
        [[self.workspace_id]] = rig.query("SELECT id FROM workspaces WHERE name = %s", name)

    def open(self, path: str) -> BeautifulSoup:
        """The page at a path. Raises HTTPError."""
        return self._ask(path, None)

    def send(self, form: Tag | None, **fields: Any) -> BeautifulSoup:
        """Send a form with what stands in it and with these fields; the page that it leads to."""
        assert form is not None
        hidden = {str(one["name"]): str(one["value"]) for one in form.select("[type=hidden]")}
        return self._ask(str(form["action"]), urlencode({**hidden, **fields}).encode())

    def _ask(self, path: str, body: bytes | None) -> BeautifulSoup:
        request = urllib.request.Request(self._home + path, data=body)
        with self._opener.open(request, timeout=TIMEOUT_SECONDS) as answer:
            return BeautifulSoup(answer.read(), "html.parser")
