"""Which keys sign a message: those of a workspace that are active, opened and ready to use.

In charge of finding and opening them, and of signing. What becomes of keys is `dkim_keys`; how a
signature is written is `domain/dkim`.

A process keeps what it opened for a short time, so that sending asks the database once in a few
seconds for each workspace and not for each message. A domain whose key does not open signs nothing,
and its mail is not sent without: whoever publishes a DMARC policy of reject would lose it.
"""

import hashlib
import time
from dataclasses import dataclass
from functools import partial

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

from maild import log
from maild.domain import dkim, smtp_presets
from maild.domain.dkim import Algorithm, KeyState, Signer
from maild.errors import DecryptionError
from maild.models import DkimKey
from maild.services import secrets

FRESH_SECONDS = 5.0
"""For so long a process goes on with the keys that it knows after they have changed."""
FORGET_SECONDS = 300.0
"""An opened key of a workspace that sends nothing is forgotten after this."""
COMPLAIN_SECONDS = 60.0
DAMAGED = "What is stored of it is damaged, or is a key of another kind."

logger = log.get(__name__)


@dataclass(frozen=True, slots=True)
class Signers:
    """The active keys of a workspace by domain; `broken` says of a domain why its mail cannot be
    signed.
    """

    by_domain: dict[str, tuple[Signer, ...]]
    broken: dict[str, str]


@dataclass(frozen=True, slots=True)
class _Known:
    signers: Signers
    key_ids: frozenset[int]
    loaded_at: float


_known: dict[int, _Known] = {}
_opened: dict[int, Signer] = {}
_complained_at: dict[int, float] = {}


def is_fresh(workspace_id: int) -> bool:
    """Whether `load` has nothing to do."""
    known = _known.get(workspace_id)
    return known is not None and time.monotonic() - known.loaded_at < FRESH_SECONDS


def load(workspace_id: int) -> None:
    """Ask for the keys that `find` needs: before, and beside the event loop."""
    if is_fresh(workspace_id):
        return
    rows = list(
        DkimKey.select()
        .where(DkimKey.workspace == workspace_id, DkimKey.state == KeyState.ACTIVE)
        .order_by(DkimKey.domain, DkimKey.algorithm.desc())
    )
    by_domain: dict[str, tuple[Signer, ...]] = {}
    broken: dict[str, str] = {}
    for row in rows:
        try:
            signer = _open(row)
        except DecryptionError as error:
            broken[row.domain] = f"its key {row.selector} cannot be opened. {error.detail}"
            _complain(row, error)
        else:
            by_domain[row.domain] = (*by_domain.get(row.domain, ()), signer)
    ids = frozenset(row.id for row in rows)
    _known[workspace_id] = _Known(Signers(by_domain, broken), ids, time.monotonic())
    _drop_unused()


def find(workspace_id: int, from_domain: str) -> tuple[Signer, ...]:
    """The keys that sign mail from this domain (A-labels): its own, else those of the nearest
    domain above it that has any; none where there are none.

    Asks nobody: `load` came before, or it raises LookupError. Raises DecryptionError, with a
    sentence for the timeline, where mail from this domain is to be signed and cannot be.
    """
    signers = _known[workspace_id].signers
    if not signers.by_domain and not signers.broken:
        return ()
    for domain in dkim.list_parents(from_domain):
        if reason := signers.broken.get(domain):
            raise DecryptionError(
                f"This message is to be signed for {domain}, and {reason} It was not sent unsigned."
            )
        if found := signers.by_domain.get(domain):
            return found
    return ()


def sign(message: bytes, signers: tuple[Signer, ...], *, at: float, host: str) -> bytes:
    """The message with its signatures on top, for a provider's host: some write fields anew, and
    those are left unsigned.
    """
    preset = smtp_presets.of_host(host)
    unsigned = dkim.REWRITTEN.get(preset.key, frozenset()) if preset else frozenset()
    return dkim.sign(message, signers, at=int(at), unsigned=unsigned)


def name_of(signers: tuple[Signer, ...]) -> str:
    """What the timeline tells of the keys that signed: `a, b for example.org`."""
    return f"{', '.join(signer.selector for signer in signers)} for {signers[0].domain}"


def make_signer(domain: str, selector: str, algorithm: Algorithm, pem: str) -> Signer:
    """A key that is ready to sign. Raises ValueError where the PEM holds no such key."""
    try:
        key = serialization.load_pem_private_key(pem.encode(), password=None)
    except (TypeError, UnsupportedAlgorithm) as error:  # it is locked; of a kind that nobody uses
        raise ValueError("this is no key that can be used") from error
    if algorithm is Algorithm.RSA and isinstance(key, RSAPrivateKey):
        sign_with = partial(key.sign, padding=PKCS1v15(), algorithm=hashes.SHA256())
        return Signer(domain, selector, algorithm, sign_with)
    if algorithm is Algorithm.ED25519 and isinstance(key, Ed25519PrivateKey):
        return Signer(domain, selector, algorithm, partial(_sign_ed25519, key))
    raise ValueError("this is no key of that algorithm")


def _sign_ed25519(key: Ed25519PrivateKey, data: bytes) -> bytes:
    return key.sign(hashlib.sha256(data).digest())  # RFC 8463 3


def place_of(workspace_id: int, key_id: int) -> str:
    """Where the private half of a key is kept."""
    return secrets.place_of(workspace_id, "dkim_keys", key_id, "private_key")


def forget(workspace_id: int | None = None) -> None:
    """Ask the database anew next time, for this workspace or for all."""
    if workspace_id is not None:
        _known.pop(workspace_id, None)
        return
    for kept in (_known, _opened, _complained_at):
        kept.clear()


def _open(row: DkimKey) -> Signer:
    """The key, ready to sign. Raises DecryptionError, also where what is kept is no such key."""
    known = _opened.get(row.id)
    if known is None:
        assert row.private_key_encrypted is not None  # only a retired key has none
        pem = secrets.decrypt(row.private_key_encrypted, place=place_of(row.workspace_id, row.id))
        try:
            known = make_signer(row.domain, row.selector, row.algorithm, pem)
        except ValueError:  # what it says may quote the key
            raise DecryptionError(DAMAGED) from None
        _opened[row.id] = known
    return known


def _complain(row: DkimKey, error: DecryptionError) -> None:
    now = time.monotonic()
    if now - _complained_at.get(row.id, -COMPLAIN_SECONDS) >= COMPLAIN_SECONDS:
        _complained_at[row.id] = now
        logger.error(
            "dkim_key.unopened",
            workspace_id=row.workspace_id,
            domain=row.domain,
            selector=row.selector,
            detail=error.detail,
        )


def _drop_unused() -> None:
    """Forget what was opened for workspaces that have sent nothing for a while, and keys that sign
    no more.
    """
    now = time.monotonic()
    for workspace_id, known in list(_known.items()):
        if now - known.loaded_at > FORGET_SECONDS:
            _known.pop(workspace_id, None)
    used = {key_id for known in list(_known.values()) for key_id in known.key_ids}
    for key_id in set(_opened) - used:
        _opened.pop(key_id, None)
