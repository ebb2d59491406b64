"""Signatures that only this system can make, with a secret that is made once for each deployment.

The secret is a random item of the requests table, made by whoever needs it first. Nobody has to configure or
deliver it, and everything that is signed with it stands in the same table or lives for a list's length: were
the table lost, nothing else would be.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from typing import TYPE_CHECKING

from chalicelib.dynamodb import Table, Update

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

_ID = "secret#signing"


class Signer:
    """Reads the secret at its first use and keeps it."""

    def __init__(self, client: DynamoDBClient, table: str) -> None:
        self._table = Table(client, table, "id")
        self._secret: bytes | None = None

    def sign(self, purpose: str, text: str) -> str:
        """The HMAC-SHA256, in hexadecimal; of no use for any other purpose."""
        if self._secret is None:
            # Whoever comes second gets what the first has made.
            made = self._table.update(_ID, Update().default(secret=secrets.token_hex(32)))
            self._secret = bytes.fromhex(made["secret"])
        return hmac.new(self._secret, f"{purpose}\n{text}".encode(), hashlib.sha256).hexdigest()
