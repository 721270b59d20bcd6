"""Channels of notifications: what may be changed of one, what is kept of it, and how it ends."""

import pytest

from maild.domain.notification import OF_INCIDENTS, Occasion
from maild.errors import Conflict, DecryptionError, InvalidFields, NotFound
from maild.models import AuditEntry, NotificationChannel, NotificationSecret
from maild.services import notification_channels
from maild.services.notification_channels import NewChannel
from tests.conftest import WORKSPACE_A, WORKSPACE_B
from tests.services.noticing import ANN, add_channel

pytestmark = pytest.mark.usefixtures("database")

URL, OTHER = "https://hooks.example.com/T0/secretpart", "https://other.example.com/T1/newpart"


def change(row, *, version=None, **fields):
    values = {
        "name": row.name, "kind": row.kind.value, "target": None, "min_severity": "minor",
        "occasions": OF_INCIDENTS, "is_active": True, **fields,
    }  # fmt: skip
    new = NewChannel(**values)
    return notification_channels.change(WORKSPACE_A, row.id, new, version=version, by=ANN)


def last_entry():
    return AuditEntry.select().order_by(AuditEntry.seq.desc()).get()


def test_another_address_takes_the_place_of_the_one_before():
    row, _ = add_channel(URL)
    changed = change(row, target=OTHER)
    assert notification_channels.open_url(changed) == OTHER
    assert NotificationSecret.select().where(NotificationSecret.kind == "url").count() == 1
    assert "newpart" not in changed.target
    entry = last_entry()
    assert entry.after["is_target_changed"] is True
    assert "newpart" not in str(entry.after)
    same = change(changed, name="Night")
    assert notification_channels.open_url(same) == OTHER
    assert "is_target_changed" not in last_entry().after


def test_a_mailbox_has_no_secret_address(make_person):
    for email in ("ann@a.example", "bob@a.example"):
        make_person(email)
    row, secret = add_channel("ann@a.example", kind="email")
    assert change(row, target="bob@a.example").target == "bob@a.example"
    assert (secret, NotificationSecret.select().count()) == (None, 0)


def test_one_that_is_switched_on_again_counts_as_working():
    row, _ = add_channel(URL)
    notification_channels.switch_off(row, reason="It answered 410.", by=ANN)
    off = notification_channels.get(WORKSPACE_A, row.id)
    assert (off.is_active, off.off_reason) == (False, "It answered 410.")
    still_off = change(off, is_active=False)
    assert still_off.off_reason == "It answered 410."
    on = change(still_off)
    assert (on.is_active, on.off_reason, on.failing_since) == (True, None, None)


def test_a_stale_change_is_refused():
    row, _ = add_channel(URL)
    assert change(row, version=row.version, name="Night").version == row.version + 1
    with pytest.raises(Conflict):
        change(row, version=row.version, name="Day")
    assert NotificationChannel.get().name == "Night"


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"kind": "slack"}, "kind"),
        ({"kind": "pigeon"}, "kind"),
        ({"min_severity": "awful"}, "min_severity"),
        ({"occasions": ("opened", "eaten")}, "occasions"),
        ({"occasions": (Occasion.TEST.value,)}, "occasions"),
        ({"name": "  "}, "name"),
        ({"target": "not an address"}, "target"),
    ],
)
def test_what_cannot_be_is_told_by_its_field_and_changes_nothing(fields, field):
    row, _ = add_channel(URL)
    with pytest.raises(InvalidFields) as caught:
        change(row, **fields)
    assert [error.field for error in caught.value.errors] == [field]
    assert NotificationChannel.get().version == row.version


def test_a_new_one_needs_an_address_and_a_name_of_its_own():
    with pytest.raises(InvalidFields, match="target"):
        add_channel(None)
    add_channel(URL)
    with pytest.raises(Conflict, match="another channel's"):
        add_channel(OTHER)
    other, _ = add_channel(OTHER, workspace_id=WORKSPACE_B)
    with pytest.raises(NotFound):
        change(other)


def test_only_what_is_signed_has_a_secret_to_renew():
    row, _ = add_channel(URL, kind="slack")
    with pytest.raises(Conflict, match="Only webhooks are signed"):
        notification_channels.rotate_secret(WORKSPACE_A, row.id, by=ANN)


def test_of_three_secrets_the_two_newest_sign():
    row, first = add_channel(URL)
    second = notification_channels.rotate_secret(WORKSPACE_A, row.id, by=ANN)
    assert notification_channels.open_signing(row) == [second, first]
    third = notification_channels.rotate_secret(WORKSPACE_A, row.id, by=ANN)
    assert notification_channels.open_signing(row) == [third, second]
    assert third not in str([entry.after for entry in AuditEntry.select()])


def test_one_that_is_off_is_not_tested():
    row, _ = add_channel(URL, is_active=False)
    with pytest.raises(Conflict, match="Switch it on"):
        notification_channels.test(WORKSPACE_A, row.id, by=ANN)


def test_an_address_that_is_lost_is_said_so():
    row, _ = add_channel(URL)
    NotificationSecret.update(value_encrypted=None).execute()
    with pytest.raises(DecryptionError, match="is not there"):
        notification_channels.open_url(row)
    with pytest.raises(DecryptionError, match="is not there"):
        notification_channels.open_signing(row)
    NotificationSecret.delete().execute()
    with pytest.raises(DecryptionError, match="Save it again"):
        notification_channels.open_url(row)
