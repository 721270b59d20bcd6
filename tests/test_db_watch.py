"""A server that hangs is told from one that is slow, and nobody waits for it."""

import socket
import threading
import time

import pytest

from maild import db, db_watch
from maild.errors import Unavailable
from tests.conftest import free_ports


@pytest.fixture
def watch(monkeypatch):
    """The watch of this process, as before at the end; it runs in no thread."""
    fresh = db_watch._Watch()
    monkeypatch.setattr(db_watch, "_watch", fresh)
    return fresh


def test_a_server_that_answers_or_refuses_does_not_hang(watch, settings):
    watch.dsn = settings.postgres_dsn
    assert db_watch._answers()
    watch.dsn = settings.postgres_dsn.replace("/maild?", "/no_such_database?")
    assert db_watch._answers()
    watch.dsn = f"postgresql://maild@127.0.0.1:{free_ports(1)[0]}/maild"
    assert db_watch._answers()


def test_a_server_that_says_nothing_hangs(watch):
    with socket.create_server(("127.0.0.1", 0)) as server:
        watch.dsn = f"postgresql://maild@127.0.0.1:{server.getsockname()[1]}/maild"
        assert not db_watch._answers()


def test_a_name_that_leads_nowhere_says_nothing_of_the_server(watch, monkeypatch):
    """A DNS that is away answers late, and pooled connections are as good as before."""
    monkeypatch.setattr(db_watch, "ANSWER_SECONDS", 0)
    watch.dsn = "postgresql://maild@no-such-host.invalid/maild"
    assert db_watch._answers() is None


def test_a_refusal_in_another_encoding_is_an_answer(watch):
    """psycopg2 stumbles over its words; the watch must not end with that."""
    words = "das Datenbanksystem f\xe4hrt herunter".encode("latin-1")
    fields = b"SFATAL\0C57P03\0M" + words + b"\0\0"
    with socket.create_server(("127.0.0.1", 0)) as server:

        def refuse():
            line, _ = server.accept()
            with line:
                while line.recv(int.from_bytes(line.recv(4), "big") - 4)[:2] != b"\0\x03":
                    line.sendall(b"N")  # no encryption
                line.sendall(b"E" + (len(fields) + 4).to_bytes(4, "big") + fields)

        thread = threading.Thread(target=refuse)
        thread.start()
        watch.dsn = f"postgresql://maild@127.0.0.1:{server.getsockname()[1]}/maild"
        assert db_watch._answers() is True
        thread.join(timeout=10)


def test_it_knows_who_waits(watch, monkeypatch, database):
    assert not watch.has_waiting()
    db_watch.hold(None)
    assert not watch.has_waiting()
    monkeypatch.setattr(db_watch, "HELD_SECONDS", -1.0)
    assert watch.has_waiting()
    db_watch.let_go()
    assert not watch.has_waiting()


def test_who_waits_is_freed(watch, settings):
    """A statement in a thread is ended, and its connection is given to nobody else."""
    ended = []

    def wait():
        try:
            with db.connection():
                db.database.execute_sql("SELECT pg_sleep(60)")
        except Unavailable as error:
            ended.append(error)

    thread = threading.Thread(target=wait)
    thread.start()
    while not any(one for one, _ in watch.held.values()):
        time.sleep(0.01)
    assert watch.cut() == 1
    thread.join(timeout=30)
    assert len(ended) == 1
    assert watch.held == {}
    with db.connection():
        assert db.database.execute_sql("SELECT 1").fetchone() == (1,)
        # The server goes on for itself, and what it does would seem to be maild's to other tests.
        db.database.execute_sql(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
            " WHERE datname = current_database() AND query LIKE '%%pg_sleep(60)%%'"
            " AND pid <> pg_backend_pid()",
            (),
        )


def test_nobody_turns_to_a_server_that_hangs(watch, settings):
    watch.is_hung = True
    with pytest.raises(Unavailable), db.connection():
        pass
    assert watch.held == {}
    watch.is_hung = False
    with db.connection():
        pass
