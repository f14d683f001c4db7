"""An API key: what it looks like, what of it is kept, and what it may do.

A key is ``tm_<id>_<secret>``. The id is public: it finds the entry, and stands in logs and lists. The secret is 32
bytes of the operating system's randomness, and only its SHA-256 is kept. A slow hash such as scrypt protects what
people choose, because a thief can try likely passwords; 2**256 equally likely secrets cannot be tried at any speed
(NIST SP 800-63B, 5.1.2.2, asks for a slow hash below 112 bits of entropy only), and a slow one would cost each request
some 50 ms.
"""

import base64
import hashlib
import re
import secrets
from enum import StrEnum

import msgspec

__all__ = ["ApiKey", "KeptSecret", "Scope", "digest", "new_id", "new_secret", "parse_token", "token_of"]

_ID_LETTERS = "abcdefghijkmnpqrstuvwxyz23456789"  # without those that look alike
_ID_LENGTH = 8
_TOKEN = re.compile(r"tm_([a-z0-9]{8})_([A-Za-z0-9_-]{43})")


class Scope(StrEnum):
    """What a key may be used for. None contains another; a key may have several."""

    RECOMMEND = "recommend"
    WRITE_EVENTS = "write-events"
    ADMINISTER = "administer"


class KeptSecret(msgspec.Struct, frozen=True, kw_only=True):
    """What is kept of a secret.

    Attributes:
        sha256: of the secret, in hexadecimal.
        created_us: when it was made, in microseconds since the epoch, as every time here.
        until_us: from when on it is refused, after a rotation; None: not before its key.
    """

    sha256: str
    created_us: int
    until_us: int | None = None


class ApiKey(msgspec.Struct, frozen=True, kw_only=True):
    """One key's entry.

    Attributes:
        id: finds it.
        name: who uses it, in the owner's words.
        scopes: what it may be used for.
        secrets: newest first; an older one is valid until its grace period ends.
        created_us: when it was made.
        rate: requests per second in the long run; 0 is without limit.
        burst: requests that may come at once.
        expires_us: from when on it is refused; None is never.
        revoked_us: when it was revoked; None while it is not.
    """

    id: str
    name: str
    scopes: tuple[Scope, ...]
    secrets: tuple[KeptSecret, ...]
    created_us: int
    rate: float = 0.0
    burst: int = 1
    expires_us: int | None = None
    revoked_us: int | None = None

    def state(self, now_us: int) -> str:
        """``active``, ``rotating`` while an older secret is valid too, ``expired`` or ``revoked``."""
        if self.revoked_us is not None:
            return "revoked"
        if self.expires_us is not None and self.expires_us <= now_us:
            return "expired"
        return "rotating" if any((kept.until_us or 0) > now_us for kept in self.secrets) else "active"


def new_id() -> str:
    """A key's id, at random."""
    return "".join(secrets.choice(_ID_LETTERS) for _ in range(_ID_LENGTH))


def new_secret() -> str:
    """A secret: 32 random bytes as 43 letters of URL-safe base64."""
    return base64.urlsafe_b64encode(secrets.token_bytes(32)).rstrip(b"=").decode()


def token_of(key_id: str, secret: str) -> str:
    """What a caller sends."""
    return f"tm_{key_id}_{secret}"


def parse_token(token: str) -> tuple[str, str] | None:
    """Id and secret; None when the text is no key.

    >>> parse_token("tm_abcd2345_" + "x" * 43)[0]
    'abcd2345'
    """
    found = _TOKEN.fullmatch(token)
    return None if found is None else (found[1], found[2])


def digest(secret: str) -> bytes:
    """What is kept of a secret, 32 bytes."""
    return hashlib.sha256(secret.encode()).digest()
