"""Removing an account and everything that gives access to it or shows it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chalicelib.accounts.imports import KIND as IMPORTS
from chalicelib.accounts.store import storage_prefix
from chalicelib.errors import LoginCanceled

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

    from chalicelib.accounts.logins import LoginStore
    from chalicelib.accounts.store import AccountStore

# Everything of an account in the private bucket. Sessions first: they are what must not stay behind.
_KINDS = ("sessions", IMPORTS, "evidence")


def remove_account(name: str, accounts: AccountStore, logins: LoginStore, s3: S3Client, bucket: str) -> None:
    """Deletes the account, then its sessions and evidence. AccountNotFound for a name that is not known.

    A login under way ends, or it would bring the account back. Then the item goes, so that from then on no job
    takes the account up, clicks for it or puts a refreshed session in force. A crash in between leaves objects
    that no account refers to; deleting is repeatable, so the caller may try again, and a name that is gone but
    has objects left is cleaned before AccountNotFound is raised.
    """
    logins.abort_latest(name, LoginCanceled("The account was deleted."))
    known = accounts.find(name) is not None
    if known:
        accounts.delete(name)
    for kind in _KINDS:
        _delete_prefix(s3, bucket, storage_prefix(kind, name))
    if not known:
        accounts.get(name)


def _delete_prefix(s3: S3Client, bucket: str, prefix: str) -> None:
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
        keys = [entry["Key"] for entry in page.get("Contents", [])]
        if keys:
            s3.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": key} for key in keys], "Quiet": True})
