"""The wire form of an address: internationalised domains as A-labels. Pure.

Only for addresses in normal form, whose domain is a checked U-label (`services/addresses.py`).
"""


def to_wire(address: str) -> str:
    """The form for SMTP and headers: A-labels in the domain, the local part as it is."""
    if address.isascii():
        return address
    local, _, domain = address.rpartition("@")
    return f"{local}@{'.'.join(map(_to_a_label, domain.split('.')))}"


def _to_a_label(label: str) -> str:
    """RFC 5890 2.3.2.1: the A-label of a U-label is its Punycode (RFC 3492) behind a prefix."""
    return label if label.isascii() else f"xn--{label.encode('punycode').decode()}"
