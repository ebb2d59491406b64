"""Creates the data resources of the template on the emulator, through CloudFormation's own API.

ministack's CloudFormation ignores some properties that its services know. They are set through the services'
APIs after each deployment: a table's TimeToLiveSpecification (logins expire by it) and
PointInTimeRecoverySpecification, a bucket's LifecycleConfiguration. It takes, and does not enforce, bucket
policies and public access blocks.
"""

from __future__ import annotations

import json
import logging
import time
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import ClientError

from local.emulator import CANONICAL_ORIGIN, make_client
from local.template import data_template, parameter_values

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from mypy_boto3_cloudformation import CloudFormationClient
    from mypy_boto3_cloudformation.type_defs import ParameterTypeDef, StackTypeDef

    from local.template import Template

    ClientFactory = Callable[[str], Any]

logger = logging.getLogger(__name__)

_DEADLINE_SECONDS: Final = 120
# A stack whose creation failed holds nothing; it can only be deleted and created anew.
_NEVER_CREATED: Final = frozenset({"CREATE_FAILED", "ROLLBACK_COMPLETE", "ROLLBACK_FAILED", "DELETE_FAILED"})


class StackFailed(Exception):
    """The emulator refused a deployment. What existed before is as it was; the text says why."""


def deploy(
    endpoint: str,
    stack_name: str,
    template: Template,
    parameters: Mapping[str, str] | None = None,
    *,
    client: ClientFactory | None = None,
) -> dict[str, str]:
    """Creates the stack, updates it where it differs, or leaves it, and returns its outputs by name.

    `template` is the whole template (`local.template.load_template`). No update drops a table, bucket, queue or
    key: what a new template no longer has stays behind. The emulator saves a deployment as one, so a kill
    leaves nothing or everything of it and the next call finds a stack in a final state. Raises StackFailed.
    """
    client = client or partial(make_client, endpoint=endpoint)
    reduced = data_template(template)
    cloudformation: CloudFormationClient = client("cloudformation")
    values = parameter_values(template, parameters or {})
    _bring_up(cloudformation, stack_name, reduced, values)
    _set_what_was_ignored(client, stack_name, _with_values(reduced, values))
    stack = _settled(cloudformation, stack_name)
    outputs = stack.get("Outputs", []) if stack is not None else []
    return {
        output["OutputKey"]: output["OutputValue"].replace(CANONICAL_ORIGIN, endpoint) for output in outputs
    }


def _bring_up(
    cloudformation: CloudFormationClient, name: str, template: Template, values: Mapping[str, str]
) -> None:
    body = json.dumps(template)
    given: list[ParameterTypeDef] = [
        {"ParameterKey": key, "ParameterValue": values[key]}
        for key in template.get("Parameters", {})
        if key in values
    ]
    stack = _settled(cloudformation, name)
    if stack is not None and stack["StackStatus"] in _NEVER_CREATED:
        logger.warning("The stack %s was never created (%s); it is created anew", name, stack["StackStatus"])
        cloudformation.delete_stack(StackName=name)
        stack = _settled(cloudformation, name)
    try:
        if stack is None:
            cloudformation.create_stack(StackName=name, TemplateBody=body, Parameters=given)
        else:
            cloudformation.update_stack(StackName=name, TemplateBody=body, Parameters=given)
    except ClientError as error:
        if "No updates are to be performed" in error.response["Error"]["Message"]:
            return
        raise StackFailed(f"The stack {name} was refused: {error.response['Error']['Message']}") from error
    stack = _settled(cloudformation, name)
    if stack is None or stack["StackStatus"] not in ("CREATE_COMPLETE", "UPDATE_COMPLETE"):
        raise StackFailed(f"The stack {name} failed: {_reasons(cloudformation, name)}")
    logger.info("The stack %s is %s", name, stack["StackStatus"])


def _settled(cloudformation: CloudFormationClient, name: str) -> StackTypeDef | None:
    """The stack once no operation on it is running; None where there is none."""
    deadline = time.monotonic() + _DEADLINE_SECONDS
    while time.monotonic() < deadline:
        try:
            stack = cloudformation.describe_stacks(StackName=name)["Stacks"][0]
        except ClientError as error:
            if error.response["Error"]["Code"] == "ValidationError":
                return None
            raise
        if stack["StackStatus"] == "DELETE_COMPLETE":
            return None
        if not stack["StackStatus"].endswith("_IN_PROGRESS"):
            return stack
        time.sleep(0.05)
    raise StackFailed(f"The stack {name} was still {stack['StackStatus']} after {_DEADLINE_SECONDS} s.")


