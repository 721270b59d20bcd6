"""What ties contacts to their workspace, and members to list and contact: triggers, where other
tables have foreign keys.
"""

import threading

import peewee
import pytest

from maild import db
from maild.db import database
from maild.models import Audience, AudienceMember, Contact, Workspace
from tests.conftest import WORKSPACE_A, WORKSPACE_B
from tests.services.campaigning import make_contacts

pytestmark = pytest.mark.usefixtures("database")
NOWHERE = 999


def put_on_a_list(contacts: list[Contact], workspace_id: int = WORKSPACE_A) -> Audience:
    """A new list with all of them."""
    audience = Audience.create(workspace=workspace_id, name="All", created_by="test")
    rows = [{"audience_id": audience.id, "contact_id": contact.id} for contact in contacts]
    AudienceMember.insert_many(rows).execute()
    return audience


def test_there_is_no_contact_of_a_workspace_that_is_not_there() -> None:
    """Nor any of those that one statement brings along."""
    rows = [
        {"workspace_id": workspace_id, "email": f"ann@{n}.example", "created_by": "test"}
        for n, workspace_id in enumerate((WORKSPACE_A, NOWHERE, WORKSPACE_B))
    ]
    with pytest.raises(peewee.IntegrityError, match="a workspace that is not there"):
        Contact.insert_many(rows).execute()
    assert Contact.select().count() == 0


def test_contacts_go_with_their_workspace_and_no_others() -> None:
    put_on_a_list(make_contacts(3, workspace_id=WORKSPACE_B), WORKSPACE_B)
    put_on_a_list(make_contacts(2))
    Workspace.delete().where(Workspace.id == WORKSPACE_B).execute()
    assert {contact.workspace_id for contact in Contact.select()} == {WORKSPACE_A}
    assert AudienceMember.select().count() == 2


def test_members_go_with_their_contact() -> None:
    contacts = make_contacts(3)
    put_on_a_list(contacts)
    Contact.delete().where(Contact.id << [contact.id for contact in contacts[:2]]).execute()
    assert [row.contact_id for row in AudienceMember.select()] == [contacts[2].id]


def test_members_go_with_their_list_and_contacts_stay() -> None:
    contacts = make_contacts(2)
    audience, other = put_on_a_list(contacts), put_on_a_list(contacts[:1], WORKSPACE_B)
    Audience.delete().where(Audience.id == audience.id).execute()
    assert [row.audience_id for row in AudienceMember.select()] == [other.id]
    assert Contact.select().count() == 2


def test_who_comes_while_the_workspace_goes_is_refused() -> None:
    refused: list[Exception] = []

    def come() -> None:
        with db.connection():
            try:
                make_contacts(1, workspace_id=WORKSPACE_B)
            except peewee.IntegrityError as error:
                refused.append(error)

    newcomer = threading.Thread(target=come)
    with database.atomic():
        Workspace.delete().where(Workspace.id == WORKSPACE_B).execute()
        newcomer.start()
        newcomer.join(timeout=0.3)
        assert newcomer.is_alive(), "it waits for what becomes of the workspace"
    newcomer.join(timeout=30)
    assert len(refused) == 1
    assert Contact.select().count() == 0


def test_the_workspace_waits_for_who_is_coming() -> None:
    def go() -> None:
        with db.connection():
            Workspace.delete().where(Workspace.id == WORKSPACE_B).execute()

    leaver = threading.Thread(target=go)
    with database.atomic():
        make_contacts(1, workspace_id=WORKSPACE_B)
        leaver.start()
        leaver.join(timeout=0.3)
        assert leaver.is_alive(), "it waits for the contact"
    leaver.join(timeout=30)
    assert Contact.select().count() == 0
