"""What a freeze would hold if it began now."""

import pytest

from maild.errors import InvalidFields, NotFound
from maild.models import Event, Freeze, Message
from maild.services import freeze_backlogs
from tests.conftest import WORKSPACE_A, WORKSPACE_B
from tests.services.freezing import K, make_key, start
from tests.services.helpers import Accept
from tests.services.test_freezes import make_account


def foresee(kind=K.WORKSPACE, target=None, workspace_id=WORKSPACE_A):
    return freeze_backlogs.foresee(workspace_id, kind=kind, target=target)


def test_it_counts_what_is_due_by_target(accept: Accept):
    accept(to_email="ann@example.org")
    accept(to_email="bob@example.net", stream="marketing", from_email="Shop@example.com")
    assert foresee() == (2, False)
    assert foresee(K.STREAM, "marketing") == (1, False)
    assert foresee(K.RECIPIENT_DOMAIN, "Example.ORG") == (1, False)
    assert foresee(K.FROM_EMAIL, "shop@EXAMPLE.com") == (2, False)
    assert foresee(K.RECIPIENT_DOMAIN, "nobody.example") == (0, False)


def test_it_changes_nothing(accept: Accept):
    message = accept()
    events = Event.select().count()
    foresee()
    assert not Freeze.select().exists()
    assert Event.select().count() == events
    assert Message.get_by_id(message.id).status.value == "queued"


def test_mail_of_an_account_waits_only_where_no_other_takes_it(accept: Accept):
    accept()
    assert foresee(K.SMTP_ACCOUNT, "default") == (1, False)  # there is no other
    make_account("ses")
    assert foresee(K.SMTP_ACCOUNT, "default") == (0, False)


def test_the_count_is_bounded(accept: Accept, monkeypatch):
    monkeypatch.setattr(freeze_backlogs, "COUNT_MAX", 2)
    for _ in range(4):
        accept()
    assert foresee() == (2, True)


def test_it_counts_nothing_of_another_workspace(accept: Accept):
    accept(workspace_id=WORKSPACE_B)
    start(workspace_id=WORKSPACE_B)
    assert foresee() == (0, False)


def test_it_refuses_a_target_that_makes_no_sense(database):
    for kind, target in ((K.STREAM, "x"), (K.WORKSPACE, "x"), (K.FROM_EMAIL, "x"), (K.API_KEY, "")):
        with pytest.raises(InvalidFields):
            foresee(kind, target)


def test_an_account_or_key_of_another_workspace_is_not_there(database):
    make_account("theirs", WORKSPACE_B)
    for kind, target in (
        (K.SMTP_ACCOUNT, "theirs"),
        (K.API_KEY, str(make_key(WORKSPACE_B))),
    ):
        with pytest.raises(NotFound):
            foresee(kind, target)
