"""`maild alive`: exit codes for whoever restarts what hangs."""

import pytest

from maild.config import Settings
from maild.services import workers
from tests.conftest import free_ports
from tests.test_cli import maild


@pytest.mark.parametrize("process", ["worker", "scheduler"])
def test_a_database_that_is_away_ends_nobody(process: str) -> None:
    [port] = free_ports(1)
    done = maild("alive", process, POSTGRES_DSN=f"postgresql://maild@127.0.0.1:{port}/maild")
    assert done.returncode == 0
    assert done.stdout.startswith("Nobody can tell: The database cannot be reached")


def test_a_worker_is_alive_or_not(database: None, session_settings: Settings) -> None:
    dsn = session_settings.postgres_dsn
    done = maild("alive", "worker", POSTGRES_DSN=dsn)
    assert done.returncode == 1
    assert "has shown a heartbeat" in done.stderr
    workers.enter()
    done = maild("alive", "worker", POSTGRES_DSN=dsn)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
