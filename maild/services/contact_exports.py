"""Contacts as a CSV file, written little by little. The audit log keeps who took it."""

from collections.abc import Callable, Iterator

from maild.db import connection
from maild.domain.actor import Actor
from maild.services import contact_lists, suppression_exports
from maild.services.contact_lists import Filter


def open_file(
    workspace_id: int, find_filter: Callable[[], Filter], *, asked: str, by: Actor
) -> Iterator[str]:
    """The lines of a file with the contacts that a filter finds. `asked` is the filter in words,
    for the audit log.

    Each portion opens the database for itself. Raises NotFound (the workspace), and what
    `find_filter` raises, at once and not in the middle.
    """
    with connection():
        filter_ = find_filter()
        columns, rows = contact_lists.export(workspace_id, filter_=filter_)
        suppression_exports.note(workspace_id, what="contacts", asked=asked, by=by)
    return suppression_exports.write_rows(columns, rows)
