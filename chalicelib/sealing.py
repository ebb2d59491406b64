"""Secrets on their way from whoever has them to the browser functions.

The API seals what it is given (an SMS code, a proxy's password, an imported session) with KMS itself: it may
encrypt, and it may not decrypt. The browser functions open it (`chalicelib/unsealing.py`), and what signs
webhooks their secrets. What a seal is for,
and whose it is, is bound to it as KMS's encryption context, so that one that is copied elsewhere does not open.
"""

from __future__ import annotations

import base64
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from mypy_boto3_kms import KMSClient

Purpose = Literal["sms_code", "proxy", "session_import", "webhook"]

# What one call of KMS's Encrypt takes (AWS KMS API reference, Encrypt, Plaintext).
_PIECE_BYTES = 4096


@dataclass(frozen=True, slots=True)
class Sealer:
    kms: KMSClient
    key_id: str

    def seal(self, secret: str, purpose: Purpose, subject: str) -> str:
        """The secret as text that only `Unsealer.open` with the same purpose and subject makes sense of.

        `subject` is the id of what it belongs to: a task, a login, an account. A long secret is compressed and
        sealed in pieces.
        """
        plain = zlib.compress(secret.encode())
        pieces = [plain[start : start + _PIECE_BYTES] for start in range(0, len(plain), _PIECE_BYTES)]
        sealed = [
            self.kms.encrypt(
                KeyId=self.key_id,
                Plaintext=piece,
                EncryptionContext=context_of(purpose, subject, number, len(pieces)),
            )["CiphertextBlob"]
            for number, piece in enumerate(pieces, start=1)
        ]
        return ".".join(base64.b64encode(piece).decode() for piece in sealed)


def context_of(purpose: Purpose, subject: str, number: int, count: int) -> dict[str, str]:
    """KMS's encryption context of a piece. The API's policy asks for its `purpose`, which sessions do not have:
    nobody who may only seal can forge a session.
    """
    return {"purpose": purpose, "subject": subject, "piece": f"{number}/{count}"}
