"""No workspace sees, counts or changes anything of another's, by any page: every route of the
console, called by workspace B's admin, beside a workspace A that is full of things and beside an
empty one. The answers must not differ, and A's rows neither. A new route needs a line in FOREIGN.

And what each role may do, and that who is not signed in does nothing.
"""

import difflib
import json
import re
import uuid
from datetime import UTC, datetime, timedelta

import pytest
from bs4 import BeautifulSoup

from maild.db import database
from maild.domain import cursor, serial_cursor
from maild.domain.role import ADMINS, OPERATORS, READERS
from maild.web import access
from tests.conftest import WORKSPACE_A, WORKSPACE_B
from tests.tenancy import (
    EMAIL,
    HIDDEN,
    IDS,
    OTHER_EMAIL,
    SERIAL,
    ZEBRA,
    make_workspaces,
    rows_of_a,
    told,
)

SAFE = {"GET", "HEAD", "OPTIONS"}
MARK = str(cursor.Cursor(datetime.now(UTC) + timedelta(days=1), uuid.UUID(int=2**128 - 1)))
SERIAL_MARK = serial_cursor.write(SERIAL + 1)
PERSONAL_ONLY = {
    "POST /confirm",
    "GET /confirm/<token>",
    "POST /confirm/<token>",
    "GET /ui/settings",
    "GET /ui/settings/profile",
    "POST /ui/settings/profile",
    "POST /ui/settings/profile/email",
    "GET /ui/settings/security",
    "POST /ui/settings/security/password",
    "GET /ui/settings/security/second-factor",
    "POST /ui/settings/security/second-factor",
    "POST /ui/settings/security/second-factor/off",
    "POST /ui/settings/security/recovery-codes",
    "GET /workspaces/new",
    "POST /workspaces/new",
    "GET /ui/styleguide",
    "GET /ui/styleguide/drawer",
    "POST /ui/styleguide/toast",
}
"""They name nothing that could be another's: what they are about is the person who is signed in."""


PUBLIC = {
    "GET /",
    "GET /login",
    "POST /login",
    "GET /login/code",
    "POST /login/code",
    "POST /logout",
    "GET /signup",
    "POST /signup",
    "GET /reset",
    "POST /reset",
    "GET /reset/<token>",
    "POST /reset/<token>",
    "GET /ui/freezes/bar",
    "GET /invitations/<token>",
    "POST /invitations/<token>",
}
"""Open to everybody, on purpose."""


def queries(*given):
    return [{"query": query} for query in ({}, *given)]


def forms(*given):
    return [{"form": form} for form in given]


def provider(*given, of=SERIAL, **ids):
    """A's SMTP account, or of 0 the environment's, asked with each of these forms."""
    ids = ids or {"account_id": of}
    return [{"ids": ids, "form": form} for form in given] or [{"ids": ids}]


def each_message(**more):
    return [{"ids": {"message_id": message_id}, **more} for message_id in IDS.values()]


def acted_on(*statuses):
    return [
        {"ids": {"message_id": IDS[status]}, "form": {"seen_status": status, "reason": "x"}}
        for status in statuses
    ]


_VIEW_ID = {"view_id": SERIAL}
_INCIDENT_ID = {"incident_id": SERIAL}
_EVENT_ID, _FREEZE_ID = {"event_id": SERIAL}, {"freeze_id": SERIAL}
_FREEZE = {"reason": "x", "lasts": "30m"}
_SUPPRESSION = {"reason": "x", "class": "manual", "stream": "", "expires": "never"}
_POLICY = {
    "rate_limit_domain_per_hour": "1", "on_limit": "reject", "soft_bounce_threshold": "9",
    "transactional_max_attempts": "9", "transactional_lifetime": "2 d",
    "transactional_unknown_outcome": "hold", "marketing_max_attempts": "9",
    "marketing_lifetime": "4 d", "marketing_unknown_outcome": "hold", "version": "0",
    "reason": "x",
}  # fmt: skip
_DOMAIN_ID = {"domain_id": SERIAL}
_KEY = {"domain_id": SERIAL, "key_id": SERIAL}
_JOB_ID = {"job_id": SERIAL}
_CHOSEN = {"noun": "messages", "action": "retry", "selection": "ids", "id": list(IDS.values())}
_MATCHING = {"noun": "messages", "selection": "matching", "query": f"to_email={EMAIL}"}
_LETTERS = {"noun": "dead_letters", "selection": "ids", "id": SERIAL}
_TEMPLATE, _TEMPLATE_VERSION = {"template_id": SERIAL}, {"template_id": SERIAL, "version": 1}
_TYPED = {
    "name": "x", "subject": "x", "format": "text", "source_text": "x", "version": "1",
    "sample": "{}",
}  # fmt: skip
_SUPPRESSION_ID, _UNSUBSCRIBE_ID = {"suppression_id": SERIAL}, {"unsubscribe_id": SERIAL}
_RULE = {"mode:g": "any", "field:g.0": "email", "op:g.0": "contains", "value:g.0": ZEBRA}
_CONTACT, _AUDIENCE = {"contact_id": SERIAL}, {"audience_id": SERIAL}
_ATTRIBUTE = {"attribute_id": SERIAL}
_CAMPAIGN = {"campaign_id": SERIAL}
_CAMPAIGN_TYPED = {
    "name": "x", "audience_kind": "list", "audience_id": SERIAL, "segment_id": SERIAL,
    "template_id": SERIAL, "from_email": EMAIL, "begins": "now", "time_zone": "UTC", "version": "1",
    "contact": EMAIL,
}  # fmt: skip

