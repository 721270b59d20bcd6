"""Changing the encryption key: every secret at rest is encrypted anew with the current one.

In charge of going through them all while the product runs, and of saying what still needs an old
key. It may be killed at any moment and started again: each workspace's secrets are one transaction,
and what is under the current key already is passed over. Not in charge of the cipher (`secrets`),
nor of the keys: those are settings, which every process must have before this begins.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby

from maild.db import database
from maild.domain.actor import COMMAND_LINE
from maild.errors import DecryptionError
from maild.services import audit, secrets

BATCH = 100


@dataclass(frozen=True, slots=True)
class Source:
    """A table with secrets. `field` is how the place of a secret names its column, `words` what
    people call its owner; `replace` takes the new blob, the id, and the old blob.
    """

    field: str
    words: str
    replace: str


SOURCES = {
    "dkim_keys": Source(
        "private_key",
        "DKIM key",
        "UPDATE dkim_keys SET private_key_encrypted = %s WHERE id = %s"
        " AND private_key_encrypted = %s",
    ),
    "link_keys": Source(
        "secret",
        "link key",
        "UPDATE link_keys SET secret_encrypted = %s WHERE id = %s AND secret_encrypted = %s",
    ),
    "notification_secrets": Source(
        "value",
        "notification channel secret",
        "UPDATE notification_secrets SET value_encrypted = %s WHERE id = %s"
        " AND value_encrypted = %s",
    ),
    "people": Source(
        "totp_secret",
        "second factor",
        "UPDATE people SET totp_secret_encrypted = %s WHERE id = %s AND totp_secret_encrypted = %s",
    ),
    "smtp_accounts": Source(
        "password",
        "SMTP account",
        "UPDATE smtp_accounts SET password_encrypted = %s WHERE id = %s"
        " AND password_encrypted = %s",
    ),
    "webhook_endpoints": Source(
        "token",
        "webhook endpoint",
        "UPDATE webhook_endpoints SET token_encrypted = %s WHERE id = %s AND token_encrypted = %s",
    ),
    "webhook_secrets": Source(
        "value",
        "webhook secret",
        "UPDATE webhook_secrets SET value_encrypted = %s WHERE id = %s AND value_encrypted = %s",
    ),
}
"""Every table that has secrets: the queries below have one part for each."""


@dataclass(frozen=True, slots=True)
class Unopened:
    """A secret that no key of ours opens: whoever owns it must save it again."""

    workspace_id: int
    name: str
    reason: str


@dataclass(frozen=True, slots=True)
class Summary:
    """What a rotation did: `changed` counts by table; `needs_old_count` secrets are still under an
    old key when it ends.
    """

    changed: Counter[str]
    unopened: tuple[Unopened, ...]
    needs_old_count: int

    @property
    def is_complete(self) -> bool:
        return not self.unopened and not self.needs_old_count


@dataclass(frozen=True, slots=True)
class _Secret:
    workspace_id: int
    table: str
    id: int
    name: str
    blob: bytes

    @property
    def place(self) -> str:
        return secrets.place_of(self.workspace_id, self.table, self.id, SOURCES[self.table].field)


_OTHERS = """
SELECT workspace_id, source, id, name, blob FROM (
    SELECT workspace_id, 'dkim_keys' AS source, id, selector || ' for ' || domain AS name,
        private_key_encrypted AS blob
    FROM dkim_keys WHERE workspace_id >= %(workspace)s AND private_key_encrypted IS NOT NULL
    UNION ALL
    SELECT workspace_id, 'link_keys', id, id::text, secret_encrypted
    FROM link_keys WHERE workspace_id >= %(workspace)s
    UNION ALL
    SELECT workspace_id, 'notification_secrets', id,
        id || ' of notification channel ' || channel_id, value_encrypted
    FROM notification_secrets WHERE workspace_id >= %(workspace)s AND value_encrypted IS NOT NULL
    UNION ALL
    SELECT 0, 'people', id, email, totp_secret_encrypted
    FROM people WHERE %(workspace)s <= 0 AND totp_secret_encrypted IS NOT NULL
    UNION ALL
    SELECT workspace_id, 'smtp_accounts', id, name, password_encrypted
    FROM smtp_accounts WHERE workspace_id >= %(workspace)s AND password_encrypted IS NOT NULL
    UNION ALL
    SELECT workspace_id, 'webhook_endpoints', id, id::text, token_encrypted
    FROM webhook_endpoints WHERE workspace_id >= %(workspace)s AND token_encrypted IS NOT NULL
    UNION ALL
    SELECT workspace_id, 'webhook_secrets', id, id || ' of webhook endpoint ' || endpoint_id,
        value_encrypted
    FROM webhook_secrets WHERE workspace_id >= %(workspace)s AND value_encrypted IS NOT NULL
) AS secrets
WHERE substring(blob FROM 1 FOR %(head_bytes)s) <> %(current)s
    AND (workspace_id, source, id) > (%(workspace)s, %(table)s, %(id)s)
