"""A world in which workspace A is full of things, for tests that another workspace sees, counts and
changes none of them. A new table fills itself, or needs a line in ROWS.
"""

import functools
import json
import re
import uuid
from datetime import UTC, datetime

from maild.db import database
from maild.models import Message, Workspace
from tests.conftest import WORKSPACE_A, WORKSPACE_B

ZEBRA = "zebra"
"""Stands in every text of workspace A, and nowhere else."""
EMAIL = f"ann@{ZEBRA}.example"
OTHER_EMAIL = f"bob@{ZEBRA}.example"
IDS = {status: str(uuid.uuid4()) for status in ("queued", "failed", "unknown", "held", "sent")}
SERIAL = 700_000_001
"""The id of each of A's rows that has a number."""
HIDDEN = (ZEBRA, EMAIL, OTHER_EMAIL, str(SERIAL), *IDS.values())
"""What nobody else may get to see."""

ROWS = {
    "policies": {"version": 1, "on_limit": "reject"},
    "suppressions": {"email": EMAIL, "class": "manual"},
    "suppression_files": {"class": "manual"},
    "jobs": {
        "kind": "messages.retry",
        "status": "done",
        "finished_at": datetime(2020, 1, 1, tzinfo=UTC),
    },
    "job_items": {"job_id": SERIAL},
    "unsubscribes": {"email": EMAIL},
    "incidents": {"kind": "delivery", "status": "open", "severity": "major"},
    "incident_signals": {"kind": "delivery", "incident_id": SERIAL},
    "incident_messages": {"signal_id": SERIAL},
    "incident_entries": {"kind": "note", "incident_id": SERIAL},
    "domains": {"name": f"{ZEBRA}.example"},
    "domain_checks": {"domain_id": SERIAL},
    "dkim_keys": {
        "domain": f"{ZEBRA}.example", "algorithm": "ed25519-sha256", "state": "prepared",
        "private_key_encrypted": b"z" * 32,
    },
    "freezes": {"kind": "recipient_domain", "target": f"{ZEBRA}.example"},
    "smtp_accounts": {"security": "none", "host": "192.0.2.1"},
    "api_keys": {"role": "admin"},
    "attempts": {"status": "sent"},
    "message_bodies": {"body_text": ZEBRA},
    "restored_messages": {"restore_id": SERIAL},
    "breakers": {"state": "closed"},
    "rollups": {"grain": "minute", "kind": "sent", "stream": "marketing"},
    "traffic_tallies": {"kind": "sent", "stream": "marketing"},
    "notification_channels": {
        "kind": "webhook", "min_severity": "minor", "occasions": json.dumps(["opened"]),
    },
    "notification_secrets": {"kind": "signing", "channel_id": SERIAL},
    "notifications": {
        "occasion": "opened", "status": "sent", "channel_id": SERIAL, "incident_id": SERIAL,
        "folded_into_id": None, "settled_at": datetime(2020, 1, 1, tzinfo=UTC),
    },
    "webhook_secrets": {"kind": "signing", "endpoint_id": SERIAL},
    "webhook_payloads": {"status": "read", "endpoint_id": SERIAL},
    "people": {"email": EMAIL},
    "log_blocks": {"terms": ZEBRA},
    "members": {"role": "admin", "person_id": SERIAL},
    "invitations": {"email": OTHER_EMAIL, "role": "viewer"},
    "sessions": {"person_id": SERIAL, "token_hash": b"s" * 32},
    "mailed_links": {"purpose": "confirm_email", "email": EMAIL, "person_id": SERIAL},
    "contacts": {"email": EMAIL, "status": "active", "attributes": json.dumps({"zebra": ZEBRA})},
    "opt_in_asks": {"contact_id": SERIAL},
    "segments": {
        "rules": json.dumps({"field": "email", "op": "contains", "value": ZEBRA}),
    },
    "contact_attributes": {"kind": "text"},
    "contact_import_parts": {"contact_ids": [SERIAL]},
    "contact_files": {
        "name": ZEBRA, "received_at": datetime(2099, 1, 1, tzinfo=UTC),
        "layout": json.dumps({
            "delimiter": ",", "encoding": "utf-8", "has_header": True,
            "columns": [{"use": "email", "name": None, "kind": None}],
        }),
        "options": json.dumps({
            "audience_id": None, "audience_name": None, "topics": [], "consent_source": None,
            "consent_at": None, "consent_proof": None, "updates": True,
            "leaves_out_roles": True, "leaves_out_disposable": True,
        }),
        "foreseen": json.dumps({"job_id": SERIAL, "counts": {
            "rows": 1, "new": 1, "updated": 0, "unchanged": 0, "duplicate": 0, "rejected": 0,
            "joined": 0,
        }}),
        "check_job_id": SERIAL,
    },
    "contact_file_chunks": {"position": 0, "content": ZEBRA.encode()},
    "campaigns": {
        "status": "draft", "audience_kind": "everyone", "from_email": EMAIL, "time_zone": "UTC",
    },
    "campaign_recipients": {
        "campaign_id": SERIAL, "status": "queued",
        "handed_at": datetime(2020, 1, 1, tzinfo=UTC),
    },
    "template_versions": {
        "format": "html", "source": ZEBRA,
        "fields": json.dumps([{"name": ZEBRA, "has_default": False, "line": 1}]),
    },
    "template_drafts": {"person_id": SERIAL},
    "provider_events": {
        "payload_id": SERIAL, "status": "ignored", "position": 0, "event_type": "opened",
        "report": json.dumps({ZEBRA: ZEBRA}), "email": EMAIL,
    },
}  # fmt: skip
"""What a row needs that cannot be made up from the types of its columns."""

