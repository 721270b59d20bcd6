"""The form that says what the columns of a file of contacts are, and what is done with its rows: as
it is typed, and what it means.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from flask import request

from maild import clock
from maild.domain import contact_cells, contact_layout
from maild.domain.contact import AttributeKind
from maild.domain.contact_layout import Column, Layout
from maild.errors import FieldError, InvalidFields, summarise
from maild.models import ContactFile
from maild.services import contact_import_rows
from maild.services.contact_import_rows import Options

USE_WORDS: Mapping[str, str] = {
    contact_layout.EMAIL: "the address",
    contact_layout.NAME: "the name",
    contact_layout.ATTRIBUTE: "an attribute",
    contact_layout.TOPICS: "topics",
    contact_layout.CONSENT_AT: "when they consented",
    contact_layout.CONSENT_SOURCE: "where they consented",
    contact_layout.CONSENT_PROOF: "what proves it",
}
KIND_WORDS: Mapping[str, str] = {
    AttributeKind.TEXT.value: "text",
    AttributeKind.NUMBER.value: "number",
    AttributeKind.BOOLEAN.value: "yes or no",
    AttributeKind.DATE.value: "day (2027-01-31)",
}
DELIMITER_WORDS: Mapping[str, str] = {
    "comma": "comma ,",
    "semicolon": "semicolon ;",
    "tab": "tab",
    "bar": "bar |",
}
DELIMITERS: Mapping[str, str] = {"comma": ",", "semicolon": ";", "tab": "\t", "bar": "|"}
"""By the names that a form sends: a tab does not survive every way."""
_ID_MAX = 2**31 - 1


def name_of_delimiter(delimiter: str) -> str:
    """Its name in forms."""
    return next(name for name, one in DELIMITERS.items() if one == delimiter)


def values_of(row: ContactFile) -> dict[str, Any]:
    """What the form shows of a file as it is configured."""
    layout = contact_layout.parse(row.layout)
    options = contact_import_rows.parse_options(row.options)
    return {
        "columns": [
            {"use": one.use or "", "name": one.name or "", "kind": one.kind and one.kind.value}
            for one in layout.columns
        ],
        "has_header": layout.has_header,
        "audience_id": options.audience_id,
        "audience_name": options.audience_name or "",
        "topics": ", ".join(options.topics),
        "consent_source": options.consent_source or "",
        "consent_at": options.consent_at.isoformat(" ", "minutes")[:16]
        if options.consent_at
        else "",
        "consent_proof": options.consent_proof or "",
        "updates": options.updates,
        "leaves_out_roles": options.leaves_out_roles,
        "leaves_out_disposable": options.leaves_out_disposable,
    }


def read(row: ContactFile) -> dict[str, Any]:
    """What was typed into the form of a file, as `values_of` has it."""
    form = request.form
    count = len(row.layout["columns"])
    audience = form.get("audience_id", "")
    return {
        "columns": [
            {
                "use": form.get(f"use-{place}", ""),
                "name": form.get(f"name-{place}", "").strip(),
                "kind": form.get(f"kind-{place}", ""),
            }
            for place in range(count)
        ],
        "has_header": form.get("has_header") == "yes",
        "audience_id": int(audience) if audience.isdecimal() and len(audience) < 11 else None,
        "audience_name": form.get("audience_name", ""),
        "topics": form.get("topics", ""),
        "consent_source": form.get("consent_source", ""),
        "consent_at": form.get("consent_at", "").strip(),
        "consent_proof": form.get("consent_proof", ""),
        "updates": form.get("updates") == "yes",
        "leaves_out_roles": form.get("leaves_out_roles") == "yes",
        "leaves_out_disposable": form.get("leaves_out_disposable") == "yes",
    }


def parse(row: ContactFile, typed: Mapping[str, Any]) -> tuple[Layout, Options]:
    """What it means. Raises InvalidFields for what cannot be read at all; the rest is for the
    service to judge.
    """
    problems: list[FieldError] = []
    before = contact_layout.parse(row.layout)
    columns = []
    for place, one in enumerate(typed["columns"]):
        is_attribute = one["use"] == contact_layout.ATTRIBUTE
        kind = one["kind"] if one["kind"] in KIND_WORDS else None
        columns.append(
            Column(
                one["use"] or None,
                one["name"] if is_attribute else None,
                AttributeKind(kind) if is_attribute and kind else None,
            )
        )
        if is_attribute and kind is None:
            problems.append(FieldError(f"columns.{place}.kind", "choose a kind"))
    try:
        topics = tuple(contact_cells.read_topics(typed["topics"]))
    except ValueError as error:
        topics = ()
        problems.append(FieldError("topics", str(error)))
    at: datetime | None = None
    if typed["consent_at"]:
        try:
            at = contact_cells.read_time(typed["consent_at"], now=clock.now())
        except ValueError as error:
            problems.append(FieldError("consent_at", str(error)))
    if typed["audience_id"] is not None and typed["audience_id"] > _ID_MAX:
        problems.append(FieldError("audience_id", "is no list of this workspace"))
    if problems:
        raise InvalidFields(summarise(problems), errors=problems)
    layout = Layout(before.delimiter, before.encoding, typed["has_header"], tuple(columns))
    return layout, Options(
        audience_id=typed["audience_id"],
        audience_name=typed["audience_name"],
        topics=topics,
        consent_source=typed["consent_source"],
        consent_at=at,
        consent_proof=typed["consent_proof"],
        updates=typed["updates"],
        leaves_out_roles=typed["leaves_out_roles"],
        leaves_out_disposable=typed["leaves_out_disposable"],
    )
