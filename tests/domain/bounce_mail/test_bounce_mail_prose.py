"""Bounces that only people were meant to read."""

import base64

import pytest

from maild.domain.bounce_mail import ReportKind, read
from maild.domain.bounce_mail.html_text import text_of_html
from maild.domain.bounce_mail.texts import cut
from maild.domain.provider_event import RejectReason
from tests.domain.bounce_mail.builders import ORIGINAL, kinds, plain, verdicts

ANN = "ann@there.example"
BOB = "bob@there.example"
EXIM = "This message was created automatically by mail delivery software.\n\n" \
       "A message that you sent could not be delivered to one or more of its\n" \
       "recipients. This is a permanent error. The following address(es) failed:\n\n"  # fmt: skip
QMAIL = "Hi. This is the qmail-send program at out.shop.example.\n" \
        "I'm afraid I wasn't able to deliver your message to the following addresses.\n" \
        "This is a permanent error; I've given up. Sorry it didn't work out.\n\n"  # fmt: skip
OPENSMTPD = "    Hi!\n\n    This is the MAILER-DAEMON, please DO NOT REPLY to this e-mail.\n\n" \
            "    An error has occurred while attempting to deliver a message for\n" \
            "    the following list of recipients:\n\n"  # fmt: skip


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (EXIM + f"  {ANN}\n    host mx.there.example [192.0.2.1]\n    SMTP error from remote mail"
         f" server after RCPT TO:<{ANN}>:\n    550 5.1.1 No such user\n", [(ANN, True)]),
        (EXIM + f"  {ANN}\n    SMTP error from remote mail server after MAIL FROM:<b@shop.example>:"
         "\n    550 No such user or domain\n", [(ANN, False)]),
        (EXIM + f"  {ANN}\n    SMTP error from remote mail server after end of data:\n"
         "    550 user unknown\n", [(ANN, False)]),
        (EXIM + f"  {ANN}\n    all relevant MX records point to non-existent hosts\n",
         [(ANN, True)]),
        (EXIM + f"  {ANN}\n    an MX or SRV record indicated no SMTP service\n", [(ANN, True)]),
        (EXIM + f"  {ANN}\n    retry timeout exceeded\n", [(ANN, False)]),
        (EXIM + f"  {ANN}\n    mailbox is full: retry timeout exceeded\n", [(ANN, False)]),
        (QMAIL + f"<{ANN}>:\n192.0.2.1 does not like recipient.\nRemote host said: 550 5.1.1 sorry,"
         " no mailbox here by that name\nGiving up on 192.0.2.1.\n", [(ANN, True)]),
        (QMAIL + f"<{ANN}>:\n192.0.2.1 failed after I sent the message.\nRemote host said: 550"
         " user unknown\n", [(ANN, False)]),
        (QMAIL + f"<{ANN}>:\nSorry, I couldn't find a mail exchanger or IP address. (#5.4.4)\n",
         [(ANN, True)]),
        (QMAIL + f"<{ANN}>:\nSorry, I wasn't able to establish an SMTP connection. (#4.4.1)\n"
         "I'm not going to try again; this message has been in the queue too long.\n",
         [(ANN, False)]),
        (QMAIL + f"<{ANN}>:\n192.0.2.1 does not like recipient.\nRemote host said: 550 5.1.1 no"
         f" such user\n\n<{BOB}>:\n192.0.2.1 does not like recipient.\nRemote host said: 552 5.2.2"
         " Mailbox full\n", [(ANN, True), (BOB, False)]),
        (OPENSMTPD + f"{ANN}: 550 5.1.1 <{ANN}>: User unknown\n{BOB}: Envelope expired\n",
         [(ANN, True), (BOB, False)]),
        (f"   ----- The following addresses had permanent fatal errors -----\n<{ANN}>\n\n"
         "   ----- Transcript of session follows -----\n... while talking to mx.there.example.:\n"
         f">>> RCPT To:<{ANN}>\n<<< 550 Requested mailbox not found. No such user here.\n"
         f"550 <{ANN}>... User unknown\n", [(ANN, True)]),
        (f"   ----- The following addresses had permanent fatal errors -----\n<{ANN}>\n<{BOB}>\n\n"
         f"   ----- Transcript of session follows -----\n>>> RCPT To:<{ANN}>\n"
         f"<<< 550 5.1.1 <{ANN}>... no such user\n>>> RCPT To:<{BOB}>\n"
         f"<<< 552 5.2.2 <{BOB}>... over quota\n", [(ANN, True), (BOB, False)]),
        (f"Your message\n\n  To:      someone@else.example\n  Subject: Order\n\ndid not reach the"
         f" following recipient(s):\n\n{ANN} on Mon, 2 Nov 2026 11:00:00 +0000\n    The recipient"
         " name is not recognized\n    MSEXCH:IMS:ORG:SITE:SERVER 0 (000C05A6) Unknown Recipient\n",
         [(ANN, True)]),
        (f"Delivery to the following recipient failed permanently:\n\n     {ANN}\n\n"
         "Technical details of permanent failure:\nThe error that the other server returned was:\n"
         "550 550 5.1.1 The email account that you tried to reach does not exist. (state 13).\n",
         [(ANN, True)]),
        (f"User mailbox exceeds allowed size: {ANN}\n", [(ANN, False)]),
        (f"Invalid final delivery userid: {ANN}\n", [(ANN, True)]),
        (f"Sorry, we were unable to deliver your message to the following address.\n\n<{ANN}>:\n"
         f"550: 5.1.1 <{ANN}>... User Unknown\n", [(ANN, True)]),
        (f"The message you sent to {ANN} has been rejected:\nThis user has moved and has no mailbox"
         " any more\n", [(ANN, True)]),
        (f"There was an error delivering your mail to <{ANN}>.\n\nDNS lookup failure: host"
         " there.example not found\n", [(ANN, True)]),
        (f"Delivery failed 20 attempts: {ANN}\n", [(ANN, False)]),
        (f"  Recipient address: {ANN}\n  Reason: Remote SMTP server has rejected address\n"
         f"  Diagnostic code: smtp; 550 5.1.1 unknown user\n  Recipient address: {BOB}\n"
         "  Reason: quota\n  Diagnostic code: smtp; 552 5.2.2 mailbox full\n",
         [(ANN, True), (BOB, False)]),
        (f"The group you tried to reach ({ANN}) may not exist, or you may not have permission.\n",
         [(ANN, False)]),
        (f"<{ANN}>: [User unknown]\n", [(ANN, False)]),
        (EXIM + f"  {ANN}\n    Unrouteable address\n", [(ANN, True)]),
        (f"Your message\n\n  Subject: Order\n\nwas not delivered to:\n\n  {ANN}\n\nbecause:\n\n"
         f"  User ann ({ANN}) not listed in Domino Directory\n", [(ANN, True)]),
        (f"Unknown user: {ANN}\n", [(ANN, True)]),
        (f"<{ANN}>:\nNo MX or A records for there.example\n", [(ANN, True)]),
        (f"The following recipient failed:\n {ANN}\n  Reason: Unable-to-transfer\n"
         "  Diagnostic: Unrecognised-OR-name\n", [(ANN, True)]),
        (f"Delivery has failed to these recipients or distribution lists:\n\n{ANN}\nThe recipient's"
         " mailbox is full.\n\nDiagnostic information for administrators:\n\n"
         f"{ANN}\n#554-5.2.2 mailbox full 554 5.2.2 STOREDRV.Deliver.Exception ##\n",
         [(ANN, False)]),
        (f"<{ANN}>: Message could not be delivered for 5 days\n", [(ANN, False)]),
    ],
)  # fmt: skip
def test_recipients_and_reasons_are_read_from_the_text(body, expected):
    mark = "\n------ This is a copy of the message, including all the headers. ------\n\n"
    assert verdicts(plain(body + mark + ORIGINAL)) == expected


