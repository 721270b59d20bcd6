"""For how long what is kept: a workspace's choice, its bounds, and what it comes to."""

import pytest

from maild.domain.retention import Choice, Keep, check, merge

DEFAULT = Keep(bodies=30, messages=90, webhooks=30, audit=400)
FOR_EVER = Keep(None, None, None, None)


def test_what_is_not_chosen_is_as_the_instance_has_it() -> None:
    assert merge(Choice(), DEFAULT) == DEFAULT
    assert merge(Choice(messages=365), DEFAULT) == Keep(30, 365, 30, 400)
    assert merge(Choice(bodies=7), FOR_EVER) == Keep(7, None, None, None)


@pytest.mark.parametrize(
    ("choice", "default", "fields"),
    [
        (Choice(), DEFAULT, []),
        (Choice(1, 7, 1, 90), DEFAULT, []),
        (Choice(3_650, 3_650, 3_650, 3_650), DEFAULT, []),
        (Choice(bodies=0), DEFAULT, ["bodies_days"]),
        (Choice(messages=6), DEFAULT, ["messages_days"]),
        (Choice(webhooks=3_651), DEFAULT, ["webhooks_days"]),
        (Choice(audit=89), DEFAULT, ["audit_days"]),
        (Choice(bodies=91), DEFAULT, ["bodies_days"]),
        (Choice(messages=20), DEFAULT, ["bodies_days", "webhooks_days"]),
        (Choice(bodies=20, webhooks=20, messages=20), DEFAULT, []),
        (Choice(messages=30), FOR_EVER, ["bodies_days", "webhooks_days"]),
        (Choice(bodies=500), FOR_EVER, []),
    ],
)
def test_what_is_out_of_bounds_is_named(choice: Choice, default: Keep, fields: list[str]) -> None:
    assert [field for field, _ in check(choice, default)] == fields
