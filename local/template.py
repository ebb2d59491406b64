"""The one list of resources, `.chalice/resources.yml`, as seen from one machine.

Its data resources are created on the emulator by `local.stack`; its functions, and those that Chalice makes,
become a list of `FunctionSpec` for `local.runtime`. What only the cloud needs (roles, gateway answers, images)
is left out.
"""

from __future__ import annotations

import copy
import hashlib
import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import yaml  # type: ignore[import-untyped]
from chalice.app import ScheduledEventConfig, ScheduleExpression
from chalice.config import Config

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from chalice.app import Chalice

Template = dict[str, Any]

DATA_TYPES: Final = frozenset(
    {
        "AWS::DynamoDB::Table",
        "AWS::KMS::Alias",
        "AWS::KMS::Key",
        "AWS::S3::Bucket",
        "AWS::S3::BucketPolicy",
        "AWS::SQS::Queue",
        "AWS::SQS::QueuePolicy",
    }
)

API_HANDLER: Final = "api_handler"
# Lambda's own defaults, where the template says nothing: seconds, and MB.
_DEFAULT_TIMEOUT: Final = 3
_DEFAULT_MEMORY: Final = 128
_DEFAULT_RETRIES: Final = 2
# Chalice's logical name of the API's function is not the usual CamelCase of its name.
_CHALICE_LOGICAL_NAMES: Final = {API_HANDLER: "APIHandler"}


class TemplateError(Exception):
    """The template asks for something that a local run cannot give, or that does not exist."""


@dataclass(frozen=True)
class EventSourceSpec:
    """An SQS event source. `maximum_concurrency` bounds the batches that are handled at the same time."""

    queue_url: str
    queue_arn: str
    batch_size: int = 10
    maximum_concurrency: int | None = None
    report_batch_item_failures: bool = False


@dataclass(frozen=True)
class FunctionSpec:
    """What a function needs to run: `handler` is `module.attribute`, `timeout` in seconds, `memory` in MB.

    `schedule` is an EventBridge expression; None without one, or where the template disables it. `retries` are
    those of asynchronous invocations that fail.
    """

    name: str
    handler: str
    timeout: int
    memory: int
    environment: Mapping[str, str] = field(default_factory=dict)
    reserved_concurrency: int | None = None
    event_source: EventSourceSpec | None = None
    schedule: str | None = None
    retries: int = _DEFAULT_RETRIES


# Reading


def load_template(path: Path) -> Template:
    """Reads a template in YAML. Short tags (`!Ref x`) come out as their long forms (`{"Ref": "x"}`)."""
    content = yaml.load(path.read_text("utf-8"), _Loader)  # noqa: S506  # a SafeLoader with tags that make dicts
    if not isinstance(content, dict) or not isinstance(content.get("Resources"), dict):
        raise TemplateError(f"{path} is not a CloudFormation template: it has no Resources.")
    return content


class _Loader(yaml.SafeLoader):  # type: ignore[misc]
    pass


def _construct_tag(loader: _Loader, tag: str, node: yaml.Node) -> dict[str, Any]:
    if isinstance(node, yaml.ScalarNode):
        value: Any = loader.construct_scalar(node)
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    else:
        value = loader.construct_mapping(node, deep=True)
    if tag == "GetAtt" and isinstance(value, str):
        value = value.split(".", 1)
    return {tag if tag in ("Ref", "Condition") else f"Fn::{tag}": value}


_Loader.add_multi_constructor("!", _construct_tag)


# Reducing


def data_template(template: Template) -> Template:
    """The template reduced to its data resources, with one Output for each distinct value that functions need.

    Only the parameters and conditions that the rest refers to are kept; secrets are given to functions alone,
    so they never come here. Data resources are retained whatever an update says: local data are never dropped.
    """
    resources = {
        name: copy.deepcopy(resource)
        for name, resource in template["Resources"].items()
        if resource.get("Type") in DATA_TYPES
    }
    for resource in resources.values():
        resource["DeletionPolicy"] = "RetainExceptOnCreate"
        resource["UpdateReplacePolicy"] = "Retain"
    outputs = {
        output_name(value): {"Value": value}
        for value in _needed_values(template)
        if _is_left_to_cloudformation(template, value)
    }
    reduced: Template = {"AWSTemplateFormatVersion": "2010-09-09", "Resources": resources, "Outputs": outputs}
    conditions = template.get("Conditions", {})
    kept: set[str] = set()
    while wanted := (_references([reduced, [conditions[name] for name in kept]]) & set(conditions)) - kept:
        kept |= wanted
    if kept:
        reduced["Conditions"] = {name: conditions[name] for name in conditions if name in kept}
    parameters = template.get("Parameters", {})
    if used := _references(reduced) & set(parameters):
        reduced["Parameters"] = {name: parameters[name] for name in parameters if name in used}
    return reduced