MARKS = [
    "--- Below this line is a copy of the message.\n\n",
    "------ This is a copy of the message, including all the headers. ------\n\n",
    "Original message follows.\n\n",
    "----- Original message -----\n\n",
    "    Below is a copy of the original message:\n\n",
    "   ----- Unsent message follows -----\n",
    "Message headers follow.\n\n",
    "------- Returned Message --------\n\n",
    "",
]


@pytest.mark.parametrize("mark", MARKS)
def test_the_returned_mail_is_no_part_of_the_report(mark):
    quoted = ORIGINAL + "The user unknown@elsewhere.example does not exist: 550 5.1.1\n"
    report = read(plain(f"<{ANN}>:\n552 5.2.2 over quota\n\n{mark}{quoted}"))
    assert [(event.recipient, event.is_hard) for event in report.events] == [(ANN, False)]
    assert report.message_ids == ("0199a3c2-1111-7222-8333-444455556666@shop.example",)


def test_an_indented_original_is_found_as_well():
    quoted = "".join(f"   {line}\n" for line in ORIGINAL.splitlines())
    report = read(
        plain(f"<{ANN}>: 550 5.1.1 user unknown\n\nOriginal mail as follows:\n\n{quoted}")
    )
    assert report.message_ids == ("0199a3c2-1111-7222-8333-444455556666@shop.example",)


