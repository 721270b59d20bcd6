"""The tables. One model a file: columns, indexes, constraints, tiny properties; no verbs."""

from maild.models.api_key import ApiKey
from maild.models.attempt import Attempt
from maild.models.audience import Audience, AudienceMember
from maild.models.audit import AuditCut, AuditEntry, AuditHead
from maild.models.breaker import Breaker
from maild.models.campaign import (
    Campaign,
    CampaignRecipient,
    CampaignSettings,
    ContactEngagement,
)
from maild.models.confirmation_mail import ConfirmationMail
from maild.models.conservation_check import ConservationCheck
from maild.models.contact import Contact, ContactAttribute, ContactChange, ContactImportPart
from maild.models.contact_file import (
    ContactFile,
    ContactFileAddress,
    ContactFileChunk,
    ContactRejection,
)
from maild.models.disk_sample import DiskSample
from maild.models.dkim_key import DkimKey
from maild.models.domain import Domain, DomainCheck
from maild.models.event import Event
from maild.models.freeze import Freeze
from maild.models.idempotency_key import IdempotencyKey
from maild.models.incident import (
    Incident,
    IncidentCursor,
    IncidentEntry,
    IncidentMessage,
    IncidentSignal,
    IncidentTally,
)
from maild.models.invitation import Invitation
from maild.models.job import Job, JobInput, JobItem
from maild.models.link_key import LinkKey
from maild.models.log_block import LogBlock
from maild.models.mailed_link import MailedLink
from maild.models.member import Member
from maild.models.message import Message
from maild.models.message_body import MessageAttachment, MessageBody
from maild.models.notification import (
    Notification,
    NotificationChannel,
    NotificationSecret,
)
from maild.models.onboarding import OnboardingStep, PolicyReview
from maild.models.opt_in_ask import OptInAsk
from maild.models.periodic_job import PeriodicJob
from maild.models.person import Person, RecoveryCode
from maild.models.policy import PolicyVersion
from maild.models.provider_check import ProviderCheck
from maild.models.provider_event import ProviderEvent
from maild.models.restore import Restore, RestoredMessage
from maild.models.retention import RetentionLeftover, RetentionPolicy, RetentionProgress
from maild.models.rollup import Rollup, TrafficTally
from maild.models.saved_view import SavedView
from maild.models.segment import Segment
from maild.models.session import Session
from maild.models.smtp_account import SmtpAccount
from maild.models.soft_bounce import SoftBounce
from maild.models.suppression import Suppression
from maild.models.suppression_file import SuppressionFile
from maild.models.tally import AcceptedTally, AccountTally, LimitTally
from maild.models.template import Template, TemplateVersion
from maild.models.template_draft import TemplateDraft
from maild.models.topic import Topic
from maild.models.unsubscribe import Unsubscribe
from maild.models.webhook_endpoint import WebhookEndpoint, WebhookSecret, WebhookTally
from maild.models.webhook_payload import WebhookPayload
from maild.models.worker import Worker
from maild.models.workspace import Workspace

ALL = (
    Workspace,
    Worker,
    SmtpAccount,
    ProviderCheck,
    ApiKey,
    LinkKey,
    PolicyVersion,
    Suppression,
    Unsubscribe,
    Freeze,
    Message,
    MessageBody,
    MessageAttachment,
    LogBlock,
    Attempt,
    Event,
    Incident,
    IncidentSignal,
    IncidentTally,
    IncidentMessage,
    IncidentEntry,
    IncidentCursor,
    NotificationChannel,
    NotificationSecret,
    Notification,
    TrafficTally,
    Rollup,
    Breaker,
    AccountTally,
    AcceptedTally,
    LimitTally,
    IdempotencyKey,
    AuditHead,
    AuditEntry,
    AuditCut,
    ConservationCheck,
    PeriodicJob,
    WebhookEndpoint,
    WebhookSecret,
    WebhookTally,
    WebhookPayload,
    ProviderEvent,
    SoftBounce,
    Person,
    RecoveryCode,
    Member,
    Session,
    Invitation,
    MailedLink,
    Job,
    JobInput,
    JobItem,
    SavedView,
    SuppressionFile,
    OnboardingStep,
    PolicyReview,
    Domain,
    DomainCheck,
    DkimKey,
    RetentionPolicy,
    RetentionProgress,
    RetentionLeftover,
    DiskSample,
    Restore,
    RestoredMessage,
    Contact,
    ContactAttribute,
    ContactChange,
    ContactImportPart,
    Topic,
    Audience,
    AudienceMember,
    Segment,
    ContactFile,
    ContactFileChunk,
    ContactFileAddress,
    ContactRejection,
    Template,
    TemplateVersion,
    TemplateDraft,
    ConfirmationMail,
    OptInAsk,
    Campaign,
    CampaignRecipient,
    CampaignSettings,
    ContactEngagement,
)
"""Every model, in an order in which the tables can be created."""

__all__ = [
    "ALL",
    "AcceptedTally",
    "AccountTally",
    "ApiKey",
    "Attempt",
    "Audience",
    "AudienceMember",
    "AuditCut",
    "AuditEntry",
    "AuditHead",
    "Breaker",
    "Campaign",
    "CampaignRecipient",
    "CampaignSettings",
    "ConfirmationMail",
    "ConservationCheck",
    "Contact",
    "ContactAttribute",
    "ContactChange",
    "ContactEngagement",
    "ContactFile",
    "ContactFileAddress",
    "ContactFileChunk",
    "ContactImportPart",
    "ContactRejection",
    "DiskSample",
    "DkimKey",
    "Domain",
    "DomainCheck",
    "Event",
    "Freeze",
    "IdempotencyKey",
    "Incident",
    "IncidentCursor",
    "IncidentEntry",
    "IncidentMessage",
    "IncidentSignal",
    "IncidentTally",
    "Invitation",
    "Job",
    "JobInput",
    "JobItem",
    "LimitTally",
    "LinkKey",
    "MailedLink",
    "Member",
    "Message",
    "MessageAttachment",
    "MessageBody",
    "Notification",
    "NotificationChannel",
    "NotificationSecret",
    "OnboardingStep",
    "OptInAsk",
    "PeriodicJob",
    "Person",
    "PolicyReview",
    "PolicyVersion",
    "ProviderCheck",
    "ProviderEvent",
    "RecoveryCode",
    "Restore",
    "RestoredMessage",
    "RetentionLeftover",
    "RetentionPolicy",
    "RetentionProgress",
    "Rollup",
    "SavedView",
    "Segment",
    "Session",
    "SmtpAccount",
    "SoftBounce",
    "Suppression",
    "SuppressionFile",
    "Template",
    "TemplateDraft",
    "TemplateVersion",
    "Topic",
    "TrafficTally",
    "Unsubscribe",
    "WebhookEndpoint",
    "WebhookPayload",
    "WebhookSecret",
    "WebhookTally",
    "Worker",
    "Workspace",
]
