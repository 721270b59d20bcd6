"""Signed mail as it arrives at a real server, checked by an independent verifier; what is not
signed, and what is not sent because it could not be.
"""

import dataclasses
from collections.abc import Callable

import pytest

from maild.domain import dkim
from maild.domain.actor import SYSTEM
from maild.domain.dkim import Algorithm, KeyState
from maild.domain.mime import Attachment
from maild.domain.states import AttemptStatus, EventType, Status, Stream
from maild.models import DkimKey
from maild.services import (
    claims,
    dispatch,
    dkim_keys,
    dkim_signers,
    providers,
    timeline,
    workers,
)
from tests.conftest import WORKSPACE_A, WORKSPACE_B, Inbox
from tests.dkim_checks import signatures, verdicts
from tests.services.conftest import MakeAccount
from tests.services.helpers import A_URGENT, Accept, reload

pytestmark = pytest.mark.proves("deliver-dkim")


Deliver = Callable[[], int]
BOTH = (Algorithm.RSA, Algorithm.ED25519)


def start(
    domain: str = "example.com",
    *algorithms: Algorithm,
    workspace_id: int = WORKSPACE_A,
) -> list[DkimKey]:
    """Keys that sign."""
    made = dkim_keys.prepare(
        workspace_id, domain, algorithms=algorithms or (Algorithm.ED25519,), by=SYSTEM
    )
    return [dkim_keys.activate(workspace_id, k.id, insist=True, by=SYSTEM) for k in made]


def records() -> dict[str, str]:
    return {
        dkim.record_name(key.selector, key.domain): dkim.record_value(key.algorithm, key.public_key)
        for key in DkimKey.select()
    }


def arrived(inbox: Inbox) -> list[bytes]:
    return [inbox.raw(message["ID"]) for message in inbox.messages()]


LONG_LINE = "x" * 5_000
CONTENTS = {
    "plain": {"body_text": "Hello Ann."},
    "dots": {"body_text": ".\n..\n.leading\nend.\n.\n"},
    "blank lines at the end": {"body_text": "Hello  \n\t\n\n\n\n"},
    "nothing but blank": {"body_text": " \n\t\n"},
    "a long line": {"body_text": LONG_LINE},
    "no last line break": {"body_html": "<p>Grüße</p>", "body_text": None},
    "UTF-8": {
        "subject": "Zażółć gęślą jaźń, " * 8,
        "from_name": "Müller & Söhne, GmbH",
        "reply_to": "antwort@example.com",
        "body_text": "Zażółć  gęślą\tjaźń \n" * 30,
        "body_html": "<p>用户</p>" + "<br>" * 500,
    },
    "folded headers": {
        "subject": "many words " * 40,
        "headers": [("References", "<a@example.com> " * 40), ("X-Own", "tab\there  and spaces")],
    },
    "an address that is not ASCII": {"to_email": "用户@例え.example"},
    "attachments": {
        "body_html": "<p>See below</p>",
        "attachments": (Attachment("Größe.bin", "application/pdf", bytes(range(256)) * 300),),
    },
    "marketing": {"stream": Stream.MARKETING, "topic": "News"},
}  # fmt: skip


def test_what_arrives_verifies(accept: Accept, deliver: Deliver, inbox: Inbox) -> None:
    start("example.com", *BOTH)
    for content in CONTENTS.values():
        accept(**content)
    deliver()
    mails = arrived(inbox)
    assert len(mails) == len(CONTENTS)
    assert [verdicts(mail, records()) for mail in mails] == [[True, True]] * len(mails)
    assert {tags["d"] for mail in mails for tags in signatures(mail)} == {"example.com"}


def test_the_way_out_of_marketing_mail_is_covered(
    accept: Accept, deliver: Deliver, inbox: Inbox
) -> None:
    start()
    accept(stream=Stream.MARKETING, topic="News")
    deliver()
    [mail] = arrived(inbox)
    for name in (b"List-Unsubscribe", b"List-Unsubscribe-Post"):
        assert verdicts(mail.replace(name + b": ", name + b": x"), records()) == [False]
    assert verdicts(mail, records()) == [True]


def test_each_attempt_signs_alike_and_the_timeline_tells_with_what(
    accept: Accept, deliver: Deliver, inbox: Inbox
) -> None:
    rsa, ed25519 = start("example.com", *BOTH)
    message = accept()
    deliver()
    [sent] = [e for e in timeline.list_events(reload(message)) if e.type == EventType.SENT]
    assert sent.data["signed_by"] == f"{rsa.selector}, {ed25519.selector} for example.com"
    [tags, _] = signatures(arrived(inbox)[0])
    assert tags["t"] == str(int(message.created_at.timestamp()))


def test_a_domain_above_signs_for_those_below_it(
    accept: Accept, deliver: Deliver, inbox: Inbox
) -> None:
    start("example.com")
    start("own.example.com")
    accept(from_email="a@mail.shop.example.com", subject="below")
    accept(from_email="a@own.example.com", subject="own")
    accept(from_email="a@notexample.com", subject="other")
    deliver()
    found = {m["Subject"]: signatures(inbox.raw(m["ID"])) for m in inbox.messages()}
    assert [tags["d"] for tags in found["below"]] == ["example.com"]
    assert [tags["d"] for tags in found["own"]] == ["own.example.com"]
    assert found["other"] == []