FOREIGN = {
    "GET /dashboard": queries(),
    "GET /ui/onboarding": queries(),
    "GET /ui/onboarding/<step>": [
        *({"ids": {"step": step}} for step in ("workspace", "domain", "policy", "webhook")),
        {"ids": {"step": "provider"}, "query": {"account": SERIAL}},
        {"ids": {"step": "provider"}},
        *(
            {"ids": {"step": "test-message"}, "query": {"message": message_id}}
            for message_id in IDS.values()
        ),
        {"ids": {"step": "test-message"}},
    ],
    "POST /ui/onboarding/<step>/skip": [{"ids": {"step": "domain"}, "form": {}}],
    "POST /ui/onboarding/<step>/resume": [{"ids": {"step": "domain"}, "form": {}}],
    "POST /ui/onboarding/workspace": forms({"name": ""}),
    "POST /ui/onboarding/provider": forms({"name": ZEBRA, "host": "192.0.2.1", "port": "25"}),
    "POST /ui/onboarding/provider/<int:account_id>/check": provider({}),
    "POST /ui/onboarding/provider/<int:account_id>/activate": provider({}),
    "POST /ui/onboarding/sandbox": forms({}),
    "POST /ui/onboarding/sandbox/remove": forms({}),
    "POST /ui/onboarding/domain": forms({"domain": "x"}),
    "POST /ui/onboarding/policy/review": forms({"version": 0}, {"version": 1}),
    "POST /ui/onboarding/test-message": forms({"from_email": "x", "to_email": OTHER_EMAIL}),
    "POST /ui/onboarding/key": forms({}),
    "POST /ui/onboarding/webhook": forms({"provider": "ses"}),
    "POST /workspaces/switch": forms({"to": WORKSPACE_A}, {"to": 0}),
    "GET /ui": queries({"seen": "x"}, {"span": "7d"}),
    "GET /ui/logs": queries(
        {"q": ZEBRA}, {"q": EMAIL}, {"q": IDS["sent"]}, {"q": f"<{IDS['sent']}@localhost>"},
        {"to_email": EMAIL}, {"from_email": EMAIL}, {"tag": ZEBRA}, {"smtp_account": ZEBRA},
        {"error_class": ZEBRA}, {"status": "failed"}, {"older_than": MARK},
    ),
    "GET /ui/logs/tail": [
        {"query": {"after": "AZrSSr0AAAAAAAAAAAAAAAAAAAAAAAAAAAA", "q": ZEBRA}},
        {"query": {"after": MARK, "watch": f"{IDS['queued']}:queued"}},
        {"query": {"after": MARK, "watch": f"{IDS['queued']}:sending"}},
    ],
    "POST /ui/logs/export": forms(
        {"query": f"q={ZEBRA}"}, {"query": f"to_email={EMAIL}"}, {"query": ""}
    ),
    "GET /ui/audience/topics": queries(),
    "POST /ui/audience/topics": forms({"name": ZEBRA}, {"name": "news", "topic_id": SERIAL}),
    "POST /ui/audience/topics/<int:topic_id>/delete": [{"ids": {"topic_id": SERIAL}, "form": {}}],
    "GET /ui/audience/confirmation": queries(),
    "POST /ui/audience/confirmation": forms(
        {"from_email": EMAIL, "subject": "x", "body_text": "{{ link }}", "version": "1"},
        {"from_email": "x", "preview": "1"},
    ),
    "POST /ui/audience/contacts/<int:contact_id>/ask": [
        {"ids": {"contact_id": SERIAL}, "form": {}}
    ],
    "GET /ui/logs/views": queries({"q": ZEBRA}),
    "POST /ui/logs/views": forms({"name": ZEBRA, "query": "status=failed", "replace": "y"}),
    "POST /ui/logs/views/<int:view_id>/rename": [{"ids": _VIEW_ID, "form": {"name": "x"}}],
    "POST /ui/logs/views/<int:view_id>/remove": [{"ids": _VIEW_ID, "form": {}}],
    "POST /ui/logs/views/<int:view_id>/restore": [{"ids": _VIEW_ID, "form": {}}],
    "GET /ui/messages/<uuid:message_id>": each_message(),
    "GET /ui/messages/<uuid:message_id>/raw": each_message(),
    "GET /ui/messages/<uuid:message_id>/bundle": each_message(),
    "POST /ui/messages/<uuid:message_id>/retry": acted_on("failed", "unknown"),
    "POST /ui/messages/<uuid:message_id>/sent": acted_on("unknown"),
    "POST /ui/messages/<uuid:message_id>/hold": acted_on("queued"),
    "POST /ui/messages/<uuid:message_id>/release": acted_on("held"),
    "POST /ui/messages/<uuid:message_id>/cancel": acted_on("queued", "held"),
    "POST /ui/messages/<uuid:message_id>/resend": acted_on("failed", "sent"),
    "POST /ui/messages/<uuid:message_id>/suppress": each_message(form={"reason": "x"}),
    "GET /ui/messages/<uuid:message_id>/preview": each_message(),
    "GET /ui/messages/<uuid:message_id>/text": each_message(),
    "GET /ui/incidents": queries(
        {"status": "all"}, {"smtp_account": ZEBRA, "status": "all"}, {"older_than": SERIAL_MARK},
        {"seen": "x"},
    ),
    "GET /ui/incidents/<int:incident_id>": [
        {"ids": _INCIDENT_ID}, {"ids": _INCIDENT_ID, "query": {"seen": "x"}}
    ],
    "GET /ui/incidents/<int:incident_id>/messages": [
        {"ids": _INCIDENT_ID}, {"ids": _INCIDENT_ID, "query": {"before": IDS["sent"]}}
    ],
    "GET /ui/incidents/<int:incident_id>/bundle": [
        {"ids": _INCIDENT_ID}, {"ids": _INCIDENT_ID, "query": {"format": "zip"}}
    ],
    **{
        f"POST /ui/incidents/<int:incident_id>/{verb}": [{"ids": _INCIDENT_ID, "form": form}]
        for verb, form in (
            ("acknowledge", {}), ("take", {}), ("assign", {"to": EMAIL}), ("note", {"text": "x"}),
            ("severity", {"severity": "minor"}), ("resolve", {"cause": "x"}),
            ("reopen", {"reason": "x"}), ("merge", {"into": SERIAL}),
        )
    },
    "POST /ui/incidents/of-message/<uuid:message_id>": each_message(form={"title": "x"}),
    "GET /ui/incidents/<int:incident_id>/remedies/<remedy>": [
        {"ids": {**_INCIDENT_ID, "remedy": "retry"}},
        {"ids": {**_INCIDENT_ID, "remedy": "pause"}, "query": {"account": SERIAL}},
    ],
    "POST /ui/incidents/<int:incident_id>/remedies/<remedy>": [
        {"ids": {**_INCIDENT_ID, "remedy": name}, "form": {"reason": "x", "account": SERIAL}}
        for name in ("retry", "send", "unsuppress", "pause", "resume", "switch")
    ],
    "GET /ui/webhooks": queries(
        {"state": "any"}, {"state": "any", "email": EMAIL}, {"state": "any", "endpoint_id": SERIAL},
        {"state": "any", "older_than": SERIAL_MARK}, {"seen": "x"},
    ),
    "GET /ui/webhooks/<int:event_id>": [{"ids": _EVENT_ID}],
    "GET /ui/webhooks/<int:event_id>/trial": [{"ids": _EVENT_ID}],
    "GET /ui/webhooks/<int:event_id>/payload": [{"ids": _EVENT_ID}],
    "POST /ui/webhooks/<int:event_id>/replay": [{"ids": _EVENT_ID, "form": {}}],
    "POST /ui/webhooks/<int:event_id>/dismiss": [{"ids": _EVENT_ID, "form": {"reason": "x"}}],
    "POST /ui/webhooks/<int:event_id>/restore": [{"ids": _EVENT_ID, "form": {}}],
    "GET /ui/jobs": queries({"older_than": SERIAL_MARK}, {"seen": "x"}),
    "GET /ui/jobs/<int:job_id>": [
        {"ids": _JOB_ID}, {"ids": _JOB_ID, "query": {"seen": "x", "after": SERIAL_MARK}}
    ],
    "POST /ui/jobs/<int:job_id>/cancel": [{"ids": _JOB_ID, "form": {}}],
    "POST /ui/jobs/<int:job_id>/resume": [{"ids": _JOB_ID, "form": {}}],
    "POST /ui/jobs/<int:job_id>/undo": [{"ids": _JOB_ID, "form": {"reason": "x"}}],
    "POST /ui/bulk": forms(
        _CHOSEN, {**_MATCHING, "action": "suppress"}, {**_MATCHING, "action": "cancel"},
        {**_LETTERS, "action": "replay"},
        {**_LETTERS, "action": "dismiss", "selection": "matching", "query": "state=any"},
    ),
    "POST /ui/bulk/start": forms(_CHOSEN, {**_MATCHING, "action": "hold"},
                                 {**_LETTERS, "action": "dismiss"}),
    "GET /ui/restore": queries(),
    "POST /ui/restore/<int:restore_id>/settle": [{"ids": {"restore_id": SERIAL}, "form": {}}],
    "GET /ui/campaigns": queries({"older_than": SERIAL_MARK}, {"status": "draft"}),
    "GET /ui/campaigns/frame": queries(
        {"template": SERIAL, "version": "1"}, {"template": SERIAL, "version": "1", "email": EMAIL}
    ),
    "GET /ui/campaigns/new": queries(),
    "POST /ui/campaigns/new": forms(
        _CAMPAIGN_TYPED, {**_CAMPAIGN_TYPED, "act": "look"},
        {**_CAMPAIGN_TYPED, "act": "look", "audience_kind": "segment"},
        {**_CAMPAIGN_TYPED, "act": "look", "audience_kind": "everyone"},
        {**_CAMPAIGN_TYPED, "act": "look", "audience_kind": "everyone", "template_id": ""},
    ),
    "GET /ui/campaigns/settings": queries(),
    "POST /ui/campaigns/settings": forms({"version": "9", "needs_second_person": "yes"}),
    "GET /ui/campaigns/<int:campaign_id>": [
        {"ids": _CAMPAIGN}, {"ids": _CAMPAIGN, "query": {"seen": "x"}}
    ],
    "GET /ui/campaigns/<int:campaign_id>/edit": [{"ids": _CAMPAIGN}],
    "POST /ui/campaigns/<int:campaign_id>/edit": [
        {"ids": _CAMPAIGN, "form": {**_CAMPAIGN_TYPED, "act": act}} for act in ("save", "look")
    ],
    "GET /ui/campaigns/<int:campaign_id>/recipients": [
        {"ids": _CAMPAIGN}, {"ids": _CAMPAIGN, "query": {"status": "queued"}}
    ],
    **{
        f"GET /ui/campaigns/<int:campaign_id>/{name}": [{"ids": _CAMPAIGN}]
        for name in ("send", "report", "test")
    },
    **{
        f"POST /ui/campaigns/<int:campaign_id>/{verb}": [{"ids": _CAMPAIGN, "form": form}]
        for verb, form in {
            "test": {"to": EMAIL},
            "submit": {"version": "1"},
            "schedule": {"version": "1", "begins": "now"},
            "approve": {"version": "1"},
            "send-back": {"version": "1"},
            "unschedule": {"version": "1"},
            "pause": {},
            "resume": {},
            "cancel": {},
            "winner": {"winner": "a"},
            "copy": {},
            "delete": {"version": "1"},
            "recipients/export": {},
        }.items()
    },
    "GET /ui/freezes": queries({"state": "ended"}, {"older_than": SERIAL_MARK}),
    "GET /ui/freezes/new": queries({"what": f"smtp_account:{ZEBRA}"}),
    "GET /ui/freezes/preview": queries(
        {"what": "workspace"}, {"what": f"smtp_account:{ZEBRA}"}, {"what": f"api_key:{SERIAL}"},
        {"what": "from_email", "target": EMAIL},
        {"what": "recipient_domain", "target": f"{ZEBRA}.example"},
    ),
    "POST /ui/freezes": forms(
        {**_FREEZE, "what": f"smtp_account:{ZEBRA}"}, {**_FREEZE, "what": f"api_key:{SERIAL}"},
        {**_FREEZE, "what": "recipient_domain", "target": f"{ZEBRA}.example"},
    ),
    "POST /ui/freezes/<int:freeze_id>/extend": [{"ids": _FREEZE_ID, "form": _FREEZE}],
    "POST /ui/freezes/<int:freeze_id>/lift": [{"ids": _FREEZE_ID, "form": {"reason": "x"}}],
    "GET /ui/domains": queries({"after": "a.example"}, {"domain": f"{ZEBRA}.example"}),
    "POST /ui/domains": forms({"domain": "x"}),
    "GET /ui/domains/<int:domain_id>": [{"ids": _DOMAIN_ID}],
    "POST /ui/domains/<int:domain_id>/check": [{"ids": _DOMAIN_ID, "form": {}}],
    "POST /ui/domains/<int:domain_id>/selector": [
        {"ids": _DOMAIN_ID, "form": {"dkim_selector": "s1"}}
    ],
    "POST /ui/domains/<int:domain_id>/accept": [{"ids": _DOMAIN_ID, "form": {}}],
    "POST /ui/domains/<int:domain_id>/remove": [{"ids": _DOMAIN_ID, "form": {}}],
    "POST /ui/domains/<int:domain_id>/signing": [{"ids": _DOMAIN_ID, "form": {}}],
    "POST /ui/domains/<int:domain_id>/signing/check": [{"ids": _DOMAIN_ID, "form": {}}],
    "POST /ui/domains/<int:domain_id>/signing/<int:key_id>/rotate": [{"ids": _KEY, "form": {}}],
    "POST /ui/domains/<int:domain_id>/signing/<int:key_id>/activate": [
        {"ids": _KEY, "form": {"insist": "y"}}
    ],
    "POST /ui/domains/<int:domain_id>/signing/<int:key_id>/retire": [{"ids": _KEY, "form": {}}],
    "GET /ui/settings/retention": queries(),
    "POST /ui/settings/retention": forms(
        {"bodies_days": "7", "version": "0"}, {"bodies_days": "7", "version": "1", "seen": "1"}
    ),
    "GET /ui/policy": queries(),
    "POST /ui/policy": forms(_POLICY, {**_POLICY, "version": "1"}, {}),
    "POST /ui/policy/preview": forms(
        _POLICY, {**_POLICY, "blocked_recipient_domains": f"{ZEBRA}.example", "window": "7d"}
    ),
    "POST /ui/policy/merge": forms({**_POLICY, "theirs": "1"}, {**_POLICY, "version": "1"}),
    "GET /ui/policy/versions": queries({"older_than": SERIAL_MARK}),
    "GET /ui/policy/versions/<int:version>": [{"ids": {"version": 1}}, {"ids": {"version": 0}}],
    "POST /ui/policy/versions/<int:version>/preview": [{"ids": {"version": 1}, "form": {}}],
    "POST /ui/policy/versions/<int:version>/rollback": [
        {"ids": {"version": 1}, "form": {"in_force": "1"}}, {"ids": {"version": 0}, "form": {}}
    ],
    "GET /ui/providers": queries({"seen": "x"}),
    "GET /ui/providers/<int:account_id>": provider(),
    "POST /ui/providers/<int:account_id>/move": provider({"place": 1}),
    "POST /ui/providers/<int:account_id>/activate": provider({}),
    "POST /ui/providers/<int:account_id>/pause": provider({"reason": "r"}),
    "POST /ui/providers/<int:account_id>/resume": provider({}),
    "POST /ui/providers/<int:account_id>/delete": provider({}),
    "GET /ui/providers/new": queries({"preset": "ses"}),
    "POST /ui/providers/new": forms(
        {"name": ZEBRA, "port": "x"},
        {
            "name": ZEBRA, "host": "192.0.2.1", "port": "25", "security": "none",
            "from_email": "a@example.com", "max_connections": "1", "priority": "1",
        },
    ),
    "GET /ui/providers/<int:account_id>/edit": [*provider(), *provider(of=0)],
    "POST /ui/providers/<int:account_id>/edit": provider({"port": "25", "version": "x"}),
    "GET /ui/providers/<int:account_id>/check": [*provider(), *provider(of=0)],
    "POST /ui/providers/<int:account_id>/check": [*provider({}), *provider({}, of=0)],
    "GET /ui/providers/<int:account_id>/test": [
        *provider(), *provider(of=0),
        {"ids": {"account_id": 0}, "query": {"message": IDS["sent"]}},
    ],
    "POST /ui/providers/<int:account_id>/test": provider({"to_email": OTHER_EMAIL}),
    "GET /ui/providers/webhooks": queries(),
    "GET /ui/providers/<int:account_id>/webhooks": [*provider(), *provider(of=0)],
    "POST /ui/providers/<int:account_id>/webhooks": provider({"provider": "postmark"}),
    "GET /ui/providers/webhooks/<int:endpoint_id>": provider(endpoint_id=SERIAL),
    "POST /ui/providers/webhooks/<int:endpoint_id>/secrets": provider(
        {"kind": "signing", "value": "x" * 32, "old_valid_seconds": "0"}, endpoint_id=SERIAL
    ),
    "POST /ui/providers/webhooks/<int:endpoint_id>/secrets/<int:secret_id>/end": provider(
        {}, endpoint_id=SERIAL, secret_id=SERIAL
    ),
    "POST /ui/providers/webhooks/<int:endpoint_id>/delete": provider({}, endpoint_id=SERIAL),
    "GET /ui/suppressions": queries(
        {"address": EMAIL}, {"address": "ann"}, {"domain": f"{ZEBRA}.example"},
        {"older_than": SERIAL_MARK}, {"class": "manual"},
    ),
    "GET /ui/suppressions/add": queries({"address": EMAIL}),
    "POST /ui/suppressions/add": forms(
        {**_SUPPRESSION, "emails": EMAIL}, {**_SUPPRESSION, "emails": f"{EMAIL}\nx"}
    ),
    "POST /ui/suppressions/export": forms({}, {"address": EMAIL}),
    "GET /ui/suppressions/<int:suppression_id>": [{"ids": _SUPPRESSION_ID}],
    "GET /ui/suppressions/<int:suppression_id>/remove": [{"ids": _SUPPRESSION_ID}],
    "POST /ui/suppressions/<int:suppression_id>/remove": [
        {"ids": _SUPPRESSION_ID, "form": {"reason": "x", "sure": "yes"}}
    ],
    "POST /ui/suppressions/<int:suppression_id>/restore": [{"ids": _SUPPRESSION_ID, "form": {}}],
    "POST /ui/suppressions/<int:suppression_id>/resend": [
        {"ids": _SUPPRESSION_ID, "form": {"which": "newest"}}
    ],
    "GET /ui/suppressions/import": queries(),
    "POST /ui/suppressions/import": forms({}),
    "GET /ui/suppressions/import/<int:file_id>": [
        {"ids": {"file_id": SERIAL}}, {"ids": {"file_id": SERIAL}, "query": {"seen": "x"}}
    ],
    "POST /ui/suppressions/import/<int:file_id>": [{"ids": {"file_id": SERIAL}, "form": {}}],
    "POST /ui/suppressions/import/<int:file_id>/start": [{"ids": {"file_id": SERIAL}, "form": {}}],
    "GET /ui/suppressions/import/<int:file_id>/rejected.csv": [{"ids": {"file_id": SERIAL}}],
    "GET /ui/audience/segments": queries({"older_than": SERIAL_MARK}),
    "GET /ui/audience/segments/counts": queries({"older_than": SERIAL_MARK}),
    "GET /ui/audience/segments/new": queries(),
    "POST /ui/audience/segments/new": forms(
        {**_RULE, "act": "look"},
        {**_RULE, "act": "save", "name": ""},
        {**_RULE, "field:g.0": "list", "op:g.0": "in", "value:g.0": SERIAL, "act": "save"},
        {**_RULE, "field:g.0": "attributes.zebra", "act": "look"},
    ),
    "GET /ui/audience/segments/<int:segment_id>": [{"ids": {"segment_id": SERIAL}}],
    "GET /ui/audience/segments/<int:segment_id>/edit": [{"ids": {"segment_id": SERIAL}}],
    "POST /ui/audience/segments/<int:segment_id>/edit": [
        {"ids": {"segment_id": SERIAL}, "form": {**_RULE, "act": "save", "name": "b"}}
    ],
    "POST /ui/audience/segments/<int:segment_id>/delete": [
        {"ids": {"segment_id": SERIAL}, "form": {}}
    ],
    "POST /ui/audience/segments/<int:segment_id>/restore": [
        {"ids": {"segment_id": SERIAL}, "form": {}}
    ],
    "GET /ui/audience/imports": queries(),
    "POST /ui/audience/imports": forms({}),
    "GET /ui/audience/imports/<int:file_id>": [
        {"ids": {"file_id": SERIAL}}, {"ids": {"file_id": SERIAL}, "query": {"seen": "x"}}
    ],
    "POST /ui/audience/imports/<int:file_id>": [{"ids": {"file_id": SERIAL}, "form": {}}],
    "POST /ui/audience/imports/<int:file_id>/read": [
        {"ids": {"file_id": SERIAL}, "form": {"encoding": "cp1252", "delimiter": "tab"}}
    ],
    "POST /ui/audience/imports/<int:file_id>/start": [
        {"ids": {"file_id": SERIAL}, "form": {"check_job_id": str(SERIAL)}}
    ],
    "POST /ui/audience/imports/<int:file_id>/undo": [
        {"ids": {"file_id": SERIAL}, "form": {"reason": "x"}}
    ],
    "GET /ui/audience/imports/<int:file_id>/rejected.csv": [{"ids": {"file_id": SERIAL}}],
    "GET /ui/templates": queries(
        {"name": ZEBRA}, {"archived": "1"}, {"older_than": SERIAL_MARK}
    ),
    "GET /ui/templates/new": queries({"draft": "1"}, {"start": "letter"}),
    "POST /ui/templates/new": forms({**_TYPED, "subject": ""}),
    "POST /ui/templates/new/preview": forms(_TYPED, {**_TYPED, "contact": EMAIL}),
    "POST /ui/templates/new/drop": forms({}),
    "GET /ui/templates/starts/<key>/frame": [{"ids": {"key": "newsletter"}}],
    "GET /ui/templates/contacts": queries({"contact": EMAIL}, {"contact": "a"}),
    "GET /ui/templates/drafts/<int:draft_id>/frame": [{"ids": {"draft_id": SERIAL}}],
    "GET /ui/templates/<int:template_id>": [{"ids": _TEMPLATE}],
    "POST /ui/templates/<int:template_id>": [{"ids": _TEMPLATE, "form": _TYPED}],
    **{
        f"POST /ui/templates/<int:template_id>/{verb}": [{"ids": _TEMPLATE, "form": form}]
        for verb, form in (
            ("preview", _TYPED), ("drop", {}), ("rename", {"name": "x"}), ("archive", {}),
            ("unarchive", {}),
            ("test", {"from_email": "a@x.example", "to": EMAIL, "stream": "marketing"}),
        )
    },
    "GET /ui/templates/<int:template_id>/api": [{"ids": _TEMPLATE}],
    "GET /ui/templates/<int:template_id>/test": [
        {"ids": _TEMPLATE}, {"ids": _TEMPLATE, "query": {"sent": IDS["sent"]}}
    ],
    "GET /ui/templates/<int:template_id>/versions": [{"ids": _TEMPLATE}],
    "GET /ui/templates/<int:template_id>/versions/<int:version>": [
        {"ids": _TEMPLATE_VERSION}, {"ids": _TEMPLATE_VERSION, "query": {"contact": EMAIL}}
    ],
    "GET /ui/templates/<int:template_id>/versions/<int:version>/frame": [
        {"ids": _TEMPLATE_VERSION}
    ],
    "GET /ui/templates/<int:template_id>/versions/<int:version>/restore": [
        {"ids": _TEMPLATE_VERSION}
    ],
    "POST /ui/templates/<int:template_id>/versions/<int:version>/restore": [
        {"ids": _TEMPLATE_VERSION, "form": {"latest": "1"}}
    ],
    "GET /ui/audience": queries(
        {"address": EMAIL}, {"domain": f"{ZEBRA}.example"}, {"topic": ZEBRA}, {"audience": SERIAL},
        {"standing": "suppressed"}, {"older_than": SERIAL_MARK},
    ),
    "POST /ui/audience/contacts/export": forms({}, {"address": EMAIL}, {"audience": SERIAL}),
    "GET /ui/audience/contacts/new": queries({"address": EMAIL}),
    "POST /ui/audience/contacts/new": forms(
        {"email": EMAIL}, {"email": OTHER_EMAIL, f"attribute.{ZEBRA}": "x"}
    ),
    "GET /ui/audience/contacts/<int:contact_id>": [{"ids": _CONTACT}],
    "GET /ui/audience/contacts/<int:contact_id>/edit": [{"ids": _CONTACT}],
    "POST /ui/audience/contacts/<int:contact_id>/edit": [
        {"ids": _CONTACT, "form": {"name": "x", "version": "1"}}
    ],
    "POST /ui/audience/contacts/<int:contact_id>/delete": [{"ids": _CONTACT, "form": {}}],
    "POST /ui/audience/contacts/selected": forms(
        *({"id": SERIAL, "audience_id": SERIAL, "action": action}
          for action in ("add", "remove", "delete", "erase"))
    ),
    "GET /ui/audience/lists": queries(),
    "POST /ui/audience/lists": forms({"name": ZEBRA}),
    "GET /ui/audience/lists/<int:audience_id>": [
        {"ids": _AUDIENCE}, {"ids": _AUDIENCE, "query": {"address": EMAIL}}
    ],
    "POST /ui/audience/lists/<int:audience_id>": [{"ids": _AUDIENCE, "form": {"name": "x"}}],
    "POST /ui/audience/lists/<int:audience_id>/delete": [{"ids": _AUDIENCE, "form": {}}],
    "POST /ui/audience/lists/<int:audience_id>/restore": [{"ids": _AUDIENCE, "form": {}}],
    "GET /ui/audience/lists/<int:audience_id>/add": [{"ids": _AUDIENCE}],
    "POST /ui/audience/lists/<int:audience_id>/add": [
        {"ids": _AUDIENCE, "form": {"emails": EMAIL}}
    ],
    "GET /ui/audience/attributes": queries(),
    "POST /ui/audience/attributes": forms({"name": ZEBRA, "kind": "number"}),
    "GET /ui/audience/attributes/<int:attribute_id>/delete": [{"ids": _ATTRIBUTE}],
    "POST /ui/audience/attributes/<int:attribute_id>/delete": [{"ids": _ATTRIBUTE, "form": {}}],
    "GET /ui/unsubscribes": queries(
        {"address": EMAIL}, {"domain": f"{ZEBRA}.example"}, {"topic": ZEBRA},
        {"older_than": SERIAL_MARK},
    ),
    "GET /ui/unsubscribes/add": queries({"address": EMAIL}),
    "POST /ui/unsubscribes/add": forms(
        {"email": EMAIL, "topic": ZEBRA, "stream": "both", "reason": "x"}
    ),
    "POST /ui/unsubscribes/export": forms({}, {"address": EMAIL}),
    "GET /ui/unsubscribes/<int:unsubscribe_id>": [{"ids": _UNSUBSCRIBE_ID}],
    "GET /ui/unsubscribes/<int:unsubscribe_id>/remove": [{"ids": _UNSUBSCRIBE_ID}],
    "POST /ui/unsubscribes/<int:unsubscribe_id>/remove": [
        {"ids": _UNSUBSCRIBE_ID, "form": {"reason": "x", "sure": "yes"}}
    ],
    "POST /ui/unsubscribes/<int:unsubscribe_id>/restore": [{"ids": _UNSUBSCRIBE_ID, "form": {}}],
    "POST /ui/unsubscribes/<int:unsubscribe_id>/resend": [
        {"ids": _UNSUBSCRIBE_ID, "form": {"which": "newest"}}
    ],
    "POST /ui/settings/security/sessions/end": forms({"session": SERIAL}),
    "GET /ui/settings/members": queries(),
    "POST /ui/settings/members/role": forms({"person": SERIAL, "role": "viewer"}),
    "POST /ui/settings/members/remove": forms({"person": SERIAL}),
    "POST /ui/settings/members/restore": forms({"removal": "x"}, {"person": SERIAL}),
    "GET /ui/settings/invitations": queries(),
    "POST /ui/settings/invitations": forms(
        {"email": OTHER_EMAIL, "role": "viewer"}, {"email": EMAIL, "role": "viewer"}
    ),
    "POST /ui/settings/invitations/again": forms({"invitation": SERIAL}),
    "POST /ui/settings/invitations/revoke": forms({"invitation": SERIAL}),
    "POST /ui/settings/invitations/restore": forms({"invitation": SERIAL}),
    "GET /ui/settings/api-keys": queries({"older_than": SERIAL_MARK}),
    "POST /ui/settings/api-keys": forms({"name": ZEBRA, "role": "admin", "expires": "never"}),
    "POST /ui/settings/api-keys/limit": forms({"key": SERIAL, "requests_per_minute": "60"}),
    "POST /ui/settings/api-keys/revoke": forms({"key": SERIAL}),
    "GET /ui/settings/notifications": queries({"older_than": SERIAL_MARK}),
    "POST /ui/settings/notifications": forms(
        {"name": ZEBRA, "kind": "email", "email": EMAIL, "min_severity": "minor",
         "occasions": "opened"}
    ),
    "GET /ui/settings/notifications/<int:channel_id>": [{"ids": {"channel_id": SERIAL}}],
    "POST /ui/settings/notifications/<int:channel_id>": [
        {"ids": {"channel_id": SERIAL}, "form": {"name": "x", "kind": "webhook"}}
    ],
    "POST /ui/settings/notifications/<int:channel_id>/test": [
        {"ids": {"channel_id": SERIAL}, "form": {}}
    ],
    "POST /ui/settings/notifications/<int:channel_id>/secret": [
        {"ids": {"channel_id": SERIAL}, "form": {}}
    ],
    "POST /ui/settings/notifications/<int:channel_id>/remove": [
        {"ids": {"channel_id": SERIAL}, "form": {}}
    ],
    "GET /ui/settings/audit": queries(
        {"actor": ZEBRA}, {"action": ZEBRA}, {"older_than": SERIAL_MARK}
    ),
    "GET /ui/settings/audit/check": queries({"kept": f"1:{'7a' * 32}"}),
    "GET /ui/settings/workspace": queries({"workspace_id": WORKSPACE_A}),
    "POST /ui/settings/workspace": forms({"name": "Mine"}),
    "POST /ui/settings/workspace/leave": forms({}),
}  # fmt: skip
"""What B asks each route about A's things: by id, by name, by search, by list, by page mark."""


