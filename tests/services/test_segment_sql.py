"""What the rules of a segment ask the database, against the same worked out in Python."""

import json
from datetime import UTC, date, datetime

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from maild.db import database as db
from maild.domain import segment, segment_reading
from maild.domain.contact import AttributeKind
from maild.domain.segment import ENGAGEMENTS, FIELDS, Group, Join, Not, Rule, Shape, attribute_field
from maild.models import Audience, AudienceMember, Contact, ContactEngagement
from maild.services import segment_sql
from tests.services import segment_oracle

pytestmark = pytest.mark.usefixtures("database")

ATTRIBUTES = {
    "plan": AttributeKind.TEXT,
    "city": AttributeKind.TEXT,
    "orders": AttributeKind.NUMBER,
    "vip": AttributeKind.BOOLEAN,
    "birthday": AttributeKind.DATE,
}
TODAYS = [date(2027, 2, 27), date(2028, 2, 28), date(2027, 12, 28), date(2027, 2, 28)]
TEXTS = [
    "pro", "PRO", "p", "o'hara", "50%", "a_b", "%s", "%(x)s", "\\", "{condition}", "Straße",
    "ÉCOLE", "école", "ΣΑΣ", "σας", "İl", "il", "'; DROP TABLE contacts; --", "😀",
    "a\nb", "$1", "“x”", "5",
]  # fmt: skip
NUMBERS = [0, -1, 5, 5.0, 2.5, 0.1, 1e-7, 10**15, -1e15, 5.0000001]
DAYS = [
    date(2027, 2, 27), date(2027, 2, 28), date(2028, 2, 29), date(2024, 2, 29), date(1999, 12, 31),
    date(2027, 1, 1), date(1980, 3, 1), date(1, 1, 1), date(9999, 12, 31), date(2027, 3, 6),
]  # fmt: skip
JUNK = [None, [], {"a": 1}]
"""What no attribute is, but a row could hold."""
TOPICS = ["news", "offers", "o'topic"]
LISTS = [1, 2]
FIELDS_ASKED = [*FIELDS.values(), *(attribute_field(*one) for one in ATTRIBUTES.items())]


def pairs(values):
    return st.tuples(st.sampled_from(values), st.sampled_from(values)).map(
        lambda both: tuple(sorted(both))
    )


VALUES = {
    Shape.NONE: st.none(),
    Shape.TEXT: st.sampled_from(TEXTS),
    Shape.TEXTS: st.lists(st.sampled_from(TEXTS), min_size=1, max_size=4, unique=True).map(tuple),
    Shape.NUMBER: st.sampled_from(NUMBERS),
    Shape.NUMBERS: pairs(NUMBERS),
    Shape.DAY: st.sampled_from(DAYS),
    Shape.DAYS: pairs(DAYS),
    Shape.COUNT: st.sampled_from([0, 1, 7, 400, 3650]),
    Shape.YEARLY_COUNT: st.sampled_from([0, 1, 2, 7, 306, 364, 365]),
    Shape.STATUS: st.sampled_from(["active", "pending"]),
    Shape.TOPIC: st.sampled_from(TOPICS),
    Shape.LIST_ID: st.sampled_from(LISTS),
}


@st.composite
def rules(draw):
    field = draw(st.sampled_from(FIELDS_ASKED))
    op = draw(st.sampled_from(list(field.ops)))
    return Rule(field, op, draw(VALUES[field.ops[op]]))


def groups(parts):
    several = st.lists(parts, min_size=1, max_size=3).map(tuple)
    return st.builds(Group, st.sampled_from(Join), several) | st.builds(Not, parts)


trees = st.recursive(rules(), groups, max_leaves=6)
moments = st.sampled_from(DAYS[:7]).flatmap(
    lambda day: st.sampled_from([0, 11, 23]).map(
        lambda hour: datetime(day.year, day.month, day.day, hour, 59, tzinfo=UTC)
    )
)


def optional(values):
    return st.none() | values


engagements = st.fixed_dictionaries(
    {"last_mailed_at": moments},
    optional={"last_opened_at": moments, "last_clicked_at": moments},
)


