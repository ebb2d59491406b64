"""Opening what `chalicelib/sealing.py` has sealed: in the browser functions, and where webhooks are signed."""

from __future__ import annotations

import base64
import binascii
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from chalicelib.errors import SealBroken
from chalicelib.sealing import context_of

if TYPE_CHECKING:
    from mypy_boto3_kms import KMSClient

    from chalicelib.sealing import Purpose


@dataclass(frozen=True, slots=True)
class Unsealer:
    kms: KMSClient
    key_id: str

    def open(self, sealed: str, purpose: Purpose, subject: str) -> str:
        """The secret. SealBroken where it was sealed for something else, or tampered with."""
        pieces = sealed.split(".")
        try:
            plain = b"".join(
                self.kms.decrypt(
                    KeyId=self.key_id,
                    CiphertextBlob=base64.b64decode(piece, validate=True),
                    EncryptionContext=context_of(purpose, subject, number, len(pieces)),
                )["Plaintext"]
                for number, piece in enumerate(pieces, start=1)
            )
            return zlib.decompress(plain).decode()
        except ClientError as error:
            if error.response["Error"]["Code"] != "InvalidCiphertextException":
                raise
            raise SealBroken(f"What was sealed as {purpose} for {subject!r} is not ours.") from error
        except (binascii.Error, zlib.error, UnicodeDecodeError) as error:
            raise SealBroken(f"What was sealed as {purpose} for {subject!r} has been changed.") from error