def key_of(rule, method):
    return f"{method} {rule.rule}"


def list_routes(app, *, with_public=False):
    """(`GET /path`, who may) of every route that is not open to everybody, or of all."""
    found = {}
    for rule in app.url_map.iter_rules():
        if rule.endpoint.partition(".")[0] not in access._guarded:
            continue
        need = getattr(app.view_functions[rule.endpoint], "access", READERS)
        for method in rule.methods - {"HEAD", "OPTIONS"}:
            if need != "public" or with_public:
                found[key_of(rule, method)] = need
    return found


def path_of(key, arguments):
    """The path of a route, with the ids that it is asked about."""
    path = key.partition(" ")[2]
    for name, value in arguments.get("ids", {}).items():
        path = re.sub(rf"<(\w+:)?{name}>", str(value), path)
    return path


def call(client, key, arguments, *, workspace_id):
    method, path = key.partition(" ")[0], path_of(key, arguments)
    if method == "GET":
        return client.get(path, query_string=arguments.get("query"))
    page = BeautifulSoup(client.get("/reset").text, "html.parser")
    form = {
        "csrf_token": page.select_one("[name=csrf_token]")["value"],
        "workspace_id": workspace_id,
        **arguments["form"],
    }
    return client.post(path, data=form)


@pytest.fixture
def world(make_person, sign_in):
    """Call to make the workspaces anew; returns the browser of B's admin."""

    def make(*, is_a_full):
        make_workspaces(is_a_full=is_a_full)
        numbered = ("people", "sessions", "suppressions", "unsubscribes", "suppression_files")
        for table in numbered:
            database.execute_sql("SELECT setval(%s, 10)", (f"{table}_id_seq",))
        database.execute_sql("SELECT setval('smtp_accounts_id_seq', 10)")
        person = make_person("bob@b.example", "admin", workspace_id=WORKSPACE_B)
        return sign_in(person)

    return make


