"""Tables of what stops a message, and what does not: for the claim, and for the last check.

A case is put in force between the acceptance of its message and the look at it.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from maild.domain.freeze import FreezeKind
from maild.domain.states import Stream
from maild.models import Message, Suppression
from maild.services import freezes, suppressions, unsubscribes
from tests.conftest import WORKSPACE_A, WORKSPACE_B
from tests.services.freezing import BY, K, make_key, start
from tests.services.helpers import Accept, ago, set_end

ANN = "ann@example.org"
MARKETING, TRANSACTIONAL = Stream.MARKETING, Stream.TRANSACTIONAL


@dataclass(frozen=True, slots=True)
class Case:
    """`start` puts the stop in force and returns its id; `fields` are the message's."""

    name: str
    start: Callable[[], int]
    stops: bool
    fields: dict[str, Any] = field(default_factory=dict)

    def message(self, accept: Accept) -> Message:
        return accept(**{"to_email": ANN, **self.fields})


def suppression(
    email: str = ANN,
    *,
    stream: Stream | None = None,
    ends_in: timedelta | None = None,
    workspace_id: int = WORKSPACE_A,
    removed: bool = False,
) -> Callable[[], int]:
    def put() -> int:
        row = suppressions.add(
            workspace_id, email, reason="complaint", source="test", stream=stream
        )
        if ends_in is not None:  # which may be over already
            end = ago() + ends_in
            Suppression.update(expires_at=end).where(Suppression.id == row.id).execute()
        if removed:
            suppressions.remove(workspace_id, email, reason="asked", stream=stream, by=BY)
        return int(row.id)

    return put


def unsubscribe(
    email: str = ANN,
    *,
    stream: Stream | None = None,
    topic: str | None = None,
    workspace_id: int = WORKSPACE_A,
    removed: bool = False,
) -> Callable[[], int]:
    def put() -> int:
        what = {"stream": stream, "topic": topic, "by": BY}
        row = unsubscribes.add(workspace_id, email, source=unsubscribes.API, **what)
        if removed:
            unsubscribes.remove(workspace_id, email, reason="asked", **what)
        return int(row.id)

    return put


def freeze(
    kind: FreezeKind,
    target: str | None = None,
    *,
    workspace_id: int = WORKSPACE_A,
    ends_at: datetime | None = None,
    lifted: bool = False,
) -> Callable[[], int]:
    def put() -> int:
        row = start(kind, target, workspace_id=workspace_id)
        if ends_at is not None:  # which may be over already
            set_end(row, ends_at)
        if lifted:
            freezes.lift(row)
        return int(row.id)

    return put


def freeze_of_key(*, of_message: bool, workspace_id: int = WORKSPACE_A) -> Callable[[], int]:
    """A freeze of a key, with which the messages were submitted, or were not."""

    def put() -> int:
        frozen, used = make_key(workspace_id), make_key()
        Message.update(api_key_id=frozen if of_message else used).execute()
        return int(start(K.API_KEY, str(frozen), workspace_id=workspace_id).id)

    return put


def freeze_of_an_unused_key() -> int:
    """What comes with a key of the instance has no key."""
    return int(start(K.API_KEY, str(make_key())).id)


def frozen_elsewhere() -> int:
    """Everything that another workspace can freeze, and that matches; returns the last's id."""
    for kind, target in (
        (K.WORKSPACE, None),
        (K.STREAM, "transactional"),
        (K.FROM_EMAIL, "shop@example.com"),
        (K.RECIPIENT_DOMAIN, "example.org"),
        (K.SMTP_ACCOUNT, "default"),
    ):
        start(kind, target, workspace_id=WORKSPACE_B)
    return freeze_of_key(of_message=True, workspace_id=WORKSPACE_B)()


NEWS = {"stream": MARKETING, "topic": "news"}
BOOKS_PERSON = {"to_email": "Ann@Bücher.example"}

