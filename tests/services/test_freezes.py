"""Freezes: what may be started, extended and listed, and what is kept of it."""

import pytest

from maild.domain.actor import SYSTEM
from maild.domain.freeze import FreezeKind, FreezeState
from maild.domain.states import EventType
from maild.errors import Conflict, InvalidFields, NotFound
from maild.models import Freeze
from maild.services import freezes, smtp_accounts
from maild.services.smtp_account_fields import NewSmtpAccount
from tests.conftest import WORKSPACE_A, WORKSPACE_B
from tests.services.freezing import BY, K, ahead, audited, make_key, start, told
from tests.services.helpers import (
    ago,
    at_once,
    set_end,
)


def make_account(name: str, workspace_id: int = WORKSPACE_A) -> None:
    account = NewSmtpAccount(name, "smtp.example.com", 587, "shop@example.com")
    smtp_accounts.save(workspace_id, account, by=SYSTEM)


# Starting


@pytest.mark.parametrize(
    ("kind", "target", "kept"),
    [
        (K.WORKSPACE, None, None),
        (K.STREAM, "marketing", "marketing"),
        (K.SMTP_ACCOUNT, "default", "default"),
        (K.FROM_EMAIL, "Shop@Example.COM", "shop@example.com"),
        (K.FROM_EMAIL, "ÄRGER@BÜCHER.example", "ärger@bücher.example"),
        (K.RECIPIENT_DOMAIN, "Example.ORG", "example.org"),
        (K.RECIPIENT_DOMAIN, "xn--bcher-kva.example", "bücher.example"),
        (K.RECIPIENT_DOMAIN, "BÜCHER.example", "bücher.example"),
        (K.RECIPIENT_DOMAIN, "corp.test", "corp.test"),
    ],
)
def test_a_target_is_kept_in_the_form_that_messages_have(
    kind: FreezeKind, target: str | None, kept: str | None, database: None
) -> None:
    freeze = start(kind, target)
    assert (freeze.kind, freeze.target) == (kind, kept)
    assert Freeze.get_by_id(freeze.id).target == kept


def test_a_freeze_of_an_account_or_a_key_names_one_of_the_workspace(database: None) -> None:
    make_account("ses")
    make_account("theirs", WORKSPACE_B)
    ours, theirs = make_key(), make_key(WORKSPACE_B)
    assert start(K.SMTP_ACCOUNT, "ses").target == "ses"
    assert start(K.API_KEY, str(ours)).target == str(ours)
    for kind, target in (
        (K.SMTP_ACCOUNT, "theirs"),
        (K.SMTP_ACCOUNT, "nobody"),
        (K.SMTP_ACCOUNT, "SES"),
        (K.API_KEY, str(theirs)),
        (K.API_KEY, "999999"),
    ):
        with pytest.raises(NotFound) as caught:
            start(kind, target)
        assert target in caught.value.detail
    assert Freeze.select().count() == 2


@pytest.mark.parametrize(
    ("kind", "target"),
    [
        (K.WORKSPACE, "transactional"),
        (K.WORKSPACE, ""),
        *((kind, None) for kind in K if kind is not K.WORKSPACE),
        *((kind, "") for kind in K if kind is not K.WORKSPACE),
        (K.STREAM, "Marketing"),
        (K.STREAM, "urgent"),
        (K.SMTP_ACCOUNT, "a\nb"),
        (K.SMTP_ACCOUNT, "a\0b"),
        (K.API_KEY, "0"),
        (K.API_KEY, "-1"),
        (K.API_KEY, "01"),
        (K.API_KEY, "mk_1a2b"),
        (K.API_KEY, "٣"),
        (K.API_KEY, "2147483648"),
        (K.API_KEY, "9" * 5000),
        (K.FROM_EMAIL, "example.com"),
        (K.FROM_EMAIL, "a@b@example.com"),
        (K.FROM_EMAIL, "a@example.com\r\nBcc: x@example.com"),
        (K.FROM_EMAIL, "\ud800@example.com"),
        (K.RECIPIENT_DOMAIN, "ann@example.com"),
        (K.RECIPIENT_DOMAIN, "@example.com"),
        (K.RECIPIENT_DOMAIN, "*.example.com"),
        (K.RECIPIENT_DOMAIN, "exa mple.com"),
        (K.RECIPIENT_DOMAIN, "example.com\n"),
        (K.RECIPIENT_DOMAIN, "\ud800.example"),
        (K.RECIPIENT_DOMAIN, "a" * 5000),
    ],
)
def test_it_refuses_what_is_no_target(kind: FreezeKind, target: str | None, database: None) -> None:
    with pytest.raises(InvalidFields) as caught:
        start(kind, target)
    assert [error.field for error in caught.value.errors] == ["target"]
    assert Freeze.select().count() == 0


