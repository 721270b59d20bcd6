"""`maild intake < mail`: as an MTA pipes a bounce."""

import os
import subprocess
import sys

import pytest

from maild.config import Settings, child_environment
from maild.models import WebhookPayload
from maild.services import report_loop
from tests.api.test_webhooks_dsn import bounce
from tests.conftest import WORKSPACE_B, free_ports
from tests.services.helpers import Accept, reload


@pytest.fixture
def intake(session_settings: Settings):
    """Pipe a mail into `maild intake`."""

    def run(mail: bytes, *arguments: str, **environment: str):
        places = {
            "POSTGRES_DSN": session_settings.postgres_dsn,
            "REDIS_URL": session_settings.redis_url,
            "MAILD_HOME": "/nonexistent",
        }
        return subprocess.run(
            [sys.executable, "-m", "maild", "intake", *arguments],
            input=mail,
            env=child_environment(**{**places, **environment}),
            capture_output=True,
            timeout=60,
            check=False,
        )

    return run


def test_a_bounce_reaches_its_message(intake, accept: Accept, lease):
    message = accept(workspace_id=WORKSPACE_B)
    from tests.services.helpers import ACCEPTED, B_URGENT, end, take_one

    end(take_one(lease, B_URGENT), ACCEPTED)
    done = intake(bounce(message.message_id_header))
    assert done.returncode == 0, done.stderr
    assert b"bounced: ann@example.org 550 5.1.1 User unknown" in done.stdout
    assert b"workspace 2" in done.stdout  # whose the message is
    report_loop.drain()
    assert reload(message).status.value == "bounced"


def test_a_mail_about_nothing_known_is_kept_for_the_workspace_that_is_named(intake, database):
    done = intake(b"Subject: Buy\r\n\r\nNow.\r\n", "--workspace", "2")
    assert done.returncode == 0
    assert WebhookPayload.get().workspace_id == WORKSPACE_B


def test_while_the_database_is_away_the_mta_is_asked_to_try_again(intake):
    [port] = free_ports(1)
    done = intake(bounce(), POSTGRES_DSN=f"postgresql://maild@127.0.0.1:{port}/maild")
    assert done.returncode == os.EX_TEMPFAIL
    assert b"Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("mail", "words"),
    [(b"", b"no mail"), (b"x" * 10_500_000, b"10 MB"), (b"\0garbage", b"no mail")],
)
def test_what_is_no_mail_is_refused(intake, mail, words):
    done = intake(mail)
    assert done.returncode == os.EX_DATAERR
    assert words in done.stderr


def test_a_workspace_that_is_not_there_is_told(intake, database):
    done = intake(bounce(), "--workspace", "99")
    assert done.returncode == os.EX_TEMPFAIL
    assert b"no workspace 99" in done.stderr