def output_name(value: Any) -> str:
    """The name of the Output that gives a value of the template: the same value has the same name."""
    return "Value" + hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:16]


def _references(value: Any) -> set[str]:
    """Every string in a value that may name a parameter or a condition, those inside `Fn::Sub` included."""
    found = set()
    for node in _walk(value):
        if isinstance(node, str):
            found |= {node, *re.findall(r"\$\{([A-Za-z0-9]+)\}", node)}
    return found


def _walk(value: Any) -> Iterator[Any]:
    yield value
    if isinstance(value, dict):
        for child in value.values():
            yield from _walk(child)
    elif isinstance(value, list):
        for child in value:
            yield from _walk(child)


def _needed_values(template: Template) -> Iterator[Any]:
    """Every value of the template that `functions` may resolve."""
    for resource in template["Resources"].values():
        properties = resource.get("Properties", {})
        if _is_function(resource):
            yield from properties.get("Environment", {}).get("Variables", {}).values()
            for event in properties.get("Events", {}).values():
                yield from event.get("Properties", {}).values()
            yield from (properties[name] for name in _NUMBERS if name in properties)
        elif resource.get("Type") == "AWS::Lambda::EventSourceMapping":
            yield {"Ref": _queue_of(properties)}
            yield {"Fn::GetAtt": [_queue_of(properties), "Arn"]}
            yield from properties.get("ScalingConfig", {}).values()
            yield from (properties[name] for name in ("BatchSize", "Enabled") if name in properties)


_NUMBERS: Final = ("Timeout", "MemorySize", "ReservedConcurrentExecutions")


def _is_function(resource: Mapping[str, Any]) -> bool:
    # What is merged over Chalice's own resources has no Type; its RestAPI is no function but needs no values.
    return bool(resource.get("Type", "AWS::Lambda::Function") == "AWS::Lambda::Function")


def _is_left_to_cloudformation(template: Template, value: Any) -> bool:
    if not isinstance(value, dict):
        return False
    return value.get("Ref") not in template.get("Parameters", {}) and not _is_function_reference(
        template, value
    )


def _is_function_reference(template: Template, value: Any) -> bool:
    if not isinstance(value, dict) or "Ref" not in value:
        return False
    resource = template["Resources"].get(value["Ref"])
    return resource is not None and _is_function(resource)


def _queue_of(properties: Mapping[str, Any]) -> str:
    source = properties.get("EventSourceArn")
    if isinstance(source, dict) and isinstance(source.get("Fn::GetAtt"), list):
        return str(source["Fn::GetAtt"][0])
    raise TemplateError(f"An event source must name its queue as !GetAtt Queue.Arn, not {source!r}.")


# Functions


def parameter_values(template: Template, given: Mapping[str, str]) -> dict[str, str]:
    """The values of the parameters: the given ones, else the defaults. Those with neither are left out."""
    declared = template.get("Parameters", {})
    if unknown := sorted(set(given) - set(declared)):
        raise TemplateError(f"The template has no parameter {', '.join(unknown)}.")
    defaults = {name: str(spec["Default"]) for name, spec in declared.items() if "Default" in spec}
    return defaults | dict(given)


def functions(
    template: Template,
    chalice_config: Mapping[str, Any],
    app: Chalice,
    *,
    outputs: Mapping[str, str],
    parameters: Mapping[str, str] | None = None,
    stage: str = "dev",
) -> list[FunctionSpec]:
    """Every function of the template and of Chalice, the API's (`api_handler`, `app.app`) first.

    `outputs` is what `local.stack.deploy` returned for the same template and parameters. `chalice_config` is
    the content of `.chalice/config.json`. Raises TemplateError for what a local run has no answer to.
    """
    resolver = _Resolver(template, parameter_values(template, parameters or {}), outputs)
    specs = [*_chalice_functions(resolver, chalice_config, app, stage), *_template_functions(resolver)]
    return sorted(specs, key=lambda spec: (spec.name != API_HANDLER, spec.name))


@dataclass(frozen=True)
class _Resolver:
    template: Template
    parameters: Mapping[str, str]
    outputs: Mapping[str, str]

    def text(self, value: Any) -> str:
        if isinstance(value, bool):
            return "true" if value else "false"
        if not isinstance(value, dict):
            return str(value)
        if _is_function_reference(self.template, value):
            return function_name(value["Ref"])
        if value.get("Ref") in self.template.get("Parameters", {}):
            try:
                return self.parameters[value["Ref"]]
            except KeyError:
                raise TemplateError(f"The parameter {value['Ref']} has no default and was not given.") from None
        try:
            return self.outputs[output_name(value)]
        except KeyError:
            raise TemplateError(
                f"The stack has no value for {value!r}; deploy the same template first."
            ) from None

    def number(self, value: Any, default: int) -> int:
        return default if value is None else int(self.text(value))

    def optional_number(self, value: Any) -> int | None:
        return None if value is None else int(self.text(value))

    def environment(self, properties: Mapping[str, Any]) -> dict[str, str]:
        variables = properties.get("Environment", {}).get("Variables", {})
        return {name: self.text(value) for name, value in variables.items()}


