"""What is looked up in the section `segments`: rules of several kinds over many contacts.

In charge of the contacts, and of the rules. Each rule is asked over /v1, as the builder asks while
somebody types: how many, how many of those can be mailed, and the newest ten.
"""

import statistics
import time
from collections.abc import Iterator
from typing import Any

from psycopg2 import extensions

from bench.stack import Failed, Stack

ASKED = 5
"""Times that each rule is asked for; the first one before that opens the connection."""

Rules = dict[str, Any]

# Of 200,000: a third have the plan pro, 5 % are staff, half are on a large list; 5 % are suppressed
# and as many have left marketing.
_CONTACTS = """
INSERT INTO contacts (
    workspace_id, email, name, attributes, topics, consent_source, consent_at, created_by,
    created_at)
SELECT 1, 'person' || n || '@' || (ARRAY['gmail.com', 'gmx.de', 'example.org'])[1 + n %% 3],
    'Person ' || n,
    jsonb_build_object(
        'plan', (ARRAY['pro', 'free', 'team'])[1 + n %% 3],
        'country', (ARRAY['DE', 'AT', 'CH', 'FR', 'US'])[1 + n %% 5],
        'orders', n %% 50, 'vip', n %% 20 = 0, 'city', 'City ' || n %% 500,
        'birthday', to_char(date '1970-01-01' + n %% 10000, 'YYYY-MM-DD')),
    CASE WHEN n %% 2 = 0 THEN ARRAY['news', 'offers'] ELSE ARRAY['news'] END,
    'form', now() - n * interval '1 minute', 'bench', now() - n * interval '1 minute'
FROM generate_series(1, %s) AS n
"""
_OTHERS = """
INSERT INTO contact_attributes (workspace_id, name, kind, created_by) VALUES
    (1, 'plan', 'text', 'bench'), (1, 'country', 'text', 'bench'), (1, 'city', 'text', 'bench'),
    (1, 'orders', 'number', 'bench'), (1, 'vip', 'boolean', 'bench'),
    (1, 'birthday', 'date', 'bench');
INSERT INTO audiences (id, workspace_id, name, created_by) VALUES
    (1, 1, 'Staff', 'bench'), (2, 1, 'Half', 'bench');
INSERT INTO audience_members (audience_id, contact_id) SELECT 1, id FROM contacts WHERE id % 20 = 0;
INSERT INTO audience_members (audience_id, contact_id) SELECT 2, id FROM contacts WHERE id % 2 = 0;
INSERT INTO suppressions (workspace_id, email, reason, source, class, created_by)
    SELECT 1, email, 'r', 'bench', 'manual', 'bench' FROM contacts WHERE id % 20 = 3;
INSERT INTO unsubscribes (workspace_id, email, stream, source, created_by)
    SELECT 1, email, 'marketing', 'bench', 'bench' FROM contacts WHERE id % 20 = 7;
INSERT INTO contact_engagements (contact_id, mailed_at, opened_at)
    SELECT id, now() - interval '1 day',
        CASE WHEN id % 3 = 0 THEN now() - id % 200 * interval '1 day' END
    FROM contacts WHERE id % 10 < 9
"""


def rule(field: str, op: str, value: Any = None) -> Rules:
    """One rule, of an attribute unless the name has a dot or is one of every contact's."""
    return {"field": field, "op": op, **({} if value is None else {"value": value})}


PRO = rule("attributes.plan", "equals", "pro")
CASES: dict[str, Rules] = {
    "everybody": rule("email", "contains", "@"),
    "an attribute": PRO,
    "attributes in groups, and not a list": {
        "all": [
            PRO,
            {
                "any": [
                    rule("attributes.country", "equals", "DE"),
                    rule("attributes.country", "equals", "AT"),
                ]
            },
            rule("list", "not_in", 1),
        ]
    },
    "a large list, or an attribute": {"any": [rule("list", "in", 2), PRO]},
    "not any of three": {
        "not": {"any": [PRO, rule("list", "in", 1), rule("attributes.vip", "is_true")]}
    },
    "a part of a text": rule("attributes.city", "contains", "ty 4"),
    "mailed, and not opened for 90 days": {
        "all": [
            rule("last_mailed_at", "is_set"),
            {"not": rule("last_opened_at", "in_last_days", 90)},
        ]
    },
    "birthdays of a week": rule("attributes.birthday", "anniversary_in_next_days", 7),
    "ten rules": {
        "any": [
            {"all": [PRO, rule("attributes.orders", "greater_than", number)]}
            for number in range(5, 50, 10)
        ]
    },
}


def fill(db: extensions.connection, count: int) -> None:
    """So many contacts, with all that the rules are about."""
    with db, db.cursor() as cursor:
        cursor.execute(_CONTACTS, (count,))
        cursor.execute(_OTHERS)
    db.autocommit = True
    with db.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE contacts, audience_members, suppressions, unsubscribes")
    db.autocommit = False


def measure(stack: Stack, count: int) -> Iterator[tuple[str, float]]:
    """The median time of each case in milliseconds, by its name."""
    fill(stack.db, count)
    for name, rules in CASES.items():
        _ask(stack, rules)
        yield name, statistics.median(_ask(stack, rules) for _ in range(ASKED))


def _ask(stack: Stack, rules: Rules) -> float:
    begun_at = time.monotonic()
    answer = stack.post("/v1/segments/preview", {"rules": rules})
    seconds = time.monotonic() - begun_at
    if not answer["count"] >= answer["mailable_count"] > 0:
        raise Failed(f"{answer['count']} are meant by {rules}")
    return 1000 * seconds
