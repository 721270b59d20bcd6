"""/healthz and /readyz, for machines that watch this process."""

from flask import Blueprint, Response, jsonify

from maild.services import health

blueprint = Blueprint("health", __name__)


@blueprint.get("/healthz")
def healthz() -> Response:
    """Whether this process answers at all; asks nobody else."""
    return jsonify(status="ok")


@blueprint.get("/readyz")
def readyz() -> tuple[Response, int]:
    """Whether mail can be accepted and sent: 503 names each part that is missing."""
    checks = health.list_checks_in_time()
    is_ready = all(check.is_ok for check in checks)
    body = jsonify(
        status="ready" if is_ready else "unavailable",
        missing=[check.name for check in checks if not check.is_ok],
        checks={check.name: {"ok": check.is_ok, "detail": check.detail} for check in checks},
    )
    if not is_ready:
        body.headers["Retry-After"] = "2"
    return body, 200 if is_ready else 503
