"""A tour of the import of contacts: no file, files in every state, with names and cells that are
hard to show, and what is wrong with a form.
"""

import pytest

from maild.domain import contact_layout
from maild.domain.actor import Actor
from maild.services import audiences, contact_files, contact_imports, job_steps, jobs
from maild.services.contact_import_rows import Options
from tests.browser import hard_rows
from tests.browser.guide import posted, tour
from tests.conftest import WORKSPACE_A

PATH = "/ui/audience/imports"
BY = Actor(hard_rows.LONG_ADDRESS)
LONG = "a-name-without-a-single-blank-" * 4
ROWS = "".join(
    f"user{n}@example.org,{LONG} {n},1990-01-{n:02},\u202egnirts,{n}\n" for n in range(1, 29)
)
BAD = f"{'x' * 300},Ann,soon,,\ninfo@example.org,<b>Eve</b>,,,\n,{LONG},,,\n" * 10
TEXT = f"email,{LONG},born,{'ä' * 40},number of shoes\n{ROWS}{BAD}"


def send(name, text=TEXT):
    return contact_files.receive(WORKSPACE_A, [text.encode()], name=name, by=BY).id


def configure(file_id, **options):
    row = contact_files.get(WORKSPACE_A, file_id)
    contact_imports.configure(
        WORKSPACE_A, file_id, layout=contact_layout.parse(row.layout), options=Options(**options),
        by=BY,
    )  # fmt: skip


def look_at(file_id, **options):
    configure(file_id, **options)
    job_steps.drain()


@pytest.fixture
def importer(admin):
    """The admin, with a file in every state that an import can have."""
    audiences.create(WORKSPACE_A, name="a list " * 14, by=BY)
    sent, looked, none, failed = send(f"{LONG}.csv"), send("looked at"), send("none"), send("x")
    look_at(looked, topics=("news",))
    look_at(none)
    taken_back, done, stopped, waiting, looking = (send(f"file {n}.csv") for n in range(5))
    bad = send("nothing good", "email\nnonsense\n")
    for file_id in (taken_back, done, stopped, bad):
        look_at(file_id, audience_name=f"of {file_id}")
    for file_id in (taken_back, done):
        contact_imports.start(WORKSPACE_A, file_id, by=BY)
        job_steps.drain()
    contact_imports.undo(WORKSPACE_A, taken_back, reason="the wrong file", by=BY)
    job_steps.drain()
    stand = contact_imports.start(WORKSPACE_A, stopped, by=BY)
    jobs.cancel(WORKSPACE_A, stand.imported.id, by=BY)
    look_at(waiting)
    contact_imports.start(WORKSPACE_A, waiting, by=BY)
    configure(looking)
    configure(failed)
    jobs.cancel(WORKSPACE_A, contact_imports.get(WORKSPACE_A, failed).check.id, by=BY)
    of_workspace = {"workspace_id": WORKSPACE_A}
    shown = (sent, looked, bad, taken_back, done, stopped, waiting, looking, failed)
    return tour(
        admin,
        PATH,
        *(f"{PATH}/{file_id}" for file_id in shown),
        posted(PATH, 422, **of_workspace),
        posted(
            f"{PATH}/{none}", 422, **of_workspace,
            **{"use-0": "attribute", "name-0": "Not a name", "kind-0": "number",
               "use-1": "email", "use-2": "email", "audience_name": "x" * 101, "topics": "x" * 101,
               "consent_at": "soon", "consent_source": "x" * 501},
        ),
        posted(
            f"{PATH}/{done}/undo", 422, by=f"{PATH}/{done}", reason="x" * 501, **of_workspace),
    )  # fmt: skip


@pytest.fixture
def first_importer(admin):
    """The admin of a workspace into which no file has come."""
    return tour(admin, PATH)