@st.composite
def contacts(draw):
    attributes = {
        "plan": draw(optional(st.sampled_from([*TEXTS, ""]))),
        "city": draw(optional(st.sampled_from(TEXTS))),
        "orders": draw(optional(st.sampled_from([*NUMBERS, "5", *JUNK]))),
        "vip": draw(optional(st.sampled_from([True, False, "true", 1, *JUNK]))),
        "birthday": draw(
            optional(st.sampled_from([*(day.isoformat() for day in DAYS), "soon", 5, *JUNK]))
        ),
    }
    is_kept = draw(st.booleans())
    return {
        "email": draw(st.sampled_from(["pro", "o'hara", "50%", "école"])) + "@",
        "domain": draw(st.sampled_from(["pro", "50.example", "straße.example"])),
        "name": draw(optional(st.sampled_from([*TEXTS, ""]))),
        "attributes": {k: v for k, v in attributes.items() if is_kept or v is not None},
        "topics": draw(st.lists(st.sampled_from(TOPICS), unique=True)),
        "status": draw(st.sampled_from(["active", "pending"])),
        "consent_source": draw(optional(st.sampled_from(TEXTS))),
        "consent_at": draw(optional(moments)),
        "created_at": draw(moments),
        "lists": draw(st.lists(st.sampled_from(LISTS), unique=True)),
        "engagement": draw(st.just({}) | engagements),
    }


def put(rows):
    """Store contacts in workspace 1, and the two lists that they are on; their ids."""
    db.execute_sql("DELETE FROM contacts; DELETE FROM audiences")
    Audience.insert_many(
        [{"id": n, "workspace": 1, "name": str(n), "created_by": "x"} for n in LISTS]
    ).execute()
    stored = [
        {
            **{k: v for k, v in row.items() if k not in {"lists", "domain", "engagement"}},
            "email": f"{row['email'][:-1]}{number}@{row['domain']}",
            "workspace_id": 1,
            "created_by": "x",
        }
        for number, row in enumerate(rows)
    ]
    ids = [id_ for (id_,) in Contact.insert_many(stored).returning(Contact.id).tuples().execute()]
    members = [
        {"audience_id": list_id, "contact_id": id_}
        for id_, row in zip(ids, rows, strict=True)
        for list_id in row["lists"]
    ]
    if members:
        AudienceMember.insert_many(members).execute()
    mailed = [
        {"contact": id_}
        | {name.removeprefix("last_"): row.get("engagement", {}).get(name) for name in ENGAGEMENTS}
        for id_, row in zip(ids, rows, strict=True)
        if row.get("engagement", {})
    ]
    if mailed:
        ContactEngagement.insert_many(mailed).execute()
    told = [
        ({**one, "engagement": row.get("engagement", {})}, row["lists"])
        for one, row in zip(stored, rows, strict=True)
    ]
    return dict(zip(ids, told, strict=True))


def ask(tree, today):
    return ask_each([tree], today)[0]


def ask_each(several, today, *, is_for_all=False):
    """Whom each tree means, by their ids, in one statement."""
    conditions = [segment_sql.write(tree, today=today, is_for_all=is_for_all) for tree in several]
    columns = ", ".join(f"({condition.sql}) IS TRUE" for condition in conditions)
    values = [value for condition in conditions for value in condition.values]
    joined = "LEFT JOIN contact_engagements e ON e.contact_id = c.id" if is_for_all else ""
    rows = db.execute_sql(
        f"SELECT c.id, {columns} FROM contacts c {joined} WHERE c.workspace_id = 1", values
    ).fetchall()
    return [{row[0] for row in rows if row[place + 1]} for place in range(len(several))]


def compare(rows, several, today):
    stored = put(rows)
    both = zip(
        several,
        ask_each(several, today),
        ask_each(several, today, is_for_all=True),
        strict=True,
    )
    for tree, found, found_among_all in both:
        expected = {
            id_
            for id_, (row, lists) in stored.items()
            if segment_oracle.applies(tree, row, lists, today=today)
        }
        assert found == found_among_all == expected, (segment.to_json(tree), stored)


CASES = {
    "rows": st.lists(contacts(), min_size=1, max_size=6),
    "several": st.lists(trees, min_size=1, max_size=12),
    "today": st.sampled_from(TODAYS),
}


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(**CASES)
def test_the_database_means_whom_the_rules_mean(rows, several, today):
    compare(rows, several, today)


