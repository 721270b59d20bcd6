"""Column types that the models share."""

from typing import Any

import peewee
from playhouse.fields import EnumFieldMixin
from playhouse.postgres_ext import BinaryJSONField, DateTimeTZField


class TimestampField(DateTimeTZField):
    """`timestamptz NOT NULL DEFAULT now()`: Postgres' clock, so that all hosts agree."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(constraints=[peewee.SQL("DEFAULT now()")], **kwargs)


class TextEnumField(EnumFieldMixin, peewee.TextField):
    """A string enum kept as text, so that psql shows words. The table's CHECK names the values."""

    enum_value_type = str


class JsonField(BinaryJSONField):
    """`jsonb` without an index."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(index=False, **kwargs)
