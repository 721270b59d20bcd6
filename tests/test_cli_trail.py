"""`maild trail verify` as a person meets it."""

import pytest

from maild.config import Settings
from maild.db import database as db
from maild.domain.actor import SYSTEM
from maild.services import audit, retention_pruner
from tests.conftest import WORKSPACE_A, WORKSPACE_B
from tests.services.test_audit_cuts import write
from tests.test_cli import maild

pytestmark = pytest.mark.long  # each starts processes


@pytest.fixture
def verify(database: None, session_settings: Settings):
    """Two entries in workspace A, one in B; call to run the command."""
    for workspace_id in (WORKSPACE_A, WORKSPACE_A, WORKSPACE_B):
        with db.atomic():
            audit.record(workspace_id, SYSTEM, action="thing.done", target="a thing")
    stack = {
        "POSTGRES_DSN": session_settings.postgres_dsn,
        "REDIS_URL": session_settings.redis_url,
    }
    return lambda *arguments: maild("trail", "verify", *arguments, **stack)


def tamper() -> None:
    with db.atomic():
        db.execute_sql("ALTER TABLE audit_entries DISABLE TRIGGER USER")
        db.execute_sql(f"UPDATE audit_entries SET actor = 'x' WHERE workspace_id = {WORKSPACE_B}")
        db.execute_sql("ALTER TABLE audit_entries ENABLE TRIGGER USER")


def test_it_prints_a_head_for_each_workspace(verify) -> None:
    heads = [audit.verify(workspace_id).head for workspace_id in (0, WORKSPACE_A, WORKSPACE_B)]
    done = verify()
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [
        f"workspace 0: 0 entries, head {heads[0]}",
        f"workspace 1: 2 entries, head {heads[1]}",
        f"workspace 2: 1 entries, head {heads[2]}",
        "Keep these heads outside of the database, for --kept.",
    ]


def test_it_ends_at_the_first_break_with_a_sentence(verify) -> None:
    tamper()
    done = verify()
    assert done.returncode == 1
    assert done.stderr.splitlines() == [
        "workspace 2: entry 1 does not fit its hash: it was changed.",
        "The audit log of this workspace cannot be trusted.",
    ]
    assert verify("--workspace", "1").returncode == 0
    assert verify("--workspace", "2").returncode == 1


def test_it_compares_with_a_head_that_was_kept(verify) -> None:
    head = str(audit.verify(WORKSPACE_A).head)
    assert verify("--workspace", "1", "--kept", head).returncode == 0
    done = verify("--workspace", "1", "--kept", f"2:{'0' * 64}")
    assert done.returncode == 1
    assert "not the one whose hash was kept" in done.stderr


@pytest.mark.proves("bad-arguments")
@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--kept", f"1:{'0' * 64}"), "--workspace"),
        (("--workspace", "1", "--kept", "nonsense"), "hexadecimal"),
        (("--workspace", "-1"), "-1"),
        (("--workspace", "99"), "There is no workspace 99"),
    ],
)
def test_it_says_what_it_was_asked_wrongly(verify, arguments, words) -> None:
    done = verify(*arguments)
    assert done.returncode in {1, 2}
    assert words in done.stderr
    assert "Traceback" not in done.stderr


def test_it_says_up_to_where_a_log_was_cut_and_proves_the_rest(verify) -> None:
    heads = write(500, 450, 1, workspace_id=0)
    retention_pruner.prune(seconds=5, rest=lambda seconds: None)
    done = verify("--workspace", "0", "--kept", str(heads[0]))
    assert done.returncode == 0, done.stderr
    assert f"entries 1 to {heads[1].seq} were old, and cut off" in done.stdout
    assert "the head that you kept is of one of those" in done.stdout
