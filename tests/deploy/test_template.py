"""The packaged template itself: what the emulator does not hold of it, or would take either way."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from deploy.package import Package

pytestmark = pytest.mark.system

# Their items are gone within a day or an hour anyway.
_SHORT_LIVED = {"LoginsTable", "LimitsTable", "RequestsTable"}


def _of_type(package: Package, kind: str) -> Iterator[tuple[str, dict[str, Any]]]:
    found = [
        (name, resource["Properties"])
        for name, resource in package.translated["Resources"].items()
        if resource["Type"] == kind
    ]
    assert found, f"the template has no {kind}"
    yield from found


def test_tables_are_paid_by_use_encrypted_and_can_be_restored(packaged: Package) -> None:
    for name, table in _of_type(packaged, "AWS::DynamoDB::Table"):
        assert table["BillingMode"] == "PAY_PER_REQUEST", name
        assert table["SSESpecification"]["SSEEnabled"], name
        recovery = table.get("PointInTimeRecoverySpecification", {})
        assert recovery.get("PointInTimeRecoveryEnabled") or name in _SHORT_LIVED, name
        assert name not in _SHORT_LIVED or table["TimeToLiveSpecification"]["Enabled"], name


def test_buckets_are_closed_encrypted_and_clean_up_after_themselves(packaged: Package) -> None:
    denied = {
        policy["Bucket"]["Ref"]
        for _, policy in _of_type(packaged, "AWS::S3::BucketPolicy")
        for statement in policy["PolicyDocument"]["Statement"]
        if statement["Effect"] == "Deny"
        and statement["Condition"] == {"Bool": {"aws:SecureTransport": False}}
        and statement["Action"] == "s3:*"
        and statement["Principal"] == "*"
    }
    for name, bucket in _of_type(packaged, "AWS::S3::Bucket"):
        assert name in denied, f"{name} can be reached without TLS"
        assert set(bucket["PublicAccessBlockConfiguration"].values()) == {True}, name
        assert bucket["BucketEncryption"]["ServerSideEncryptionConfiguration"], name
        assert bucket["LifecycleConfiguration"]["Rules"], name


def test_what_can_be_lost_for_good_outlives_the_stack(packaged: Package) -> None:
    kept = {
        name
        for name, resource in packaged.translated["Resources"].items()
        if resource.get("DeletionPolicy") == "Retain" and resource.get("UpdateReplacePolicy") == "Retain"
    }
    assert "ContentBucket" in kept


def test_queues_are_encrypted_and_what_fails_goes_to_a_dead_letter_queue_of_their_kind(
    packaged: Package,
) -> None:
    queues = dict(_of_type(packaged, "AWS::SQS::Queue"))
    for name, queue in queues.items():
        assert queue["SqsManagedSseEnabled"], name
        redrive = queue.get("RedrivePolicy")
        if redrive is None:
            assert name.endswith("DeadLetterQueue"), f"{name} has no dead-letter queue"
            continue
        dead = queues[redrive["deadLetterTargetArn"]["Fn::GetAtt"][0]]
        assert dead.get("FifoQueue") == queue.get("FifoQueue"), name


def test_a_message_is_not_seen_again_before_its_function_has_ended(packaged: Package) -> None:
    functions = dict(_of_type(packaged, "AWS::Lambda::Function"))
    queues = dict(_of_type(packaged, "AWS::SQS::Queue"))
    for name, mapping in _of_type(packaged, "AWS::Lambda::EventSourceMapping"):
        function = functions[mapping["FunctionName"]["Ref"]]
        queue = queues[mapping["EventSourceArn"]["Fn::GetAtt"][0]]
        assert queue["VisibilityTimeout"] > function["Timeout"], name
        assert mapping["BatchSize"] == 1, name


def test_functions_have_one_role_each(packaged: Package) -> None:
    roles = [str(function["Role"]) for _, function in _of_type(packaged, "AWS::Lambda::Function")]

    assert len(roles) == len(set(roles))


def test_no_policy_allows_everything_of_a_service(packaged: Package) -> None:
    for name, role in _of_type(packaged, "AWS::IAM::Role"):
        for policy in role.get("Policies", []):
            for statement in policy["PolicyDocument"]["Statement"]:
                actions = (
                    statement["Action"] if isinstance(statement["Action"], list) else [statement["Action"]]
                )
                assert not [action for action in actions if "*" in action], name
                assert statement["Resource"] != "*", name
