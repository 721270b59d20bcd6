"""Searching the log by its blocks: what is found is what is there, wherever it stands."""

import dataclasses
import random
import threading
import uuid
from datetime import timedelta

import pytest

from maild import clock, db
from maild.db import database as database_
from maild.domain.cursor import Cursor
from maild.domain.states import Status, Stream
from maild.errors import SearchTooLong
from maild.models import LogBlock, Message
from maild.services import locks, log_blocks, log_search, message_log
from maild.services.message_log import Filter
from tests.conftest import WORKSPACE_A, WORKSPACE_B

ROWS = 400
SUBJECTS = (
    "Your order #48213 is on its way",
    "Re: order-48213, “really late”…",
    "ΟΔΟΣ Straße İstanbul ÄRGER",
    "東京 へようこそ、 新しい注文",
    "a_b (c) [d] {e} ^f$ .* \\ ' \" %s %",
    "x" * 300 + " end",
    "Надзвичайно важливо",
)
SENDERS = ("shop@example.com", "News.Letter+tag@sub.example.org", "o'hara@example.com")
BASE = clock.now().replace(microsecond=0) - timedelta(days=1)


@pytest.fixture
def small_blocks(monkeypatch):
    """So that a few hundred messages make many of them, and many steps."""
    monkeypatch.setattr(log_blocks, "BLOCK_ROWS", 16)
    monkeypatch.setattr(log_search, "LOOK_ROWS", 5)
    monkeypatch.setattr(log_search, "LOOK_INDEXED_ROWS", 6)
    monkeypatch.setattr(log_search, "LISTED_BLOCKS", 4)


