"""Sending what is due: claim, build the mail, talk to the provider, hand over the outcome.

One call of `deliver_due` works on one thread until nothing is due. A full batch rings the doorbell
again, so that the work spreads over as many threads and workers as there are.
"""

import time
import uuid
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

import peewee

from maild import db, log, queue
from maild.domain.address import to_wire
from maild.domain.ids import message_id_header
from maild.domain.mime import Attachment, Content, build
from maild.domain.smtp_reply import ErrorClass, Reply, Stage
from maild.errors import DecryptionError, NotFound, Unavailable
from maild.models import MessageAttachment, MessageBody
from maild.services import claims, smtp_accounts
from maild.services.claims import Claim
from maild.services.messages import DELIVER
from maild.services.outcomes import Recorder, decide
from maild.services.smtp_accounts import AccountId
from maild.services.workers import Lease
from maild.transports.smtp import Capabilities, ConnectFailed, Connection, Outcome, open_connection

logger = log.get(__name__)

CLAIM_MAX = 50
LOAD_MAX_BYTES = 16 * 1024 * 1024
"""Contents that a thread holds in memory at once; a single larger message is loaded alone."""


def sweep(lease: Lease, recorder: Recorder) -> None:
    """What a worker does every few seconds without being rung for: mend, then send what is due."""
    with db.connection():
        if forgotten := claims.rescue_forgotten(lease):
            logger.warning("messages.forgotten", count=forgotten)
    deliver_due(lease, recorder)


def deliver_due(lease: Lease, recorder: Recorder) -> int:
    """Send until nothing is due or the worker stops; returns how many messages were tried.

    Everything tried is recorded when this returns.
    """
    tried = 0
    paths = _Paths()
    try:
        with db.connection():
            while lease.may_dial():
                batch = claims.claim(lease.worker_id, limit=CLAIM_MAX)
                if not batch:
                    break
                lease.hold({claim.message_id for claim in batch})
                if len(batch) == CLAIM_MAX:
                    queue.enqueue(DELIVER)
                tried += _send_batch(batch, lease, recorder, paths)
    finally:
        paths.close()
        recorder.flush()
    return tried


def _send_batch(batch: list[Claim], lease: Lease, recorder: Recorder, paths: "_Paths") -> int:
    """Send a batch in order; what is left when the worker must stop goes back to the queue."""
    tried = 0
    paths.forgive()
    try:
        for chunk in _chunks(batch):
            bodies, attachments = _load_bodies(chunk), _load_attachments(chunk)
            for claim in chunk:
                if not (lease.may_dial() and claim.worker_id == lease.worker_id):
                    # Where the lease was lost this gives back only what nobody has rescued yet.
                    claims.release(batch[tried:])
                    return tried
                started = time.monotonic()
                outcome = _try_once(claim, bodies, attachments, paths)
                duration_ms = round((time.monotonic() - started) * 1000)
                recorder.put(decide(claim, outcome, duration_ms=duration_ms))
                tried += 1
    finally:
        # What an error has left unsent is nobody's now, and `sweep` puts it back.
        lease.let_go({claim.message_id for claim in batch[tried:]})
    return tried


def _try_once(
    claim: Claim,
    bodies: dict[uuid.UUID, MessageBody],
    attachments: dict[uuid.UUID, tuple[Attachment, ...]],
    paths: "_Paths",
) -> Outcome:
    """One attempt. A fault of our own is an outcome too, and the next message goes on.

    Raises only what the database raises, and then the message has not been offered to any server.
    """
    account_id = claim.smtp_account_id
    try:
        content = _content(claim, bodies[claim.message_id], attachments.get(claim.message_id, ()))
        outcome = _offer(paths.connection(account_id), content)
        if outcome.is_stale:
            # The server had closed the idle connection, and has not seen this message yet.
            outcome = _offer(paths.connection(account_id), content)
    except ConnectFailed as failure:
        return _not_sent(
            failure.stage,
            failure.error_class,
            failure.text,
            remote=failure.remote,
            reply=failure.reply,
        )
    except (DecryptionError, NotFound) as error:
        return _not_sent(Stage.AUTH, ErrorClass.AUTH, error.detail)
    except ValueError as error:
        text = f"This message cannot be put into SMTP: {error}"
        return _not_sent(Stage.MAIL_FROM, ErrorClass.PROTOCOL, text, is_permanent=True)
    except (peewee.PeeweeException, Unavailable):
        raise
    except Exception:
        logger.exception("attempt.crashed", message_id=str(claim.message_id))
        paths.drop(account_id)
        text = "maild itself failed while sending this message; the worker's log says how."
        return _not_sent(Stage.MAIL_FROM, ErrorClass.UNKNOWN, text)
    return outcome


