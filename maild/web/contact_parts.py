"""What pages of contacts share: a list of them with its filter, and reading which were chosen."""

import re
from typing import Any

from flask import request

from maild.errors import NotFound, SearchTooLong
from maild.models import Audience
from maild.services import audiences, contact_lists, topics
from maild.web import access, contact_filter, contact_words, paging

PAGE_ROWS = 50
CHOSEN_MAX = 200
"""As many are changed in one go by choosing them."""
CONTACT_ID_MAX = 2**63 - 1
AUDIENCE_ID_MAX = 2**31 - 1

_ID = re.compile(r"\d{1,18}", re.ASCII)


def list_context(form: contact_filter.FilterForm, names: list[Audience]) -> dict[str, Any]:
    """What partials/contact_list.html and the filter bar show, but for where they are."""
    workspace_id, older_than = access.current_workspace_id(), paging.older_than()
    page, cut = None, None
    if not form.errors:
        try:
            page = contact_lists.list_page(
                workspace_id, filter_=form.filter_, limit=PAGE_ROWS, older_than=older_than
            )
        except SearchTooLong as error:
            cut = error.detail
    return {
        "form": form,
        "page": page,
        "states_of": contact_words.STATES,
        "bar_words": contact_words.bar,
        "value_words": contact_words.value,
        "older": paging.mark(page.older) if page else None,
        "is_newest": older_than is None,
        "cut": cut,
        "lists": [(str(row.id), row.name) for row in names],
        "topics": [row.name for row in topics.list_all(workspace_id)],
        **contact_filter.CHOICES,
    }


def chosen() -> list[int]:
    """The contacts that were ticked, or that an undo names."""
    given = [*request.form.getlist("id"), *request.form.get("ids", "").split(",")]
    ids = [int(one) for one in given if _ID.fullmatch(one)]
    return list(dict.fromkeys(ids))[:CHOSEN_MAX]


def find_audience(audience_id: int | str) -> Audience:
    """A list of the workspace. Raises NotFound."""
    if isinstance(audience_id, str):
        audience_id = int(audience_id) if _ID.fullmatch(audience_id) else 0
    if not 0 < audience_id <= AUDIENCE_ID_MAX:
        raise NotFound(audiences.NO_SUCH)
    return audiences.get(access.current_workspace_id(), audience_id)