@pytest.mark.proves("I20")
def test_every_route_is_asked_about_another_workspaces_things(app):
    assert set(FOREIGN) | PERSONAL_ONLY == set(list_routes(app))
    assert not set(FOREIGN) & PERSONAL_ONLY


def test_nothing_is_open_to_everybody_by_mistake(app):
    found = list_routes(app, with_public=True)
    assert {key for key, need in found.items() if need == "public"} == PUBLIC


@pytest.mark.proves("I20")
@pytest.mark.parametrize("key", FOREIGN)
def test_nothing_of_another_workspace_is_seen_or_changed(world, key):
    answers = {}
    for is_a_full in (False, True):
        client = world(is_a_full=is_a_full)
        before = rows_of_a() if is_a_full else None
        answers[is_a_full] = []
        for arguments in FOREIGN[key]:
            response = call(client, key, arguments, workspace_id=WORKSPACE_B)
            answers[is_a_full].append(told(response))
            assert response.status_code < 500
            asked = json.dumps(arguments)
            shown = [word for word in HIDDEN if word in response.text and word not in asked]
            assert shown == []
        if is_a_full:
            assert rows_of_a() == before
    for full, empty in zip(answers[True], answers[False], strict=True):
        assert full[:2] == empty[:2]
        lines = empty[2].splitlines(), full[2].splitlines()
        assert "\n".join(difflib.unified_diff(*lines, n=0)) == ""


