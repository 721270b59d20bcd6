"""What tests of metrics share: reading one number."""

from maild import metrics


def number(name: str, **labels: str) -> float:
    """What this process has counted so far; 0 where nothing."""
    return metrics.REGISTRY.get_sample_value(name, labels) or 0.0


def parse(text: bytes) -> dict[str, float]:
    """The lines of a scrape, by what stands before the number."""
    lines = (line for line in text.decode().splitlines() if not line.startswith("#"))
    return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines)}