ORDER BY workspace_id, source, id LIMIT %(limit)s
"""
_BLOBS = """
SELECT count(*) FROM (
    SELECT private_key_encrypted AS blob FROM dkim_keys
    UNION ALL
    SELECT secret_encrypted FROM link_keys
    UNION ALL
    SELECT value_encrypted FROM notification_secrets
    UNION ALL
    SELECT totp_secret_encrypted FROM people
    UNION ALL
    SELECT password_encrypted FROM smtp_accounts
    UNION ALL
    SELECT token_encrypted FROM webhook_endpoints
    UNION ALL
    SELECT value_encrypted FROM webhook_secrets
) AS secrets
"""
_COUNT = _BLOBS + "WHERE substring(blob FROM 1 FOR %s) = ANY(%s)"
_COUNT_OTHERS = _BLOBS + "WHERE NOT substring(blob FROM 1 FOR %s) = ANY(%s)"


def rotate(*, report: Callable[[int], None]) -> Summary:
    """Encrypt everything that another key holds with the current one; `report` is told how many
    are done, after each workspace.

    A secret that a person saves meanwhile stays as they saved it, and one that no key opens stays
    as it is. Each workspace's audit log tells how many were changed.
    """
    changed: Counter[str] = Counter()
    unopened: list[Unopened] = []
    batch = _next_batch(None)
    while batch:
        for workspace_id, found in groupby(batch, key=lambda secret: secret.workspace_id):
            fresh, bad = _encrypt_anew(found)
            unopened += bad
            changed += _replace(workspace_id, fresh)
            report(changed.total())
        batch = _next_batch(batch[-1])
    return Summary(changed, tuple(unopened), _count_under_old_keys())


def _next_batch(last: _Secret | None) -> list[_Secret]:
    """What is not under the current key, behind `last`."""
    rows = database.execute_sql(
        _OTHERS,
        {
            "current": secrets.head_of(secrets.held_keys()[0]),
            "head_bytes": secrets.HEAD_BYTES,
            "workspace": last.workspace_id if last else 0,
            "table": last.table if last else "",
            "id": last.id if last else 0,
            "limit": BATCH,
        },
    ).fetchall()
    return [
        _Secret(workspace_id, table, row_id, name, bytes(blob))
        for workspace_id, table, row_id, name, blob in rows
    ]


def _encrypt_anew(
    found: Iterable[_Secret],
) -> tuple[list[tuple[_Secret, bytes]], list[Unopened]]:
    fresh, bad = [], []
    for secret in found:
        try:
            text = secrets.decrypt(secret.blob, place=secret.place)
        except DecryptionError as error:
            name = f"{SOURCES[secret.table].words} {secret.name}"
            bad.append(Unopened(secret.workspace_id, name, error.detail))
        else:
            fresh.append((secret, secrets.encrypt(text, place=secret.place)))
    return fresh, bad


def _replace(workspace_id: int, fresh: Sequence[tuple[_Secret, bytes]]) -> Counter[str]:
    """Store a workspace's new blobs where the old ones still stand; counts them by table."""
    changed: Counter[str] = Counter()
    if not fresh:
        return changed
    with database.atomic():
        # First of all, as others do who lock a workspace: the audit log needs it at the end.
        database.execute_sql("SELECT FROM workspaces WHERE id = %s FOR KEY SHARE", (workspace_id,))
        for secret, blob in fresh:
            done = database.execute_sql(
                SOURCES[secret.table].replace, (blob, secret.id, secret.blob)
            )
            if done.rowcount:
                changed[secret.table] += 1
        if changed:
            audit.record(
                workspace_id,
                COMMAND_LINE,
                action="secrets.rotated",
                target="stored secrets",
                after=dict(changed),
            )
    return changed


def _count_under_old_keys() -> int:
    current, *old = map(secrets.head_of, secrets.held_keys())
    heads = [head for head in old if head != current]
    count: int = database.execute_sql(_COUNT, (secrets.HEAD_BYTES, heads)).fetchone()[0]
    return count


_COLUMNS = """
SELECT table_name, column_name FROM information_schema.columns
WHERE table_schema = current_schema() AND column_name LIKE '%%\\_encrypted'
"""


def list_key_ids() -> list[str]:
    """The ids of the keys that something stored here needs, in hexadecimal; in a database of any
    version of maild.
    """
    columns = database.execute_sql(_COLUMNS).fetchall()
    if not columns:
        return []
    one = 'SELECT substring("{column}" FROM 1 FOR {head}) FROM "{table}" WHERE "{column}" NOTNULL'
    one = one.replace("{head}", str(secrets.HEAD_BYTES))
    # The names are the catalog's own.
    heads = " UNION ".join(one.replace("{table}", t).replace("{column}", c) for t, c in columns)
    rows = database.execute_sql(heads).fetchall()
    return sorted(bytes(row[0])[len(secrets.VERSION) :].hex() for row in rows)


def count_unopened() -> int:
    """How many secrets are under a key that we do not hold."""
    heads = [secrets.head_of(key) for key in secrets.held_keys()]
    count: int = database.execute_sql(_COUNT_OTHERS, (secrets.HEAD_BYTES, heads)).fetchone()[0]
    return count
