"""What the pages ask PostgreSQL: few statements each, as many for twenty rows as for one, and no
count of all there is. Every page is looked at by itself, also one that is new.
"""

import re

import pytest

from maild.db import database
from maild.web import access
from tests.conftest import WORKSPACE_A
from tests.counting import list_statements
from tests.tenancy import IDS, SERIAL, list_tables, make_workspaces

CEILING = 16
CEILINGS = {
    "/ui/incidents/<int:incident_id>": 20,  # what was seen, done, and can be done, in one place
    "/ui/incidents/<int:incident_id>/bundle": 26,  # a file with all that is known
    "/ui": 34,  # the overview: each of its parts asks for itself, the checks of health among them
}
"""Pages that may ask more often, and why."""
MORE = {
    "token": None,  # a secret of which the database has only the hash: these pages are read by link
    "message_id": IDS["sent"],
    "step": "provider",
    "key": "newsletter",
}
"""What stands for the arguments of a route; a number is the id of A's rows."""
ROWS = 20
UNREADABLE = ("policies", "jobs", "suppression_files", "contact_files")
"""What is made up in these is no policy, and so on: pages would stumble over it."""
GROWING = (
    "messages|events|attempts|provider_events|webhook_payloads|suppressions|unsubscribes"
    "|audit_entries|log_blocks|message_bodies"
)
"""Tables that have millions of rows."""


COUNTED = {
    "/ui/campaigns/<int:campaign_id>/send": "whom it would reach, counted before it is sent",
}
"""Pages that exist to count a whole audience, in a bounded time."""


def list_pages(app):
    """`/path` with its arguments filled in, by its rule, of every page that a member reads."""
    pages = {}
    for rule in app.url_map.iter_rules():
        view = app.view_functions[rule.endpoint]
        is_open = getattr(view, "access", None) == "public"
        if rule.endpoint.partition(".")[0] not in access._guarded or is_open:
            continue
        if "GET" not in rule.methods:
            continue
        values = {name: MORE.get(name, SERIAL) for name in rule.arguments}
        if None not in values.values():
            path = re.sub(r"<(?:\w+(?:\([^)]*\))?:)?(\w+)>", r"{\1}", rule.rule)
            pages[rule.rule] = path.format(**values)
    return pages


def multiply(times):
    """As many more of each row of A's, in every table in which that makes sense."""
    tables = ["people", *list_tables("workspace_id")]
    tables += sorted(set(list_tables("message_id")) - set(tables))
    grown = set()
    for table in tables:
        columns = _columns(table)
        conditions = [f"workspace_id = {WORKSPACE_A}"] if "workspace_id" in columns else ["true"]
        if table == "people" or "person_id" in columns:
            conditions.append(f"{'id' if table == 'people' else 'person_id'} = {SERIAL}")
        for number in range(1, times + 1):
            with database.atomic() as savepoint:
                try:
                    if database.execute_sql(
                        _copy(table, number, " AND ".join(conditions))
                    ).rowcount:
                        grown.add(table)
                except Exception:
                    savepoint.rollback()
                    break
    return grown


def _columns(table):
    rows = database.execute_sql(
        "SELECT column_name, data_type FROM information_schema.columns"
        " WHERE table_schema = 'public' AND table_name = %s",
        (table,),
    )
    return dict(rows.fetchall())


def _copy(table, number, condition):
    """The statement that adds a copy of a row, with other values where they must be unique."""
    types = _columns(table)
    keys = {
        name
        for (name,) in database.execute_sql(
            "SELECT DISTINCT a.attname FROM pg_index i JOIN pg_attribute a"
            " ON a.attrelid = i.indrelid AND a.attnum = ANY(i.indkey)"
            " WHERE i.indrelid = %s::regclass AND i.indisunique",
            (table,),
        )
    } - {"workspace_id", "message_id", "account_id"}
    others = {
        "uuid": "gen_random_uuid()",
        "text": f"'more{number}' || {{}}",
        "bytea": "decode(md5(random()::text) || md5(random()::text), 'hex')",
        "timestamp with time zone": f"{{}} + interval '{number} seconds'",
    }
    shown = [
        others.get(types[name], f"{{}} + {number}").format(f'"{name}"')
        if name in keys and types[name] != "jsonb"
        else f'"{name}"'
        for name in types
    ]
    names = ", ".join(f'"{name}"' for name in types)
    return (
        f"INSERT INTO {table} ({names}) SELECT {', '.join(shown)} FROM {table}"
        f" WHERE {condition} LIMIT 1"
    )


@pytest.fixture
def asked(app, make_person, sign_in):
    """Call with a path to have the statements of its page, for workspace A's admin."""
    make_workspaces(is_a_full=True)
    for table in UNREADABLE:
        database.execute_sql(f"DELETE FROM {table}")
    database.execute_sql("SELECT setval('people_id_seq', 10), setval('sessions_id_seq', 10)")
    browser = sign_in(make_person("ann@a.example", "admin"))

    def ask(path):
        browser.get(path)  # what is remembered is not asked twice
        answer = []
        statements = list_statements(lambda: answer.append(browser.get(path)))
        assert answer[0].status_code < 500, path
        return statements

    return ask


@pytest.mark.proves("console-statements")
@pytest.mark.long
def test_no_page_asks_more_often_than_it_may_nor_more_for_more_rows(app, asked):
    pages = list_pages(app)
    assert len(pages) > 20
    few = {rule: len(asked(path)) for rule, path in pages.items()}
    assert {r: n for r, n in few.items() if n > CEILINGS.get(r, CEILING)} == {}
    grown = multiply(ROWS)
    assert grown >= {"messages", "events", "suppressions", "unsubscribes", "api_keys", "members"}
    many = {rule: len(asked(path)) for rule, path in pages.items()}
    assert {r: (few[r], n) for r, n in many.items() if n > few[r]} == {}


def test_the_ceilings_are_of_pages_that_are_there(app):
    assert set(CEILINGS) | set(COUNTED) <= set(list_pages(app))


@pytest.mark.proves("console-statements")
@pytest.mark.long
def test_no_page_counts_all_rows_of_a_table_that_grows(app, asked):
    """A count may stop somewhere: it has a limit inside."""
    found = [
        (rule, statement)
        for rule, path in list_pages(app).items()
        if rule not in COUNTED
        for statement in asked(path)
        if re.search(r"\bcount\s*\(", statement, re.IGNORECASE)
        and re.search(rf'\b(FROM|JOIN)\s+"?({GROWING})\b', statement, re.IGNORECASE)
        and not re.search(r"\blimit\b", statement, re.IGNORECASE)
    ]
    assert found == []
