"""The API: /v1 for senders and operators, /healthz and /readyz for machines."""

from flask import Flask

from maild.api import (
    analytics,
    api_keys,
    audiences,
    audit,
    bundles,
    campaign_reports,
    campaign_verbs,
    campaigns,
    contact_attributes,
    contact_imports,
    contacts,
    deployments,
    dkim_keys,
    docs,
    domains,
    endpoint,
    freezes,
    health,
    incidents,
    interventions,
    messages,
    metrics,
    notifications,
    onboarding,
    openapi,
    policies,
    resending,
    retention,
    segments,
    smtp_accounts,
    suppressions,
    templates,
    topics,
    unsubscribes,
    webhook_endpoints,
    webhooks,
)

__all__ = [
    "BLUEPRINTS",
    "analytics",
    "api_keys",
    "audiences",
    "audit",
    "bundles",
    "campaign_reports",
    "campaign_verbs",
    "campaigns",
    "contact_attributes",
    "contact_imports",
    "contacts",
    "deployments",
    "dkim_keys",
    "domains",
    "freezes",
    "incidents",
    "interventions",
    "messages",
    "metrics",
    "notifications",
    "onboarding",
    "policies",
    "register",
    "resending",
    "retention",
    "segments",
    "smtp_accounts",
    "suppressions",
    "templates",
    "topics",
    "unsubscribes",
    "webhook_endpoints",
    "webhooks",
]


BLUEPRINTS = (
    endpoint.blueprint,
    openapi.blueprint,
    docs.blueprint,
    health.blueprint,
    metrics.blueprint,
)


def register(app: Flask) -> None:
    """Add every route of the API to the application."""
    for blueprint in BLUEPRINTS:
        app.register_blueprint(blueprint)