@pytest.mark.long
@settings(
    max_examples=600, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(**CASES)
def test_the_database_means_whom_the_rules_mean_however_they_are_put_together(rows, several, today):
    compare(rows, several, today)


def test_each_rule_means_the_same_to_the_database():
    """Every operator of every field once, on contacts of whom all and nothing is known."""
    full = {
        **EMPTY, "name": "Pro", "topics": ["news"], "lists": [1], "consent_source": "pro",
        "consent_at": datetime(2027, 2, 27, 12, tzinfo=UTC),
        "attributes": {
            "plan": "PRO", "city": "o'hara", "orders": 5, "vip": True, "birthday": "1999-02-27",
        },
    }  # fmt: skip
    values = {
        Shape.NONE: None, Shape.TEXT: "pro", Shape.TEXTS: ("pro", "x"), Shape.NUMBER: 5,
        Shape.NUMBERS: (2, 5), Shape.DAY: DAYS[0], Shape.DAYS: (DAYS[0], DAYS[0]), Shape.COUNT: 1,
        Shape.YEARLY_COUNT: 0, Shape.STATUS: "active", Shape.TOPIC: "news", Shape.LIST_ID: 1,
    }  # fmt: skip
    each = [
        Rule(field, op, values[shape]) for field in FIELDS_ASKED for op, shape in field.ops.items()
    ]
    compare([full, EMPTY], [*each, *map(Not, each)], DAYS[0])


@settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(value=st.text(alphabet=st.characters(exclude_categories=["Cs"]), min_size=1), at=st.data())
@example(value="'; DELETE FROM contacts; --", at=None)
@example(value="%s %(a)s %% \\' $$ ?", at=None)
def test_whatever_is_typed_stays_a_value(value, at):
    name = "plan" if at is None else at.draw(st.sampled_from(["plan", "city"]))
    data = {"field": f"attributes.{name}", "op": "equals", "value": value}
    reading = segment_reading.read(data, ATTRIBUTES)
    if reading.tree is None:  # NUL, or nothing but spaces
        return
    condition = segment_sql.write(reading.tree, today=TODAYS[0])
    assert condition.values == (name, value.strip())
    plain = Rule(reading.tree.field, reading.tree.op, "x")
    assert condition.sql == segment_sql.write(plain, today=TODAYS[0]).sql
    stored = put([{**EMPTY, "attributes": {name: value.strip()}}, EMPTY])
    assert ask(reading.tree, TODAYS[0]) == {min(stored)}


EMPTY = {
    "email": "ann@", "domain": "a.example", "name": None, "attributes": {}, "topics": [],
    "status": "active", "consent_source": None, "consent_at": None,
    "created_at": datetime(2027, 1, 1, tzinfo=UTC), "lists": [],
}  # fmt: skip


@pytest.mark.parametrize(
    "name", ["plan'; DROP TABLE contacts; --", 'plan" OR true', "%s", "a b", "Plan", "é", ""]
)
def test_a_hostile_name_of_an_attribute_is_refused(name):
    data = {"field": f"attributes.{name}", "op": "is_set"}
    assert segment_reading.read(data, ATTRIBUTES).tree is None


def test_a_name_of_an_attribute_is_a_parameter():
    """Also one that reading would refuse."""
    field = attribute_field("plan'--", AttributeKind.TEXT)
    condition = segment_sql.write(Rule(field, segment.Op.IS_SET), today=TODAYS[0])
    assert condition.values == ("plan'--",)
    assert "plan" not in condition.sql


@pytest.mark.parametrize(
    ("data", "does_apply"),
    [
        ({"field": "attributes.plan", "op": "equals", "value": "pro"}, False),
        ({"field": "attributes.plan", "op": "is_not", "value": "pro"}, True),
        ({"not": {"field": "attributes.plan", "op": "equals", "value": "pro"}}, True),
        ({"not": {"field": "attributes.plan", "op": "is_not", "value": "pro"}}, False),
        ({"not": {"field": "attributes.orders", "op": "less_than", "value": 5}}, True),
        ({"not": {"field": "consent.at", "op": "before", "value": "2099-01-01"}}, True),
        ({"field": "attributes.vip", "op": "is_false"}, False),
        ({"field": "attributes.plan", "op": "is_not_set"}, True),
    ],
    ids=json.dumps,
)
def test_what_is_not_known_does_not_apply_and_its_negation_does(data, does_apply):
    put([EMPTY])
    tree = segment_reading.read(data, ATTRIBUTES).tree
    assert bool(ask(tree, TODAYS[0])) is does_apply
