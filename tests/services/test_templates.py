"""Templates: every save is a version; two who save at once; names; what the audit log tells."""

import threading
from collections.abc import Callable

import pytest

from maild import db
from maild.domain.actor import Actor
from maild.domain.template import NAME_MAX_CHARS, Severity, Source, TemplateFormat
from maild.errors import Conflict, InvalidFields, MaildError, NotFound
from maild.models import AuditEntry, ContactAttribute, TemplateVersion
from maild.services import audit, template_checks, template_sources, templates
from maild.services.templates import Filter, Saved
from tests.conftest import WORKSPACE_A, WORKSPACE_B

ANN = Actor("ann@example.com", ip="192.0.2.1")
BOB = Actor("bob@example.com")
FIRST = Source("Hi {{ contact.email }}", TemplateFormat.HTML, "<p>a {{ data.x }}</p>")
SECOND = Source("Hello", TemplateFormat.TEXT, "", "b", "p")


def create(name: str = "Welcome", workspace_id: int = WORKSPACE_A, source: Source = FIRST) -> Saved:
    return templates.create(workspace_id, name=name, source=source, note="first", by=ANN)


def save(saved: Saved, source: Source = SECOND, *, version: int = 1) -> Saved:
    return templates.save(
        WORKSPACE_A, saved.template.id, source=source, version=version, note="shorter", by=BOB
    )


def audited() -> list[str]:
    return [entry.action for entry in AuditEntry.select().order_by(AuditEntry.seq)]


def test_a_template_is_kept_with_what_it_compiles_to(database: None) -> None:
    saved = create("  Welcome ")
    assert saved.is_new
    assert (saved.template.name, saved.template.version) == ("Welcome", 1)
    _, version = templates.get_version(WORKSPACE_A, saved.template.id)
    assert templates.source_of(version) == FIRST
    assert "<p>a {{ data.x }}</p>" in version.html
    assert version.body_text == "a {{ data.x }}"
    assert [field["name"] for field in version.fields] == ["contact.email", "data.x"]
    assert (version.note, version.created_by) == ("first", ANN.name)
    assert templates.compiled_of(version).fields == saved.compiled.fields
    [entry] = AuditEntry.select()
    assert (entry.action, entry.target) == ("template.created", "template Welcome")
    assert entry.after["subject"] == FIRST.subject


def test_a_save_makes_the_next_version_and_keeps_the_others(database: None) -> None:
    saved = create()
    later = save(saved)
    assert (later.template.version, later.version.version, later.is_new) == (2, 2, True)
    _, first = templates.get_version(WORKSPACE_A, saved.template.id, 1)
    _, latest = templates.get_version(WORKSPACE_A, saved.template.id)
    assert templates.source_of(first) == FIRST
    assert templates.source_of(latest) == SECOND
    page = templates.list_versions(WORKSPACE_A, saved.template.id)
    assert [(one.version, one.note) for one in page.versions] == [(2, "shorter"), (1, "first")]
    assert audited() == ["template.created", "template.saved"]
    assert audit.verify(WORKSPACE_A).problem is None


def test_what_is_not_changed_makes_no_version(database: None) -> None:
    again = save(create(), FIRST)
    assert (again.template.version, again.is_new) == (1, False)
    assert audited() == ["template.created"]


def test_a_stale_save_is_refused_and_says_who_was_first(database: None) -> None:
    saved = create()
    save(saved)
    with pytest.raises(Conflict, match="Version 2 was saved meanwhile, by bob"):
        save(saved, FIRST)
    assert TemplateVersion.select().count() == 2


