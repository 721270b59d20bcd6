"""Every kind of job: importing this module registers them all, in whatever process needs them."""

from maild.services import (
    bulk_dead_letters,
    bulk_message_jobs,
    contact_attribute_jobs,
    contact_import_jobs,
    incident_jobs,
    suppression_jobs,
)

ALL = (
    bulk_message_jobs,
    bulk_dead_letters,
    suppression_jobs,
    incident_jobs,
    contact_import_jobs,
    contact_attribute_jobs,
)
"""The modules that know how a kind is done. They register it when they are imported."""