@pytest.mark.parametrize(
    "key", [key for key in FOREIGN if key[:4] == "POST" and key != "POST /workspaces/switch"]
)
def test_a_form_that_names_another_workspace_changes_nothing(world, key):
    client = world(is_a_full=True)
    before = rows_of_a()
    for arguments in FOREIGN[key]:
        response = call(client, key, arguments, workspace_id=WORKSPACE_A)
        if key != "POST /ui/settings/security/sessions/end":  # a person's own, of no workspace
            assert response.status_code == 409
    assert rows_of_a() == before


@pytest.mark.proves("security-roles")
@pytest.mark.long
@pytest.mark.parametrize("role", ["admin", "operator", "viewer"])
def test_each_role_does_what_it_may_and_no_more(app, make_person, sign_in, role):
    for number, (key, need) in enumerate(list_routes(app).items()):
        if need == "personal":
            continue
        person = make_person(f"otto{number}@a.example", role)  # they may have left with the last
        response = call(sign_in(person), key, FOREIGN[key][0], workspace_id=WORKSPACE_A)
        is_refused = response.status_code == 403
        assert is_refused == (role not in need), (key, response.status_code)


@pytest.mark.parametrize("key", [*FOREIGN, *sorted(PERSONAL_ONLY)])
def test_who_is_not_signed_in_does_nothing(anonymous, key):
    arguments = (FOREIGN.get(key) or [{"form": {}}])[0]
    response = call(anonymous, key, arguments, workspace_id=WORKSPACE_A)
    if key.startswith("GET"):
        assert response.status_code == 303
        assert response.location.startswith("/login")
    else:
        assert response.status_code == 401


@pytest.mark.proves("security-csrf")
@pytest.mark.parametrize(
    "key", [k for k in [*FOREIGN, *sorted(PERSONAL_ONLY)] if k.startswith("POST")]
)
def test_no_form_is_taken_without_its_token(client, key):
    arguments = (FOREIGN.get(key) or [{"form": {}}])[0]
    form = arguments["form"]
    for headers in ({}, {"HX-Request": "true"}, {"Origin": "https://evil.example"}):
        response = client.post(
            path_of(key, arguments), data={"workspace_id": WORKSPACE_A, **form}, headers=headers
        )
        assert response.status_code == 400


def test_what_an_operator_may_is_within_what_an_admin_may(app):
    needs = [need for need in list_routes(app).values() if need != "personal"]
    assert all(need in (READERS, OPERATORS, ADMINS) for need in needs)
