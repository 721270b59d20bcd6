"""What the tests of several providers share."""

from datetime import UTC, datetime

from hypothesis import strategies as st

NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)
"""Any small JSON."""
