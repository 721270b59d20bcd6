"""HEAD is GET without the body, whatever the view does with what is no GET (RFC 9110 9.3.2)."""

import pytest

from maild.db import database
from maild.models import MessageBody, Person, Session
from maild.services import mailed_links
from tests.tenancy import list_tables
from tests.web.test_tenancy import FOREIGN, PERSONAL_ONLY, PUBLIC


def count_rows():
    tables = ["people", "workspaces", "recovery_codes", *list_tables("workspace_id")]
    return {
        table: database.execute_sql(f"SELECT count(*) FROM {table}").fetchone()[0]
        for table in tables
    }


@pytest.mark.parametrize("key", sorted({*FOREIGN, *PERSONAL_ONLY, *PUBLIC}))
def test_it_changes_nothing_and_mails_nobody(client, anonymous, key):
    path = key.partition(" ")[2].replace(
        "<uuid:message_id>", "0190b0c8-5f6e-7000-8000-000000000000"
    )
    before = count_rows()
    for browser in (client, anonymous):
        query = {"email": "ann@a.example", "password": "x", "name": "x", "next": "//["}
        with browser.head(path.replace("<token>", "A" * 43), query_string=query) as response:
            assert response.data == b""
            assert response.status_code < 500
    assert count_rows() == before


def test_it_confirms_no_address(sign_in, make_person):
    person = make_person("new@a.example", is_verified=False)
    mailed_links.send_confirmation(person)
    text = MessageBody.get().body_text
    path = text[text.index("/confirm/") :].split()[0]
    assert sign_in(person).head(path).status_code == 200
    assert Person.get().email_verified_at is None
    assert Session.select().count() == 1
