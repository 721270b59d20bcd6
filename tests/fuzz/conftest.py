"""The fuzzer asks for a while: it runs only where it is asked for, with `-m fuzz`."""

import pytest


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave the marked tests out, unless the expression of `-m` names them."""
    if "fuzz" in (config.getoption("markexpr") or ""):
        return
    out = [item for item in items if item.get_closest_marker("fuzz")]
    if out:
        config.hook.pytest_deselected(items=out)
        items[:] = [item for item in items if item not in out]
