"""What files of addresses have in common, whatever they are for: what is no table at all, what
separates the cells, and what the column of the addresses is called. Pure.
"""

DELIMITERS = (",", ";", "\t", "|")
EMAIL_NAMES = frozenset({"email", "e-mail", "email address", "e-mail address", "email_address"})
_ARCHIVES = (
    b"PK\x03\x04",  # ZIP, and what Excel and LibreOffice write
    b"\xd0\xcf\x11\xe0",  # old Office
    b"\x1f\x8b",  # gzip
    b"7z\xbc\xaf",
    b"Rar!",
    b"%PDF",
)


class UnreadableFile(ValueError):
    """The file as a whole makes no sense; the text says why, and on which line."""


def refuse_archive(head: bytes) -> None:
    """Raises UnreadableFile where a file that begins so is no text."""
    if head.startswith(_ARCHIVES):
        raise UnreadableFile(
            "is a spreadsheet or an archive, not a CSV file: open it, and save it as CSV (UTF-8)"
        )
