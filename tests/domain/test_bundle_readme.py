"""What a bundle tells people."""

import base64

from maild.domain import bundle_readme, bundle_zip, canonical

ATTEMPT = {
    "attempt_no": 1, "smtp_account": "eu", "started_at": "2026-01-31T09:30:01Z",
    "finished_at": "2026-01-31T09:30:02Z", "duration_ms": 812.5, "status": "failed",
    "stage": "rcpt_to", "response": "no such user", "smtp_code": 550, "enhanced_code": "5.1.1",
    "error_class": "invalid_recipient",
}  # fmt: skip
LOST = {
    **ATTEMPT, "attempt_no": 2, "finished_at": None, "duration_ms": None, "stage": None,
    "response": None, "smtp_code": None, "enhanced_code": None, "error_class": "connection",
}  # fmt: skip


def message(number=1, attempts=(ATTEMPT,), **fields):
    return {
        "message": {
            "id": f"id-{number}", "subject": "Your order", "from_email": "shop@example.com",
            "to_email": f"ann{number}@example.org", "message_id_header": "<1@x>",
            "status": "failed", "created_at": "2026-01-31T09:30:00Z", "last_error": None,
        },
        "attempts": list(attempts), "events": [], "audit": [], "raw": None, **fields,
    }  # fmt: skip


def about_message(**fields):
    return {
        **message(**fields), "incident": None, "generated_by": "1.0",
        "generated_at": "2026-01-31T10:00:00Z", "sha256": "f00d", "removed": [], "left_out": [],
        "summary": {"attempted_sends": 1, "failed_attempts": 1, "related_webhook_outcomes": 0,
                    "dead_letter_webhooks": 0},
    }  # fmt: skip


def about_incident(messages=(), **fields):
    incident = {
        "id": 7, "title": "Logins fail", "status": "open", "severity": "major",
        "since_at": "S", "opened_at": "O", "last_seen_at": "L", "smtp_account": None,
        "recipient_domain": None, "message_count": 3, "recipient_count": 2, "assigned_to": None,
        "cause": None,
    }  # fmt: skip
    return {
        **about_message(), "incident": {**incident, **fields}, "messages": list(messages),
        "message_count": 3, "signals": [], "timeline": [],
        "advice": {"likely_cause": "Bad password.", "suggested_action": "Set it anew."},
    }  # fmt: skip


def test_people_and_lost_contact_stand_in_the_timeline_in_order():
    audit = [
        {"at": "2026-01-31T09:40:00Z", "actor": "Eve\nAdam", "action": "message.retried",
         "reason": "mended"},
        {"at": "2026-01-31T09:20:00Z", "actor": "Bob", "action": "message.held", "reason": None},
    ]  # fmt: skip
    lost = {**LOST, "started_at": "2026-01-31T09:50:00Z"}
    told = bundle_readme.tell(about_message(attempts=[lost, ATTEMPT], audit=audit)).splitlines()
    lines = told[told.index("TIMELINE (UTC)") + 2 :][:4]
    assert lines == [
        "2026-01-31T09:20:00Z  Bob: message.held",
        "2026-01-31T09:30:01Z  attempt 1 through eu: failed after 812.5 ms. 550 5.1.1 no such user",
        "2026-01-31T09:40:00Z  Eve Adam: message.retried (mended)",
        "2026-01-31T09:50:00Z  attempt 2 through eu: failed. connection",
    ]


def test_an_incident_tells_what_is_known_of_it():
    told = bundle_readme.tell(about_incident())
    assert not any(words in told for words in ("Account:", "Recipients:", "Cause:", "Looked after"))
    told = bundle_readme.tell(
        about_incident(
            [message(1)],
            smtp_account="eu", recipient_domain="example.org", assigned_to="Ann", cause="A\nB",
        )
    )  # fmt: skip
    for line in ("Account:    eu", "Recipients: example.org", "Looked after by: Ann", "Cause: A B"):
        assert f"\n{line}\n" in told
    assert "\n- id-1  ann1@example.org: failed.\n" in told


def test_what_was_taken_out_is_named():
    assert "Nothing had to be taken out." in bundle_readme.tell(about_message())
    told = bundle_readme.tell({**about_message(), "removed": ["one token"], "left_out": ["Bodies"]})
    assert "Taken out, and marked as [removed]:\n- one token\n" in told
    assert "\n- Bodies\n" in told
    assert "Nothing had" not in told


def test_replies_are_told_as_far_as_there_are_any_and_not_without_end():
    assert bundle_readme.tell_replies(about_message(attempts=[LOST])) == (
        "No server has replied anything.\n"
    )
    open_ended = {**ATTEMPT, "finished_at": None, "stage": None}
    assert bundle_readme.tell_replies(about_message(attempts=[LOST, open_ended])).splitlines() == [
        "2026-01-31T09:30:01Z  ann1@example.org  attempt 1 through eu, no step:",
        "    550 5.1.1 no such user",
    ]
    count = bundle_readme.REPLIES_MAX + 3
    many = about_incident([message(number) for number in range(count)])
    lines = bundle_readme.tell_replies(many).splitlines()
    assert len(lines) == 2 * bundle_readme.REPLIES_MAX + 1
    assert lines[-1] == "... and 3 more, in bundle.json."


def test_the_words_of_others_have_a_length():
    assert bundle_readme.line("x" * 400) == "x" * 400
    assert bundle_readme.line("x" * 401) == "x" * 397 + "..."


def test_the_mails_of_an_incident_are_files_as_far_as_they_are_kept():
    raw = {"encoding": "base64", "content": base64.b64encode(b"\xff\r\n").decode()}
    gone = {"encoding": "utf-8", "content": None}
    messages = [message(1, raw=raw), message(2), message(3, raw=gone)]
    document = canonical.seal(about_incident(messages))
    assert bundle_zip.mails(document) == {"messages/id-1.eml": b"\xff\r\n"}
