"""The API: /v1 for senders and operators, /healthz and /readyz for machines."""

from flask import Flask

from maild.api import (
    api_keys,
    audit,
    endpoint,
    freezes,
    health,
    interventions,
    messages,
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
    "api_keys",
    "audit",
    "freezes",
    "interventions",
    "messages",
    "policies",
    "register",
    "resending",
    "smtp_accounts",
    "suppressions",
    "unsubscribes",
    "webhook_endpoints",
    "webhooks",
]


def register(app: Flask) -> None:
    """Add every route of the API to the application."""
    app.register_blueprint(endpoint.blueprint)
    app.register_blueprint(openapi.blueprint)
    app.register_blueprint(health.blueprint)
