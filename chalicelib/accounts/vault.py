"""Sessions, sealed. A session is full access to somebody's account.

Each version is one object: the Playwright storage state under AES-256-GCM, with a data key that KMS wraps. The
encryption context binds both to the account and the version, so an object copied to another place does not
open. Only the browser functions import this module and may use the key; the API can delete objects, not read
them.
"""

from __future__ import annotations

import base64
import binascii
import json
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from chalicelib.accounts.store import storage_prefix
from chalicelib.errors import SessionUnreadable

if TYPE_CHECKING:
    from datetime import datetime

    from mypy_boto3_kms import KMSClient
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import GetObjectOutputTypeDef

_NONCE_BYTES = 12


@dataclass(frozen=True, slots=True)
class Vault:
    s3: S3Client
    kms: KMSClient
    bucket: str
    key_id: str

    def seal(self, account_name: str, version: int, storage_state: dict[str, Any]) -> None:
        """Stores a session under its version. The data key is new for each, and never stored in clear."""
        self._put(account_name, version, json.dumps(storage_state, ensure_ascii=False).encode())

    def open(self, account_name: str, version: int) -> dict[str, Any]:
        """The storage state of a version. SessionUnreadable where it is gone or was tampered with."""
        envelope = self._get(account_name, version)["Body"].read()
        state: dict[str, Any] = json.loads(self._decrypt(account_name, version, envelope))
        return state

    def reseal(
        self, account_name: str, version: int, *, sealed_before: datetime, old: Vault, dry_run: bool = False
    ) -> bool:
        """Seals a version afresh in its place, with a new data key; False where nothing was to be done: it was
        sealed later than that, or another session has taken its place meanwhile.

        `old` opens it: this vault, or one whose key is being replaced. SessionUnreadable as `open`.
        """
        stored = self._get(account_name, version)
        if stored["LastModified"] >= sealed_before:
            return False
        plain = old._decrypt(account_name, version, stored["Body"].read())
        if dry_run:
            return True
        try:
            self._put(account_name, version, plain, IfMatch=stored["ETag"])
        except ClientError as error:
            if error.response["Error"]["Code"] not in ("PreconditionFailed", "NoSuchKey"):
                raise
            return False
        return True

    def discard(self, account_name: str, version: int) -> None:
        """Deletes one version; nothing happens where it is gone already."""
        self.s3.delete_object(Bucket=self.bucket, Key=_key(account_name, version))

    def discard_before(self, account_name: str, version: int) -> None:
        """Deletes every older version: the one that was in force, and what a job that died has left."""
        prefix = storage_prefix("sessions", account_name)
        listed = self.s3.list_objects_v2(Bucket=self.bucket, Prefix=prefix).get("Contents", [])
        for entry in listed:
            if entry["Key"] < _key(account_name, version):
                self.s3.delete_object(Bucket=self.bucket, Key=entry["Key"])

    def _put(self, account_name: str, version: int, plain: bytes, **condition: Any) -> None:
        context = _context(account_name, version)
        data_key = self.kms.generate_data_key(KeyId=self.key_id, KeySpec="AES_256", EncryptionContext=context)
        nonce = os.urandom(_NONCE_BYTES)
        sealed = AESGCM(data_key["Plaintext"]).encrypt(nonce, plain, _associated_data(context))
        envelope = {
            "algorithm": "AES-256-GCM",
            "data_key": _to_text(data_key["CiphertextBlob"]),
            "nonce": _to_text(nonce),
            "ciphertext": _to_text(sealed),
        }
        self.s3.put_object(
            Bucket=self.bucket,
            Key=_key(account_name, version),
            Body=json.dumps(envelope).encode(),
            ContentType="application/json",
            **condition,
        )

    def _get(self, account_name: str, version: int) -> GetObjectOutputTypeDef:
        try:
            return self.s3.get_object(Bucket=self.bucket, Key=_key(account_name, version))
        except ClientError as error:
            if error.response["Error"]["Code"] != "NoSuchKey":
                raise
            raise SessionUnreadable(f"The session of {account_name!r} is gone.") from error

    def _decrypt(self, account_name: str, version: int, stored: bytes) -> bytes:
        context = _context(account_name, version)
        try:
            envelope = json.loads(stored)
            data_key = self.kms.decrypt(
                CiphertextBlob=_to_bytes(envelope["data_key"]),
                KeyId=self.key_id,
                EncryptionContext=context,
            )
            return AESGCM(data_key["Plaintext"]).decrypt(
                _to_bytes(envelope["nonce"]), _to_bytes(envelope["ciphertext"]), _associated_data(context)
            )
        except ClientError as error:
            if error.response["Error"]["Code"] not in ("InvalidCiphertextException", "IncorrectKeyException"):
                raise
            raise SessionUnreadable(f"The session of {account_name!r} is not sealed by our key.") from error
        except (InvalidTag, KeyError, ValueError, binascii.Error) as error:
            raise SessionUnreadable(f"The session of {account_name!r} has been changed.") from error


def _key(account_name: str, version: int) -> str:
    return f"{storage_prefix('sessions', account_name)}{version:013}.json"


def _context(account_name: str, version: int) -> dict[str, str]:
    return {"account": account_name, "version": str(version)}


def _associated_data(context: dict[str, str]) -> bytes:
    return json.dumps(context, sort_keys=True, ensure_ascii=False).encode()


def _to_text(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _to_bytes(text: str) -> bytes:
    return base64.b64decode(text, validate=True)
