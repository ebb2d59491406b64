"""Whether CloudFormation would take a template: cfn-lint before and after the SAM translation.

cfn-lint alone passes a template that the translation refuses, and what the translation makes is what
CloudFormation creates. So both are looked at.
"""

from __future__ import annotations

import copy
import json
from typing import TYPE_CHECKING, Any

import boto3
import cfnlint  # type: ignore[import-untyped]
from samtranslator.metrics.metrics import Metrics  # type: ignore[import-untyped]
from samtranslator.model.exceptions import InvalidDocumentException  # type: ignore[import-untyped]
from samtranslator.parser.parser import Parser  # type: ignore[import-untyped]
from samtranslator.translator.translator import Translator  # type: ignore[import-untyped]

if TYPE_CHECKING:
    from collections.abc import Iterator


class TemplateRefused(Exception):
    """A template that CloudFormation would not take; the text has one complaint a line."""


def translated(template: dict[str, Any], region: str) -> dict[str, Any]:
    """What the SAM transform makes of the template. Raises TemplateRefused."""
    source = copy.deepcopy(template)
    for resource in source["Resources"].values():
        # The translator takes no local file; which object it will be does not matter to it.
        if resource.get("Type") == "AWS::Serverless::Function":
            resource["Properties"]["CodeUri"] = {"Bucket": "artifacts", "Key": "deployment.zip"}
    # The map is of managed policies by name; our roles name theirs in full.
    metrics = Metrics()
    translator = Translator({}, Parser(), boto_session=boto3.Session(region_name=region), metrics=metrics)
    try:
        result: dict[str, Any] = translator.translate(source, {})
    except InvalidDocumentException as error:
        causes = [cause.message for cause in error.causes] or [error.message]
        raise TemplateRefused("\n".join(["the SAM translation refuses it:", *causes])) from error
    finally:
        metrics.publish()  # To nobody, which is its default; unpublished ones are complained of.
    return result


def check(template: dict[str, Any], region: str) -> dict[str, Any]:
    """Lints the template, translates it, lints the outcome and returns that. Raises TemplateRefused."""
    _lint(template, region, "as packaged")
    outcome = translated(template, region)
    _lint(outcome, region, "as translated")
    return outcome


def _lint(template: dict[str, Any], region: str, which: str) -> None:
    complaints = list(_complaints(template, region))
    if complaints:
        raise TemplateRefused("\n".join([f"cfn-lint refuses the template {which}:", *complaints]))


def _complaints(template: dict[str, Any], region: str) -> Iterator[str]:
    for match in cfnlint.lint(json.dumps(template), regions=[region]):
        where = "/".join(str(part) for part in getattr(match, "path", []) or [])
        yield f"{match.rule.id} {where}: {match.message}"
