"""The web: HTML for people. One file per noun; the manners they share stand beside them."""

from flask import Blueprint, Flask
from flask_wtf import CSRFProtect
from htmx_flask import Htmx

from maild.web import (
    access,
    api_keys,
    assets,
    audit,
    bulk,
    cookies,
    dashboard,
    dead_letters,
    domain_signing,
    domains,
    email_checks,
    filters,
    freeze_bar,
    freezes,
    headers,
    home,
    incident_actions,
    incidents,
    invitations,
    jobs,
    joining,
    logs,
    members,
    message_actions,
    messages,
    notifications,
    onboarding,
    onboarding_acts,
    overview,
    password_resets,
    policies,
    policy_versions,
    profile,
    provider_checks,
    provider_forms,
    provider_tests,
    providers,
    remedies,
    saved_views,
    security,
    settings,
    sign_in,
    sign_up,
    styleguide,
    suppression_imports,
    suppressions,
    throttle,
    unsubscribe_links,
    unsubscribes,
    webhook_endpoints,
    workspaces,
)

GUARDED = (
    home,
    sign_in,
    sign_up,
    password_resets,
    email_checks,
    joining,
    dashboard,
    onboarding,
    onboarding_acts,
    overview,
    logs,
    saved_views,
    messages,
    message_actions,
    incidents,
    incident_actions,
    remedies,
    dead_letters,
    bulk,
    jobs,
    domains,
    domain_signing,
    freezes,
    policies,
    policy_versions,
    providers,
    provider_forms,
    provider_checks,
    provider_tests,
    webhook_endpoints,
    suppressions,
    suppression_imports,
    unsubscribes,
    settings,
    profile,
    security,
    workspaces,
    members,
    invitations,
    api_keys,
    notifications,
    audit,
    styleguide,
)
"""What people come to in a browser. The unsubscribe links stand apart: a token lets in, and mail
programs that post to them know of no form.
"""


def register(app: Flask, *, without_csrf: tuple[Blueprint, ...]) -> None:
    """Add every page to the application, with the headers, filters and files that they need.

    `without_csrf` is what no browser is signed in to.
    """
    Htmx(app)
    cookies.configure(app)
    assets.register(app)
    filters.register(app)
    freeze_bar.register(app)
    access.register(app, {noun.blueprint.name for noun in GUARDED})
    throttle.register(app)
    csrf = CSRFProtect(app)
    for blueprint in (*without_csrf, unsubscribe_links.blueprint):
        csrf.exempt(blueprint)
    app.after_request(headers.add)
    for noun in (*GUARDED, unsubscribe_links):
        app.register_blueprint(noun.blueprint)
    access.check_declared(app)
