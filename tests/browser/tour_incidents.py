"""The tour of the incidents: full cards, long words, and what comes back from forms."""

import pytest

from maild.domain.incident import IncidentKind, IncidentStatus, Severity
from maild.domain.states import Status
from maild.models import Message
from maild.services import suppressions
from maild.services.suppressions import Bounced
from tests.browser import hard_rows
from tests.browser.guide import Sight, posted, tour
from tests.conftest import WORKSPACE_A
from tests.services.bulking import put
from tests.services.helpers import ago
from tests.services.incidenting import make_incident

LONG = "W" * 120
PATH = "/ui/incidents"


@pytest.fixture
def dispatcher(admin, settled):
    """Who looks after incidents."""
    ids = [*put(6, error_class="invalid_recipient"), *put(3, Status.QUEUED), settled().id]
    Message.update(to_email=hard_rows.LONG_ADDRESS, subject=LONG).where(
        Message.id == ids[0]
    ).execute()
    full = make_incident(
        ids,
        title=LONG,
        severity=Severity.CRITICAL,
        smtp_account="default",
        recipient_domain=f"{LONG[:60]}.example",
        assigned_to=hard_rows.LONG_ADDRESS,
        status=IncidentStatus.ACKNOWLEDGED,
        acknowledged_by=admin.email,
        acknowledged_at=ago(minutes=1),
    )
    suppressions.add_many([Bounced(WORKSPACE_A, "user2@example.org", ids[1], "550 no")])
    make_incident(kind=IncidentKind.DEAD_LETTERS, severity=Severity.MINOR, error_class=None)
    over = make_incident(
        status=IncidentStatus.RESOLVED,
        resolved_at=ago(minutes=2),
        resolved_by="maild",
        cause=LONG,
    )
    here = f"{PATH}/{full.id}"
    return tour(
        admin,
        PATH,
        f"{PATH}?status=all",
        Sight(f"{PATH}?status=hungry", status=422),
        f"{PATH}?kind=domain",
        here,
        f"{PATH}/{over.id}",
        f"{here}/messages",
        f"{here}/remedies/retry",
        f"{here}/remedies/send",
        f"{here}/remedies/unsuppress",
        f"{here}/remedies/switch?account=0",
        posted(f"{here}/remedies/retry", 422, workspace_id=WORKSPACE_A, reason=" "),
        posted(f"{here}/resolve", 422, by=here, workspace_id=WORKSPACE_A, cause=" "),
        posted(f"{here}/note", 409, by=here, workspace_id=WORKSPACE_A, text="x", version=99),
        f"/ui/messages/{ids[-1]}",
    )
