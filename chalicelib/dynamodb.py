"""What every DynamoDB store needs: items to and from plain values, and conditional updates."""

from __future__ import annotations

import random
import time
import uuid
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from boto3.dynamodb.types import TypeDeserializer, TypeSerializer
from botocore.exceptions import ClientError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import TransactWriteItemTypeDef

    # One write of a transaction.
    Write = TransactWriteItemTypeDef

Item = dict[str, Any]
Key = str | tuple[str, str]
"""A hash key, or a hash and a range key."""

# Transactions that met another one, or a throttle, are made again this often, after longer and longer pauses.
_TRANSACTION_ATTEMPTS = 8
_TRANSACTION_PAUSE_SECONDS = 0.02
_PASSING = ("TransactionConflict", "ThrottlingError", "ProvisionedThroughputExceeded")

_serializer = TypeSerializer()
_deserializer = TypeDeserializer()


class ConditionFailed(Exception):
    """A conditional write found another state. `item` is what stood there; None where nothing did."""

    def __init__(self, item: Item | None) -> None:
        super().__init__("the condition of a write did not hold")
        self.item = item


class TransactionRefused(Exception):
    """Nothing of a transaction was written. `failed` are the places of the writes whose conditions did not
    hold; none where it met others again and again.
    """

    def __init__(self, failed: tuple[int, ...]) -> None:
        super().__init__(f"conditions of a transaction did not hold: {failed}")
        self.failed = failed


@dataclass(slots=True)
class Update:
    """One UpdateItem in the making: names and values become placeholders, so reserved words are no concern.

    A value set to None is removed from the item: absent and null are one thing here.
    """

    assignments: list[str] = field(default_factory=list)
    removals: list[str] = field(default_factory=list)
    additions: list[str] = field(default_factory=list)
    conditions: list[str] = field(default_factory=list)
    names: dict[str, str] = field(default_factory=dict)
    values: dict[str, Any] = field(default_factory=dict)

    def set(self, **attributes: Any) -> Update:
        for name, value in attributes.items():
            if value is None:
                self.removals.append(self.name(name))
            else:
                self.assignments.append(f"{self.name(name)} = {self.value(value)}")
        return self

    def default(self, **attributes: Any) -> Update:
        """Sets what is not there yet."""
        for name, value in attributes.items():
            self.assignments.append(
                f"{self.name(name)} = if_not_exists({self.name(name)}, {self.value(value)})"
            )
        return self

    def include(self, name: str, member: str) -> Update:
        """Adds a member to a set."""
        self.additions.append(f"{self.name(name)} {self.value({member})}")
        return self

    def add(self, name: str, amount: int) -> Update:
        start = self.value(0)
        self.assignments.append(
            f"{self.name(name)} = if_not_exists({self.name(name)}, {start}) + {self.value(amount)}"
        )
        return self

    def append(self, name: str, entry: Any) -> Update:
        empty = self.value([])
        self.assignments.append(
            f"{self.name(name)} = list_append(if_not_exists({self.name(name)}, {empty}), {self.value([entry])})"
        )
        return self

    def when(self, name: str, operator: str, value: Any) -> Update:
        self.conditions.append(f"{self.name(name)} {operator} {self.value(value)}")
        return self

    def when_one_of(self, name: str, values: tuple[Any, ...]) -> Update:
        placeholders = ", ".join(self.value(value) for value in values)
        self.conditions.append(f"{self.name(name)} IN ({placeholders})")
        return self

    def when_exists(self, name: str) -> Update:
        self.conditions.append(f"attribute_exists({self.name(name)})")
        return self

    def when_absent(self, name: str) -> Update:
        self.conditions.append(f"attribute_not_exists({self.name(name)})")
        return self

    def name(self, name: str) -> str:
        self.names[f"#{name}"] = name
        return f"#{name}"

    def value(self, value: Any) -> str:
        placeholder = f":v{len(self.values)}"
        self.values[placeholder] = value
        return placeholder