@pytest.mark.parametrize("reason", ["", " ", "a\nb", "a\0b", "x" * 501, "\ud800"])
def test_it_wants_a_reason_of_one_line(reason: str, database: None) -> None:
    freeze = start()
    for act in (
        lambda: start(K.STREAM, "marketing", reason=reason),
        lambda: freezes.extend(freeze, expires_at=ahead(days=2), reason=reason, by=BY),
        lambda: freezes.lift(freeze, reason=reason, by=BY),
    ):
        with pytest.raises(InvalidFields) as caught:
            act()
        assert {error.field for error in caught.value.errors} == {"reason"}
    [row] = Freeze.select()
    assert (row.expires_at, row.lifted_at) == (freeze.expires_at, None)


def test_its_end_lies_ahead_and_within_thirty_days(database: None) -> None:
    for expires_at in (ago(seconds=1), ahead(days=30, minutes=1)):
        with pytest.raises(InvalidFields) as caught:
            start(expires_at=expires_at)
        assert [error.field for error in caught.value.errors] == ["expires_at"]
    assert start(expires_at=ahead(days=29, hours=23)).lifted_at is None


def test_it_complains_of_everything_at_once(database: None) -> None:
    with pytest.raises(InvalidFields) as caught:
        start(K.STREAM, "urgent", reason="", expires_at=ago(days=1))
    assert [e.field for e in caught.value.errors] == ["reason", "expires_at", "target"]


def test_an_unknown_workspace_is_not_found(database: None) -> None:
    with pytest.raises(NotFound):
        start(workspace_id=999)
    with pytest.raises(NotFound):
        freezes.list_page(999)


def test_the_same_is_frozen_once_at_a_time(database: None) -> None:
    first = start(K.RECIPIENT_DOMAIN, "example.org")
    with pytest.raises(Conflict) as caught:
        start(K.RECIPIENT_DOMAIN, "EXAMPLE.org", reason="another")
    assert f"the freeze {first.id}" in caught.value.detail
    assert "Extend" in caught.value.detail
    start(K.RECIPIENT_DOMAIN, "example.net")
    start(K.RECIPIENT_DOMAIN, "example.org", workspace_id=WORKSPACE_B)
    start()
    start(workspace_id=WORKSPACE_B)
    with pytest.raises(Conflict):
        start()
    assert Freeze.select().count() == 5


@pytest.mark.parametrize("how", ["lifted", "ended"])
def test_what_is_over_can_be_frozen_again(how: str, database: None) -> None:
    first = start()
    if how == "lifted":
        freezes.lift(first)
    else:
        set_end(first, ago(seconds=1))
    assert start().id != first.id


def test_of_two_that_start_the_same_at_once_one_wins(database: None) -> None:
    refused: list[str] = []

    def act() -> None:
        try:
            start(K.STREAM, "marketing")
        except Conflict as error:
            refused.append(error.detail)

    at_once(*[act] * 5)
    assert len(refused) == 4
    assert Freeze.select().count() == 1
    assert [entry.action for entry in audited()] == ["freeze.started"]


# Extending


def test_a_freeze_can_last_longer(database: None) -> None:
    freeze = start(expires_at=ahead(hours=1))
    later = ahead(days=3)
    extended = freezes.extend(freeze, expires_at=later, reason="not mended yet", by=BY)
    assert extended.expires_at == later == Freeze.get_by_id(freeze.id).expires_at
    assert extended.reason == "a test", "why it began"


