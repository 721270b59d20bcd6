"""A tour of a domain's signing: keys in every state, with long names."""

import pytest

from maild.domain.actor import Actor
from maild.domain.dkim import Algorithm
from maild.models import Domain
from maild.services import dkim_keys
from tests.browser import hard_rows
from tests.browser.guide import tour
from tests.conftest import WORKSPACE_A

BOTH = (Algorithm.RSA, Algorithm.ED25519)


def add_domain(name):
    """A sending domain of workspace A; returns the path of its page."""
    row = Domain.create(
        workspace=WORKSPACE_A, name=name, created_by="x", results={}, good={}, drift={}
    )
    return f"/ui/domains/{row.id}"


@pytest.fixture
def signer(admin):
    """The admin, with a domain that signs nothing, one with keys in every state, and one that only
    Ed25519 signs for.
    """
    by = Actor(hard_rows.LONG_ADDRESS)
    name = f"{'label.' * 29}example"
    bare, busy, small = (add_domain(each) for each in ("bare.example", name, "small.example"))
    old, gone = dkim_keys.prepare(WORKSPACE_A, name, algorithms=BOTH, by=by)
    dkim_keys.activate(WORKSPACE_A, old.id, insist=True, by=by)
    dkim_keys.retire(WORKSPACE_A, gone.id, by=by)
    [new] = dkim_keys.rotate(WORKSPACE_A, old.id, by=by)
    dkim_keys.activate(WORKSPACE_A, new.id, insist=True, by=by)
    dkim_keys.prepare(WORKSPACE_A, name, algorithms=BOTH, by=by)
    [only] = dkim_keys.prepare(WORKSPACE_A, "small.example", algorithms=[Algorithm.ED25519], by=by)
    dkim_keys.activate(WORKSPACE_A, only.id, insist=True, by=by)
    return tour(admin, bare, busy, small)
