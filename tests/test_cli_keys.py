"""`maild keys new-link-key` as a person meets it. `keys rotate` is in the tests of key rotation."""

from maild.config import Settings
from maild.models import AuditEntry, LinkKey
from maild.services import link_keys
from tests.conftest import WORKSPACE_A
from tests.test_cli import maild


def test_a_workspace_signs_with_a_new_key(database: None, session_settings: Settings) -> None:
    link_keys.load(WORKSPACE_A)
    stack = {
        "POSTGRES_DSN": session_settings.postgres_dsn,
        "REDIS_URL": session_settings.redis_url,
    }
    done = maild("keys", "new-link-key", "--workspace", "1", **stack)
    assert (done.returncode, done.stderr) == (0, "")
    newest = LinkKey.select().order_by(LinkKey.id.desc()).first()
    assert f"Link key {newest.id} is there" in done.stdout
    assert LinkKey.select().where(LinkKey.workspace == WORKSPACE_A).count() == 2
    assert [e.action for e in AuditEntry.select()] == ["link_key.added"]


def test_an_unknown_workspace_is_a_sentence(database: None, session_settings: Settings) -> None:
    stack = {
        "POSTGRES_DSN": session_settings.postgres_dsn,
        "REDIS_URL": session_settings.redis_url,
    }
    done = maild("keys", "new-link-key", "--workspace", "99", **stack)
    assert done.returncode == 1
    assert "There is no workspace 99." in done.stderr