def test_an_international_domain_signs_by_its_a_labels(
    accept: Accept, deliver: Deliver, inbox: Inbox
) -> None:
    start("Bücher.example")
    accept(from_email="laden@bücher.example")
    deliver()
    [mail] = arrived(inbox)
    assert signatures(mail)[0]["d"] == "xn--bcher-kva.example"
    assert verdicts(mail, records()) == [True]


def test_nobody_signs_with_another_workspaces_key(
    accept: Accept, deliver: Deliver, inbox: Inbox
) -> None:
    start(workspace_id=WORKSPACE_A)
    message = accept(workspace_id=WORKSPACE_B)
    deliver()
    assert signatures(arrived(inbox)[0]) == []
    [sent] = [e for e in timeline.list_events(reload(message)) if e.type == EventType.SENT]
    assert "signed_by" not in sent.data


def test_only_an_active_key_signs(accept: Accept, deliver: Deliver, inbox: Inbox) -> None:
    [key] = dkim_keys.prepare(WORKSPACE_A, "example.com", algorithms=[Algorithm.ED25519], by=SYSTEM)
    for step in ("prepared", "active", "retiring"):
        accept(subject=step)
        deliver()
        if step == "prepared":
            dkim_keys.activate(WORKSPACE_A, key.id, insist=True, by=SYSTEM)
        else:
            dkim_keys.retire(WORKSPACE_A, key.id, by=SYSTEM)
    found = {m["Subject"]: len(signatures(inbox.raw(m["ID"]))) for m in inbox.messages()}
    assert found == {"prepared": 0, "active": 1, "retiring": 0}


def test_mail_that_cannot_be_signed_waits_and_its_timeline_says_why(
    accept: Accept, deliver: Deliver, inbox: Inbox
) -> None:
    [key] = start()
    DkimKey.update(private_key_encrypted=b"\x01nonsense").execute()
    dkim_signers.forget()
    stuck, other = accept(), accept(from_email="a@other.example")
    deliver()
    assert reload(other).status is Status.SENT
    waits = reload(stuck)
    assert (waits.status, waits.attempt_count) == (Status.QUEUED, 1)
    assert waits.next_attempt_at is not None
    [attempt] = timeline.list_attempts(reload(stuck))
    assert attempt.status is AttemptStatus.DEFERRED
    assert "example.com" in attempt.response
    assert key.selector in attempt.response
    assert "not sent unsigned" in attempt.response
    assert len(inbox.messages()) == 1


@pytest.mark.parametrize(("host", "is_signed"), [("localhost", True), ("SES", False)])
def test_fields_that_the_provider_writes_anew_stay_unsigned(
    accept: Accept,
    deliver: Deliver,
    inbox: Inbox,
    account: MakeAccount,
    monkeypatch: pytest.MonkeyPatch,
    host: str,
    is_signed: bool,
) -> None:
    start()
    account("main", active=True)
    if host == "SES":
        ways = providers.list_ways
        monkeypatch.setattr(providers, "list_ways", lambda wishes: _as_amazons(ways(wishes)))
    accept()
    deliver()
    [mail] = arrived(inbox)
    names = signatures(mail)[0]["h"].split(":")
    assert ("Date" in names, "Message-ID" in names) == (is_signed, is_signed)
    assert verdicts(mail, records()) == [True]


def _as_amazons(found):  # type: ignore[no-untyped-def]
    """The same accounts, as if their host were Amazon's."""
    host = "email-smtp.eu-west-1.amazonaws.com"
    return {
        wish: [
            dataclasses.replace(c, account=dataclasses.replace(c.account, host=host)) for c in route
        ]
        for wish, route in found.items()
    }


def test_a_process_asks_for_the_keys_once_in_a_while_and_keeps_no_key_that_signs_no_more(
    accept: Accept, deliver: Deliver, inbox: Inbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    [key] = start()
    asked: list[int] = []
    opened = dkim_signers._open
    monkeypatch.setattr(dkim_signers, "_open", lambda row: asked.append(row.id) or opened(row))
    for _ in range(3):
        accept()
        deliver()
    assert asked == [key.id]
    dkim_keys.retire(WORKSPACE_A, key.id, at_once=True, by=SYSTEM)
    dkim_signers.load(WORKSPACE_A)
    assert dkim_signers._opened == {}
    assert dkim_keys.get(WORKSPACE_A, key.id).state is KeyState.RETIRED


def test_mail_that_waits_is_signed_with_the_keys_of_now(accept: Accept) -> None:
    """However long ago it was claimed: by then its workspace's keys are forgotten, or others."""
    [key] = start()
    accept()
    worker_id = workers.enter().worker_id
    taken = claims.claim(worker_id, A_URGENT, account_id=0, account_name="default", limit=1)
    assert len(taken.claims) == 1
    dkim_signers.forget()
    dispatch._look_again(taken.claims)
    assert [one.selector for one in dkim_signers.find(WORKSPACE_A, "example.com")] == [key.selector]


def test_a_workspace_that_was_not_asked_about_is_no_reason_to_send_unsigned() -> None:
    dkim_signers.forget()
    with pytest.raises(LookupError):
        dkim_signers.find(WORKSPACE_A, "example.com")
