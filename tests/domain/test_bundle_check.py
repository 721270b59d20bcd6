"""Whether a bundle is what it was when it was made."""

import copy
import hashlib
import io
import json
import zipfile

import pytest

from maild.domain import bundle_check, bundle_zip, canonical
from maild.domain.bundle_check import NotABundle, check

ID = "01a2239d-4e2c-7500-8000-0123456789ab"
MESSAGE = {
    "id": ID, "subject": "Grüße\nFORGED LINE", "from_email": "shop@example.com",
    "to_email": "ann@example.org", "message_id_header": "<1@x>", "status": "failed",
    "created_at": "2026-01-31T09:30:00Z", "last_error": "550 no",
}  # fmt: skip
ATTEMPT = {
    "attempt_no": 1, "smtp_account": "eu", "started_at": "2026-01-31T09:30:01Z",
    "finished_at": "2026-01-31T09:30:02Z", "duration_ms": 812.5, "status": "failed",
    "stage": "rcpt_to", "response": "no such user", "smtp_code": 550, "enhanced_code": "5.1.1",
    "error_class": "invalid_recipient",
}  # fmt: skip


def made(**fields):
    return canonical.seal(
        {
            "format": bundle_check.FORMAT, "generated_by": "0.1.0", "workspace_id": 1,
            "message_id": ID, "incident_id": None, "generated_at": "2026-01-31T10:00:01.5Z",
            "message": MESSAGE, "attempts": [ATTEMPT], "events": [], "audit": [],
            "summary": {
                "attempted_sends": 1, "failed_attempts": 1, "related_webhook_outcomes": 0,
                "dead_letter_webhooks": 0,
            },
            "raw": {"encoding": "utf-8", "content": "Subject: x\r\n\r\nHello.\r\n"},
            "removed": [], "left_out": [], **fields,
        }
    )  # fmt: skip


def as_json(document):
    return json.dumps(document).encode()


def zipped(files, **options):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, **options) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def unzipped(content):
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def test_a_genuine_one_is_known_however_it_is_written():
    document = made()
    forms = (as_json(document), bundle_zip.pretty(document), bundle_zip.write(document))
    for content in forms:
        verdict = check(content, version="0.1.0")
        assert verdict.is_genuine, verdict.problems
        assert not verdict.unchecked
        assert verdict.sha256 == document["sha256"]
        assert verdict.about == f"message {ID} of workspace 1"


def test_the_hash_is_over_the_canonical_form():
    assert canonical.to_bytes({"b": 1.0, "a": ["é", None, True], "\U0001f600": 2**60}) == (
        '{"a":["é",null,true],"b":1.0,"\U0001f600":1152921504606846976}'.encode()
    )
    assert canonical.digest({"a": 1, "sha256": "x"}) == canonical.digest({"a": 1})


def test_the_same_document_gives_the_same_zip_and_its_files():
    document = made()
    assert bundle_zip.write(document) == bundle_zip.write(copy.deepcopy(document))
    files = unzipped(bundle_zip.write(document))
    assert next(iter(files)) == "README.txt"
    assert files[f"messages/{ID}.eml"] == b"Subject: x\r\n\r\nHello.\r\n"
    readme = files["README.txt"].decode()
    assert "550 5.1.1 no such user" in readme
    assert "\nFORGED LINE" not in readme, "what others wrote stays on its line"
    assert "550 5.1.1 no such user" in files["replies.txt"].decode()


def test_a_changed_document_is_named():
    document = made()
    document["message"] = {**MESSAGE, "status": "delivered"}
    verdict = check(as_json(document))
    assert not verdict.is_genuine
    assert "document was changed" in verdict.problems[0]


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda files: files.update({"README.txt": b"all was well"}), "README.txt was changed."),
        (lambda files: files.pop("replies.txt"), "replies.txt is missing."),
        (lambda files: files.update({"more.txt": b"x"}), "more.txt was added."),
        (
            lambda files: files.update({f"messages/{ID}.eml": b"x"}),
            f"messages/{ID}.eml is not the mail that bundle.json holds.",
        ),
    ],
    ids=["changed", "missing", "added", "mail"],
)
def test_a_changed_zip_names_what_differs(change, problem):
    files = unzipped(bundle_zip.write(made()))
    change(files)
    assert problem in check(zipped(files)).problems


def test_a_manifest_made_to_fit_does_not_hide_a_change():
    files = unzipped(bundle_zip.write(made()))
    other = unzipped(bundle_zip.write(made(workspace_id=2)))
    files["manifest.json"] = other["manifest.json"]
    assert "manifest.json is of another document." in check(zipped(files)).problems


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("README.txt", "README.txt does not say what bundle.json says."),
        ("replies.txt", "replies.txt does not say what bundle.json says."),
        ("messages/more.eml", "messages/more.eml is not of this document."),
    ],
)
def test_nor_does_a_manifest_that_was_written_anew(name, problem):
    files = unzipped(bundle_zip.write(made()))
    files[name] = b"All was well."
    manifest = json.loads(files.pop("manifest.json"))
    manifest["files"] = [
        {"name": one, "sha256": hashlib.sha256(content).hexdigest()}
        for one, content in files.items()
    ]
    forged = zipped({**files, "manifest.json": as_json(canonical.seal(manifest))})
    assert check(forged, version="0.1.0").problems == (problem,)


