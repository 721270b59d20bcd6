"""What needs somebody, as the overview says it."""

import uuid
from urllib.parse import parse_qs, urlsplit

from maild.models import Message
from maild.services.failures import COUNT_MIN


def fail(message):
    """As a worker would, through the account `second`."""
    row = Message.update(status="sending", worker_id=uuid.uuid4(), next_attempt_at=None)
    row.where(Message.id == message.id).execute()
    row = Message.update(
        status="failed",
        worker_id=None,
        smtp_account_name="second",
        error_class="policy",
        last_error="550 <b>no</b>",
    )
    row.where(Message.id == message.id).execute()


def test_a_cause_leads_to_just_its_messages(page, accept):
    accept()
    for _ in range(COUNT_MIN):
        fail(accept())
    [need] = [one for one in page("/ui").select(".attention li") if "second" in one.text]
    assert f"{COUNT_MIN} messages failed through “second”" in need.text
    assert "550 <b>no</b>" in need.text
    link = need.select_one("a")["href"]
    assert parse_qs(urlsplit(link).query) == {
        "status": ["failed"],
        "range": ["24h"],
        "smtp_account": ["second"],
        "error_class": ["policy"],
    }
    assert len(page(link).select("tr.message")) == COUNT_MIN
