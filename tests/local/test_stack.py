"""The shipped template's data resources on the emulator: created once, never dropped, whole after a kill."""

from __future__ import annotations

import contextlib
import copy
import json
import random
import threading
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import BotoCoreError, ClientError

from local.emulator import emulator_process, make_client, running_emulator
from local.processes import free_port
from local.stack import StackFailed, deploy
from local.template import data_template, load_template, output_name

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.system

TEMPLATE = load_template(Path(__file__).resolve().parents[2] / ".chalice" / "resources.yml")
TASKS = {"Ref": "TasksTable"}


@pytest.fixture
def endpoint(tmp_path: Path) -> Iterator[str]:
    with running_emulator(tmp_path / "data") as address:
        yield address


def inventory(endpoint: str) -> dict[str, list[str]]:
    return {
        "tables": make_client("dynamodb", endpoint).list_tables()["TableNames"],
        "queues": sorted(
            url.rpartition("/")[2] for url in make_client("sqs", endpoint).list_queues().get("QueueUrls", [])
        ),
        "buckets": [bucket["Name"] for bucket in make_client("s3", endpoint).list_buckets()["Buckets"]],
        "keys": [key["KeyId"] for key in make_client("kms", endpoint).list_keys()["Keys"]],
    }


def assert_whole(found: dict[str, list[str]]) -> None:
    counts = {kind: len(names) for kind, names in found.items()}
    resources = [resource.get("Type") for resource in TEMPLATE["Resources"].values()]
    assert counts == {
        "tables": resources.count("AWS::DynamoDB::Table"),
        "queues": resources.count("AWS::SQS::Queue"),
        "buckets": resources.count("AWS::S3::Bucket"),
        "keys": resources.count("AWS::KMS::Key"),
    }


def test_the_shipped_template_is_created_and_a_second_deployment_changes_nothing(endpoint: str) -> None:
    outputs = deploy(endpoint, "publisher", TEMPLATE)
    found = inventory(endpoint)
    assert_whole(found)
    assert outputs[output_name({"Ref": "PublishQueue"})] == f"{endpoint}/000000000000/publisher-publish.fifo"
    assert outputs[output_name(TASKS)] in found["tables"]

    events = stack_events(endpoint)
    assert deploy(endpoint, "publisher", TEMPLATE) == outputs
    assert inventory(endpoint) == found
    assert stack_events(endpoint) == events


def stack_events(endpoint: str) -> int:
    return len(
        make_client("cloudformation", endpoint).describe_stack_events(StackName="publisher")["StackEvents"]
    )


def test_what_cloudformation_ignores_here_is_set_through_the_services(endpoint: str) -> None:
    outputs = deploy(endpoint, "publisher", TEMPLATE)
    dynamodb, s3 = make_client("dynamodb", endpoint), make_client("s3", endpoint)
    logins = outputs[output_name({"Ref": "LoginsTable"})]
    expiry = dynamodb.describe_time_to_live(TableName=logins)["TimeToLiveDescription"]
    assert expiry == {"TimeToLiveStatus": "ENABLED", "AttributeName": "ttl"}
    backups = dynamodb.describe_continuous_backups(TableName=outputs[output_name(TASKS)])
    recovery = backups["ContinuousBackupsDescription"]["PointInTimeRecoveryDescription"]
    assert recovery["PointInTimeRecoveryStatus"] == "ENABLED"
    bucket = outputs[output_name({"Ref": "PrivateBucket"})]
    rules = s3.get_bucket_lifecycle_configuration(Bucket=bucket)["Rules"]
    assert {rule["Filter"]["Prefix"]: rule["Expiration"] for rule in rules} == {
        "evidence/": {"Days": 30},
        "uploads/": {"Days": 7},
        "imports/": {"Days": 1},
    }


def test_the_queues_redrive_and_the_index_are_as_the_template_says(endpoint: str) -> None:
    outputs = deploy(endpoint, "publisher", TEMPLATE)
    queue = outputs[output_name({"Ref": "PublishQueue"})]
    sqs = make_client("sqs", endpoint)
    attributes = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["All"])["Attributes"]
    assert attributes["VisibilityTimeout"] == "930"
    assert '"maxReceiveCount":3' in attributes["RedrivePolicy"].replace(" ", "")
    table = make_client("dynamodb", endpoint).describe_table(TableName=outputs[output_name(TASKS)])["Table"]
    names = {index["IndexName"] for index in table["GlobalSecondaryIndexes"]}
    assert names == {"due", "untold", "by_created", "by_account", "by_state"}