SUPPRESSIONS = [
    Case("address", suppression(), True),
    Case("other case", suppression("ANN@Example.ORG"), True),
    Case("message in other case", suppression(), True, {"to_email": "Ann@Example.ORG"}),
    Case("beyond ASCII", suppression("Jörg@example.org"), True, {"to_email": "JÖRG@example.org"}),
    Case("A-labels", suppression("ann@xn--bcher-kva.example"), True, BOOKS_PERSON),
    Case("U-labels", suppression("ann@BÜCHER.example"), True, BOOKS_PERSON),
    Case("its stream", suppression(stream=TRANSACTIONAL), True),
    Case("not over", suppression(ends_in=timedelta(hours=1)), True),
    Case("other stream", suppression(stream=MARKETING), False),
    Case("over", suppression(ends_in=timedelta(hours=-1)), False),
    Case("removed", suppression(removed=True), False),
    Case("other address", suppression("anna@example.org"), False),
    Case("parent domain", suppression(), False, {"to_email": "ann@mail.example.org"}),
    Case("other workspace", suppression(workspace_id=WORKSPACE_B), False),
]
UNSUBSCRIBES = [
    Case("of everything", unsubscribe(), True),
    Case("of everything, with a topic", unsubscribe(), True, NEWS),
    Case("other case", unsubscribe("ANN@Example.ORG"), True),
    Case("message in other case", unsubscribe(), True, {"to_email": "Ann@Example.ORG"}),
    Case("beyond ASCII", unsubscribe("Jörg@example.org"), True, {"to_email": "JÖRG@example.org"}),
    Case("A-labels", unsubscribe("ann@xn--bcher-kva.example"), True, BOOKS_PERSON),
    Case("U-labels", unsubscribe("ann@BÜCHER.example"), True, BOOKS_PERSON),
    Case("its stream", unsubscribe(stream=MARKETING), True, {"stream": MARKETING}),
    Case("its stream, with a topic", unsubscribe(stream=MARKETING), True, NEWS),
    Case("its topic", unsubscribe(topic="news"), True, NEWS),
    Case("topic in other words", unsubscribe(topic="NEWS "), True, {**NEWS, "topic": " News"}),
    Case("its topic in its stream", unsubscribe(topic="news", stream=MARKETING), True, NEWS),
    Case("other stream", unsubscribe(stream=MARKETING), False),
    Case("other topic", unsubscribe(topic="offers"), False, NEWS),
    Case("of a topic, without one", unsubscribe(topic="news"), False, {"stream": MARKETING}),
    Case("topic of other stream", unsubscribe(topic="news", stream=TRANSACTIONAL), False, NEWS),
    Case("removed", unsubscribe(removed=True), False),
    Case("removed, of its topic", unsubscribe(topic="news", removed=True), False, NEWS),
    Case("other address", unsubscribe("anna@example.org"), False),
    Case("other workspace", unsubscribe(workspace_id=WORKSPACE_B), False),
]
FREEZES = [
    Case("workspace", freeze(K.WORKSPACE), True),
    Case("workspace, marketing", freeze(K.WORKSPACE), True, {"stream": MARKETING}),
    Case("stream", freeze(K.STREAM, "transactional"), True),
    Case("key", freeze_of_key(of_message=True), True),
    Case("from_email", freeze(K.FROM_EMAIL, "shop@example.com"), True),
    Case("from_email in other case", freeze(K.FROM_EMAIL, "SHOP@Example.COM"), True),
    Case(
        "message from it in other case",
        freeze(K.FROM_EMAIL, "shop@example.com"),
        True,
        {"from_email": "Shop@Example.COM"},
    ),
    Case(
        "from_email beyond ASCII",
        freeze(K.FROM_EMAIL, "ärger@xn--bcher-kva.example"),
        True,
        {"from_email": "ÄRGER@BÜCHER.example"},
    ),
    Case("domain", freeze(K.RECIPIENT_DOMAIN, "Example.ORG"), True),
    Case(
        "domain in A-labels",
        freeze(K.RECIPIENT_DOMAIN, "xn--bcher-kva.example"),
        True,
        BOOKS_PERSON,
    ),
    Case("domain in U-labels", freeze(K.RECIPIENT_DOMAIN, "BÜCHER.example"), True, BOOKS_PERSON),
    Case("other stream", freeze(K.STREAM, "marketing"), False),
    Case("other key", freeze_of_key(of_message=False), False),
    Case("key, of a message without", freeze_of_an_unused_key, False),
    Case("other from_email", freeze(K.FROM_EMAIL, "shops@example.com"), False),
    Case("recipient as from_email", freeze(K.FROM_EMAIL, ANN), False),
    Case("other domain", freeze(K.RECIPIENT_DOMAIN, "example.com"), False),
    Case("parent domain", freeze(K.RECIPIENT_DOMAIN, "org"), False),
    Case("child domain", freeze(K.RECIPIENT_DOMAIN, "mail.example.org"), False),
    Case("over", freeze(K.WORKSPACE, ends_at=ago(seconds=1)), False),
    Case("lifted", freeze(K.WORKSPACE, lifted=True), False),
    Case("other workspace", frozen_elsewhere, False),
]


def name_of(case: Case) -> str:
    return case.name
