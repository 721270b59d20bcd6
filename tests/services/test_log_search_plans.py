"""By which index PostgreSQL finds what the log is searched for."""

import peewee
import pytest

from maild.db import database as database_
from maild.domain.states import Status, Stream
from maild.services import log_blocks, message_log
from maild.services.message_log import Filter
from tests.conftest import WORKSPACE_A, WORKSPACE_B

ROWS = 20_000

FILL = """
INSERT INTO messages (id, workspace_id, status, stream, priority, from_email, to_email, subject,
    size_bytes, tags, metadata, smtp_account_name, error_class, created_at)
SELECT gen_random_uuid(), CASE WHEN n %% 10 = 0 THEN %s ELSE %s END,
    CASE WHEN n %% 1000 = 1 THEN 'complained' WHEN n %% 20 = 3 THEN 'failed' ELSE 'delivered' END,
    CASE WHEN n %% 2 = 0 THEN 'transactional' ELSE 'marketing' END, 0,
    'shop' || n %% 7 || '@example.com', 'user' || n %% 3000 || '@example' || n %% 40 || '.org',
    'Your order ' || n || CASE WHEN n %% 5000 = 77 THEN ' unicorn' ELSE '' END, 1,
    ARRAY['tag' || n %% 900], '{}',
    CASE n %% 400 WHEN 0 THEN NULL WHEN 1 THEN 'backup' ELSE 'main' END,
    CASE WHEN n %% 20 = 3 THEN 'class' || n %% 7 END, now() - n * interval '1 minute'
FROM generate_series(1, %s) AS n
"""


@pytest.fixture
def a_long_log(database):
    database_.execute_sql(FILL, (WORKSPACE_B, WORKSPACE_A, ROWS))
    while log_blocks.build(seconds=60):
        pass
    database_.execute_sql("ANALYZE messages, log_blocks")


@pytest.fixture
def plans(a_long_log, monkeypatch):
    """Call with a filter to have the plans of all that is asked for its first page."""
    genuine = peewee.Database.execute_sql

    def explain(filter_):
        found = []

        def execute_sql(self, sql, params=None, *rest):
            if "messages" in sql or "log_blocks" in sql:
                rows = genuine(self, f"EXPLAIN {sql}", params).fetchall()
                found.append("\n".join(row[0] for row in rows))
            return genuine(self, sql, params, *rest)

        with monkeypatch.context() as patch:
            patch.setattr(peewee.Database, "execute_sql", execute_sql)
            message_log.list_page(WORKSPACE_A, filter_=filter_)
        return found

    return explain


def test_each_filter_has_its_index(plans):
    expected = {
        Filter(): "messages_by_time",
        Filter(status=Status.COMPLAINED): "messages_by_status",
        Filter(smtp_account="backup"): "messages_by_account",
        Filter(smtp_account="nowhere"): "messages_by_account",
        Filter(error_class="class3"): "messages_by_class",
        Filter(error_class="nowhere"): "messages_by_class",
        Filter(to_email="user77@example37.org"): "messages_by_recipient",
        Filter(tag="tag77"): "log_blocks_by_term",
        Filter(tag="nowhere"): "log_blocks_by_term",
        Filter(from_email="nobody@example.com"): "log_blocks_by_term",
        Filter(q="unicorn"): "log_blocks_by_term",
        Filter(q="nowhere"): "log_blocks_by_term",
        Filter(subject="order 777"): "log_blocks_by_term",
    }
    found = {filter_: plans(filter_) for filter_ in expected}
    for filter_, index in expected.items():
        assert any(index in plan for plan in found[filter_]), (filter_, found[filter_])
        assert not any("Seq Scan" in plan for plan in found[filter_]), (filter_, found[filter_])


def test_what_is_frequent_is_found_without_asking_the_blocks(plans):
    for filter_ in (Filter(q="order"), Filter(stream=Stream.MARKETING)):
        assert not any("log_blocks_by_term" in plan for plan in plans(filter_)), filter_
