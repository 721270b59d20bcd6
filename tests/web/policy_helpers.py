"""What the tests of the policy's pages share."""

import re

from bs4 import BeautifulSoup

from maild.domain.actor import Actor
from maild.services import policies
from tests.conftest import WORKSPACE_A

PATH = "/ui/policy"
VERSIONS = f"{PATH}/versions"
BOB = Actor("bob@a.example")


def soup_of(response, status=200):
    assert response.status_code == status, response.text
    return BeautifulSoup(response.text, "html.parser")


def words_of(tag):
    return " ".join(" ".join(tag.stripped_strings).split())


def save(workspace_id=WORKSPACE_A, *, reason=None, **changes):
    return policies.save(workspace_id, changes=changes, reason=reason, by=BOB).in_force


def form_of(soup, selector="#policy-form"):
    """The fields of a form, as a browser sends them."""
    fields = {}
    for field in soup.select_one(selector).select("input, textarea, select"):
        if field.get("type") == "radio" and not field.has_attr("checked"):
            continue
        if field.name == "textarea":
            fields[field["name"]] = re.sub(r"^\r?\n", "", field.text)  # as a browser
        elif field.name == "select":
            chosen = field.select_one("[selected]") or field.select_one("option")
            fields[field["name"]] = chosen["value"]
        else:
            fields[field["name"]] = field.get("value", "")
    return fields


def toast_of(client):
    return soup_of(client.get("/ui/settings/members")).select_one("#toasts .toast")


def undo(client):
    """Press the button of the toast."""
    form = toast_of(client).select_one("form")
    fields = {field["name"]: field["value"] for field in form.select("input")}
    return client.post(form["action"], data=fields)
