"""The packaged template, created whole on the emulated AWS: its functions run there from the zip."""

from __future__ import annotations

import copy
import json
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from chalicelib.keys.scopes import Scope
from chalicelib.keys.store import KeyStore
from local.emulator import make_client, running_emulator
from tests.conftest import Api

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from deploy.package import Package

STACK: Final = "publisher-dev"
PARAMETERS: Final = {
    "BrowserImageUri": "000000000000.dkr.ecr.us-east-1.amazonaws.com/publisher@sha256:" + "0" * 64,
    "VolcUtmSources": "test_channel",
    # Nobody answers there: a scan of its own schedule fails at once, and calls nobody outside.
    "VolcEndpoint": "http://127.0.0.1:9",
}
_ARTIFACTS: Final = "artifacts"


@dataclass(frozen=True)
class Deployed:
    """The stack. `api` is the API behind the emulated API Gateway, asked with a key to everything."""

    endpoint: str
    api: Api
    resources: dict[str, str]

    def client(self, service: str) -> Any:
        return make_client(service, self.endpoint)

    def invoke(self, name: str, event: dict[str, Any]) -> Any:
        """What a function answers. Raises AssertionError where it fails."""
        answer = self.client("lambda").invoke(
            FunctionName=self.resources[name], Payload=json.dumps(event).encode()
        )
        content = json.loads(answer["Payload"].read())
        assert "FunctionError" not in answer, content
        return content


def emulated(template: dict[str, Any], endpoint: str) -> dict[str, Any]:
    """The packaged template as the emulator can hold it. What is changed, and why:

    - The zip is an object of a bucket, as after the upload of a real deployment.
    - Functions find the emulator: it would tell them a port that it does not listen on.
    - The queues' mappings to the image functions are off: no container engine runs them here, and a mapping
      that fails would take the messages.
    - Buckets refuse requests without TLS, and it speaks HTTP: their policies are left out.
    - It cannot split in a condition. What is split there are parameters that are empty here.
    """
    changed = copy.deepcopy(template)
    for name, condition in changed["Conditions"].items():
        if "Fn::Split" in json.dumps(condition):
            changed["Conditions"][name] = {"Fn::Equals": ["empty", "not"]}
    changed["Resources"] = {
        name: resource
        for name, resource in changed["Resources"].items()
        if resource["Type"] != "AWS::S3::BucketPolicy"
    }
    for resource in changed["Resources"].values():
        properties = resource.get("Properties", {})
        if resource["Type"] == "AWS::Serverless::Function":
            properties["CodeUri"] = f"s3://{_ARTIFACTS}/deployment.zip"
            properties["Environment"]["Variables"]["AWS_ENDPOINT_URL"] = endpoint
        elif resource["Type"] == "AWS::Lambda::EventSourceMapping":
            properties |= {"Enabled": False}
            properties.pop("ScalingConfig")
    return changed


@contextmanager
def deployed(package: Package, data: Path, *, auth: bool) -> Iterator[Deployed]:
    """Creates the stack by CloudFormation, SAM transform included. With `auth` every policy is enforced."""
    with running_emulator(data, auth=auth) as endpoint:
        s3, cloudformation = make_client("s3", endpoint), make_client("cloudformation", endpoint)
        s3.create_bucket(Bucket=_ARTIFACTS)
        s3.put_object(Bucket=_ARTIFACTS, Key="deployment.zip", Body=package.archive.read_bytes())
        template = json.dumps(emulated(package.template, endpoint)).encode()
        s3.put_object(Bucket=_ARTIFACTS, Key="template.json", Body=template)
        cloudformation.create_stack(
            StackName=STACK,
            TemplateURL=f"{endpoint}/{_ARTIFACTS}/template.json",
            Parameters=[{"ParameterKey": name, "ParameterValue": value} for name, value in PARAMETERS.items()],
            Capabilities=["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"],
        )
        resources = _created(cloudformation)
        api = Api(f"{endpoint}/_aws/execute-api/{resources['RestAPI']}/api")
        keys = KeyStore(make_client("dynamodb", endpoint), resources["KeysTable"])
        key = keys.create("everything", Scope, expires_at=None, created_by="a test")
        api.session.headers["Authorization"] = f"Bearer {key.token}"
        yield Deployed(endpoint, api, resources)
        api.session.close()


def _created(cloudformation: Any) -> dict[str, str]:
    """The physical ids of the stack's resources by their logical ones, once it is created."""
    deadline = time.monotonic() + 120
    while (stack := cloudformation.describe_stacks(StackName=STACK)["Stacks"][0])["StackStatus"].endswith(
        "_IN_PROGRESS"
    ):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    events = cloudformation.describe_stack_events(StackName=STACK)["StackEvents"]
    reasons = [event for event in events if event["ResourceStatus"].endswith("FAILED")]
    assert stack["StackStatus"] == "CREATE_COMPLETE", reasons
    listed = cloudformation.describe_stack_resources(StackName=STACK)["StackResources"]
    return {resource["LogicalResourceId"]: resource["PhysicalResourceId"] for resource in listed}