def test_it_is_not_made_shorter(database: None) -> None:
    freeze = start(expires_at=ahead(hours=2))
    for expires_at in (freeze.expires_at, ahead(hours=1)):
        with pytest.raises(InvalidFields) as caught:
            freezes.extend(freeze, expires_at=expires_at, by=BY)
        assert [error.field for error in caught.value.errors] == ["expires_at"]
        assert "lift it" in caught.value.detail
    with pytest.raises(InvalidFields):
        freezes.extend(freeze, expires_at=ahead(days=31), by=BY)
    assert Freeze.get_by_id(freeze.id).expires_at == freeze.expires_at


@pytest.mark.parametrize("how", ["lifted", "ended", "gone"])
def test_what_is_over_is_not_extended(how: str, database: None) -> None:
    freeze = start()
    if how == "lifted":
        freezes.lift(freeze)
    elif how == "ended":
        set_end(freeze, ago(seconds=1))
    else:
        freeze.delete_instance()
    with pytest.raises(Conflict):
        freezes.extend(freeze, expires_at=ahead(days=2), by=BY)


# What is kept of it


def test_it_is_told_and_audited(database: None) -> None:
    freeze = start(K.FROM_EMAIL, "shop@example.com", reason="stolen list")
    end = Freeze.get_by_id(freeze.id).expires_at
    freezes.extend(freeze, expires_at=ahead(days=2), reason="still", by=BY)
    freezes.lift(freeze, reason="mended", by=BY)

    facts = {"freeze_id": freeze.id, "kind": "from_email", "target": "shop@example.com"}
    by = {"by": "operator key"}
    until = {"expires_at": end.isoformat().replace("+00:00", "Z")}
    assert told() == [
        (EventType.FREEZE_STARTED, {**facts, **by, **until, "reason": "stolen list"}),
        (EventType.FREEZE_ENDED, {**facts, **by, "reason": "mended"}),
    ]
    entries = audited()
    assert [(e.action, e.reason) for e in entries] == [
        ("freeze.started", "stolen list"),
        ("freeze.extended", "still"),
        ("freeze.lifted", "mended"),
    ]
    assert {e.target for e in entries} == {"from_email shop@example.com"}
    assert {(e.actor, e.actor_ip, e.request_id) for e in entries} == {
        ("operator key", "192.0.2.7", "r-1")
    }
    assert entries[1].before["expires_at"] == until["expires_at"] != entries[1].after["expires_at"]


def test_pages_go_from_the_newest_to_the_oldest(database: None) -> None:
    made = [start(K.RECIPIENT_DOMAIN, f"{n}.example").id for n in range(5)]
    start(workspace_id=WORKSPACE_B)
    seen: list[int] = []
    older = None
    while True:
        page = freezes.list_page(WORKSPACE_A, limit=2, older_than=older)
        seen += [freeze.id for freeze in page.freezes]
        older = page.older
        if older is None:
            break
    assert seen == made[::-1]


def test_a_list_shows_what_is_in_force_or_over_or_both(database: None) -> None:
    standing, lifted, ended = (start(K.RECIPIENT_DOMAIN, f"{n}.example") for n in range(3))
    freezes.lift(lifted)
    set_end(ended, ago(seconds=1))

    def ids(state: FreezeState | None) -> set[int]:
        return {freeze.id for freeze in freezes.list_page(WORKSPACE_A, state=state).freezes}

    assert ids(FreezeState.IN_FORCE) == {standing.id}
    assert ids(FreezeState.ENDED) == {lifted.id, ended.id}
    assert ids(None) == {standing.id, lifted.id, ended.id}
    assert freezes.list_page(WORKSPACE_B, state=None).freezes == []


def test_another_workspaces_is_not_found(database: None) -> None:
    theirs = start(workspace_id=WORKSPACE_B)
    for freeze_id in (theirs.id, theirs.id + 1_000):
        with pytest.raises(NotFound):
            freezes.get(WORKSPACE_A, freeze_id)
    assert freezes.get(WORKSPACE_B, theirs.id) == theirs
