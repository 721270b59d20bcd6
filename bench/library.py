"""A workspace that has been in use for a quarter of a year: millions of messages, with all that
comes of them, written straight into the tables.

In charge of rows that are believable where it matters to a search: how often a word, a tag, a
provider or an error stands in them, and at what times. The same seed makes the same rows, but for
their times, which end now. Indexes are dropped before and made again after: that is several times
quicker. What rollups hold is counted from the messages.
"""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from psycopg2 import extensions

from bench.subjects import list_templates, split
from maild.domain.states import PRIORITY, Stream

DAYS = 90
RECENT = 300_000
"""So many of the newest messages have bodies, attempts, events and reports."""
SUPPRESSIONS = 200_000
UNSUBSCRIBES = 50_000
AUDIT_ENTRIES = 50_000
PEOPLE = 800_000
"""Recipients that the addresses are made of."""
OTHERS = range(11, 19)
"""Workspaces beside the first, which has all the rest."""
OTHERS_SHARE = 0.08
SEED = 0.42

_NAMES = split(
    "anna bela carl dora emil frida georg hanna igor jana kurt lena max nina otto paula quentin "
    "rosa stefan tina ulf vera willi xenia yusuf zoe maria peter john sarah lucas emma noah mia"
)
_SURNAMES = split(
    "smith garcia mueller rossi novak kowalski jensen andersson dubois silva tanaka kim chen "
    "patel okafor haddad cohen ivanov horvath popescu murphy campbell walker young fischer "
    "weber wagner"
)
_DOMAINS = {
    "gmail.com": 350, "outlook.com": 110, "yahoo.com": 100, "icloud.com": 60, "hotmail.com": 50,
    "gmx.de": 40, "web.de": 30, "t-online.de": 20, "orange.fr": 20, "libero.it": 15, "wp.pl": 15,
    "proton.me": 12, "aol.com": 10, "comcast.net": 8,
}  # fmt: skip
_COMPANIES = 800
"""Domains of the long tail, which share the rest."""

# A wave of days and nights over a straight line, which never runs backwards.
_AT = f"""(%(base)s::timestamptz - ((%(count)s - n)::float8 / %(count)s * {DAYS}
    + sin((%(count)s - n)::float8 / %(count)s * {DAYS} * 2 * pi()) * 0.12) * interval '1 day')
"""