OWN = ("workspace_id", "message_id", "account_id", "person_id")
"""By one of these columns a row is somebody's."""
PARENTS = (
    "audience_id", "contact_id", "endpoint_id", "file_id", "job_id", "signal_id", "template_id",
)  # fmt: skip
"""Or by what it belongs to."""
NOBODYS = {"disk_samples", "incident_cursors", "periodic_jobs", "schema_migrations", "workers"}
"""Tables of the instance."""

NUMBERED = {"job_items": ("id",), "campaign_recipients": ("id", "contact_id", "email")}
"""What is another one in each of a table's rows, where it has a row for each message."""

MADE_UP = {
    "integer": 1, "bigint": 1, "smallint": 1, "real": 1.0, "double precision": 1.0,
    "text": ZEBRA, "jsonb": json.dumps({ZEBRA: ZEBRA}), "boolean": False,
    "timestamp with time zone": datetime(2020, 1, 1, tzinfo=UTC), "ARRAY": [ZEBRA],
    "bytea": b"z" * 32, "uuid": uuid.UUID(IDS["sent"]),
}  # fmt: skip


@functools.cache  # the schema stays what it is, and its own views are slow
def list_tables(column):
    rows = database.execute_sql(
        "SELECT table_name FROM information_schema.columns"
        " WHERE table_schema = 'public' AND column_name = %s ORDER BY 1",
        (column,),
    )
    return [name for (name,) in rows]


@functools.cache
def list_inner_tables():
    """Those whose rows say whose they are by what they belong to only, each with that column."""
    outer = {table for column in OWN for table in list_tables(column)}
    return {
        table: column for column in PARENTS for table in list_tables(column) if table not in outer
    }


@functools.cache
def list_columns(table):
    return database.execute_sql(
        "SELECT column_name, data_type, is_nullable = 'NO', column_default"
        " FROM information_schema.columns WHERE table_schema = 'public' AND table_name = %s",
        (table,),
    ).fetchall()


def insert(table, values):
    names = ", ".join(f'"{name}"' for name in values)
    places = ", ".join(["%s"] * len(values))
    database.execute_sql(f"INSERT INTO {table} ({names}) VALUES ({places})", list(values.values()))


def fill(table, **keys):
    """A row of the table, with something in every column that needs something."""
    values = {**keys, **ROWS.get(table, {})}
    for name, type_, is_needed, default in list_columns(table):
        if name in values:
            continue
        if default and default.startswith("nextval"):
            values[name] = SERIAL
        elif is_needed and default is None:
            values[name] = MADE_UP[type_]
    insert(table, values)


def fill_messages():
    for status, message_id in IDS.items():
        Message.insert(
            id=message_id,
            workspace=WORKSPACE_A,
            status=status,
            stream="transactional",
            priority=0,
            from_email=EMAIL,
            to_email=EMAIL,
            subject=ZEBRA,
            size_bytes=1,
            tags=[ZEBRA],
            metadata={ZEBRA: ZEBRA},
            smtp_account_name=ZEBRA,
            last_error=ZEBRA,
            error_class=ZEBRA,
            expires_at=datetime(2099, 1, 1, tzinfo=UTC),
            next_attempt_at=datetime(2099, 1, 1, tzinfo=UTC) if status == "queued" else None,
            hold_reason=ZEBRA if status == "held" else None,
        ).execute()


