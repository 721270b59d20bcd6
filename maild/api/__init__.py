"""The API: /v1 for senders and operators, /healthz and /readyz for machines."""

from flask import Flask

from maild.api import (
    analytics,
    api_keys,
    audit,
    bundles,
    deployments,
    dkim_keys,
    domains,
    endpoint,
    freezes,
    health,
    incidents,
    interventions,
    messages,
    notifications,
    onboarding,
    openapi,
    policies,
    resending,
    smtp_accounts,
    suppressions,
    unsubscribes,
    webhook_endpoints,
    webhooks,
)

__all__ = [
    "BLUEPRINTS",
    "analytics",
    "api_keys",
    "audit",
    "bundles",
    "deployments",
    "dkim_keys",
    "domains",
    "freezes",
    "incidents",
    "interventions",
    "messages",
    "notifications",
    "onboarding",
    "policies",
    "register",
    "resending",
    "smtp_accounts",
    "suppressions",
    "unsubscribes",
    "webhook_endpoints",
    "webhooks",
]


BLUEPRINTS = (endpoint.blueprint, openapi.blueprint, health.blueprint)


def register(app: Flask) -> None:
    """Add every route of the API to the application."""
    for blueprint in BLUEPRINTS:
        app.register_blueprint(blueprint)
