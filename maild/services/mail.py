"""From a message as it is stored to the bytes that suit one server."""

from datetime import UTC, datetime

from maild.domain import provider_headers
from maild.domain.address import to_wire
from maild.domain.bounce_mail import verp
from maild.domain.ids import message_id_header
from maild.domain.mime import Attachment, Content, build
from maild.domain.states import Stream
from maild.services import dkim_signers, mail_links, unsubscribe_links
from maild.services.claims import Claim
from maild.services.mail_links import MailLinks
from maild.services.paths import Parcel
from maild.services.unsubscribe_links import Link
from maild.transports.smtp import Capabilities, Offer


def make_offer(
    parcel: Parcel, server: Capabilities, *, return_path: str | None, host: str = ""
) -> Offer:
    """The message as this server, at this host, can take it, signed where its From domain has keys;
    the parcel is told by which. Raises ValueError where it cannot be put into SMTP, and
    DecryptionError where it cannot be signed.

    Its bounces go to an address of its own made of `return_path`, without one to its sender.
    """
    content = compose(parcel, way_out=_way_out(parcel.claim), links=_links(parcel))
    recipient = to_wire(parcel.claim.to_email)
    message = build(
        content,
        eight_bit=server.eight_bit,
        utf8_headers=content.needs_utf8_headers and server.smtputf8,
    )
    mail_from = content.from_email
    signers = dkim_signers.find(parcel.claim.workspace_id, mail_from.rpartition("@")[2])
    parcel.signed_by = None
    if signers:
        # At the time of its Date, so that every attempt sends the same bytes.
        at = parcel.claim.dated_at_epoch
        message = dkim_signers.sign(message, signers, at=at, host=host)
        parcel.signed_by = dkim_signers.name_of(signers)
    if return_path is not None:
        mail_from = verp.address(to_wire(return_path), parcel.claim.message_id)
    return Offer(mail_from, recipient, message, parcel)


def compose(
    parcel: Parcel, *, way_out: tuple[tuple[str, str], ...], links: MailLinks | None
) -> Content:
    """What its bytes are built from; `way_out` are the fields by which its recipient leaves, and
    `links` what stands for the marks in its texts, where they have marks.
    """
    claim, stored = parcel.claim, parcel.content
    from_email = to_wire(claim.from_email)
    return Content(
        message_id=message_id_header(claim.content_id, from_email.rpartition("@")[2]),
        # RFC 5322 3.6.1: when its sender meant it to go, not when it happens to be transported.
        date=datetime.fromtimestamp(claim.dated_at_epoch, UTC),
        from_email=from_email,
        from_name=stored.from_name,
        to=(to_wire(stored.visible_to or claim.to_email),),
        cc=tuple(to_wire(address) for address in stored.visible_cc or ()),
        reply_to=to_wire(stored.reply_to) if stored.reply_to else None,
        subject=claim.subject,
        body_text=mail_links.put_in(stored.body_text, links),
        body_html=mail_links.put_in(stored.body_html, links),
        headers=_own_headers(parcel),
        literal_headers=way_out,
        attachments=tuple(Attachment(*attachment) for attachment in parcel.attachments),
    )


def _own_headers(parcel: Parcel) -> tuple[tuple[str, str], ...]:
    """The sender's, and in them what lets a provider's report name the message."""
    own = tuple((name, value) for name, value in parcel.content.headers)
    if parcel.marks_for is None:
        return own
    return provider_headers.headers(parcel.marks_for, parcel.claim.message_id, own)


def _way_out(claim: Claim) -> tuple[tuple[str, str], ...]:
    """What lets the recipient of marketing mail leave with one click."""
    if claim.stream is not Stream.MARKETING:
        return ()
    return unsubscribe_links.headers(
        workspace_id=claim.workspace_id,
        message_id=claim.message_id,
        email=claim.to_email,
        topic=claim.topic,
    )


def _links(parcel: Parcel) -> MailLinks | None:
    """The links in the texts of marketing mail, for those that a template has put there."""
    claim, stored = parcel.claim, parcel.content
    if claim.stream is not Stream.MARKETING:
        return None
    if not mail_links.has_marks(stored.body_text, stored.body_html):
        return None
    return mail_links.of(Link(claim.workspace_id, claim.message_id, claim.to_email, claim.topic))