def _reasons(cloudformation: CloudFormationClient, name: str) -> str:
    events = cloudformation.describe_stack_events(StackName=name)["StackEvents"]
    reasons = [
        f"{event.get('LogicalResourceId')}: {event['ResourceStatusReason']}"
        for event in events
        if event.get("ResourceStatus", "").endswith("FAILED") and event.get("ResourceStatusReason")
    ]
    return "; ".join(reasons) or "the emulator gives no reason"


def _with_values(part: Any, values: Mapping[str, str]) -> Any:
    """A part of the template with its parameters' values in the place of `{"Ref": name}`."""
    if isinstance(part, dict):
        if set(part) == {"Ref"} and part["Ref"] in values:
            return values[part["Ref"]]
        return {name: _with_values(member, values) for name, member in part.items()}
    if isinstance(part, list):
        return [_with_values(member, values) for member in part]
    return part


def _set_what_was_ignored(client: ClientFactory, stack_name: str, template: Template) -> None:
    described = client("cloudformation").describe_stack_resources(StackName=stack_name)["StackResources"]
    physical_names = {entry["LogicalResourceId"]: entry["PhysicalResourceId"] for entry in described}
    for logical_name, resource in template["Resources"].items():
        properties = resource.get("Properties", {})
        physical_name = physical_names[logical_name]
        if resource["Type"] == "AWS::DynamoDB::Table":
            _set_time_to_live(client("dynamodb"), physical_name, properties.get("TimeToLiveSpecification"))
            _set_recovery(client("dynamodb"), physical_name, properties.get("PointInTimeRecoverySpecification"))
        elif resource["Type"] == "AWS::S3::Bucket":
            _set_lifecycle(client("s3"), physical_name, properties.get("LifecycleConfiguration"))


def _set_time_to_live(dynamodb: Any, table: str, specification: Mapping[str, Any] | None) -> None:
    if specification is None:
        return
    current = dynamodb.describe_time_to_live(TableName=table)["TimeToLiveDescription"]
    enabled = current.get("TimeToLiveStatus") in ("ENABLED", "ENABLING")
    if enabled == specification["Enabled"]:
        return
    dynamodb.update_time_to_live(TableName=table, TimeToLiveSpecification=dict(specification))


def _set_recovery(dynamodb: Any, table: str, specification: Mapping[str, Any] | None) -> None:
    if specification is None:
        return
    current = dynamodb.describe_continuous_backups(TableName=table)["ContinuousBackupsDescription"]
    status = current.get("PointInTimeRecoveryDescription", {}).get("PointInTimeRecoveryStatus")
    if (status == "ENABLED") == specification["PointInTimeRecoveryEnabled"]:
        return
    dynamodb.update_continuous_backups(TableName=table, PointInTimeRecoverySpecification=dict(specification))


def _set_lifecycle(s3: Any, bucket: str, configuration: Mapping[str, Any] | None) -> None:
    if configuration is None:
        return
    rules = [_lifecycle_rule(rule) for rule in configuration["Rules"]]
    s3.put_bucket_lifecycle_configuration(Bucket=bucket, LifecycleConfiguration={"Rules": rules})


def _lifecycle_rule(rule: Mapping[str, Any]) -> dict[str, Any]:
    """A rule in S3's own words; the template's are CloudFormation's. Known are ends by age, of objects and of
    uploads that broke off.
    """
    unknown = set(rule) - {"Id", "Prefix", "Status", "ExpirationInDays", "AbortIncompleteMultipartUpload"}
    if unknown:
        raise StackFailed(
            f"The lifecycle rule {rule.get('Id')} uses {', '.join(sorted(unknown))}, unknown here."
        )
    described: dict[str, Any] = {
        "ID": rule["Id"],
        "Filter": {"Prefix": rule.get("Prefix", "")},
        "Status": rule["Status"],
    }
    if "ExpirationInDays" in rule:
        described["Expiration"] = {"Days": int(rule["ExpirationInDays"])}
    if abort := rule.get("AbortIncompleteMultipartUpload"):
        described["AbortIncompleteMultipartUpload"] = {"DaysAfterInitiation": int(abort["DaysAfterInitiation"])}
    return described
