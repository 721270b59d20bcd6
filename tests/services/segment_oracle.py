"""Whom the rules of a segment mean, worked out in Python: what the database must say as well.

Written from what docs/audience.md promises, without a look at the SQL.
"""

import re
from calendar import isleap
from datetime import UTC, date, timedelta
from decimal import Decimal

from maild.domain.segment import Group, Join, Kind, Not, Op, Rule

DAY = timedelta(days=1)
NEGATIVE = {
    Op.IS_NOT: Op.EQUALS, Op.IS_NOT_SET: Op.IS_SET, Op.HAS_NOT: Op.HAS, Op.NOT_IN: Op.IN,
}  # fmt: skip


def applies(node, contact, lists, *, today):
    """Whether a tree means a contact, a row of `contacts`; `lists` are the ids of its lists."""
    match node:
        case Group():
            each = [applies(part, contact, lists, today=today) for part in node.parts]
            return all(each) if node.join is Join.ALL else any(each)
        case Not():
            return not applies(node.part, contact, lists, today=today)
        case Rule() if node.op in NEGATIVE:
            opposite = Rule(node.field, NEGATIVE[node.op], node.value)
            return not applies(opposite, contact, lists, today=today)
    known = find(node.field, contact, lists)
    if known is None:
        return False
    match node.field.kind:
        case Kind.TOPICS | Kind.LIST:
            return node.value in known
        case Kind.STATUS:
            return known == node.value
        case Kind.TEXT:
            return applies_to_text(node, lower(known))
        case Kind.NUMBER:
            return applies_to_number(node, exact(known))
        case Kind.BOOLEAN:
            return node.op is Op.IS_SET or known is (node.op is Op.IS_TRUE)
        case Kind.DATE | Kind.TIME:
            return applies_to_day(node, known, today)


def find(field, contact, lists):
    """What is known of the field; None for nothing, of which an empty text is one."""
    if field.attribute is not None:
        value = contact["attributes"].get(field.attribute)
        match field.kind:
            case Kind.TEXT:
                return value or None
            case Kind.NUMBER:
                is_number = isinstance(value, int | float) and not isinstance(value, bool)
                return value if is_number else None
            case Kind.BOOLEAN:
                return value if isinstance(value, bool) else None
            case Kind.DATE:
                is_day = isinstance(value, str) and re.fullmatch(r"\d{4}-\d\d-\d\d", value)
                return date.fromisoformat(value) if is_day else None
    match field.name:
        case "email":
            return contact["email"]
        case "email_domain":
            return contact["email"].split("@")[1]
        case "name":
            return contact["name"] or None
        case "status":
            return contact["status"]
        case "created_at":
            return contact["created_at"].astimezone(UTC).date()
        case "consent.source":
            return contact["consent_source"] or None
        case "consent.at":
            at = contact["consent_at"]
            return None if at is None else at.astimezone(UTC).date()
        case "last_mailed_at" | "last_opened_at" | "last_clicked_at":
            at = contact["engagement"].get(field.name)
            return None if at is None else at.astimezone(UTC).date()
        case "topics":
            return contact["topics"]
        case "list":
            return lists


def applies_to_text(rule, known):
    match rule.op:
        case Op.IS_SET:
            return True
        case Op.EQUALS:
            return known == lower(rule.value)
        case Op.IS_ONE_OF:
            return known in [lower(one) for one in rule.value]
        case Op.CONTAINS:
            return lower(rule.value) in known
        case Op.BEGINS_WITH:
            return known.startswith(lower(rule.value))


def applies_to_number(rule, known):
    match rule.op:
        case Op.IS_SET:
            return True
        case Op.EQUALS:
            return known == exact(rule.value)
        case Op.GREATER_THAN:
            return known > exact(rule.value)
        case Op.LESS_THAN:
            return known < exact(rule.value)
        case Op.BETWEEN:
            return exact(rule.value[0]) <= known <= exact(rule.value[1])


def applies_to_day(rule, known, today):
    match rule.op:
        case Op.IS_SET:
            return True
        case Op.EQUALS:
            return known == rule.value
        case Op.BEFORE:
            return known < rule.value
        case Op.AFTER:
            return known > rule.value
        case Op.BETWEEN:
            return rule.value[0] <= known <= rule.value[1]
        case Op.IN_LAST_DAYS:
            return today - rule.value * DAY <= known <= today
        case Op.IN_NEXT_DAYS:
            return today <= known <= today + rule.value * DAY
        case Op.ANNIVERSARY_IN_NEXT_DAYS:
            ahead = [today + n * DAY for n in range(rule.value + 1)]
            return any(is_anniversary(known, day) for day in ahead)


def is_anniversary(known, day):
    if (known.month, known.day) == (2, 29) and not isleap(day.year):
        return (day.month, day.day) == (2, 28)
    return (known.month, known.day) == (day.month, day.day)


def lower(text):
    """Letter by letter, as the database does it."""
    return "".join(letter.lower()[:1] for letter in text)


def exact(number):
    return Decimal(repr(number))