_DRAWN = f"""
CREATE UNLOGGED TABLE bench_drawn AS
SELECT n, at, w, person, domains[1 + floor(random() * array_length(domains, 1))::int] AS domain,
    names[1 + person %% array_length(names, 1)] || '.'
        || surnames[1 + person / 7 %% array_length(surnames, 1)] || person AS local,
    CASE WHEN kind < 0.55  -- a campaign lives for two days, and then comes again a month later
        THEN 1 + campaigns_from + (extract(epoch FROM at)::bigint / 86400 + n %% 2) %% campaigns
        ELSE 1 + floor(campaigns_from * random() ^ 2.5)::int END AS template,
    fate, random() AS account, number, (n %% 60) AS key
FROM (
    SELECT n, {_AT} AS at,
        CASE WHEN random() < {OTHERS_SHARE} THEN {OTHERS.start}
            + floor(random() * {len(OTHERS)})::int ELSE 1 END AS w,
        floor({PEOPLE} * random() ^ 1.5)::int AS person, random() AS kind, random() AS fate,
        (100000 + random() * 8999999)::int AS number
    FROM generate_series(1, %(count)s) AS n) AS drawn,
    (SELECT %(domains)s::text[] AS domains, %(names)s::text[] AS names,
        %(surnames)s::text[] AS surnames, %(campaigns)s AS campaigns,
        %(campaigns_from)s AS campaigns_from) AS given
"""
_MESSAGES = f"""
INSERT INTO messages (id, workspace_id, status, stream, priority, from_email, to_email, subject,
    size_bytes, tags, metadata, next_attempt_at, attempt_count, smtp_account_name, last_error,
    error_class, created_at, updated_at, expires_at, hold_reason, topic, api_key_id)
SELECT (lpad(to_hex((extract(epoch FROM at) * 1000)::bigint), 12, '0') || '7'
        || substr(h, 1, 3) || '8' || substr(h, 4, 15))::uuid,
    w, status, its_stream, CASE its_stream WHEN 'marketing' THEN {PRIORITY[Stream.MARKETING]}
        ELSE {PRIORITY[Stream.TRANSACTIONAL]} END, from_email,
    local || '@' || domain, subject, 2000 + length(subject), tags, metadata,
    CASE status WHEN 'queued' THEN at + CASE n %% 3 WHEN 0 THEN interval '2 days'
        ELSE interval '1 minute' END END,
    CASE WHEN account IS NULL THEN 0 ELSE 1 END, account,
    CASE WHEN class IS NOT NULL THEN '550 5.1.1 ' || replace(class, '_', ' ') END, class,
    at, least(at + interval '40 seconds', %(base)s), at + interval '2 days',
    CASE status WHEN 'held' THEN 'A person looks into it' END, topic, key
FROM (
    SELECT d.n, d.at, d.w, d.local, d.domain, md5('m' || d.n) AS h, t.from_email,
        CASE WHEN d.w = {OTHERS.start} THEN 'transactional' ELSE t.stream END AS its_stream,
        replace(replace(t.subject, '{{n}}', d.number::text), '{{name}}',
            initcap(split_part(d.local, '.', 1))) AS subject,
        t.tags || CASE WHEN d.n %% 40 = 7 THEN ARRAY['vip'] ELSE '{{}}'::text[] END
            || CASE WHEN d.n %% 150000 = 11 THEN ARRAY['trace-7'] ELSE '{{}}'::text[] END AS tags,
        CASE WHEN d.n %% 3 = 0 THEN jsonb_build_object('order', d.number) ELSE '{{}}' END
            AS metadata,
        t.topic, s.status, CASE WHEN d.key = 0 AND d.n %% 6000 = 0 THEN 4
            WHEN d.key < 20 THEN 2 WHEN d.key < 24 THEN 3 ELSE 1 END AS key,
        CASE WHEN s.status IN ('queued', 'suppressed', 'cancelled', 'held', 'expired') THEN NULL
            WHEN d.account < 0.0002 THEN 'backup'
            WHEN d.account < 0.12 AND d.at < %(base)s::timestamptz - interval '60 days'
                THEN 'sendgrid'
            WHEN d.account < 0.3 THEN 'postmark' ELSE 'ses' END AS account,
        CASE WHEN s.status IN ('bounced', 'failed')
                THEN (%(classes)s::text[])[1 + floor(13 * (d.account ^ 2))::int]
            WHEN s.status = 'unknown' THEN 'connection' END AS class
    FROM bench_drawn d
    JOIN bench_templates t ON t.id = d.template
    CROSS JOIN LATERAL (SELECT CASE
        WHEN d.n > %(count)s - 40 THEN 'queued'
        WHEN d.n > %(count)s - 6000 AND d.fate < 0.35 THEN 'queued'
        WHEN d.n > %(count)s - 6000 AND d.fate < 0.353 THEN 'held'
        WHEN d.fate < 0.86 THEN 'delivered' WHEN d.fate < 0.912 THEN 'sent'
        WHEN d.fate < 0.947 THEN 'bounced' WHEN d.fate < 0.972 THEN 'failed'
        WHEN d.fate < 0.992 THEN 'suppressed' WHEN d.fate < 0.9955 THEN 'cancelled'
        WHEN d.fate < 0.9985 THEN 'expired' WHEN d.fate < 0.9999 THEN 'complained'
        ELSE 'unknown' END AS status) AS s
    ORDER BY d.n) AS m
"""
_RECENT = """
CREATE TEMP TABLE recent AS SELECT id, workspace_id, status, from_email, to_email, subject,
    smtp_account_name, error_class, created_at, attempt_count,
    row_number() OVER (ORDER BY created_at, id) AS r
FROM (SELECT * FROM messages ORDER BY created_at DESC, id DESC LIMIT %(recent)s) AS newest
"""
_TEXT = "Thank you for being with us. What follows is about your order and what becomes of it. " * 4
_AFTER: dict[str, str] = {
    "message_bodies": """
INSERT INTO message_bodies (message_id, headers, body_text, body_html)
SELECT id, '[]', subject || %(text)s, CASE WHEN r %% 2 = 0 THEN '<p>' || %(text)s || '</p>' END
FROM recent""",
    "attempts": """
INSERT INTO attempts (message_id, attempt_no, status, worker_id, smtp_account_name, remote,
    started_at, finished_at, duration_ms, stage, smtp_code, enhanced_code, response, error_class)
SELECT id, 1, CASE WHEN status = 'failed' THEN 'failed' WHEN status = 'unknown' THEN 'unknown'
        ELSE 'sent' END,
    '00000000-0000-7000-8000-000000000001', smtp_account_name, smtp_account_name || '.example:587',
    created_at + interval '1 second', created_at + interval '1.2 seconds', 200, 'final_dot',
    CASE status WHEN 'failed' THEN 550 ELSE 250 END, NULL, '2.0.0 queued', CASE status
        WHEN 'failed' THEN error_class END
FROM recent WHERE attempt_count > 0""",
    "events": """
INSERT INTO events (workspace_id, message_id, type, data, created_at)
SELECT workspace_id, id, type, '{}', created_at + after * interval '1 second' FROM recent
CROSS JOIN LATERAL (VALUES ('message.accepted', 0), ('message.sent', 1), ('message.delivered', 20))
    AS e (type, after)
WHERE after = 0 OR attempt_count > 0 ORDER BY created_at, after""",
    "webhook_payloads": """
INSERT INTO webhook_payloads (id, workspace_id, endpoint_id, provider, smtp_account_name,
    content_type, headers, body, status, created_at)
SELECT r, workspace_id, 1, 'postmark', smtp_account_name, 'application/json', '{}',
    convert_to(json_build_object('Email', to_email, 'MessageID', id)::text, 'UTF8'), 'read',
    least(created_at + interval '20 seconds', now())
FROM recent WHERE status IN ('delivered', 'bounced', 'complained')""",
    "provider_events": """
INSERT INTO provider_events (workspace_id, payload_id, position, provider, smtp_account_name,
    status, event_type, email, report, dedupe_key, message_id, effects, last_error, created_at,
    updated_at)
SELECT workspace_id, r, CASE WHEN is_dead THEN NULL ELSE 0 END,
    CASE WHEN smtp_account_name = 'ses' THEN 'ses' ELSE 'postmark' END, smtp_account_name,
    CASE WHEN is_dead THEN 'dead_letter' ELSE 'applied' END, CASE WHEN NOT is_dead THEN status END,
    to_email, CASE WHEN NOT is_dead THEN jsonb_build_object('raw', '{}') END,
    decode(md5('e' || r), 'hex'), CASE WHEN NOT is_dead THEN id END, NULL,
    CASE WHEN is_dead THEN 'No message has this id' END,
    least(created_at + interval '20 seconds', now()),
    least(created_at + interval '21 seconds', now())
FROM (SELECT *, r %% 1500 = 3 AS is_dead FROM recent) AS recent
WHERE status IN ('delivered', 'bounced', 'complained') ORDER BY r""",
    "suppressions": """
INSERT INTO suppressions (workspace_id, email, reason, source, class, created_by, created_at,
    removed_at)
SELECT 1, 'gone' || s || '@' || (%(domains)s::text[])[1 + s * 31 %% 1600],
    'The mailbox does not exist', (ARRAY['provider', 'smtp', 'import', 'person'])[1 + s %% 4],
    (ARRAY['hard_bounce', 'hard_bounce', 'soft_bounce', 'complaint', 'manual'])[1 + s %% 5],
    'system', %(base)s::timestamptz - (%(suppressions)s - s) * interval '30 seconds',
    CASE WHEN s %% 50 = 0 THEN now() END
FROM generate_series(1, %(suppressions)s) AS s""",
    "unsubscribes": """
INSERT INTO unsubscribes (workspace_id, email, stream, source, created_by, created_at)
SELECT 1, 'left' || s || '@' || (%(domains)s::text[])[1 + s * 17 %% 1600], 'marketing', 'link',
    'recipient', %(base)s::timestamptz - (%(unsubscribes)s - s) * interval '2 minutes'
FROM generate_series(1, %(unsubscribes)s) AS s""",
    "audit_entries": """
INSERT INTO audit_entries (workspace_id, seq, at, actor, action, target, previous_hash, hash)
SELECT 1, s, %(base)s::timestamptz - (%(audit)s - s) * interval '2 minutes',
    'person' || s %% 9 || '@example.com',
    (ARRAY['message.retried', 'suppression.added', 'policy.changed', 'member.added'])[1 + s %% 4],
    'something ' || s, '\\x00', '\\x00'
FROM generate_series(1, %(audit)s) AS s""",
    "accepted_tallies": """
INSERT INTO accepted_tallies (workspace_id, shard, accepted_count)
SELECT workspace_id, 0, count(*) FROM messages GROUP BY workspace_id""",
    "conservation_checks": """
INSERT INTO conservation_checks (workspace_id, accepted_count, by_status, difference)
SELECT workspace_id, count(*), '{}', 0 FROM messages GROUP BY workspace_id""",
    "rollups": """
INSERT INTO rollups (workspace_id, grain, at, kind, stream, smtp_account, message_count)
SELECT workspace_id, grain, date_trunc(grain, created_at, 'UTC'),
    CASE WHEN status IN ('queued', 'held') THEN 'accepted' ELSE status END, stream,
    coalesce(smtp_account_name, ''), count(*)
FROM messages, (VALUES ('minute'), ('hour')) AS g (grain)
WHERE grain = 'hour' OR created_at > now() - interval '2 days'
GROUP BY 1, 2, 3, 4, 5, 6""",
}
"""What hangs from the messages, in an order in which each finds what it refers to."""
_CLASSES = [
    "invalid_recipient", "mailbox_full", "policy", "spam_content", "invalid_domain", "rate_limited",
    "reputation", "inactive_mailbox", "greylisted", "timeout", "connection", "message_too_large",
    "tls",
]  # fmt: skip


