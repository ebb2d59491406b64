"""`python -m deploy.package --stage dev`: the zip and the template that CloudFormation takes, proved.

The outcome, in `build/<stage>/`: `deployment.zip` for all functions that Chalice makes, `sam.yaml`, and
`translated.json`, what CloudFormation's SAM transform makes of it. The same files give the same bytes.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.metadata
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from samtranslator.yaml_helper import yaml_parse  # type: ignore[import-untyped]

from deploy.bytecode import add_bytecode
from deploy.lint import TemplateRefused, check

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

ROOT: Final = Path(__file__).resolve().parent.parent

# What Chalice reads. It packages a copy of these alone: nothing else that lies about gets into the zip, and its
# cache, which takes a renamed file for the old one, starts empty.
_SOURCES: Final = ("app.py", "chalicelib", ".chalice", "requirements.txt")
_NOT_COPIED: Final = ("__pycache__", "deployments", "deployed")

# Megabytes. Lambda takes 250 unpacked; each one more costs time at a cold start, so growth is a decision.
ZIP_BUDGET: Final = 8.0
UNPACKED_BUDGET: Final = 30.0

# What Lambda's Python runtime has by itself, and the zip does without.
_IN_THE_RUNTIME: Final = ("boto3", "botocore", "s3transfer", "jmespath", "dateutil", "six")
_NATIVE: Final = re.compile(r"\.cpython-\d+-(?P<machine>\w+)-linux-gnu\.so$")
# The glibc of each runtime: Amazon Linux 2 up to Python 3.11, Amazon Linux 2023 from 3.12 on.
_GLIBC: Final = {(3, 11): (2, 26)}
_NEWER_GLIBC: Final = (2, 34)
_MANYLINUX: Final = re.compile(r"manylinux_(\d+)_(\d+)_")


class PackagingFailed(Exception):
    """No package was made; the text says why, and what to do."""


@dataclass(frozen=True, slots=True)
class Package:
    """What `package` made. Sizes are in bytes."""

    folder: Path
    template: dict[str, Any]
    translated: dict[str, Any]
    size: int
    unpacked_size: int

    @property
    def archive(self) -> Path:
        return self.folder / "deployment.zip"

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.archive.read_bytes()).hexdigest()


def package(
    stage: str,
    folder: Path,
    *,
    region: str = "us-east-1",
    architecture: str | None = None,
    source: Path = ROOT,
) -> Package:
    """Makes the package of `stage` in `folder`, whose former content goes. Raises PackagingFailed.

    `architecture` is arm64 or x86_64, in the place of what .chalice/config.json says.
    """
    config = json.loads((source / ".chalice" / "config.json").read_text())
    if stage not in (stages := config["stages"]):
        # Chalice itself would package an unknown stage with the settings of all stages.
        raise PackagingFailed(
            f"There is no stage {stage!r} in .chalice/config.json; there are {', '.join(stages)}."
        )
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    with tempfile.TemporaryDirectory(prefix="package-") as temporary:
        project, unpacked = Path(temporary, "project"), Path(temporary, "unpacked")
        _copy_sources(source, project)
        if architecture is not None:
            config["lambda_architecture"] = architecture
            (project / ".chalice" / "config.json").write_text(json.dumps(config))
        _run_chalice(project, stage, folder, region)
        template = yaml_parse((folder / "sam.yaml").read_text())
        add_bytecode(folder / "deployment.zip", unpacked)
        _check_wheels(unpacked)
        _check_imports(unpacked, _handlers(template), Path(temporary, "path"))
        made = Package(
            folder=folder,
            template=template,
            translated=_checked(template, region),
            size=(folder / "deployment.zip").stat().st_size,
            unpacked_size=sum(path.stat().st_size for path in unpacked.rglob("*") if path.is_file()),
        )
    _check_sizes(made)
    (folder / "translated.json").write_text(json.dumps(made.translated, indent=1, sort_keys=True) + "\n")
    return made


def _copy_sources(source: Path, project: Path) -> None:
    project.mkdir()
    for name in _SOURCES:
        if (source / name).is_dir():
            shutil.copytree(source / name, project / name, ignore=shutil.ignore_patterns(*_NOT_COPIED))
        else:
            shutil.copy2(source / name, project / name)


def _run_chalice(project: Path, stage: str, folder: Path, region: str) -> None:
    command = [
        sys.executable,
        "-c",
        "import sys; from chalice.cli import main; sys.exit(main())",
        "package",
        "--stage",
        stage,
    ]
    command += ["--merge-template", str(Path(".chalice", "resources.yml")), str(folder)]
    environment = {**os.environ, "AWS_DEFAULT_REGION": region, "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(command, check=False, cwd=project, env=environment, capture_output=True, text=True)
    output = done.stdout + done.stderr
    # Chalice only prints this, and packages without them.
    if "Could not install" in output:
        raise PackagingFailed(
            f"Not every requirement has a wheel for Lambda:\n{output}\nPin a version in pyproject.toml that "
            "has one for the architecture in .chalice/config.json, and run `make lock`."
        )
    if done.returncode != 0 or not (folder / "sam.yaml").exists():
        raise PackagingFailed(f"`chalice package` failed:\n{output}")


def _handlers(template: dict[str, Any]) -> list[str]:
    """`module.attribute` of each function that runs from the zip."""
    return sorted(
        resource["Properties"]["Handler"]
        for resource in template["Resources"].values()
        if resource.get("Type") == "AWS::Serverless::Function"
    )


def _check_wheels(unpacked: Path) -> None:
    """Whether Lambda's C library is new enough for what was compiled for it."""
    limit = _GLIBC.get(sys.version_info[:2], _NEWER_GLIBC)
    for wheel in unpacked.glob("*.dist-info/WHEEL"):
        needed = [(int(major), int(minor)) for major, minor in _MANYLINUX.findall(wheel.read_text())]
        if needed and min(needed) > limit:
            raise PackagingFailed(
                f"{wheel.parent.name} needs glibc {needed}; Lambda's Python "
                f"{'.'.join(map(str, sys.version_info[:2]))} has {limit}. Pin an older version."
            )


