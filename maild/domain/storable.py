"""What PostgreSQL can keep of a text or of JSON. Pure."""

import json
import math
from typing import Any


def clean_text(text: str) -> str:
    """The text with U+FFFD in the place of NUL and of half characters."""
    whole = text.replace("\0", "\N{REPLACEMENT CHARACTER}").encode("utf-16-le", "surrogatepass")
    return whole.decode("utf-16-le", "replace")


def clean_json(value: Any) -> Any:
    """The value as JSON, its texts as `clean_text` has them. Raises ValueError for a number that is
    none, and TypeError for what is no JSON.
    """
    return _clean(json.loads(json.dumps(value, allow_nan=False)))


def spare_json(value: Any) -> Any:
    """As `clean_json`, of somebody else's data: a number that is none becomes a text."""
    return _clean(value)


def _clean(value: Any) -> Any:
    if isinstance(value, str):
        return clean_text(value)
    if isinstance(value, dict):
        return {_clean(key): _clean(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_clean(inner) for inner in value]
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value