def test_of_two_who_save_at_once_one_is_refused(database: None) -> None:
    saved = create()
    outcomes: list[str] = []
    start = threading.Barrier(2)

    def try_it(text: str) -> None:
        source = Source("s", TemplateFormat.TEXT, "", text)
        start.wait()
        with db.connection():
            try:
                save(saved, source)
                outcomes.append("saved")
            except Conflict:
                outcomes.append("refused")

    threads = [threading.Thread(target=try_it, args=(text,)) for text in "ab"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["refused", "saved"]
    assert templates.get(WORKSPACE_A, saved.template.id).version == 2


def test_an_old_version_comes_back_as_a_new_one(database: None) -> None:
    saved = create()
    save(saved)
    back = templates.restore(WORKSPACE_A, saved.template.id, restored=1, version=2, by=ANN)
    assert back.version.version == 3
    assert templates.source_of(back.version) == FIRST
    assert back.version.note == "Version 1 again"
    with pytest.raises(Conflict):
        templates.restore(WORKSPACE_A, saved.template.id, restored=2, version=2, by=ANN)
    with pytest.raises(NotFound, match="no version 9"):
        templates.restore(WORKSPACE_A, saved.template.id, restored=9, version=3, by=ANN)
    assert audited()[-1] == "template.restored"


def test_a_name_is_had_once_in_a_workspace_and_in_any_case(database: None) -> None:
    saved = create()
    with pytest.raises(Conflict, match="called “Welcome” already"):
        create("WELCOME")
    create("welcome", WORKSPACE_B)
    found = templates.find_by_name(WORKSPACE_A, "wElcome")
    assert found is not None
    assert found.id == saved.template.id
    assert templates.find_by_name(WORKSPACE_A, "Other") is None


def test_of_two_who_take_a_name_at_once_one_gets_it(database: None) -> None:
    outcomes: list[str] = []
    start = threading.Barrier(2)

    def try_it() -> None:
        start.wait()
        with db.connection():
            try:
                create()
                outcomes.append("made")
            except Conflict:
                outcomes.append("refused")

    threads = [threading.Thread(target=try_it) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["made", "refused"]


def test_a_template_is_renamed(database: None) -> None:
    saved, _ = create(), create("Other")
    assert templates.rename(WORKSPACE_A, saved.template.id, name="New", by=ANN).name == "New"
    assert templates.rename(WORKSPACE_A, saved.template.id, name="NEW", by=ANN).name == "NEW"
    with pytest.raises(Conflict):
        templates.rename(WORKSPACE_A, saved.template.id, name="other", by=ANN)
    assert audited().count("template.renamed") == 2


def test_an_archived_template_is_out_of_use_and_comes_back(database: None) -> None:
    saved = create()
    archived = templates.archive(WORKSPACE_A, saved.template.id, by=ANN)
    assert archived.archived_at is not None
    assert templates.archive(WORKSPACE_A, saved.template.id, by=ANN).archived_at is not None
    assert templates.find_by_name(WORKSPACE_A, "Welcome") is None
    with pytest.raises(Conflict, match="archived"):
        save(saved)
    with pytest.raises(Conflict, match="archived"):
        templates.rename(WORKSPACE_A, saved.template.id, name="x", by=ANN)
    assert templates.list_page(WORKSPACE_A).templates == []
    [listed] = templates.list_page(WORKSPACE_A, filter_=Filter(is_archived=True)).templates
    assert listed.template.id == saved.template.id
    other = create()
    with pytest.raises(Conflict, match="already"):
        templates.bring_back(WORKSPACE_A, saved.template.id, by=ANN)
    templates.rename(WORKSPACE_A, other.template.id, name="Other", by=ANN)
    assert templates.bring_back(WORKSPACE_A, saved.template.id, by=ANN).archived_at is None
    assert templates.bring_back(WORKSPACE_A, saved.template.id, by=ANN).archived_at is None
    assert audited().count("template.archived") == audited().count("template.brought_back") == 1


def test_the_list_goes_by_pages_and_finds_names(database: None) -> None:
    made = [create(f"T{number} 100%").template.id for number in range(5)]
    create("other", WORKSPACE_B)
    first = templates.list_page(WORKSPACE_A, limit=3)
    assert [one.template.id for one in first.templates] == made[:1:-1]
    assert (first.templates[0].subject, first.templates[0].saved_by) == (FIRST.subject, ANN.name)
    rest = templates.list_page(WORKSPACE_A, limit=3, older_than=first.older)
    assert [one.template.id for one in rest.templates] == made[1::-1]
    assert rest.older is None
    [found] = templates.list_page(WORKSPACE_A, filter_=Filter(q="t3 100%")).templates
    assert found.template.id == made[3]
    assert templates.list_page(WORKSPACE_A, filter_=Filter(q="_")).templates == []
    with pytest.raises(NotFound):
        templates.list_page(999)


@pytest.mark.parametrize(
    "name", ["", "  ", "a\nb", "a\0", "\ud800", "x" * (NAME_MAX_CHARS + 1), "123"]
)
def test_a_bad_name_is_refused(database: None, name: str) -> None:
    with pytest.raises(InvalidFields) as refused:
        create(name)
    assert {error.field for error in refused.value.errors} == {"name"}


def test_a_bad_note_and_a_bad_source_are_refused(database: None) -> None:
    with pytest.raises(InvalidFields, match="note"):
        templates.create(WORKSPACE_A, name="a", source=FIRST, note="a\nb", by=ANN)
    with pytest.raises(InvalidFields, match="line 1, column 1"):
        create(source=Source("s", TemplateFormat.HTML, "{{ x"))
    with pytest.raises(NotFound):
        create(workspace_id=999)
    assert audited() == []


@pytest.mark.proves("I20")
@pytest.mark.parametrize(
    "act",
    [
        lambda id_: templates.get(WORKSPACE_B, id_),
        lambda id_: templates.get_version(WORKSPACE_B, id_, 1),
        lambda id_: templates.list_versions(WORKSPACE_B, id_),
        lambda id_: templates.save(WORKSPACE_B, id_, source=SECOND, version=1, by=ANN),
        lambda id_: templates.restore(WORKSPACE_B, id_, restored=1, version=1, by=ANN),
        lambda id_: templates.rename(WORKSPACE_B, id_, name="x", by=ANN),
        lambda id_: templates.archive(WORKSPACE_B, id_, by=ANN),
        lambda id_: templates.bring_back(WORKSPACE_B, id_, by=ANN),
    ],
    ids=["get", "version", "versions", "save", "restore", "rename", "archive", "bring_back"],
)
def test_another_workspaces_template_is_not_there(
    database: None, act: Callable[[int], MaildError]
) -> None:
    saved = create()
    with pytest.raises(NotFound):
        act(saved.template.id)
    assert templates.get(WORKSPACE_A, saved.template.id) == saved.template
    assert templates.find_by_name(WORKSPACE_B, "Welcome") is None
    assert templates.list_page(WORKSPACE_B).templates == []


def test_checks_know_the_attributes_and_the_sender(database: None) -> None:
    ContactAttribute.create(workspace=WORKSPACE_A, name="plan", kind="text", created_by="x")
    source = Source("{{ contact.plan }}{{ contact.plam }}", TemplateFormat.TEXT, "", "a")
    compiled = template_sources.compile_source(source)
    found = {
        one.code: one.severity
        for one in template_checks.check(
            WORKSPACE_A, source, compiled, from_email="shop@example.com"
        )
    }
    assert found["no_default"] == Severity.WARN
    assert found["unknown_field"] == Severity.STOP
    assert found["unknown_domain"] == Severity.WARN
    [bad] = template_checks.check_sender(WORKSPACE_A, "nobody")
    assert bad.code == "bad_sender"
