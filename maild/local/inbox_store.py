"""Where the inbox keeps its messages: one SQLite file.

In charge of durability (what `add` returned from survives a crash of the machine) and of cheap
lists: a message's summary lies apart from its content, and the count is kept, not counted.
"""

import json
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_SCHEMA = """
BEGIN IMMEDIATE;
CREATE TABLE messages (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,  -- never used twice, not even after a delete
    received_at TEXT NOT NULL,
    summary     TEXT NOT NULL
);
CREATE TABLE contents (
    id         INTEGER PRIMARY KEY,
    mail_from  TEXT NOT NULL,
    recipients TEXT NOT NULL,
    raw        BLOB NOT NULL
);
CREATE TABLE totals (count INTEGER NOT NULL);
INSERT INTO totals VALUES (0);
PRAGMA user_version = 1;
COMMIT;
"""


@dataclass(frozen=True, slots=True)
class Mail:
    """A message as it was received; `received_at` is RFC 3339, `summary` what lists show of it."""

    received_at: str
    mail_from: str
    recipients: list[str]
    summary: dict[str, Any]
    raw: bytes


def connect(path: Path) -> sqlite3.Connection:
    """Open the file, making it if need be. One thread at a time may use the connection.

    Only the first to open a new file makes it: no two may be the first at once.
    """
    connection = sqlite3.connect(path, timeout=30, isolation_level=None, check_same_thread=False)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")  # WAL alone would sync at checkpoints only
    if connection.execute("PRAGMA user_version").fetchone() == (0,):
        connection.executescript(_SCHEMA)
    return connection


def add(store: sqlite3.Connection, mails: Sequence[Mail]) -> None:
    """Store `mails`, all in one transaction. Raises sqlite3.Error, and then has stored none."""
    with store:
        store.execute("BEGIN IMMEDIATE")
        for mail in mails:
            summary = json.dumps(mail.summary)
            row = store.execute(
                "INSERT INTO messages (received_at, summary) VALUES (?, ?)",
                (mail.received_at, summary),
            )
            store.execute(
                "INSERT INTO contents (id, mail_from, recipients, raw) VALUES (?, ?, ?, ?)",
                (row.lastrowid, mail.mail_from, json.dumps(mail.recipients), mail.raw),
            )
        store.execute("UPDATE totals SET count = count + ?", (len(mails),))


def count(store: sqlite3.Connection) -> int:
    """The number of stored messages."""
    (total,) = store.execute("SELECT count FROM totals").fetchone()
    return int(total)


def list_summaries(store: sqlite3.Connection, *, start: int, limit: int) -> list[dict[str, Any]]:
    """A page of summaries with their `ID` and `Created`, newest first."""
    rows = store.execute(
        "SELECT id, received_at, summary FROM messages ORDER BY id DESC LIMIT ? OFFSET ?",
        (limit, start),
    )
    return [_summary(*row) for row in rows]


def find_summary(store: sqlite3.Connection, message_id: int) -> dict[str, Any] | None:
    """The summary of one message, or None."""
    row = store.execute(
        "SELECT id, received_at, summary FROM messages WHERE id = ?", (message_id,)
    ).fetchone()
    return _summary(*row) if row else None


def find_raw(store: sqlite3.Connection, message_id: int) -> bytes | None:
    """The message as it was received, or None."""
    row = store.execute("SELECT raw FROM contents WHERE id = ?", (message_id,)).fetchone()
    return bytes(row[0]) if row else None


def find_envelope(store: sqlite3.Connection, message_id: int) -> tuple[str, list[str]] | None:
    """The sender and the recipients of the SMTP envelope, or None."""
    row = store.execute(
        "SELECT mail_from, recipients FROM contents WHERE id = ?", (message_id,)
    ).fetchone()
    return (row[0], json.loads(row[1])) if row else None


def delete(store: sqlite3.Connection, message_ids: Sequence[int]) -> None:
    """Delete the messages with these ids; ids that are not there are passed over."""
    ids = [(message_id,) for message_id in message_ids]
    with store:
        store.execute("BEGIN IMMEDIATE")
        deleted = store.executemany("DELETE FROM messages WHERE id = ?", ids).rowcount
        store.executemany("DELETE FROM contents WHERE id = ?", ids)
        store.execute("UPDATE totals SET count = count - ?", (max(deleted, 0),))


def delete_all(store: sqlite3.Connection) -> None:
    """Delete every message, and give their space back to the disk."""
    with store:
        store.execute("BEGIN IMMEDIATE")
        store.execute("DELETE FROM messages")
        store.execute("DELETE FROM contents")
        store.execute("UPDATE totals SET count = 0")
    store.execute("VACUUM")


def _summary(message_id: int, received_at: str, summary: str) -> dict[str, Any]:
    return {"ID": str(message_id), "Created": received_at, **json.loads(summary)}