def test_the_words_of_another_version_are_not_judged():
    files = unzipped(bundle_zip.write(made()))
    verdict = check(zipped(files), version="0.2.0")
    assert verdict.is_genuine
    assert verdict.unchecked == ("README.txt", "replies.txt")


def test_what_others_wrote_stays_on_the_line_of_the_verdict():
    document = made(message_id="x\x1b[2J\nGenuine: nothing was changed", generated_at="\r\x9b")
    verdict = check(as_json(document))
    assert (verdict.about + verdict.generated_at).isprintable()
    files = unzipped(bundle_zip.write(made()))
    assert all(one.isprintable() for one in check(zipped({**files, "a\nb": b""})).problems)


def test_no_damage_to_a_zip_is_a_crash():
    whole = bundle_zip.write(made())
    count = 0
    for position in range(len(whole)):
        for byte in (0x00, 0x97, 0xFF):
            damaged = whole[:position] + bytes([byte]) + whole[position + 1 :]
            try:
                check(damaged)
            except NotABundle:
                count += 1
    assert count


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "not JSON"),
        (b"hello", "not JSON"),
        (b"\xff\xfe", "UTF-8"),
        (b"[" * 200_000, "nested"),
        (b"{}", "not a bundle"),
        (b'{"format": "maild-bundle/1"}', "no hash"),
        (b'{"a": 1, "a": 2}', "twice"),
        (b'{"a": NaN}', "no number"),
        (b'{"format": "maild-bundle/1", "sha256": "x", "a": "\\ud800"}', "UTF-8"),
        (b"PK\x03\x04 nothing", "damaged"),
    ],
)
def test_what_is_no_bundle_is_said_so(content, words):
    with pytest.raises(NotABundle, match=words):
        check(content)


def test_a_zip_bomb_is_not_unpacked(monkeypatch):
    monkeypatch.setattr(bundle_check, "UNPACKED_MAX_BYTES", 100_000)
    with pytest.raises(NotABundle, match="unpacks to more"):
        check(zipped({"bundle.json": b"0" * 10_000_000}, compresslevel=9))
    with pytest.raises(NotABundle, match="101 files"):
        check(zipped({f"{n}.txt": b"" for n in range(101)}))
    monkeypatch.setattr(bundle_check, "FILE_MAX_BYTES", 10)
    with pytest.raises(NotABundle, match="larger"):
        check(b"x" * 11)


def test_a_zip_without_its_parts_is_none():
    with pytest.raises(NotABundle, match=r"no bundle\.json"):
        check(zipped({"a.txt": b"x"}))


def test_what_is_noise_inside_of_a_sealed_one_is_no_crash():
    document = canonical.seal({"format": bundle_check.FORMAT, "incident": 7, "messages": 3})
    files = {"bundle.json": as_json(document), "manifest.json": as_json(
        canonical.seal({"format": bundle_zip.FORMAT, "bundle_sha256": document["sha256"]})
    )}  # fmt: skip
    assert "The mails in bundle.json cannot be read." in check(zipped(files)).problems


def with_manifest(change, *, is_sealed=True):
    """A genuine zip with another manifest."""
    files = unzipped(bundle_zip.write(made()))
    manifest = json.loads(files["manifest.json"])
    change(manifest)
    return zipped(
        {**files, "manifest.json": as_json(canonical.seal(manifest) if is_sealed else manifest)}
    )


def test_a_manifest_is_held_to_its_own_hash():
    content = with_manifest(lambda one: one.update(more=1), is_sealed=False)
    assert check(content, version="0.1.0").problems == ("manifest.json was changed.",)


def test_a_manifest_of_another_kind_is_none():
    with pytest.raises(NotABundle, match="not that of a bundle"):
        check(with_manifest(lambda one: one.update(format="x/1")))


def test_what_a_manifest_lists_without_a_name_is_not_listed():
    content = with_manifest(lambda one: one["files"].extend([7, {"name": 3}, {}]))
    assert check(content, version="0.1.0").is_genuine
    content = with_manifest(lambda one: one.update(files="README.txt"))
    assert "README.txt was added." in check(content).problems


def test_a_zip_with_the_same_name_twice_is_none():
    buffer = io.BytesIO(bundle_zip.write(made()))
    with pytest.warns(UserWarning, match="Duplicate"), zipfile.ZipFile(buffer, "a") as archive:
        archive.writestr("README.txt", b"All was well.")
    with pytest.raises(NotABundle, match=r"'README\.txt' twice"):
        check(buffer.getvalue())
