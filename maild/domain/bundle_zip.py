"""A bundle as a zip file for people: what happened in plain words, the mails and the replies as
files, the whole document, and a manifest with the hash of each file.

Made of the document alone, so that the same document gives the same bytes. Pure.
"""

import base64
import hashlib
import io
import json
import zipfile
from datetime import datetime
from typing import Any

from maild.domain import bundle_readme, canonical

FORMAT = "maild-bundle-zip/1"
DOCUMENT, README, REPLIES, MANIFEST = "bundle.json", "README.txt", "replies.txt", "manifest.json"
TEXTS = (README, REPLIES)
"""Those for people."""
_LEVEL = 6


def write(document: dict[str, Any]) -> bytes:
    """The file. The document is sealed, and of the shape that `services/bundles` makes."""
    files = _files(document)
    manifest = canonical.seal(
        {
            "format": FORMAT,
            "bundle_sha256": document[canonical.HASH_NAME],
            "files": [_listed(name, content) for name, content in sorted(files.items())],
        }
    )
    files[MANIFEST] = pretty(manifest)
    made_at = datetime.fromisoformat(document["generated_at"])
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        # What is read first comes first.
        for name in sorted(files, key=lambda name: (name != README, name)):
            info = zipfile.ZipInfo(name, made_at.timetuple()[:6])
            info.compress_type = zipfile.ZIP_DEFLATED
            info.create_system = 3  # the same on every machine
            info.external_attr = 0o644 << 16
            archive.writestr(info, files[name], compresslevel=_LEVEL)
    return buffer.getvalue()


def pretty(document: dict[str, Any]) -> bytes:
    """JSON for people and programs: the hash holds however it is spaced."""
    return (json.dumps(document, ensure_ascii=False, indent=2, allow_nan=False) + "\n").encode()


def mails(document: dict[str, Any]) -> dict[str, bytes]:
    """The mails of a document as files, by their names."""
    found = {}
    for one in messages(document):
        raw = one.get("raw")
        if raw and raw.get("content") is not None:
            found[f"messages/{one['message']['id']}.eml"] = content_of(raw)
    return found


def texts(document: dict[str, Any]) -> dict[str, bytes]:
    """What a document says, in words for people, as files by their names."""
    return {
        README: bundle_readme.tell(document).encode(),
        REPLIES: bundle_readme.tell_replies(document).encode(),
    }


def messages(document: dict[str, Any]) -> list[dict[str, Any]]:
    """The messages that a document tells of, each with what is known of it."""
    if document.get("incident") is not None:
        return list(document["messages"])
    return [document]


def content_of(raw: dict[str, Any]) -> bytes:
    """The bytes of a mail. Raises ValueError where its base64 is none."""
    if raw["encoding"] == "base64":
        return base64.b64decode(raw["content"], validate=True)
    return str(raw["content"]).encode()


def _files(document: dict[str, Any]) -> dict[str, bytes]:
    return {DOCUMENT: pretty(document), **texts(document), **mails(document)}


def _listed(name: str, content: bytes) -> dict[str, Any]:
    return {"name": name, "size_bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
