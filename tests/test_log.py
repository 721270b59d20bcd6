"""Logs: every line is whole, and none of them tells a secret."""

import json
import logging
import uuid

import peewee
import pytest
from hypothesis import given
from hypothesis import strategies as st

from maild import db, log
from tests.api.conftest import Api

SECRET = "correct-horse-battery-staple"
NAMES = [
    "password", "PASSWORD", "smtp_password", "secret", "signing_secret", "api_key", "admin_api_key",
    "X-API-Key", "Authorization", "postgres_dsn", "cookie", "Set-Cookie", "encryption_key", "token",
]  # fmt: skip


pytestmark = pytest.mark.usefixtures("logging_as_before")


@pytest.fixture
def records(capsys):
    """Call to configure logging as JSON; returns what reads the lines that came out since."""

    def configure(level="DEBUG"):
        log.configure(level, fmt="json")
        return lambda: [json.loads(line) for line in capsys.readouterr().out.splitlines()]

    return configure


each_format = pytest.mark.parametrize("fmt", ["json", "console"])


def our_logger():
    return log.get(f"maild.{uuid.uuid4().hex}")  # a fresh one: loggers keep their configuration


def test_a_line_is_json_with_the_facts(records):
    read = records()
    our_logger().info("message.accepted", message_id="7", count=2, text='a "b"\nc ü\u2028')
    [record] = read()
    assert record.pop("at").endswith("Z")
    assert record.pop("logger").startswith("maild.")
    assert record == {
        "event": "message.accepted",
        "level": "info",
        "message_id": "7",
        "count": 2,
        "text": 'a "b"\nc ü\u2028',
    }


def test_what_json_does_not_know_is_still_a_line(records):
    read = records()
    value = uuid.uuid4()
    our_logger().info("odd", id=value, data=b"\xff", error=ValueError("no"), items={1, 2})
    [record] = read()
    assert str(value) in record["id"]


def test_bound_facts_are_on_every_line(records):
    read = records()
    log.bind(request_id="r1", workspace_id=7)
    our_logger().warning("one")
    logging.getLogger("some.library").warning("two of %s", "three")
    first, second = read()
    assert (first["request_id"], first["workspace_id"]) == ("r1", 7)
    assert (second["request_id"], second["event"]) == ("r1", "two of three")
    assert (second["logger"], second["level"]) == ("some.library", "warning")
    log.clear()
    our_logger().warning("after")
    assert "request_id" not in read()[0]


def test_a_line_break_starts_no_new_json_line(records):
    read = records()
    our_logger().warning("a\nb", text="c\r\nd")
    logging.getLogger("x").warning("e\nf")
    assert [record["event"] for record in read()] == ["a\nb", "e\nf"]


def test_levels_are_kept(records):
    read = records("WARNING")
    our_logger().info("quiet")
    our_logger().warning("loud")
    assert [record["event"] for record in read()] == ["loud"]


@each_format
@pytest.mark.parametrize("name", NAMES)
def test_a_secret_is_not_told(capsys, fmt, name):
    log.configure("DEBUG", fmt=fmt)
    our_logger().warning("one", **{name: SECRET})
    our_logger().warning("deep", request={"headers": [{name: SECRET}, ({name: {"a": SECRET}},)]})
    log.bind(**{name: SECRET})
    our_logger().warning("bound")
    logging.getLogger("foreign").warning("foreign", extra={"given": {name: SECRET}})
    text = capsys.readouterr().out
    assert all(word in text for word in ("one", "deep", "bound", "foreign"))
    assert SECRET not in text
    assert text.count(log.REDACTED) >= 4


def test_what_is_no_secret_is_told(records):
    read = records()
    our_logger().info("sent", to={"passed": 1, "names": ["a", ("b",)], "key": None}, keys=3)
    [record] = read()
    assert record["to"] == {"passed": 1, "names": ["a", ["b"]], "key": None}
    assert record["keys"] == 3


def test_redaction_leaves_the_callers_values_alone():
    given = {"headers": {"password": SECRET}}
    event = log.redact(None, "info", {"event": "x", "given": given})
    assert event["given"]["headers"]["password"] == log.REDACTED
    assert given == {"headers": {"password": SECRET}}


