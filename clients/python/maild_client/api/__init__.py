"""Every operation of /v1. Written by `python -m tools.client`: do not edit."""

from maild_client.api.analytics import AnalyticsOperations
from maild_client.api.api_keys import ApiKeysOperations
from maild_client.api.audiences import AudiencesOperations
from maild_client.api.audit_log import AuditLogOperations
from maild_client.api.campaigns import CampaignsOperations
from maild_client.api.contacts import ContactsOperations
from maild_client.api.dkim_keys import DkimKeysOperations
from maild_client.api.domains import DomainsOperations
from maild_client.api.freezes import FreezesOperations
from maild_client.api.incidents import IncidentsOperations
from maild_client.api.messages import MessagesOperations
from maild_client.api.notifications import NotificationsOperations
from maild_client.api.onboarding import OnboardingOperations
from maild_client.api.policy import PolicyOperations
from maild_client.api.reports_from_providers import ReportsFromProvidersOperations
from maild_client.api.retention import RetentionOperations
from maild_client.api.segments import SegmentsOperations
from maild_client.api.service import ServiceOperations
from maild_client.api.smtp_accounts import SmtpAccountsOperations
from maild_client.api.suppressions import SuppressionsOperations
from maild_client.api.templates import TemplatesOperations
from maild_client.api.topics import TopicsOperations
from maild_client.api.unsubscribes import UnsubscribesOperations
from maild_client.api.webhook_endpoints import WebhookEndpointsOperations


class Operations(
    AnalyticsOperations,
    ApiKeysOperations,
    AudiencesOperations,
    AuditLogOperations,
    CampaignsOperations,
    ContactsOperations,
    DkimKeysOperations,
    DomainsOperations,
    FreezesOperations,
    IncidentsOperations,
    MessagesOperations,
    NotificationsOperations,
    OnboardingOperations,
    PolicyOperations,
    ReportsFromProvidersOperations,
    RetentionOperations,
    SegmentsOperations,
    ServiceOperations,
    SmtpAccountsOperations,
    SuppressionsOperations,
    TemplatesOperations,
    TopicsOperations,
    UnsubscribesOperations,
    WebhookEndpointsOperations,
):
    """All chapters together."""