def _check_imports(unpacked: Path, handlers: Sequence[str], path: Path) -> None:
    """Imports each handler from the zip's content, in a Python that has nothing else but Lambda's own packages.

    Compiled modules for another machine give way to this one's of the same version.
    """
    path.mkdir()
    for name in {*_IN_THE_RUNTIME, *_foreign_packages(unpacked)}:
        spec = importlib.util.find_spec(name)
        if spec is None or spec.origin is None:
            raise PackagingFailed(f"{name} is not installed here, so the package cannot be tried.")
        found = Path(spec.origin)
        found = found.parent if found.name == "__init__.py" else found
        (path / found.name).symlink_to(found)
    script = (
        "import importlib, json, sys\n"
        "paths, handlers = json.loads(sys.argv[1])\n"
        "sys.path[:0] = paths\n"
        "for handler in handlers:\n"
        "    module, _, attribute = handler.rpartition('.')\n"
        "    assert callable(getattr(importlib.import_module(module), attribute)), handler\n"
    )
    argument = json.dumps([[str(path), str(unpacked)], list(handlers)])
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-B", "-c", script, argument],
        check=False,
        env={"AWS_DEFAULT_REGION": "us-east-1"},
        capture_output=True,
        text=True,
    )
    if done.returncode != 0:
        raise PackagingFailed(f"The unpacked zip cannot be imported:\n{done.stderr}")


def _foreign_packages(unpacked: Path) -> Iterator[str]:
    """Top-level packages with modules compiled for a machine that is not this one."""
    machine = os.uname().machine
    for module in unpacked.rglob("*.so"):
        matched = _NATIVE.search(module.name)
        if matched is None or matched["machine"] == machine:
            continue
        name = module.relative_to(unpacked).parts[0]
        here = importlib.metadata.version(name)
        if not (unpacked / f"{name}-{here}.dist-info").is_dir():
            raise PackagingFailed(
                f"The zip's {name} is not version {here}, which is installed here. Run `make lock`."
            )
        yield name


def _checked(template: dict[str, Any], region: str) -> dict[str, Any]:
    try:
        return check(template, region)
    except TemplateRefused as error:
        raise PackagingFailed(str(error)) from error


def _check_sizes(made: Package) -> None:
    for what, size, budget in (
        ("zip", made.size, ZIP_BUDGET),
        ("unpacked zip", made.unpacked_size, UNPACKED_BUDGET),
    ):
        if size > budget * 1e6:
            raise PackagingFailed(
                f"The {what} has {size / 1e6:.1f} MB; its budget is {budget:.0f}. Take something out of the "
                "`api` group of pyproject.toml, or raise the budget knowingly."
            )


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m deploy.package", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("--stage", default="dev", help="a stage of .chalice/config.json (default: %(default)s)")
    parser.add_argument("--region", default="us-east-1", help="for which the template is linted")
    parser.add_argument("--architecture", choices=("arm64", "x86_64"), help="of the functions of the zip")
    parser.add_argument("--output", type=Path, help="default: build/<stage>")
    arguments = parser.parse_args()
    try:
        made = package(
            arguments.stage,
            arguments.output or ROOT / "build" / arguments.stage,
            region=arguments.region,
            architecture=arguments.architecture,
        )
    except PackagingFailed as error:
        sys.exit(str(error))
    print(
        f"{made.archive}: {made.size / 1e6:.1f} MB ({made.unpacked_size / 1e6:.1f} unpacked)\n"
        f"sha256 {made.sha256}\n"
        f"{len(made.translated['Resources'])} resources, lint-clean before and after the SAM translation"
    )


if __name__ == "__main__":
    main()
