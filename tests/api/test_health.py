"""GET /healthz and GET /readyz."""

import socket
import threading

import pytest

from maild import db, factory
from maild.db import database
from maild.services import health, workers

PARTS = {"postgres", "redis", "migrations", "worker"}


def test_it_is_ready_with_a_worker(client):
    workers.enter()
    response = client.get("/readyz")
    assert response.status_code == 200
    answer = response.get_json()
    assert (answer["status"], answer["missing"]) == ("ready", [])
    assert set(answer["checks"]) == PARTS
    assert all(check["ok"] for check in answer["checks"].values())


@pytest.mark.proves("run-health")
def test_it_names_the_missing_worker(client):
    response = client.get("/readyz")
    assert response.status_code == 503
    answer = response.get_json()
    assert (answer["status"], answer["missing"]) == ("unavailable", ["worker"])
    assert answer["checks"]["worker"]["detail"] == "No worker is alive."


def test_it_names_a_worker_that_went_away(client):
    lease = workers.enter()
    database.execute_sql(
        "UPDATE workers SET seen_at = now() - interval '1 hour' WHERE id = %s", (lease.worker_id,)
    )
    answer = client.get("/readyz").get_json()
    assert answer["missing"] == ["worker"]
    assert "the last one was seen at" in answer["checks"]["worker"]["detail"]


def test_it_names_the_missing_redis(client, redis_away):
    workers.enter()
    response = client.get("/readyz")
    assert response.status_code == 503
    assert response.get_json()["missing"] == ["redis"]


def test_it_names_a_migration_that_was_not_applied(client):
    workers.enter()
    rows = database.execute_sql("SELECT * FROM schema_migrations")
    names = [column[0] for column in rows.description]
    saved = rows.fetchall()
    database.execute_sql("DELETE FROM schema_migrations")
    try:
        response = client.get("/readyz")
    finally:
        holes = ", ".join(["%s"] * len(names))
        for row in saved:
            database.execute_sql(
                f"INSERT INTO schema_migrations ({', '.join(names)}) VALUES ({holes})", row
            )
    assert response.status_code == 503
    assert response.get_json()["missing"] == ["migrations"]


@pytest.mark.proves("run-health")
def test_it_answers_while_postgres_is_away(postgres_away):
    client = factory.build_app().test_client()
    assert client.get("/healthz").get_json() == {"status": "ok"}
    response = client.get("/readyz")
    assert response.status_code == 503
    answer = response.get_json()
    assert answer["missing"] == ["postgres", "migrations", "worker"]
    assert "127.0.0.1" not in response.text


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
def test_it_needs_no_key(client, path):
    assert client.get(path).status_code in {200, 503}
    assert client.head(path).data == b""


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
def test_it_answers_405_to_a_wrong_method(client, path, method):
    response = client.open(path, method=method)
    assert response.status_code == 405
    assert "GET" in response.headers["Allow"]


@pytest.fixture
def postgres_hung(settings, monkeypatch):
    """What takes connections where Postgres was, and says nothing on them."""
    monkeypatch.setattr(health, "PATIENCE_SECONDS", 0.3)
    monkeypatch.setattr(health._Question, "_open", None)
    db.database.close_all()
    with socket.create_server(("127.0.0.1", 0)) as server:
        dsn = f"postgresql://maild@127.0.0.1:{server.getsockname()[1]}/maild"
        db.init(dsn, pool_size=2, application="test")
        yield
    health._Question._open.join()  # its connection was reset
    db.database.close_all()
    db.init(settings.postgres_dsn, pool_size=settings.postgres_pool_size, application="test")


def test_it_answers_while_postgres_hangs(postgres_hung):
    client = factory.build_app().test_client()
    for _ in range(3):  # who comes later waits for the same question
        response = client.get("/readyz")
        assert response.status_code == 503
        answer = response.get_json()
        assert answer["missing"] == ["postgres", "migrations", "worker"]
        assert "may hang" in answer["checks"]["postgres"]["detail"]
    assert sum(thread.name == "health" for thread in threading.enumerate()) == 1
