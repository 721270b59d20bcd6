"""The loop that does jobs: one thread of a worker. Its hint is `jobs.HINT`.

Several workers do it at once, each another job. A step that is under way when a worker stops is
finished.
"""

from maild.services import job_kinds, job_steps
from maild.services.loops import Loop

assert job_kinds.ALL  # importing them registered them

loop = Loop("jobs", job_steps.drain)