class Table:
    """A table, spoken to in plain values. `key` names its hash key, and its range key where it has one."""

    def __init__(self, client: DynamoDBClient, name: str, *key: str) -> None:
        self.client = client
        self.name = name
        self.key = key

    def get(self, key: Key) -> Item | None:
        """The item, read consistently; None where there is none."""
        answer = self.client.get_item(TableName=self.name, Key=self._key(key), ConsistentRead=True)
        return decode(answer["Item"]) if "Item" in answer else None

    def put_new(self, item: Item) -> None:
        """Writes an item whose key is not taken yet; ConditionFailed where it is."""
        try:
            self.client.put_item(
                TableName=self.name,
                Item=encode(item),
                ConditionExpression="attribute_not_exists(#key)",
                ExpressionAttributeNames={"#key": self.key[0]},
            )
        except ClientError as error:
            raise _condition_failed(error) or error from error

    def update(self, key: Key, update: Update) -> Item:
        """Carries the update out in one conditional write and returns the whole new item."""
        try:
            answer = self.client.update_item(
                ReturnValues="ALL_NEW",
                ReturnValuesOnConditionCheckFailure="ALL_OLD",
                **self._update(key, update),
            )
        except ClientError as error:
            raise _condition_failed(error) or error from error
        return decode(answer["Attributes"])

    def putting(self, item: Item) -> Write:
        """`put_new` as one write of a transaction."""
        return {
            "Put": {
                "TableName": self.name,
                "Item": encode(item),
                "ConditionExpression": "attribute_not_exists(#key)",
                "ExpressionAttributeNames": {"#key": self.key[0]},
            }
        }

    def updating(self, key: Key, update: Update) -> Write:
        """`update` as one write of a transaction."""
        return {"Update": self._update(key, update)}

    def _update(self, key: Key, update: Update) -> Any:
        clauses = []
        if update.assignments:
            clauses.append("SET " + ", ".join(update.assignments))
        if update.removals:
            clauses.append("REMOVE " + ", ".join(update.removals))
        if update.additions:
            clauses.append("ADD " + ", ".join(update.additions))
        parameters: dict[str, Any] = {
            "TableName": self.name,
            "Key": self._key(key),
            "UpdateExpression": " ".join(clauses),
            "ExpressionAttributeNames": update.names,
        }
        if update.conditions:
            parameters["ConditionExpression"] = " AND ".join(update.conditions)
        if update.values:
            parameters["ExpressionAttributeValues"] = encode(update.values)
        return parameters

    def delete(self, key: Key) -> Item | None:
        """Deletes the item and returns it; None where there was none."""
        answer = self.client.delete_item(TableName=self.name, Key=self._key(key), ReturnValues="ALL_OLD")
        return decode(answer["Attributes"]) if answer.get("Attributes") else None

    def _key(self, key: Key) -> dict[str, Any]:
        values = (key,) if isinstance(key, str) else key
        return {name: {"S": value} for name, value in zip(self.key, values, strict=True)}


def transact(client: DynamoDBClient, writes: list[Write]) -> None:
    """Makes all of the writes, or none. Raises TransactionRefused.

    The token makes one of a repetition: botocore repeats a request whose answer it has not seen, and so do we
    where transactions meet.
    """
    token = str(uuid.uuid4())
    for attempt in range(_TRANSACTION_ATTEMPTS):
        try:
            client.transact_write_items(TransactItems=writes, ClientRequestToken=token)
        except client.exceptions.TransactionCanceledException as error:
            codes = [reason.get("Code") for reason in error.response["CancellationReasons"]]
            failed = tuple(place for place, code in enumerate(codes) if code == "ConditionalCheckFailed")
            if failed:
                raise TransactionRefused(failed) from error
            if not any(code in _PASSING for code in codes):
                raise
        else:
            return
        time.sleep(random.uniform(0, _TRANSACTION_PAUSE_SECONDS * 2**attempt))  # noqa: S311
    raise TransactionRefused(())


def encode(item: Mapping[str, Any]) -> dict[str, Any]:
    """Plain values to DynamoDB's; None members are left out."""
    return {name: _serializer.serialize(value) for name, value in item.items() if value is not None}


def decode(item: Mapping[str, Any]) -> Item:
    """DynamoDB's values to plain ones; every number of ours is whole."""
    return {name: _plain(_deserializer.deserialize(value)) for name, value in item.items()}


def _plain(value: Any) -> Any:
    if isinstance(value, Decimal):
        return int(value)
    if isinstance(value, dict):
        return {name: _plain(member) for name, member in value.items()}
    if isinstance(value, list):
        return [_plain(member) for member in value]
    return value


def _condition_failed(error: ClientError) -> ConditionFailed | None:
    if error.response["Error"]["Code"] != "ConditionalCheckFailedException":
        return None
    item: Any = error.response.get("Item")
    return ConditionFailed(decode(item) if item else None)