def test_a_header_that_names_the_failed_counts_more_than_the_text():
    header = f"X-Failed-Recipients: {ANN}, {BOB}\n"
    raw = plain("Something went wrong.", header=header, sender="mail@relay.example", subject="Hm")
    assert [recipient for recipient, _ in verdicts(raw)] == [ANN, BOB]


def test_the_sender_and_the_postmaster_are_no_recipients():
    body = (
        f"Your mail from <orders@shop.example> to <{ANN}> could not be delivered.\n"
        "For help contact postmaster@out.shop.example or support@out.shop.example.\n"
    )
    assert [recipient for recipient, _ in verdicts(plain(body))] == [ANN]


def test_without_any_address_the_originals_recipient_is_taken():
    body = "Delivery failed: 550 5.1.1 no such user\n\nOriginal message follows.\n\n" + ORIGINAL
    assert verdicts(plain(body)) == [(ANN, True)]


def test_a_bounce_that_names_nobody_is_one_event_without_a_recipient():
    report = read(
        plain("Your message could not be delivered.", header="In-Reply-To: <i@shop.example>\n")
    )
    assert report.kind is ReportKind.BOUNCE
    assert [event.recipient for event in report.events] == [None]
    assert report.message_ids == ("i@shop.example",)


@pytest.mark.parametrize(
    ("body", "subject"),
    [
        (f"THIS IS A WARNING MESSAGE ONLY.\nYOU DO NOT NEED TO RESEND YOUR MESSAGE.\n<{ANN}>",
         "Warning: could not send message for past 4 hours"),
        (f"Delivery to the following recipient has been delayed:\n\n     {ANN}\n\n"
         "Message will be retried for 2 more day(s)\n", "Delivery Status Notification (Delay)"),
    ],
)  # fmt: skip
def test_a_delay_in_words_is_no_bounce(body, subject):
    report = read(plain(body, subject=subject))
    assert (report.kind, kinds(report)) == (ReportKind.DELAYED, ["deferred"])


def test_html_alone_is_read():
    html = (
        "<html><head><style>p { color: 550 }</style></head><body><p>Delivery has failed to these"
        f" recipients:</p><p><a href='mailto:{ANN}'>{ANN}</a><br>The address you entered"
        " couldn&#39;t be found.</p><p>Remote Server returned &#39;550 5.1.1 no such"
        " user&#39;</p></body></html>"
    )
    raw = plain(
        html, header="Content-Type: text/html; charset=utf-8\n", sender="postmaster@x.example"
    )
    assert verdicts(raw) == [(ANN, True)]


@pytest.mark.parametrize(
    ("charset", "words"),
    [("iso-2022-jp", "以下のアドレスへの送信に失敗しました"), ("big5", "無法投遞"),
     ("utf-16", "не доставлено"), ("koi8-r", "не доставлено"), ("unknown-8bit", "nicht zugestellt"),
     ("utf-7", "échec")],
)  # fmt: skip
def test_charsets_and_transfer_encodings_are_undone(charset, words):
    codec = "utf-8" if charset == "unknown-8bit" else charset
    body = base64.encodebytes(f"{words}\n\n<{ANN}>:\n550 5.1.1 user unknown\n".encode(codec))
    header = (
        "From: MAILER-DAEMON@x.example\nSubject: failure notice\nContent-Type: text/plain;"
        f' charset="{charset}"\nContent-Transfer-Encoding: base64\n\n'
    )
    assert verdicts(header.encode() + body) == [(ANN, True)]