leaves = st.integers() | st.none() | st.text(max_size=5)
trees = st.recursive(
    st.just(SECRET),
    lambda inner: (
        st.lists(inner | leaves, max_size=3)
        | st.tuples(inner)
        | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
)


@pytest.mark.proves("security-logs")
@given(st.sampled_from(NAMES), trees, st.text(max_size=5), st.integers(0, 5))
def test_nothing_under_a_secret_name_survives_at_any_depth(name, tree, around, depth):
    value = {name: tree}
    for level in range(depth):
        value = {around: value} if level % 2 else {around: [value, (value,)]}
    assert SECRET not in repr(log.redact(None, "info", {"event": "x", "value": value}))


def fail(password):
    copy = "-".join([password, "copied"])
    raise ValueError(f"{len(copy)} characters are too many")


@pytest.mark.proves("security-logs")
@each_format
def test_a_traceback_holds_no_local_variables(capsys, fmt):
    log.configure("DEBUG", fmt=fmt)
    for logger in (our_logger(), logging.getLogger("foreign")):
        try:
            fail(SECRET)
        except ValueError:
            logger.exception("request.crashed")
        text = capsys.readouterr().out
        assert "characters are too many" in text
        assert "ValueError" in text
        assert "fail" in text
        assert SECRET not in text


def test_a_traceback_is_data_in_json(records):
    read = records()
    try:
        fail(SECRET)
    except ValueError:
        our_logger().exception("request.crashed")
    [record] = read()
    [exception] = record["exception"]
    assert exception["exc_type"] == "ValueError"
    assert [frame["name"] for frame in exception["frames"]][-1] == "fail"
    assert not any(frame.get("locals") for frame in exception["frames"])


@each_format
def test_an_api_key_is_blanked_wherever_it_stands(fmt, capsys):
    key = "mk_1a2b3c4d" + SECRET
    log.configure("DEBUG", fmt=fmt)
    logger = our_logger()
    logger.info(f"event {key}", path=f"/v1/{key}?a={key}", deep={"x": [key]}, key="mk_1a2b3c4d")
    try:
        raise ValueError(key)
    except ValueError:
        logger.exception("crashed")
    logging.getLogger("some.library").warning("of %s", key)
    out = capsys.readouterr().out
    assert out.count("mk_1a2b3c4d[redacted]") >= 5
    assert SECRET not in out
    assert "crashed" in out


# What has a line


@pytest.fixture
def told(client, records):
    """Call with a request; returns its lines."""

    def ask(path, level="INFO", **more):
        read = records(level)
        client.get(path, **more)
        return [line for line in read() if line["event"] == "request"]

    return ask


def test_a_request_that_was_refused_has_a_line_with_its_id(told):
    [line] = told("/v1/messages/logs", headers={"X-Request-ID": "abc"})
    assert (line["status"], line["request_id"]) == (401, "abc")
    assert told("/healthz") == []


def test_where_all_is_to_be_told_each_request_is(told, use_settings):
    use_settings(log_detail="all")
    [line] = told("/healthz")
    assert (line["status"], line["path"], line["method"]) == (200, "/healthz", "GET")


@pytest.mark.proves("security-logs")
def test_a_submission_is_told_with_its_message_and_without_its_content(client, records):
    use = records("DEBUG")
    answer = Api(client).submit(subject="Private matters", body_text="Dear diary")
    lines = [line for line in use() if line["event"] == "request"]
    assert lines[-1]["message_id"] == answer.json["id"]
    assert lines[-1]["workspace_id"] == 1
    assert "Private" not in str(lines)
    assert "diary" not in str(lines)


@pytest.mark.proves("run-slow-queries")
def test_a_slow_statement_is_told_without_its_parameters(records, database, monkeypatch):
    monkeypatch.setattr(db.database, "slow_seconds", 0.02)
    monkeypatch.setattr(db, "_slow_queries", db._SlowQueries())
    read = records()
    with db.connection():
        db.database.execute_sql("SELECT pg_sleep(0.03),\n  %s", ("ann@example.com",))
        db.database.execute_sql("SELECT 1")
    [line] = [line for line in read() if line["event"] == "database.slow_query"]
    assert line["statement"] == "SELECT pg_sleep(0.03), %s"
    assert line["ms"] >= 30
    assert line["level"] == "warning"


@pytest.mark.proves("security-logs")
@each_format
@pytest.mark.parametrize(
    ("body", "constraint"), [("second", "refused_address_key"), ("", "refused_body_check")]
)
def test_the_row_that_a_constraint_refuses_is_not_told(capsys, database, fmt, body, constraint):
    log.configure("DEBUG", fmt=fmt)
    address = "@".join(["ann", "example.com"])  # a traceback shows lines of the source
    insert = "INSERT INTO refused VALUES (%s, %s)"
    with db.connection(), db.database.atomic():
        db.database.execute_sql(
            "CREATE TEMP TABLE refused (address text UNIQUE, body text CHECK (body <> ''))"
            " ON COMMIT DROP"
        )
        db.database.execute_sql(insert, (address, "first"))
        try:
            with db.database.atomic():
                db.database.execute_sql(insert, (address, body))
        except peewee.IntegrityError:
            our_logger().exception("refused")
    text = capsys.readouterr().out
    assert constraint in text
    assert address not in text


def test_where_everything_is_slow_the_log_stays_short(records, monkeypatch):
    read = records()
    now = 1000.0
    monkeypatch.setattr(db.time, "monotonic", lambda: now)
    slow = db._SlowQueries()
    for _ in range(db.SLOW_LINES_MAX + 7):
        slow.tell("SELECT 1", 1.0)
    now += db.SLOW_LINES_SECONDS
    slow.tell("SELECT 2", 1.0)
    lines = [line for line in read() if line["event"] == "database.slow_query"]
    assert len(lines) == db.SLOW_LINES_MAX + 1
    assert (lines[-1]["statement"], lines[-1]["left_out"]) == ("SELECT 2", 7)