def _offer(connection: Connection, content: Content) -> Outcome:
    def build_for(server: Capabilities) -> bytes:
        return build(
            content,
            eight_bit=server.eight_bit,
            utf8_headers=content.needs_utf8_headers and server.smtputf8,
        )

    return connection.send(content.from_email, content.to[0], build_for)


def _not_sent(
    stage: Stage,
    error_class: ErrorClass,
    text: str,
    *,
    remote: str = "",
    reply: Reply | None = None,
    is_permanent: bool = False,
) -> Outcome:
    """The outcome of an attempt in which no server was offered the message."""
    return Outcome(
        accepted=False,
        stage=stage,
        reply=reply,
        error_class=error_class,
        is_permanent=is_permanent,
        is_unknown=False,
        is_stale=False,
        text=text,
        remote=remote,
    )


class _Paths:
    """The connections of one delivery thread: one an account, opened when needed, then reused."""

    def __init__(self) -> None:
        self._open: dict[AccountId, Connection] = {}
        self._failed: dict[AccountId, ConnectFailed] = {}

    def connection(self, account_id: AccountId) -> Connection:
        """A usable connection. Raises ConnectFailed, DecryptionError, NotFound."""
        held = self._open.get(account_id)
        if held is not None and held.is_usable:
            return held
        self.drop(account_id)
        if failure := self._failed.get(account_id):
            raise failure
        try:
            opened = self._open[account_id] = open_connection(smtp_accounts.get_server(account_id))
        except ConnectFailed as failure:
            # Not once more for each message of the batch: a silent server costs its timeout.
            self._failed[account_id] = failure
            raise
        return opened

    def forgive(self) -> None:
        """Dial failed accounts again from now on."""
        self._failed.clear()

    def drop(self, account_id: AccountId) -> None:
        """Close and forget an account's connection."""
        held = self._open.pop(account_id, None)
        if held is not None:
            held.close()

    def close(self) -> None:
        for account_id in list(self._open):
            self.drop(account_id)


def _chunks(batch: Sequence[Claim]) -> Iterator[list[Claim]]:
    """The batch in its order, cut so that no piece holds more than LOAD_MAX_BYTES of content."""
    chunk: list[Claim] = []
    size = 0
    for claim in batch:
        if chunk and size + claim.size_bytes > LOAD_MAX_BYTES:
            yield chunk
            chunk, size = [], 0
        chunk.append(claim)
        size += claim.size_bytes
    if chunk:
        yield chunk


def _load_bodies(chunk: Sequence[Claim]) -> dict[uuid.UUID, MessageBody]:
    """The contents of the piece, in one query."""
    bodies = MessageBody.select().where(MessageBody.message << [c.message_id for c in chunk])
    return {body.message_id: body for body in bodies}


def _load_attachments(chunk: Sequence[Claim]) -> dict[uuid.UUID, tuple[Attachment, ...]]:
    """The attachments of the piece, in one query."""
    found: dict[uuid.UUID, tuple[Attachment, ...]] = {}
    query = MessageAttachment.select().where(
        MessageAttachment.message << [c.message_id for c in chunk]
    )
    for row in query.order_by(MessageAttachment.message, MessageAttachment.position):
        attachment = Attachment(row.filename, row.content_type, bytes(row.content), row.content_id)
        found[row.message_id] = (*found.get(row.message_id, ()), attachment)
    return found


def _content(claim: Claim, body: MessageBody, attachments: tuple[Attachment, ...]) -> Content:
    from_email = to_wire(claim.from_email)
    return Content(
        message_id=message_id_header(claim.message_id, from_email.rpartition("@")[2]),
        date=datetime.fromtimestamp(claim.created_at_epoch, UTC),
        from_email=from_email,
        from_name=body.from_name,
        to=(to_wire(claim.to_email),),
        reply_to=to_wire(body.reply_to) if body.reply_to else None,
        subject=claim.subject,
        body_text=body.body_text,
        body_html=body.body_html,
        headers=tuple((name, value) for name, value in body.headers),
        attachments=attachments,
    )
