"""The functions of the shipped template and of Chalice, with everything they need to run."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from chalice.app import Blueprint, Chalice, Rate

from app import app
from chalicelib.articles.index import RUN_LOST_AFTER
from local.stack import deploy
from local.template import (
    API_HANDLER,
    FunctionSpec,
    TemplateError,
    data_template,
    function_name,
    functions,
    load_template,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

pytestmark = pytest.mark.system

ROOT = Path(__file__).resolve().parents[2]
TEMPLATE = load_template(ROOT / ".chalice" / "resources.yml")
CONFIG: dict[str, Any] = json.loads((ROOT / ".chalice" / "config.json").read_text())
GIVEN = {
    "VolcUtmSources": "channel",
    "VolcCredentials": "ssm:/content/keys",
    "VolcCallbackCredentials": "ssm:/content/callback",
    "DouyinOrigin": "http://127.0.0.1:9999",
    "PublishConcurrency": "3",
}


def resolve(
    emulator: str, given: Mapping[str, str], *, stack: str, application: Chalice = app
) -> list[FunctionSpec]:
    outputs = deploy(emulator, stack, TEMPLATE, given)
    return functions(TEMPLATE, CONFIG, application, outputs=outputs, parameters=given)


@pytest.fixture(scope="module")
def specs(emulator: str) -> dict[str, FunctionSpec]:
    return {spec.name: spec for spec in resolve(emulator, GIVEN, stack="resolved")}


def test_every_function_is_there_and_every_variable_has_its_value(
    specs: dict[str, FunctionSpec], emulator: str
) -> None:
    assert {name: spec.handler for name, spec in specs.items()} == {
        "api_handler": "app.app",
        "login": "container.handler.login",
        "mirror": "chalicelib.jobs.mirror",
        "publish": "container.handler.publish",
        "scan": "chalicelib.jobs.scan",
        "sweep": "chalicelib.jobs.sweep",
        "webhooks": "chalicelib.delivering.webhooks",
    }
    for logical_name, resource in TEMPLATE["Resources"].items():
        variables = resource.get("Properties", {}).get("Environment", {}).get("Variables")
        if variables:
            spec = specs[function_name(logical_name)]
            assert set(spec.environment) == set(variables)
            assert all(type(value) is str for value in spec.environment.values())
    publish = specs["publish"].environment
    assert publish["PUBLISH_QUEUE_URL"] == f"{emulator}/000000000000/resolved-publish.fifo"
    assert publish["TASKS_TABLE"] == specs["api_handler"].environment["TASKS_TABLE"]
    assert publish["DOUYIN_ORIGIN"] == "http://127.0.0.1:9999"
    assert specs["scan"].environment["VOLC_CREDENTIALS"] == "ssm:/content/keys"
    assert specs["api_handler"].environment["SCAN_FUNCTION_NAME"] == "scan"
    assert specs["api_handler"].environment["VOLC_CALLBACK_CREDENTIALS"] == "ssm:/content/callback"


def test_asynchronous_invocations_are_repeated_as_the_template_says(specs: dict[str, FunctionSpec]) -> None:
    assert {name: spec.retries for name, spec in specs.items() if spec.retries != 2} == {"mirror": 0, "scan": 0}
    for name in ("Scan", "Mirror"):
        age = TEMPLATE["Resources"][name]["Properties"]["EventInvokeConfig"]["MaximumEventAgeInSeconds"]
        assert age == RUN_LOST_AFTER.total_seconds()


def test_limits_sources_and_schedules_are_those_of_the_template(specs: dict[str, FunctionSpec]) -> None:
    limits = {name: (spec.timeout, spec.memory, spec.reserved_concurrency) for name, spec in specs.items()}
    assert limits == {
        "api_handler": (29, 1024, None),
        "login": (630, 2048, None),
        "mirror": (900, 1024, 1),
        "publish": (900, 2048, None),
        "scan": (280, 1024, 1),
        "sweep": (55, 512, None),
        "webhooks": (120, 512, None),
    }
    source = specs["publish"].event_source
    assert source is not None
    assert source.queue_url == specs["publish"].environment["PUBLISH_QUEUE_URL"]
    assert source.queue_arn.endswith(":resolved-publish.fifo")
    assert (source.batch_size, source.maximum_concurrency, source.report_batch_item_failures) == (1, 3, False)
    assert specs["scan"].schedule == "rate(5 minutes)"
    assert specs["sweep"].schedule == specs["webhooks"].schedule == "rate(1 minute)"
    assert all(specs[name].schedule is None for name in ("login", "publish", "mirror", API_HANDLER))
    assert all(specs[name].event_source is None for name in ("scan", "sweep", API_HANDLER))


def test_a_schedule_that_the_template_disables_does_not_run(emulator: str) -> None:
    by_name = {spec.name: spec for spec in resolve(emulator, {}, stack="disabled")}
    assert by_name["scan"].schedule is None
    assert by_name["sweep"].schedule == "rate(1 minute)"


def test_the_template_holds_no_secret_and_where_they_are_kept_is_never_told_to_the_emulator() -> None:
    assert not [name for name in TEMPLATE["Parameters"] if "Secret" in name or "AccessKey" in name]
    text = json.dumps(data_template(TEMPLATE))
    assert "VolcCredentials" not in text
    assert "BrowserImageUri" not in text


def test_only_data_resources_are_kept_and_all_of_them_are_retained() -> None:
    reduced = data_template(TEMPLATE)
    kinds = {resource["Type"].split("::")[1] for resource in reduced["Resources"].values()}
    assert kinds == {"DynamoDB", "KMS", "S3", "SQS"}
    policies = {resource["DeletionPolicy"] for resource in reduced["Resources"].values()}
    assert policies == {"RetainExceptOnCreate"}


def test_an_unknown_parameter_is_refused(emulator: str) -> None:
    with pytest.raises(TemplateError, match="no parameter Nonsense"):
        deploy(emulator, "refused", TEMPLATE, {"Nonsense": "1"})


def test_an_event_that_local_runs_do_not_have_is_refused(emulator: str) -> None:
    other = Chalice("other")
    other.on_s3_event(bucket="x", name="on_s3")(lambda event: None)
    with pytest.raises(TemplateError, match="on_s3"):
        resolve(emulator, {}, stack="disabled", application=other)


def test_the_stages_own_configuration_counts(emulator: str) -> None:
    blueprint = Blueprint("jobs_of_a_test")

    @blueprint.schedule(Rate(7, unit=Rate.HOURS))
    def sweep(event: object) -> None: ...

    other = Chalice("other")
    other.register_blueprint(blueprint)
    config = copy.deepcopy(CONFIG)
    config["stages"]["prod"] = {"lambda_functions": {"sweep": {"lambda_timeout": 41}}}
    outputs = deploy(emulator, "disabled", TEMPLATE)
    specs = functions(TEMPLATE, config, other, outputs=outputs, stage="prod")
    (found,) = [spec for spec in specs if spec.name == "sweep"]
    assert (found.timeout, found.memory, found.schedule) == (41, 512, "rate(7 hours)")


@pytest.mark.parametrize(
    ("name", "role", "parameter"),
    [
        ("VolcCredentialsPolicy", "ScanRole", "VolcCredentials"),
        ("VolcCallbackPolicy", "ApiHandlerRole", "VolcCallbackCredentials"),
    ],
)
def test_each_policy_of_the_content_service_reads_its_one_secret_and_nothing_else(
    name: str, role: str, parameter: str
) -> None:
    policy = TEMPLATE["Resources"][name]["Properties"]
    place, key = (choice["Fn::If"] for choice in policy["PolicyDocument"]["Statement"])

    assert policy["Roles"] == [{"Ref": role}]
    assert place[2]["Resource"] == {"Ref": parameter}
    assert f"${{{parameter}}}" in json.dumps(place[1]["Resource"])
    assert [(entry["Action"], "*" in json.dumps(entry["Resource"])) for entry in (*place[1:], key[1])] == [
        ("ssm:GetParameter", False),
        ("secretsmanager:GetSecretValue", False),
        ("kms:Decrypt", False),
    ]
    assert key[2] == {"Ref": "AWS::NoValue"}
