"""Keys of the links in mail: one to begin with, the newest signs, and every one opens."""

import base64

import pytest

from maild.domain.actor import COMMAND_LINE
from maild.errors import DecryptionError, NotFound
from maild.models import AuditEntry, LinkKey
from maild.services import link_keys, secrets
from tests.conftest import WORKSPACE_A, WORKSPACE_B
from tests.services.helpers import at_once

OLD_KEY, NEW_KEY = b"o" * 32, b"n" * 32


def count(workspace_id=WORKSPACE_A):
    return LinkKey.select().where(LinkKey.workspace == workspace_id).count()


def as_another_process():
    """Forget what this process knows."""
    link_keys.forget()


def test_the_first_use_makes_a_key_and_the_next_finds_it(database):
    first = link_keys.load(WORKSPACE_A)
    as_another_process()
    again = link_keys.load(WORKSPACE_A)
    assert first.id == again.id
    assert first.cipher.encrypt(b"x", None) == again.cipher.encrypt(b"x", None)
    assert count() == 1


def test_each_workspace_has_its_own(database):
    a, b = link_keys.load(WORKSPACE_A), link_keys.load(WORKSPACE_B)
    assert (a.workspace_id, b.workspace_id) == (WORKSPACE_A, WORKSPACE_B)
    assert a.cipher.encrypt(b"x", None) != b.cipher.encrypt(b"x", None)


def test_many_at_once_make_one_between_them(database):
    made = []

    def use():
        as_another_process()
        made.append(link_keys.load(WORKSPACE_A))

    at_once(*[use] * 8)
    assert len({key.id for key in made}) == 1
    assert len({key.cipher.encrypt(b"x", None) for key in made}) == 1
    assert count() == 1


def test_a_workspace_that_is_not_there_has_none(database):
    with pytest.raises(NotFound):
        link_keys.load(999)
    with pytest.raises(NotFound):
        link_keys.rotate(999, by=COMMAND_LINE)
    with pytest.raises(LookupError):
        link_keys.signing(WORKSPACE_A)


def test_the_newest_signs_and_the_old_one_opens(database):
    old = link_keys.load(WORKSPACE_A)
    new_id = link_keys.rotate(WORKSPACE_A, by=COMMAND_LINE)
    assert new_id > old.id
    assert link_keys.load(WORKSPACE_A).id == new_id
    assert link_keys.signing(WORKSPACE_A).id == new_id
    for is_known in (True, False):
        if not is_known:
            as_another_process()
        found = link_keys.find(old.id)
        assert found.cipher.encrypt(b"x", None) == old.cipher.encrypt(b"x", None)
    assert link_keys.load(WORKSPACE_B).id != new_id


def test_a_rotation_is_audited(database):
    new_id = link_keys.rotate(WORKSPACE_A, by=COMMAND_LINE)
    entry = AuditEntry.get()
    assert (entry.actor, entry.action) == ("command line", "link_key.added")
    assert entry.after == {"link_key_id": new_id}


def test_what_signs_is_asked_for_once_in_a_while_only(database, monkeypatch):
    key = link_keys.load(WORKSPACE_A)
    LinkKey.insert(workspace=WORKSPACE_A, secret_encrypted=b"somebody else's").execute()
    assert link_keys.load(WORKSPACE_A) is key
    monkeypatch.setattr(link_keys, "FRESH_SECONDS", 0)
    with pytest.raises(DecryptionError):  # it was looked at
        link_keys.load(WORKSPACE_A)


def test_one_that_is_gone_opens_nothing_however_well_it_is_known(database):
    key = link_keys.load(WORKSPACE_A)
    assert link_keys.find(key.id)
    LinkKey.delete().execute()
    assert link_keys.find(key.id) is None
    assert link_keys.find(2**32 - 1) is None


def test_only_ciphertext_is_stored_bound_to_its_place(database):
    key = link_keys.load(WORKSPACE_A)
    blob = bytes(LinkKey.get().secret_encrypted)
    place = f"{WORKSPACE_A}/link_keys/{key.id}/secret"
    secret = base64.b64decode(secrets.decrypt(blob, place=place))
    assert len(secret) == 64
    assert secret not in blob
    with pytest.raises(DecryptionError):
        secrets.decrypt(blob, place=f"{WORKSPACE_B}/link_keys/{key.id}/secret")


def test_it_outlives_the_key_that_encrypts_it(database, use_settings):
    use_settings(encryption_key=OLD_KEY, encryption_keys_old=())
    first = link_keys.load(WORKSPACE_A)
    use_settings(encryption_key=NEW_KEY, encryption_keys_old=(OLD_KEY,))
    as_another_process()
    assert link_keys.find(first.id).cipher.encrypt(b"x", None) == first.cipher.encrypt(b"x", None)
    # What a rotation does to the row.
    row = LinkKey.get()
    place = f"{WORKSPACE_A}/link_keys/{row.id}/secret"
    text = secrets.decrypt(row.secret_encrypted, place=place)
    LinkKey.update(secret_encrypted=secrets.encrypt(text, place=place)).execute()
    use_settings(encryption_key=NEW_KEY, encryption_keys_old=())
    as_another_process()
    assert link_keys.load(WORKSPACE_A).id == first.id
    assert link_keys.find(first.id).cipher.encrypt(b"x", None) == first.cipher.encrypt(b"x", None)


def test_without_the_key_that_encrypted_it_says_so(database, use_settings):
    key = link_keys.load(WORKSPACE_A)
    use_settings(encryption_key=NEW_KEY, encryption_keys_old=())
    as_another_process()
    with pytest.raises(DecryptionError):
        link_keys.find(key.id)