@pytest.fixture
def a_log(database):
    """Messages of two workspaces, taking turns; some of the same moment."""
    draw = random.Random(7)
    rows = []
    for number in range(ROWS):
        status = draw.choice((Status.SENT, Status.DELIVERED, Status.FAILED))
        rows.append(
            {
                "id": uuid.UUID(int=draw.getrandbits(128)),
                "workspace": WORKSPACE_B if number % 5 == 0 else WORKSPACE_A,
                "status": status,
                "stream": draw.choice(tuple(Stream)),
                "priority": 0,
                "from_email": draw.choice(SENDERS),
                "to_email": f"user{draw.randrange(40)}.x@Domain{draw.randrange(9)}.example",
                "subject": f"{draw.choice(SUBJECTS)} {draw.randrange(50)}",
                "size_bytes": 1,
                "tags": draw.sample(("weekly", "it's", "a\\b", "Größe"), draw.randrange(3)),
                "metadata": {},
                "smtp_account_name": draw.choice((None, "eu", "us")),
                "error_class": "timeout" if status is Status.FAILED else None,
                "api_key_id": draw.choice((None, 1, 17)),
                "created_at": BASE + timedelta(seconds=number // 3),
                "expires_at": BASE,
            }
        )
    Message.insert_many(rows).execute()


FILTERS = [
    Filter(q="order"),
    Filter(q="ORD"),
    Filter(q="o"),
    Filter(q="48213"),
    Filter(q="order late"),
    Filter(q="#48213"),
    Filter(q="order-48213,"),
    Filter(q="rder"),
    Filter(q="straße"),
    Filter(q="οδοσ"),
    Filter(q="istanbul"),
    Filter(q="ärger"),
    Filter(q="東京"),
    Filter(q="新しい"),
    Filter(q="надзвич"),
    Filter(q="really"),
    Filter(q="(c)"),
    Filter(q="^f$"),
    Filter(q=".*"),
    Filter(q="\\"),
    Filter(q="%s"),
    Filter(q="'"),
    Filter(q="x" * 100),
    Filter(q="x" * 300),
    Filter(q="end"),
    Filter(q="user7"),
    Filter(q="user7.x@domain3.example"),
    Filter(q="@domain3"),
    Filter(q="domain3.exa"),
    Filter(q="o'hara"),
    Filter(q="nowhere"),
    Filter(subject="order", q="news.letter+tag"),
    Filter(subject="way 7"),
    Filter(subject="domain3"),
    Filter(tag="weekly"),
    Filter(tag="it's"),
    Filter(tag="a\\b"),
    Filter(tag="größe"),
    Filter(tag="Größe", q="order"),
    Filter(from_email="o'hara@example.com"),
    Filter(from_email="nobody@example.com"),
    Filter(stream=Stream.MARKETING, q="order", tag="weekly"),
    Filter(api_key_id=1),
    Filter(api_key_id=7),
    Filter(status=Status.FAILED, q="order"),
    Filter(smtp_account="eu", tag="weekly", stream=Stream.MARKETING),
    Filter(error_class="timeout", q="late"),
    Filter(q="order", since=BASE + timedelta(seconds=30), until=BASE + timedelta(seconds=90)),
    Filter(q="order", since=BASE + timedelta(days=1)),
]


def list_all(filter_):
    """What is there, by its rows alone."""
    query = Message.select().where(*message_log.conditions(WORKSPACE_A, filter_))
    order = query.order_by(Message.created_at.desc(), Message.id.desc())
    return [row.id for row in order]


def search(filter_, *, newest=True, limit=7):
    """The same, page by page, from one end to the other."""
    found = []
    cursor = None if newest else Cursor(BASE - timedelta(days=9), uuid.UUID(int=0))
    while True:
        way = {"older_than": cursor} if newest else {"newer_than": cursor}
        page = message_log.list_page(WORKSPACE_A, filter_=filter_, limit=limit, **way)
        ids = [row.id for row in page.messages]
        found = found + ids if newest else ids + found
        cursor = page.older if newest else page.newer
        if cursor is None:
            return found


def build_all():
    while log_blocks.build(seconds=60):
        pass


def test_it_finds_by_the_blocks_what_the_rows_say(a_log, small_blocks):
    build_all()
    assert LogBlock.select().count() > 15
    found = {filter_: search(filter_) for filter_ in FILTERS}
    assert found == {filter_: list_all(filter_) for filter_ in FILTERS}
    assert sum(map(bool, found.values())) >= len(FILTERS) - 8, "most of them find something"


def test_it_finds_the_same_from_the_other_end(a_log, small_blocks):
    build_all()
    found = {filter_: search(filter_, newest=False) for filter_ in FILTERS}
    assert found == {filter_: list_all(filter_) for filter_ in FILTERS}


def test_it_finds_what_is_in_no_block_yet(a_log, small_blocks, accept):
    build_all()
    newest = accept(subject="A fresh order")
    assert search(Filter(q="order"))[0] == newest.id
    assert search(Filter(q="order"), newest=False)[0] == newest.id


def test_it_finds_all_before_there_are_blocks(a_log, small_blocks):
    assert search(Filter(q="late")) == list_all(Filter(q="late")) != []


def test_it_reads_a_block_with_too_many_terms_in_any_case(a_log, small_blocks, monkeypatch):
    monkeypatch.setattr(log_blocks, "TERMS_MAX_BYTES", 10)
    build_all()
    assert search(Filter(q="late")) == list_all(Filter(q="late")) != []


def test_a_block_is_made_of_what_is_settled_alone(database, small_blocks, accept):
    for _ in range(20):
        accept(subject="Young")
    assert log_blocks.build(seconds=60) == 0
    older = Message.created_at - timedelta(seconds=log_blocks.SETTLED_SECONDS + 1)
    Message.update(created_at=older).execute()
    assert log_blocks.build(seconds=60) == 1


def test_a_block_waits_for_a_transaction_that_is_older(a_log, small_blocks):
    has_begun, may_end = threading.Event(), threading.Event()

    def hold():
        with db.connection(), database_.atomic():
            database_.execute_sql("SELECT 1")
            has_begun.set()
            may_end.wait(30)

    Message.update(created_at=clock.now() + timedelta(seconds=60)).execute()
    holder = threading.Thread(target=hold)
    holder.start()
    try:
        assert has_begun.wait(30)
        settled = database_.execute_sql(log_blocks._SETTLED, (-3600, 10)).fetchone()[0]
        began = database_.execute_sql(
            "SELECT min(xact_start) FROM pg_stat_activity WHERE pid <> pg_backend_pid()"
            " AND datname = current_database() AND application_name LIKE 'maild %%'"
        ).fetchone()[0]
        assert settled == began - timedelta(seconds=10)
        assert log_blocks.build(seconds=60) == 0
    finally:
        may_end.set()
        holder.join()


def test_only_one_makes_them_at_a_time(a_log, small_blocks):
    built = []

    def build():
        with db.connection():
            built.append(log_blocks.build(seconds=60))

    with locks.only_one(locks.LOG_BLOCKS) as is_ours:
        assert is_ours
        other = threading.Thread(target=build)
        other.start()
        other.join()
    assert built == [0]
    assert log_blocks.build(seconds=60) > 0


def test_blocks_follow_each_other_without_gaps(a_log, small_blocks):
    build_all()
    for workspace_id in (WORKSPACE_A, WORKSPACE_B):
        blocks = list(
            LogBlock.select()
            .where(LogBlock.workspace == workspace_id)
            .order_by(LogBlock.first_at, LogBlock.first_id)
        )
        rows = (
            Message.select(Message.created_at, Message.id)
            .where(Message.workspace == workspace_id)
            .order_by(Message.created_at, Message.id)
            .tuples()
        )
        ends = [((b.first_at, b.first_id), (b.last_at, b.last_id)) for b in blocks]
        whole = [list(rows)[at : at + 16] for at in range(0, len(rows) - 15, 16)]
        assert ends == [(part[0], part[-1]) for part in whole]


def test_they_can_be_forgotten_and_made_anew(a_log, small_blocks):
    build_all()
    before = LogBlock.select().where(LogBlock.workspace == WORKSPACE_A).count()
    log_blocks.forget(WORKSPACE_A)
    assert LogBlock.select().where(LogBlock.workspace == WORKSPACE_A).count() == 0
    build_all()
    assert LogBlock.select().where(LogBlock.workspace == WORKSPACE_A).count() == before


def test_a_search_that_goes_on_for_too_long_is_cut_off(a_log, small_blocks, monkeypatch):
    build_all()
    with pytest.raises(SearchTooLong, match="Narrow it"), database_.atomic():
        log_search.find(
            dataclasses.replace(_a_search(), terms="'1sorder'", timeout_ms=-1),
            limit=10_000,
        )


def _a_search():
    filter_ = Filter(subject="order")
    return log_search.Search(
        WORKSPACE_A,
        message_log.conditions(WORKSPACE_A, filter_),
        "'1sorder'",
        (),
        start=None,
        stop=None,
        is_newest_first=True,
        timeout_ms=log_search.TIMEOUT_MS,
    )