def test_a_bounce_inside_a_bounce_is_read():
    inner = plain(f"<{ANN}>:\n550 5.1.1 no such user\n\nOriginal message follows.\n\n" + ORIGINAL)
    raw = (
        b"From: MAILER-DAEMON@gate.example\nSubject: Returned mail\n"
        b"Content-Type: multipart/mixed; boundary=g\n\n--g\n\nThe following had errors:\n\n"
        b"--g\nContent-Type: message/rfc822\n\n" + inner + b"\n--g--\n"
    )
    assert verdicts(raw) == [(ANN, True)]


def test_a_persons_mail_is_of_no_kind():
    report = read(plain("Where is my order?", sender="Ann <ann@there.example>", subject="My order"))
    assert (report.kind, report.events) == (ReportKind.OTHER, [])
    report = read(plain("Minutes attached.", sender="postmaster@there.example", subject="Meeting"))
    assert report.kind is ReportKind.OTHER


def test_a_success_in_words_is_no_bounce():
    body = f"Your message was successfully delivered to the following recipient:\n\n  {ANN}\n"
    report = read(plain(body, subject="Delivery Status Notification"))
    assert (report.kind, kinds(report)) == (ReportKind.DELIVERED, ["delivered"])


def test_where_nobody_else_is_named_the_unlikely_one_failed():
    raw = plain("<postmaster@there.example>:\n550 5.1.1 no such user\n")
    assert verdicts(raw) == [("postmaster@there.example", True)]


def test_an_address_inside_a_link_is_no_recipient():
    body = f"<{ANN}>:\n550 5.1.1 no such user\nSee https://help.example/?of=bob@there.example\n"
    assert verdicts(plain(body)) == [(ANN, True)]


def test_two_replies_in_a_row_are_two():
    # The second is the answer to another command, and would make it a soft one.
    body = f"<{ANN}>:\n550-5.1.1 no such user\n550 5.1.1 here\n421 4.3.2 closing\n"
    assert verdicts(plain(body)) == [(ANN, True)]
    (event,) = read(plain(body)).events
    assert event.mta_response == "5.1.1 no such user 5.1.1 here"


def test_words_that_say_nothing_but_that_it_was_given_up_are_a_timeout():
    (event,) = read(plain(f"<{ANN}>:\n451 Something odd, 20 times\n")).events
    assert (event.is_hard, event.reject_reason) == (False, RejectReason.TIMED_OUT)
    (event,) = read(plain(f"<{ANN}>:\n451 Something odd\n")).events
    assert (event.is_hard, event.reject_reason) == (False, RejectReason.OTHER)


def test_an_announcement_without_a_mail_ends_the_words():
    for ending in ("", "\n\n", "\n----------\n", "\n\n=====\n\n"):
        words, rest = cut(f"{ANN} failed.\nOriginal message follows.{ending}")
        assert words == f"{ANN} failed."
        assert not rest.strip("-=\n")
    text = f"{ANN} failed.\nThe original message is attached.\n-----\nBye.\n"
    assert cut(text) == (text, ""), "what stands elsewhere is not announced"


def test_a_header_that_is_attached_as_text_is_the_original():
    raw = (
        "From: MAILER-DAEMON@x.example\nSubject: failure notice\n"
        "Content-Type: multipart/mixed; boundary=t\n\n"
        f"--t\n\n<{ANN}>:\n550 5.1.1 no such user\n"
        "--t\nContent-Type: text/plain\nContent-Disposition: attachment\n\n"
        f"{ORIGINAL}\n--t--\n"
    )
    report = read(raw.encode())
    assert report.original_recipients == (ANN,)
    assert [recipient for recipient, _ in verdicts(raw.encode())] == [ANN]


def test_latin_is_read_as_what_was_sent():
    for codec in ("utf-8", "latin-1"):
        header = "Content-Type: text/plain; charset=us-ascii\nContent-Transfer-Encoding: 8bit\n"
        raw = plain("", header=header) + "<jörg@there.example>:\n550 5.1.1 no\n".encode(codec)
        assert verdicts(raw) == [("jörg@there.example", True)]


def test_hidden_parts_stay_where_positions_cannot_be_told():
    # The lower case of İ is two characters.
    assert text_of_html("<style>p</style>Hi") == "Hi"
    assert text_of_html("<style>p</style>İ") == "pİ"
