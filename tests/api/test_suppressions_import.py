"""POST /v1/suppressions/import."""

import pytest

from maild.models import AuditEntry, Suppression

PATH = "/v1/suppressions/import"
CSV = "email,reason,colour\r\nann@example.org,she asked,red\r\nANN@example.org,,\r\nnobody,,\r\n"


def test_it_tells_of_every_line(api):
    response = api("POST", PATH, json={"csv": CSV, "class": "complaint"})
    assert response.status_code == 200
    answer = response.get_json()
    [rejection] = answer.pop("rejections")
    assert (rejection["line"], rejection["error"][:7]) == (4, "email: ")
    assert answer == {
        "workspace_id": 1,
        "dry_run": False,
        "rows": 3,
        "imported": 1,
        "existing": 0,
        "extended": 0,
        "duplicate": 1,
        "rejected": 1,
        "ignored_columns": ["colour"],
    }
    row = Suppression.get()
    assert (row.email, row.reason, row.class_.value) == (
        "ann@example.org",
        "she asked",
        "complaint",
    )
    assert AuditEntry.get().actor == "admin key"


def test_a_dry_run_changes_nothing(api):
    dry = api("POST", PATH, json={"csv": CSV, "dry_run": True}).get_json()
    assert Suppression.select().count() == AuditEntry.select().count() == 0
    real = api("POST", PATH, json={"csv": CSV}).get_json()
    assert real == {**dry, "dry_run": False}


def test_lines_without_a_reason_have_the_given_one(api):
    body = {"csv": "ann@example.org", "default_reason": "old list", "workspace_id": 2}
    api("POST", PATH, json=body)
    row = Suppression.get()
    assert (row.reason, row.workspace_id) == ("old list", 2)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"csv": None}, "csv"),
        ({"csv": ""}, "csv"),
        ({"csv": "name\nAnn"}, "csv"),
        ({"csv": '"ann@example.org\nbob@example.org'}, "csv"),
        ({"class": "rubbish"}, "class"),
        ({"default_reason": ""}, "default_reason"),
        ({"dry_run": "yes"}, "dry_run"),
        ({"stream": "marketing"}, "stream"),
    ],
)
def test_it_names_what_it_does_not_take(api, refused, changes, field):
    body = {"csv": "ann@example.org", **changes}
    refused(api("POST", PATH, json=body), 422, "invalid_fields", field)
    assert Suppression.select().count() == 0


def test_more_than_ten_megabytes_are_too_many(api, refused):
    refused(api("POST", PATH, json={"csv": "x" * 10 * 1024 * 1024}), 413, "payload_too_large")