def test_data_survive_updates_even_one_that_drops_their_table_from_the_template(endpoint: str) -> None:
    outputs = deploy(endpoint, "publisher", TEMPLATE)
    table = outputs[output_name(TASKS)]
    dynamodb = make_client("dynamodb", endpoint)
    dynamodb.put_item(TableName=table, Item={"id": {"S": "kept"}})

    changed = deploy(endpoint, "publisher", TEMPLATE, {"VolcUtmSources": "a,b"})
    state = output_name({"Fn::If": ["SyncEnabled", "ENABLED", "DISABLED"]})
    assert (outputs[state], changed[state]) == ("DISABLED", "ENABLED")
    assert changed[output_name(TASKS)] == table

    reduced = copy.deepcopy(TEMPLATE)
    del reduced["Resources"]["TasksTable"]
    for function in ("APIHandler", "Sweep", "Publish"):
        del reduced["Resources"][function]["Properties"]["Environment"]["Variables"]["TASKS_TABLE"]
    deploy(endpoint, "publisher", reduced)
    assert dynamodb.get_item(TableName=table, Key={"id": {"S": "kept"}})["Item"]


def test_a_refused_update_says_why_and_leaves_everything_as_it_was(endpoint: str) -> None:
    outputs = deploy(endpoint, "publisher", TEMPLATE)
    found = inventory(endpoint)
    broken = copy.deepcopy(TEMPLATE)
    broken["Resources"]["LoginQueue"]["Properties"]["VisibilityTimeout"] = 999_999
    with pytest.raises(StackFailed, match=r"(?i)visibility"):
        deploy(endpoint, "publisher", broken)
    assert inventory(endpoint) == found
    assert deploy(endpoint, "publisher", TEMPLATE) == outputs


def test_a_creation_that_failed_is_made_good_by_the_next_deployment(endpoint: str) -> None:
    broken = copy.deepcopy(TEMPLATE)
    broken["Resources"]["LoginQueue"]["Properties"]["VisibilityTimeout"] = 999_999
    with pytest.raises(StackFailed):
        deploy(endpoint, "publisher", broken)
    deploy(endpoint, "publisher", TEMPLATE)
    assert_whole(inventory(endpoint))


def test_an_answered_creation_is_whole_after_a_kill(tmp_path: Path) -> None:
    port = free_port()
    process = emulator_process(tmp_path / "data", port)
    endpoint = process.start()
    make_client("cloudformation", endpoint).create_stack(
        StackName="publisher", TemplateBody=json.dumps(data_template(TEMPLATE))
    )
    process.kill()
    with running_emulator(tmp_path / "data", port) as endpoint:
        described = make_client("cloudformation", endpoint).describe_stacks(StackName="publisher")
        assert described["Stacks"][0]["StackStatus"] == "CREATE_COMPLETE"
        assert_whole(inventory(endpoint))


def test_a_kill_during_a_deployment_leaves_nothing_or_all_of_it(tmp_path: Path) -> None:
    port, chance = free_port(), random.Random(20261121)
    table: str | None = None
    for attempt in range(3):
        # Every other round changes the template, so that updates are cut off as well as the creation.
        template = copy.deepcopy(TEMPLATE)
        template["Resources"]["LoginQueue"]["Properties"]["MessageRetentionPeriod"] = 300 + attempt // 2
        process = emulator_process(tmp_path / "data", port)
        endpoint = process.start()
        killer = threading.Timer(chance.uniform(0.05, 0.5), process.kill)
        killer.start()
        once = partial(make_client, endpoint=endpoint, attempts=1)
        with contextlib.suppress(BotoCoreError, ClientError):
            deploy(endpoint, "publisher", template, client=once)
        killer.join()

        with running_emulator(tmp_path / "data", port) as endpoint:
            outputs = deploy(endpoint, "publisher", template)
            assert_whole(inventory(endpoint))
            dynamodb: Any = make_client("dynamodb", endpoint)
            assert table in (None, outputs[output_name(TASKS)])
            table = outputs[output_name(TASKS)]
            if attempt:
                assert dynamodb.get_item(TableName=table, Key={"id": {"S": "kept"}})["Item"]
            dynamodb.put_item(TableName=table, Item={"id": {"S": "kept"}})
