"""Drafts: one for each person and template, seen by nobody else, forgotten after a while."""

from datetime import timedelta

import pytest

from maild import clock
from maild.domain.actor import SYSTEM
from maild.domain.template import Source, TemplateFormat
from maild.errors import NotFound
from maild.models import TemplateDraft
from maild.services import template_drafts, templates
from tests.conftest import WORKSPACE_A, WORKSPACE_B


@pytest.fixture
def ann(make_person):
    return make_person("ann@a.example").id


@pytest.fixture
def template_id(database):
    source = Source(subject="x", format=TemplateFormat.TEXT, source_text="x")
    return templates.create(WORKSPACE_A, name="x", source=source, by=SYSTEM).template.id


def keep(person_id, *, template_id=None, workspace_id=WORKSPACE_A, **fields):
    values = {"version": 1, "typed": {"subject": "typed"}, "html": "<p>", **fields}
    return template_drafts.keep(workspace_id, person_id, template_id=template_id, **values)


def test_the_newest_takes_the_place_of_the_one_before(ann, template_id):
    first = keep(ann, template_id=template_id)
    assert keep(ann, template_id=template_id, typed={"subject": "more"}, html="<b>") == first
    draft = template_drafts.get(WORKSPACE_A, ann, first)
    assert (draft.typed, draft.html) == ({"subject": "more"}, "<b>")
    keep(ann, template_id=template_id, html=None)
    assert template_drafts.get(WORKSPACE_A, ann, first).html == "<b>"


def test_a_new_template_and_a_saved_one_have_one_each(ann, template_id):
    keep(ann, typed={"subject": "new"})
    keep(ann, template_id=template_id)
    assert template_drafts.find(WORKSPACE_A, ann, template_id=None).typed == {"subject": "new"}
    assert template_drafts.find_started_at(WORKSPACE_A, ann) is not None
    assert template_drafts.drop(WORKSPACE_A, ann, template_id=None)
    assert not template_drafts.drop(WORKSPACE_A, ann, template_id=None)
    assert template_drafts.find(WORKSPACE_A, ann, template_id=template_id) is not None


def test_nobody_else_sees_it(ann, template_id, make_person):
    ben = make_person("ben@a.example").id
    draft_id = keep(ann, template_id=template_id)
    assert template_drafts.find(WORKSPACE_A, ben, template_id=template_id) is None
    assert template_drafts.find(WORKSPACE_B, ann, template_id=template_id) is None
    for workspace_id, person_id in ((WORKSPACE_A, ben), (WORKSPACE_B, ann)):
        with pytest.raises(NotFound):
            template_drafts.get(workspace_id, person_id, draft_id)
        assert not template_drafts.drop(workspace_id, person_id, template_id=template_id)


def test_what_postgres_cannot_keep_is_replaced(ann):
    draft_id = keep(ann, typed={"subject": "a\0\ud800🙂"}, html="\0\udfff")
    draft = template_drafts.get(WORKSPACE_A, ann, draft_id)
    assert draft.typed == {"subject": "a��🙂"}
    assert draft.html == "��"


def test_it_is_forgotten_after_a_while(ann, template_id):
    keep(ann, template_id=template_id)
    old = keep(ann)
    at = clock.now() - timedelta(days=template_drafts.KEPT_DAYS, minutes=1)
    TemplateDraft.update(updated_at=at).where(TemplateDraft.id == old).execute()
    template_drafts.prune()
    assert [one.template_id for one in TemplateDraft.select()] == [template_id]