def fill_workspace_a():
    """At least one row in every table, in an order in which each finds what it refers to."""
    fill_messages()
    fill("people")
    first = ["suppressions", "unsubscribes", "freezes", "smtp_accounts"]
    first += ["webhook_endpoints", "webhook_payloads", "incidents", "incident_signals"]
    first += ["notification_channels", "domains", "audit_entries"]
    others = [t for t in list_tables("workspace_id") if t not in {"messages", *first}]
    for table in (*first, *others):
        fill(table, workspace_id=WORKSPACE_A)
    for table in set(list_tables("message_id")) - set(list_tables("workspace_id")):
        for number, message_id in enumerate(IDS.values()):
            own = {"id": SERIAL + number, "email": f"{number}.{EMAIL}"}
            own["contact_id"] = own["id"]
            numbered = {name: own[name] for name in NUMBERED.get(table, ())}
            fill(table, message_id=message_id, **numbered)
    for table in list_tables("account_id"):
        fill(table, account_id=SERIAL)
    for table in set(list_tables("person_id")) - set(list_tables("workspace_id")):
        fill(table, person_id=SERIAL)
    for table in list_inner_tables():
        fill(table, **{name: SERIAL for name, *_ in list_columns(table) if name in PARENTS})


def rows_of_a():
    """Everything that is A's, table by table."""
    queries = {
        **dict.fromkeys(list_tables("workspace_id"), f"workspace_id = {WORKSPACE_A}"),
        **dict.fromkeys(list_tables("account_id"), f"account_id = {SERIAL}"),
        **dict.fromkeys(list_tables("person_id"), f"person_id = {SERIAL}"),
        **{table: f"{column} = {SERIAL}" for table, column in list_inner_tables().items()},
        "people": f"id = {SERIAL}",
        "workspaces": f"id = {WORKSPACE_A}",
    }
    ids = ", ".join(f"'{message_id}'" for message_id in IDS.values())
    for table in set(list_tables("message_id")) - set(queries):
        queries[table] = f"message_id IN ({ids})"
    found = {
        table: database.execute_sql(
            f"SELECT t::text FROM {table} t WHERE {condition} ORDER BY 1"
        ).fetchall()
        for table, condition in queries.items()
    }
    assert [table for table, rows in found.items() if not rows] == [], "A has rows in every table"
    return found


def make_workspaces(*, is_a_full):
    """Workspaces A and B anew, and nobody in them."""
    Workspace.delete().execute()
    database.execute_sql("DELETE FROM people")
    for table in list_tables("account_id"):
        database.execute_sql(f"DELETE FROM {table}")
    Workspace.insert_many(
        [
            {"id": 0, "name": "maild"},
            {"id": WORKSPACE_A, "name": ZEBRA},
            {"id": WORKSPACE_B, "name": "Other"},
        ]
    ).execute()
    if is_a_full:
        fill_workspace_a()


MADE_ID = r"/ui/audience/(contacts|lists|segments)/\d{1,6}(?!\d)"
"""Of what was made just now: the numbers go on from one to the next. Those of A's are longer."""
VARYING = [
    (MADE_ID, "NEW"),
    (r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", "UUID"),
    (r"\d{4}-\d\d-\d\dT[\d:.]+(Z|[+-]\d\d:\d\d)", "TIME"),
    (r"mk_[A-Za-z0-9_-]+", "KEY"),
    (r"(/v1/webhooks/[a-z_/]+)/[A-Za-z0-9_-]{43}", r"\1/TOKEN"),
    (r'"(request_id|next_cursor|hash|previous_hash)":\s*"[^"]*"', r'"\1": "..."'),
    (r'"((?:\w+_)?id)":\s*\d+', r'"\1": 0'),
    (r"Request [0-9a-f]{16}", "Request ID"),
    (r"seen=[0-9a-f]{16}", "seen=MARK"),
    (r"after=AA[\w-]+", "after=MARK"),
    (r"\bkey \d+\b", "key 0"),
    (r'(name="csrf_token" value=|X-CSRFToken": ?)"[^"]*"', r'\1"TOKEN"'),
    (r"\d+ (s|ms) ago|just now", "AGO"),
    (r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3} UTC", "TIME"),
    (r'"ms":\s*[\d.]+', '"ms": 0'),
    (r'"oldest_due_seconds":\s*[\d.]+', '"oldest_due_seconds": 0'),
    (r"\bmd\d{6}[0-9a-f]{4}[re]\b", "SELECTOR"),
    (r"p=[A-Za-z0-9+/]{43}=", "p=KEY"),
]
"""What differs between two answers that say the same."""


def told(response):
    """Everything that an answer says, but for names and times that were made up for it."""
    text = response.get_data(as_text=True)
    for pattern, word in VARYING:
        text = re.sub(pattern, word, text)
    headers = sorted(
        (name, re.sub(MADE_ID, "NEW", re.sub(FILE_TIME, "TIME", value)))
        for name, value in response.headers
        if name not in NOT_TOLD
    )
    return response.status_code, headers, text


FILE_TIME = r"\d{4}-\d\d-\d\dT\d\d-\d\d-\d\dZ"
"""In the name of a file: two that are made one after the other may have two."""
NOT_TOLD = {"Set-Cookie", "X-Request-ID", "Content-Length", "RateLimit", "RateLimit-Reset"}