def fill(db: extensions.connection, count: int, *, say: Callable[[str], None]) -> None:
    """Write `count` messages and what belongs to them into tables that are empty."""
    templates, campaigns_from = list_templates()
    domains = [name for name, share in _DOMAINS.items() for _ in range(share)]
    domains += [f"company{number}.example" for number in range(_COMPANIES)]
    values = {
        "base": _now(db),
        "count": count,
        "recent": min(RECENT, count),
        "domains": domains,
        "names": _NAMES,
        "surnames": _SURNAMES,
        "campaigns": len(templates) - campaigns_from,
        "campaigns_from": campaigns_from,
        "classes": _CLASSES,
        "text": _TEXT,
        "suppressions": SUPPRESSIONS,
        "unsubscribes": UNSUBSCRIBES,
        "audit": AUDIT_ENTRIES,
    }
    with db, db.cursor() as cursor:
        cursor.execute("SET LOCAL work_mem = '256MB'; SET LOCAL maintenance_work_mem = '1GB'")
        cursor.execute("SET LOCAL max_parallel_workers_per_gather = 0")
        cursor.execute("SELECT setseed(%s)", (SEED,))
        cursor.execute(
            "INSERT INTO workspaces (id, name) SELECT n, 'Shop ' || n FROM unnest(%s) AS n"
            " ON CONFLICT (id) DO NOTHING",
            (list(OTHERS),),
        )
        cursor.execute(
            "CREATE TEMP TABLE bench_templates ON COMMIT DROP AS SELECT * FROM"
            " jsonb_to_recordset(%s) AS t (id int, stream text, subject text, from_email text,"
            " tags text[], topic text)",
            (json.dumps(templates),),
        )
        say("  drawing lots ...")
        cursor.execute(_DRAWN, values)
        say("  messages ...")
        with _without_indexes(cursor, "messages", say):
            cursor.execute(_MESSAGES, values)
        cursor.execute("DROP TABLE bench_drawn; ANALYZE messages")
        cursor.execute(_RECENT, values)
        existing = _list_tables(cursor)
        for table, statement in _AFTER.items():
            if table in existing:
                say(f"  {table} ...")
                with _without_indexes(cursor, table, say):
                    cursor.execute(statement, values)
        cursor.execute("DROP TABLE recent")
        for table in ("webhook_payloads", "suppressions", "unsubscribes", "events"):
            cursor.execute(
                f"SELECT setval(pg_get_serial_sequence('{table}', 'id'), max(id)) FROM {table}"
            )
    say("  vacuum and analyze ...")
    db.autocommit = True
    try:
        with db.cursor() as cursor:
            cursor.execute("VACUUM ANALYZE")
    finally:
        db.autocommit = False


@contextmanager
def _without_indexes(
    cursor: extensions.cursor, table: str, say: Callable[[str], None]
) -> Iterator[None]:
    """Leave out the table's plain indexes and triggers meanwhile."""
    cursor.execute(
        "SELECT i.indexrelid::regclass::text, pg_get_indexdef(i.indexrelid) FROM pg_index i"
        " WHERE i.indrelid = %s::regclass AND NOT i.indisprimary AND NOT i.indisunique",
        (table,),
    )
    indexes = cursor.fetchall()
    cursor.execute(f"ALTER TABLE {table} DISABLE TRIGGER USER")
    for name, _ in indexes:
        cursor.execute(f"DROP INDEX {name}")
    yield
    for name, definition in indexes:
        say(f"    {name} ...")
        cursor.execute(definition)
    cursor.execute(f"ALTER TABLE {table} ENABLE TRIGGER USER")


def _list_tables(cursor: extensions.cursor) -> set[str]:
    cursor.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
    return {name for (name,) in cursor.fetchall()}


def _now(db: extensions.connection) -> str:
    with db, db.cursor() as cursor:
        cursor.execute("SELECT now()::text")
        return str(cursor.fetchone()[0])
