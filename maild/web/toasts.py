"""Short words about what has just been done, shown on the next page, perhaps with a way back."""

from collections.abc import Mapping

from flask import flash

Undo = tuple[str, Mapping[str, object]]
"""Where the form of an undo is sent, and its fields."""


def show(text: str, *, kind: str = "info", undo: Undo | None = None) -> None:
    """`kind` is `ok`, `bad` or `info`; `undo` is where its form is sent, and the fields of it."""
    toast: dict[str, object] = {"text": text, "kind": kind}
    if undo is not None:
        toast["undo"] = {"url": undo[0], "fields": undo[1]}
    flash(toast)  # type: ignore[arg-type]
