"""`maild bundle verify` as a person meets it: without a database, without settings."""

import pytest

from maild.domain import bundle_zip
from tests.domain.test_bundle_check import made
from tests.test_cli import maild

pytestmark = pytest.mark.long  # each starts processes


@pytest.fixture
def document():
    return made()


@pytest.mark.parametrize("write", [bundle_zip.pretty, bundle_zip.write])
def test_it_says_genuine(tmp_path, document, write):
    path = tmp_path / "bundle"
    path.write_bytes(write(document))
    done = maild("bundle", "verify", str(path), APP_ENV="production")
    assert (done.returncode, done.stderr) == (0, "")
    assert f"Genuine: nothing was changed since. SHA-256 {document['sha256']}" in done.stdout
    done = maild("bundle", "verify", str(path), "--sha256", "0" * 64)
    assert done.returncode == 1
    assert "not the one that was noted" in done.stderr


def test_it_says_what_it_could_not_compare(tmp_path):
    path = tmp_path / "bundle.zip"
    path.write_bytes(bundle_zip.write(made(generated_by="0.0.9")))
    done = maild("bundle", "verify", str(path))
    assert done.returncode == 0
    assert "README.txt and replies.txt could not be compared" in done.stdout


def test_it_names_what_differs(tmp_path, document):
    path = tmp_path / "bundle.json"
    path.write_bytes(bundle_zip.pretty({**document, "workspace_id": 2}))
    done = maild("bundle", "verify", str(path))
    assert done.returncode == 1
    assert "The document was changed" in done.stderr
    assert "Not genuine" in done.stderr


def test_what_is_no_bundle_is_said_so(tmp_path):
    for path, words in ((tmp_path / "none", "cannot be read"), (tmp_path, "cannot be read")):
        done = maild("bundle", "verify", str(path))
        assert done.returncode == 65
        assert words in done.stderr
        assert "Traceback" not in done.stderr
