"""A periodic job, and when it ran last, so that it runs once in its time."""

import peewee
from playhouse.postgres_ext import DateTimeTZField

from maild.db import BaseModel


class PeriodicJob(BaseModel):
    name = peewee.TextField(primary_key=True)
    ran_at = DateTimeTZField()

    class Meta:
        table_name = "periodic_jobs"
