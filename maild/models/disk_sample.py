"""A disk sample: how large a part of the database was on a day."""

import peewee

from maild.db import BaseModel


class DiskSample(BaseModel):
    day = peewee.DateField()
    part = peewee.TextField()
    """`services/retention_forecast.py` has the parts, and the tables of each."""
    bytes = peewee.BigIntegerField()

    class Meta:
        table_name = "disk_samples"
        primary_key = peewee.CompositeKey("day", "part")
