"""The proxy fails as it says: what took effect, and what the caller is told."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from chalicelib import aws
from chalicelib.ledger import Attempt, Keyed, Ledger
from local.emulator import REGION, SECRET, client_environment, make_client, running_emulator
from local.faults import RATES, Fault, FaultProxy

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.system

ONE_TRY = Config(retries={"mode": "standard", "total_max_attempts": 1}, read_timeout=1, proxies={})


@pytest.fixture(scope="module")
def endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with running_emulator(tmp_path_factory.mktemp("aws"), keep_nothing=True) as endpoint:
        make_client("dynamodb", endpoint).create_table(
            TableName="table",
            KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
            BillingMode="PAY_PER_REQUEST",
        )
        yield endpoint


class Once(FaultProxy):
    """The first call of each operation meets the fault, the others none."""

    def __init__(self, upstream: str, fault: Fault) -> None:
        super().__init__(upstream, 0)
        self._fault = fault

    def draw(self, operation: str) -> Fault | None:
        self.calls[operation] += 1
        return self._fault if self.calls[operation] == 1 else None


def client(proxy: FaultProxy, config: Config) -> Any:
    account = client_environment(proxy.endpoint)["AWS_ACCESS_KEY_ID"]
    session = boto3.Session(aws_access_key_id=account, aws_secret_access_key=SECRET, region_name=REGION)
    return session.client("dynamodb", endpoint_url=proxy.endpoint, config=config)


@pytest.mark.parametrize("fault", list(Fault))
def test_a_fault_takes_effect_or_not_and_is_one_that_passes(endpoint: str, fault: Fault) -> None:
    item = {"id": {"S": fault.name}}
    with Once(endpoint, fault) as proxy, pytest.raises((ClientError, BotoCoreError)) as told:
        client(proxy, ONE_TRY).transact_write_items(
            TransactItems=[{"Put": {"TableName": "table", "Item": item}}]
        )

    found = make_client("dynamodb", endpoint).get_item(TableName="table", Key=item, ConsistentRead=True)
    assert ("Item" in found) is fault.takes_effect
    assert aws.passing(told.value) is (
        fault is not Fault.CONFLICT
    )  # Whoever makes transactions deals with those.


def test_the_same_seed_brings_the_same_faults(endpoint: str) -> None:
    def faults(seed: int) -> list[Fault | None]:
        proxy = FaultProxy(endpoint, seed)
        drawn = [proxy.draw("TransactWriteItems") for _ in range(20_000)]
        proxy.server_close()
        return drawn

    assert faults(1) == faults(1) != faults(2)
    assert set(faults(1)) == {None, *RATES}


def test_a_claim_whose_answer_was_lost_is_ones_own(endpoint: str) -> None:
    with Once(endpoint, Fault.FAILED_AFTER) as proxy:
        ledger = Ledger(client(proxy, aws._CONFIG), "table")

        assert isinstance(ledger.begin(Keyed("key#lost", "content")), Attempt)
