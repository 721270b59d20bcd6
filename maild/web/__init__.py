"""The web: HTML for people. One file per noun; the manners they share stand beside them."""

from flask import Blueprint, Flask
from flask_wtf import CSRFProtect
from htmx_flask import Htmx

from maild.web import (
    access,
    api_keys,
    assets,
    audiences,
    audit,
    bulk,
    campaign_actions,
    campaign_composer,
    campaign_reports,
    campaign_settings,
    campaigns,
    confirmation_mails,
    confirmations,
    contact_attributes,
    contact_imports,
    contacts,
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
    preferences,
    profile,
    provider_checks,
    provider_forms,
    provider_tests,
    providers,
    remedies,
    restores,
    retention,
    saved_views,
    security,
    segment_builder,
    segments,
    settings,
    sign_in,
    sign_up,
    styleguide,
    suppression_imports,
    suppressions,
    template_tests,
    template_versions,
    templates,
    throttle,
    topics,
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
    restores,
    policies,
    policy_versions,
    providers,
    provider_forms,
    provider_checks,
    provider_tests,
    webhook_endpoints,
    suppressions,
    suppression_imports,
    contact_imports,
    segments,
    segment_builder,
    unsubscribes,
    contacts,
    audiences,
    contact_attributes,
    templates,
    template_versions,
    template_tests,
    campaigns,
    campaign_composer,
    campaign_actions,
    campaign_reports,
    campaign_settings,
    settings,
    profile,
    security,
    workspaces,
    members,
    invitations,
    api_keys,
    notifications,
    retention,
    audit,
    styleguide,
    topics,
    confirmation_mails,
)
"""What people come to in a browser."""

BY_LINK = (unsubscribe_links, preferences, confirmations)
"""What links in mail lead to stands apart: a token lets in, and mail programs that post know of no
form.
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
    access.register(
        app,
        {noun.blueprint.name for noun in GUARDED},
        by_link={noun.blueprint.name for noun in BY_LINK},
    )
    throttle.register(app)
    csrf = CSRFProtect(app)
    for blueprint in (*without_csrf, *(noun.blueprint for noun in BY_LINK)):
        csrf.exempt(blueprint)
    app.after_request(headers.add)
    for noun in (*GUARDED, *BY_LINK):
        app.register_blueprint(noun.blueprint)
    access.check_declared(app)
