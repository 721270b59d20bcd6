"""/metrics, for Prometheus: what all processes of this machine count, and how the instance is."""

from flask import Blueprint, Response, request

from maild.api import auth
from maild.services import metric_scrapes

blueprint = Blueprint("metrics", __name__)


@blueprint.get(metric_scrapes.PATH)
def metrics() -> Response:
    """All numbers, for who has METRICS_TOKEN."""
    client = auth.address_of(request)
    authorization = request.headers.get("Authorization", "")
    status, media_type, body = metric_scrapes.answer(request.path, authorization, client)
    response = Response(body, status=status, content_type=media_type)
    response.headers["Cache-Control"] = "no-store"
    return response
