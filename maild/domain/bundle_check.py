"""Whether a bundle is still what it was: the document's own hash, and in a zip file that of every
file in it. Pure; it needs neither maild nor its database.

The file may come from anybody: it is read no further than the bounds here, and never unpacked.
"""

import hashlib
import io
import json
import zipfile
import zlib
from dataclasses import dataclass, replace
from typing import Any

from maild.domain import bundle_zip, canonical
from maild.domain.bundle_readme import line

FORMAT = "maild-bundle/1"
FILE_MAX_BYTES = 64 * 1024 * 1024
UNPACKED_MAX_BYTES = 128 * 1024 * 1024
"""Of all files of a zip together."""
ENTRIES_MAX = 100
_TOO_LARGE = "unpacks to more than 128 MB, which no bundle does"


class NotABundle(ValueError):
    """The file cannot be judged at all; the text says why."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """`problems` is empty for a genuine one. `about` says what it tells of; `unchecked` are files
    of a zip that nothing could be said about.
    """

    about: str
    generated_at: str
    sha256: str
    problems: tuple[str, ...]
    unchecked: tuple[str, ...] = ()

    @property
    def is_genuine(self) -> bool:
        return not self.problems


def check(content: bytes, *, version: str | None = None) -> Verdict:
    """Judge a file, JSON or zip. `version` is that of this maild: the texts for people that it has
    written itself it can write again. Raises NotABundle.
    """
    if len(content) > FILE_MAX_BYTES:
        raise NotABundle("The file is larger than 64 MB, which no bundle is.")
    if content[:2] == b"PK":
        return _check_zip(content, version)
    return _judge(_document(content, "The file"), [])


def _check_zip(content: bytes, version: str | None) -> Verdict:
    files = _unpack(content)
    for name in (bundle_zip.DOCUMENT, bundle_zip.MANIFEST):
        if name not in files:
            raise NotABundle(f"The zip file holds no {name}.")
    document = _document(files[bundle_zip.DOCUMENT], bundle_zip.DOCUMENT)
    manifest = _load(files[bundle_zip.MANIFEST], bundle_zip.MANIFEST)
    if not isinstance(manifest, dict) or manifest.get("format") != bundle_zip.FORMAT:
        raise NotABundle("manifest.json is not that of a bundle.")
    problems = _compare(files, document, manifest)
    if document.get("generated_by") != version:
        # Another maild uses other words. Their hashes say little: those can be made to fit.
        return replace(_judge(document, problems), unchecked=bundle_zip.TEXTS)
    return _judge(document, problems + _compare_texts(files, document))


def _judge(document: dict[str, Any], problems: list[str]) -> Verdict:
    told, found = document[canonical.HASH_NAME], _digest(document, "bundle.json")
    if told != found:
        problems.insert(0, f"The document was changed: its hash is {found}, and it says {told}.")
    about = f"message {document.get('message_id')}"
    if document.get("incident_id") is not None:
        about = f"incident {document['incident_id']}"
    return Verdict(
        line(f"{about} of workspace {document.get('workspace_id')}"),
        line(document.get("generated_at")),
        found,
        tuple(problems),
    )


def _compare(
    files: dict[str, bytes], document: dict[str, Any], manifest: dict[str, Any]
) -> list[str]:
    """What differs between the manifest and the files."""
    problems = []
    if manifest.get(canonical.HASH_NAME) != _digest(manifest, bundle_zip.MANIFEST):
        problems.append("manifest.json was changed.")
    if manifest.get("bundle_sha256") != document[canonical.HASH_NAME]:
        problems.append("manifest.json is of another document.")
    listed = {}
    for one in manifest["files"] if isinstance(manifest.get("files"), list) else []:
        if isinstance(one, dict) and isinstance(one.get("name"), str):
            listed[one["name"]] = one.get("sha256")
    present = files.keys() - {bundle_zip.MANIFEST}
    problems += [f"{line(name)} is missing." for name in sorted(listed.keys() - present)]
    problems += [f"{line(name)} was added." for name in sorted(present - listed.keys())]
    problems += [
        f"{line(name)} was changed."
        for name in sorted(listed.keys() & present)
        if hashlib.sha256(files[name]).hexdigest() != listed[name]
    ]
    return problems + _compare_mails(files, document)


def _compare_mails(files: dict[str, bytes], document: dict[str, Any]) -> list[str]:
    """The mails are in the document as well."""
    try:
        mails = bundle_zip.mails(document)
    except (KeyError, TypeError, ValueError, AttributeError):
        return ["The mails in bundle.json cannot be read."]
    problems = [
        f"{line(name)} is not the mail that bundle.json holds."
        for name in sorted(mails)
        if name in files and files[name] != mails[name]
    ]
    known = {bundle_zip.DOCUMENT, bundle_zip.MANIFEST, *bundle_zip.TEXTS, *mails}
    return problems + [
        f"{line(name)} is not of this document." for name in sorted(files.keys() - known)
    ]


def _compare_texts(files: dict[str, bytes], document: dict[str, Any]) -> list[str]:
    """The texts for people are made of the document alone."""
    try:
        texts = bundle_zip.texts(document)
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError):
        return ["What bundle.json says cannot be told in words."]
    return [
        f"{name} does not say what bundle.json says."
        for name in sorted(texts)
        if name in files and files[name] != texts[name]
    ]


def _document(content: bytes, name: str) -> dict[str, Any]:
    document = _load(content, name)
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise NotABundle(f"{name} is not a bundle of maild: it does not say {FORMAT!r}.")
    if not isinstance(document.get(canonical.HASH_NAME), str):
        raise NotABundle(f"{name} holds no hash: there is nothing to check it against.")
    return document


def _load(content: bytes, name: str) -> Any:
    try:
        return json.loads(
            content.decode(), object_pairs_hook=_once, parse_constant=_refuse_constant
        )
    except UnicodeDecodeError:
        raise NotABundle(f"{name} is not text in UTF-8.") from None
    except RecursionError:
        raise NotABundle(f"{name} is nested too deep.") from None
    except ValueError as error:
        raise NotABundle(f"{name} is not JSON: {error}.") from None


def _digest(document: dict[str, Any], name: str) -> str:
    try:
        return canonical.digest(document)
    except RecursionError:
        raise NotABundle(f"{name} is nested too deep.") from None
    except ValueError:
        raise NotABundle(f"{name} holds what JSON in UTF-8 has no form for.") from None


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A name twice means one thing to one reader, and another to the next."""
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("an object has the same name twice")
    return found


def _refuse_constant(text: str) -> Any:
    raise ValueError(f"{text} is no number in JSON")


def _unpack(content: bytes) -> dict[str, bytes]:
    """The files in memory. What an entry says of its size is not believed."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            entries = archive.infolist()
            if len(entries) > ENTRIES_MAX:
                raise NotABundle(f"The zip file holds {len(entries)} files, which no bundle does.")
            files: dict[str, bytes] = {}
            room = UNPACKED_MAX_BYTES
            for entry in entries:
                if entry.filename in files:
                    raise NotABundle(f"The zip file holds {entry.filename!r} twice.")
                if entry.flag_bits & 1:
                    raise NotABundle("The zip file is encrypted.")
                if entry.compress_type not in {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}:
                    raise NotABundle("The zip file is packed in a way that bundles are not.")
                with archive.open(entry) as file:
                    files[entry.filename] = file.read(room + 1)
                room -= len(files[entry.filename])
                if room < 0:
                    raise NotABundle(f"The zip file {_TOO_LARGE}.")
            return files
    except NotABundle:
        raise
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, RuntimeError, ValueError) as error:
        # ValueError: an offset before the beginning, a name that is no UTF-8.
        raise NotABundle(f"The zip file is damaged: {error}.") from None
