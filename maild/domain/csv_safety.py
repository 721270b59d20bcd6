"""Cells of CSV files that spreadsheets open: what one of them would run is made text. Pure.

A program that reads `=HYPERLINK(...)` in a cell takes it for a formula, however it is quoted. An
apostrophe before it makes it text, in the same way as a person would type it. `restore` takes that
back, so that a file that maild wrote can be read again without losing a letter.
"""

import re
from typing import TypeVar

Cell = TypeVar("Cell")

_STARTERS = "=+@|%-\u2010\u2011\u2012\u2013\u2014\u2015\u2212\uff1d\uff0b\uff20\uff5c\uff05\uff0d"
"""What a formula or a command begins with. Dashes and full-width letters are there because
programs, or people's typing aids, turn them into the plain ones.
"""
_SKIPPED = r"[\s\x00-\x1f\x7f\u200b-\u200f\u2060\ufeff]*"
"""What a spreadsheet drops before it looks."""

_IS_FORMULA = re.compile(rf"{_SKIPPED}[{re.escape(_STARTERS)}]|[\t\r\n\x00]")
_IS_NUMBER = re.compile(r"-?[0-9.,]+", re.ASCII)
_IS_NEUTRALISED = re.compile(rf"'+(?:{_IS_FORMULA.pattern}|{_SKIPPED}\\\|)")


def neutralise(cell: Cell) -> Cell | str:
    """The cell as it may stand in a file for people. What is no text is left as it is, and so is
    a number that is negative.
    """
    if not isinstance(cell, str) or _IS_NUMBER.fullmatch(cell):
        return cell
    if _IS_NEUTRALISED.match(cell):
        return f"'{cell}"  # or `restore` could not tell it from one of ours
    if not _IS_FORMULA.match(cell):
        return cell
    return "'" + cell.replace("|", "\\|")  # `=cmd|...` starts a program (DDE)


def restore(cell: str) -> str:
    """What `neutralise` made this of; any other text as it is."""
    if not _IS_NEUTRALISED.match(cell):
        return cell
    text = cell[1:]
    return text if text.startswith("'") else text.replace("\\|", "|")