def function_name(logical_name: str) -> str:
    """The local name of a function of the template: `PublishLater` becomes `publish_later`."""
    for name, special in _CHALICE_LOGICAL_NAMES.items():
        if logical_name == special:
            return name
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", logical_name).lower()


def _chalice_functions(
    resolver: _Resolver, chalice_config: Mapping[str, Any], app: Chalice, stage: str
) -> Iterator[FunctionSpec]:
    found: list[tuple[str, str, str | ScheduleExpression | None]] = [(API_HANDLER, "app.app", None)]
    for source in app.event_sources:
        if not isinstance(source, ScheduledEventConfig):
            raise TemplateError(f"{source.name} is neither a route nor a schedule; it does not run locally.")
        found.append((source.name, source.handler_string, source.schedule_expression))
    found += [(pure.name, pure.handler_string, None) for pure in app.pure_lambda_functions]
    for name, handler, expression in found:
        config = Config(chalice_stage=stage, function_name=name, config_from_disk=dict(chalice_config))
        merged = _merged_properties(resolver.template, name)
        yield FunctionSpec(
            name=name,
            handler=handler,
            timeout=resolver.number(merged.get("Timeout"), config.lambda_timeout or 60),
            memory=resolver.number(merged.get("MemorySize"), config.lambda_memory_size or _DEFAULT_MEMORY),
            environment={**config.environment_variables, **resolver.environment(merged)},
            reserved_concurrency=resolver.optional_number(merged.get("ReservedConcurrentExecutions"))
            or config.reserved_concurrency,
            schedule=_schedule(resolver, merged, expression),
            retries=resolver.number(
                merged.get("EventInvokeConfig", {}).get("MaximumRetryAttempts"), _DEFAULT_RETRIES
            ),
        )


def _merged_properties(template: Template, name: str) -> Mapping[str, Any]:
    """What the template lays over Chalice's own definition of the function."""
    for logical_name, resource in template["Resources"].items():
        if "Type" not in resource and function_name(logical_name) == name:
            properties: Mapping[str, Any] = resource.get("Properties", {})
            return properties
    return {}


def _schedule(
    resolver: _Resolver, properties: Mapping[str, Any], declared: str | ScheduleExpression | None
) -> str | None:
    expression = declared.to_string() if isinstance(declared, ScheduleExpression) else declared
    for event in properties.get("Events", {}).values():
        overrides = event.get("Properties", {})
        if "State" in overrides and resolver.text(overrides["State"]) != "ENABLED":
            return None
        if "Schedule" in overrides:
            expression = resolver.text(overrides["Schedule"])
    return expression


def _template_functions(resolver: _Resolver) -> Iterator[FunctionSpec]:
    resources = resolver.template["Resources"]
    sources = {
        resource["Properties"]["FunctionName"]["Ref"]: resource["Properties"]
        for resource in resources.values()
        if resource.get("Type") == "AWS::Lambda::EventSourceMapping"
    }
    for logical_name, resource in resources.items():
        if resource.get("Type") != "AWS::Lambda::Function":
            continue
        properties = resource["Properties"]
        yield FunctionSpec(
            name=function_name(logical_name),
            handler=_handler(logical_name, properties),
            timeout=resolver.number(properties.get("Timeout"), _DEFAULT_TIMEOUT),
            memory=resolver.number(properties.get("MemorySize"), _DEFAULT_MEMORY),
            environment=resolver.environment(properties),
            reserved_concurrency=resolver.optional_number(properties.get("ReservedConcurrentExecutions")),
            event_source=_event_source(resolver, sources.get(logical_name)),
        )


def _handler(logical_name: str, properties: Mapping[str, Any]) -> str:
    if properties.get("PackageType") != "Image":
        return str(properties["Handler"])
    try:
        return str(properties["ImageConfig"]["Command"][0])
    except (KeyError, IndexError):
        raise TemplateError(
            f"{logical_name} is an image without ImageConfig.Command: its handler is unknown."
        ) from None


def _event_source(resolver: _Resolver, properties: Mapping[str, Any] | None) -> EventSourceSpec | None:
    if properties is None or resolver.text(properties.get("Enabled", True)) == "false":
        return None
    queue = _queue_of(properties)
    return EventSourceSpec(
        queue_url=resolver.text({"Ref": queue}),
        queue_arn=resolver.text({"Fn::GetAtt": [queue, "Arn"]}),
        batch_size=resolver.number(properties.get("BatchSize"), 10),
        maximum_concurrency=resolver.optional_number(
            properties.get("ScalingConfig", {}).get("MaximumConcurrency")
        ),
        report_batch_item_failures="ReportBatchItemFailures" in properties.get("FunctionResponseTypes", []),
    )
