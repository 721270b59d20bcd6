"""Reading all rows that a list finds, little by little, for exports."""

from collections.abc import Iterator, Sequence
from typing import Any

from maild.db import connection


def by_id(model: Any, conditions: Sequence[Any], *, batch: int) -> Iterator[Any]:
    """The rows of `model`, a class with a serial `id`, oldest first.

    Each portion opens the database for itself, so that nobody who reads slowly keeps a connection.
    """
    last_id = 0
    while True:
        query = model.select().where(*conditions, model.id > last_id)
        with connection():
            rows = list(query.order_by(model.id).limit(batch))
        yield from rows
        if len(rows) < batch:
            return
        last_id = rows[-1].id
