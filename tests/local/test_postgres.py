"""The private PostgreSQL server: it keeps data, asks for a password, and survives violence."""

import os
import pwd
import shutil
import signal
import stat
import subprocess
import sys
from pathlib import Path
from urllib.parse import unquote

import psycopg2
import pytest

import maild
from maild.errors import ConfigError
from maild.local import home as homes
from maild.local import postgres

pytestmark = pytest.mark.long  # each starts processes

is_root = os.geteuid() == 0


def query(dsn: str, sql: str) -> list[tuple]:
    connection = psycopg2.connect(dsn)
    try:
        with connection, connection.cursor() as cursor:
            cursor.execute(sql)
            return cursor.fetchall() if cursor.description else []
    finally:
        connection.close()


def password_of(home: Path) -> str:
    return (home / postgres.PASSWORD_FILE).read_text()


def test_it_keeps_its_data_over_a_restart(home):
    with postgres.running(home, fsync=False) as dsn:
        query(dsn, "CREATE TABLE kept AS SELECT 'yes' AS answer")
    with postgres.running(home, fsync=False) as again:
        assert again == dsn
        assert query(again, "SELECT answer FROM kept") == [("yes",)]


def test_it_survives_kill_9_with_what_was_committed(home, eventually):
    with postgres.running(home, fsync=False) as dsn:
        query(dsn, "CREATE TABLE kept AS SELECT 42 AS answer")
        os.kill(postgres.find_pid(home), signal.SIGKILL)
        with postgres.running(home, fsync=False) as again:
            assert query(again, "SELECT answer FROM kept") == [(42,)]


def test_it_replaces_a_server_that_outlived_its_runner(home):
    with postgres.running(home, fsync=False) as dsn:
        query(dsn, "CREATE TABLE kept AS SELECT 1 AS answer")
        first = postgres.find_pid(home)
        with postgres.running(home, fsync=False):
            assert postgres.find_pid(home) != first
            assert query(dsn, "SELECT answer FROM kept") == [(1,)]


def test_it_gives_utf8_and_an_ordinary_owner(home):
    with postgres.running(home, fsync=False) as dsn:
        assert query(dsn, "SHOW server_encoding") == [("UTF8",)]
        assert query(dsn, "SHOW timezone") == [("UTC",)]
        assert query(dsn, "SELECT rolsuper FROM pg_roles WHERE rolname = current_user") == [
            (False,)
        ]
        query(dsn, "CREATE TABLE mine (id int)")


def test_it_makes_the_database_again_when_it_is_missing(home):
    with postgres.running(home, fsync=False) as dsn:
        connection = psycopg2.connect(dsn.replace("/maild?", "/postgres?"))
        connection.autocommit = True
        connection.cursor().execute("DROP DATABASE maild")
        connection.close()
    with postgres.running(home, fsync=False) as dsn:
        assert query(dsn, "SELECT current_database()") == [("maild",)]


def test_it_asks_for_the_password(home):
    with postgres.running(home, fsync=False) as dsn:
        with pytest.raises(psycopg2.OperationalError, match="password authentication failed"):
            psycopg2.connect(dsn.replace(password_of(home), "guess"))
        with pytest.raises(psycopg2.OperationalError):  # the superuser has no password at all
            psycopg2.connect(dsn.replace("//maild:", "//postgres:"))
    assert stat.S_IMODE((home / postgres.PASSWORD_FILE).stat().st_mode) == 0o600


def test_it_gets_a_new_password_when_the_old_one_is_lost(home):
    with postgres.running(home, fsync=False) as old:
        pass
    (home / postgres.PASSWORD_FILE).unlink()
    with postgres.running(home, fsync=False) as new:
        assert new != old
        assert query(new, "SELECT 1") == [(1,)]


def test_it_listens_on_its_socket_only(home):
    with postgres.running(home, fsync=False) as dsn:
        assert query(dsn, "SHOW listen_addresses") == [("",)]
        folder = Path(unquote(dsn.partition("host=")[2]))
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_two_homes_run_side_by_side(home):
    with (
        homes.temporary() as other,
        postgres.running(home, fsync=False) as one,
        postgres.running(other, fsync=False) as two,
    ):
        query(one, "CREATE TABLE here (id int)")
        assert query(two, "SELECT to_regclass('here')") == [(None,)]


def test_a_half_made_cluster_is_made_again(home):
    with postgres.running(home, fsync=False):
        pass
    data = home / "postgres/data"
    data.rename(home / "postgres/data.new")
    (home / "postgres/data.new/PG_VERSION").unlink()
    with postgres.running(home, fsync=False) as dsn:
        assert query(dsn, "SELECT 1") == [(1,)]


def test_a_long_home_gets_a_short_socket(home):
    long = home / ("long-name-" * 9) / "home"
    with postgres.running(long, fsync=False) as dsn:
        folder = Path(unquote(dsn.partition("host=")[2]))
        assert query(dsn, "SELECT 1") == [(1,)]
        assert long not in folder.parents
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    folder.rmdir()


def test_a_home_with_odd_characters_works(home):
    with postgres.running(home / "a b'c\"dé%&#=", fsync=False) as dsn:
        assert query(dsn, "SELECT 1") == [(1,)]


def test_a_home_whose_name_would_be_misread_is_refused(home):
    with (
        pytest.raises(ConfigError, match=r"must do without , \?"),
        postgres.running(home / "one,two?", fsync=False),
    ):
        pass


@pytest.mark.skipif(not is_root, reason="only root has another account for its servers")
def test_as_root_it_changes_no_permission_of_a_folder_that_is_not_ours(tmp_path, monkeypatch):
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    state = Path("/tmp") / f"maild-test-{os.getpid()}"
    monkeypatch.setattr("maild.local.account.STATE", state)
    home = closed / "home"
    before = {folder: folder.stat().st_mode for folder in home.parents}
    with postgres.running(home, fsync=False) as dsn:
        assert query(dsn, "SELECT 1") == [(1,)]
        assert (home / "postgres").is_symlink()
        assert (home / "postgres/data").stat().st_uid == pwd.getpwnam("nobody").pw_uid
    assert {folder: folder.stat().st_mode for folder in home.parents} == before
    shutil.rmtree(state)


@pytest.mark.skipif(not is_root, reason="needs root to become somebody else")
def test_it_runs_as_an_ordinary_user():
    nobody = pwd.getpwnam("nobody")
    options = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": [], "cwd": "/"}
    python = find_python(options)
    if python is None:
        pytest.skip("there is no Python that an ordinary user can run")
    code = (
        "from maild.local import home, postgres, valkey\n"
        "with home.temporary() as h, postgres.running(h, fsync=False), valkey.running(h):\n"
        "    print('both run')\n"
    )
    path = os.pathsep.join([str(Path(maild.__file__).parents[1]), *sys.path])
    environment = {"PATH": os.defpath, "PYTHONPATH": path}
    command = [python, "-c", code]
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, check=False, **options
    )
    assert done.stdout == "both run\n", done.stderr


def find_python(options: dict) -> str | None:
    """A Python of this version that runs with `options`, which are those of subprocess."""
    check = f"import sys; sys.exit(sys.version_info[:2] != {sys.version_info[:2]})"
    for python in (sys.executable, "/usr/bin/python3"):
        try:
            subprocess.run([python, "-c", check], check=True, env={}, **options)
        except (OSError, subprocess.CalledProcessError):
            continue
        return python
    return None
