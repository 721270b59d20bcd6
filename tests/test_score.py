"""The scoring program counts right, and says what is missing."""

import json

import pytest

from tools import score

BOUNCE = """\
From: MAILER-DAEMON@mx.example.net
Subject: Undelivered Mail
Content-Type: multipart/report; report-type=delivery-status; boundary="b"

--b
Content-Type: message/delivery-status

Reporting-MTA: dns; mx.example.net

Final-Recipient: rfc822; ann@example.org
Action: failed
Status: 5.1.1
Diagnostic-Code: smtp; 550 5.1.1 User unknown

--b--
"""
WEBHOOK = {
    "test": "a delivery",
    "method": "POST",
    "path": "/hooks/postmark/tracking/",
    "content_type": "application/json",
    "headers": {},
    "body": json.dumps(
        {"RecordType": "Delivery", "Recipient": "ann@example.org", "MessageID": "1"}
    ),
    "body_encoding": "text",
    "status": 200,
    "error": None,
    "settings": {},
}
DELIVERED = {
    "event_type": "delivered",
    "signal": "tracking",
    "recipient": "ann@example.org",
    "message_id": "1",
    "timestamp": None,
}


def write(folder, name, *rows):
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(json.dumps(row) for row in rows), encoding="utf-8")


def write_replies(folder, *rows):
    rows = [{"reply": reply, "hard": hard} for reply, hard in rows]
    write(folder, "bounces/smtp_replies.jsonl", *rows)


def test_it_reaches_the_aims(tmp_path, capsys):
    write_replies(tmp_path, ("550 5.1.1 User unknown", True), ("550 5.7.1 Spam", False))
    assert score.main([str(tmp_path)]) == 0
    out = capsys.readouterr().out
    assert "all          caught   1 of   1 hard (100.0%)" in out
    assert "Every aim is reached." in out


def test_it_shows_what_it_gets_wrong(tmp_path, capsys):
    write_replies(
        tmp_path, ("550 Spam", True), ("550 5.1.1 User unknown", False), ("nonsense", False)
    )
    assert score.main([str(tmp_path)]) == 1
    out = capsys.readouterr().out
    assert "caught   0 of   1 hard (  0.0%), wrongly suppressed   1 of   2 (50.0%)" in out
    assert "  missed " in out
    assert "  wrong " in out
    assert "Below the aims: SMTP replies" in out


@pytest.mark.parametrize(("is_hard", "code"), [(True, 0), (False, 1)])
def test_it_scores_bounce_mails(tmp_path, capsys, is_hard, code):
    label = {"status": "5.1.1", "reason": "userunknown", "hardbounce": is_hard}
    write(tmp_path, "bounces/expected.jsonl", {"file": "one.eml", "recipients": [label]})
    (tmp_path / "bounces/eml").mkdir()
    (tmp_path / "bounces/eml/one.eml").write_text(BOUNCE, encoding="utf-8")
    assert score.main([str(tmp_path)]) == code
    assert ("  wrong " in capsys.readouterr().out) is not is_hard


@pytest.mark.parametrize(("expected", "code"), [("delivered", 0), ("bounced", 1)])
def test_it_scores_webhooks(tmp_path, capsys, expected, code):
    row = {**WEBHOOK, "events": [{**DELIVERED, "event_type": expected}]}
    write(tmp_path, "webhooks/requests.jsonl", row)
    write(tmp_path, "webhooks/signature_vectors.jsonl")
    assert score.main([str(tmp_path)]) == code
    assert "postmark" in capsys.readouterr().out


@pytest.mark.parametrize("arguments", [[], [""], ["/nonexistent"]])
def test_it_says_what_is_missing(arguments, capsys):
    assert score.main(arguments) == 2
    assert "make score CORPORA=" in capsys.readouterr().err
