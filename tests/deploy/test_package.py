from __future__ import annotations

import importlib.util
import zipfile
from typing import TYPE_CHECKING

import pytest

from deploy import package as packaging
from deploy.bytecode import write_zip
from deploy.package import ROOT, Package, PackagingFailed, package

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.system


def test_the_same_files_give_the_same_bytes_whatever_lies_beside_them(
    project: Path, packaged: Package, tmp_path: Path
) -> None:
    (project / "secrets.env").write_text("VOLC_SECRET_KEY=canary")
    (project / "chalicelib" / "__pycache__").mkdir(exist_ok=True)
    (project / "chalicelib" / "__pycache__" / "stray.cpython-311.pyc").write_bytes(b"stray")
    architecture = packaged.template["Resources"]["APIHandler"]["Properties"]["Architectures"][0]

    again = package("dev", tmp_path / "again", source=project, architecture=architecture)

    assert again.sha256 == packaged.sha256
    for name in ("sam.yaml", "translated.json"):
        assert (again.folder / name).read_bytes() == (packaged.folder / name).read_bytes()


def test_the_zip_holds_the_api_and_the_jobs_and_no_browser(packaged: Package) -> None:
    with zipfile.ZipFile(packaged.archive) as archive:
        top = {name.partition("/")[0] for name in archive.namelist()}

    assert {"app.py", "chalicelib", "chalice", "pydantic", "requests"} <= top
    assert not {"playwright", "boto3", "botocore", "cryptography", "container", "local", "tests"} & top


def test_every_module_has_bytecode_that_python_takes_unasked(packaged: Package) -> None:
    # The second word of the header: 1 is hash-based and unchecked (PEP 552), so no file time can make it stale.
    unchecked = (1).to_bytes(4, "little")
    with zipfile.ZipFile(packaged.archive) as archive:
        names = set(archive.namelist())
        modules = [name for name in names if name.endswith(".py")]
        for name in modules:
            compiled = importlib.util.cache_from_source(name)
            assert compiled in names, f"{name} has no bytecode"
            assert archive.read(compiled)[4:8] == unchecked
    assert len(modules) > 100


def test_functions_of_the_zip_are_arm64_unless_said_otherwise(tmp_path: Path) -> None:
    made = package("prod", tmp_path / "prod")

    functions = [r for r in made.template["Resources"].values() if r["Type"] == "AWS::Serverless::Function"]
    assert {tuple(function["Properties"]["Architectures"]) for function in functions} == {("arm64",)}
    with zipfile.ZipFile(made.archive) as archive:
        native = [name for name in archive.namelist() if name.endswith(".so")]
    assert native
    assert all("aarch64" in name for name in native)


def test_a_stage_that_is_not_configured_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PackagingFailed, match=r"no stage 'staging'.*there are dev, prod"):
        package("staging", tmp_path / "out")


def test_a_requirement_without_a_wheel_for_lambda_is_refused(project: Path, tmp_path: Path) -> None:
    wheel = tmp_path / "tiny-1.0-cp311-cp311-win_amd64.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("tiny.py", "")
        archive.writestr("tiny-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: tiny\nVersion: 1.0\n")
        archive.writestr(
            "tiny-1.0.dist-info/WHEEL",
            "Wheel-Version: 1.0\nRoot-Is-Purelib: false\nTag: cp311-cp311-win_amd64\n",
        )
        archive.writestr("tiny-1.0.dist-info/RECORD", "")
    (project / "requirements.txt").write_text(f"tiny @ {wheel.as_uri()}\n")

    with pytest.raises(PackagingFailed, match=r"tiny"):
        package("dev", tmp_path / "out", source=project)


def test_a_requirement_that_does_not_exist_is_refused(project: Path, tmp_path: Path) -> None:
    (project / "requirements.txt").write_text("social-publisher-has-no-such-package==9.9.9\n")

    with pytest.raises(PackagingFailed, match=r"social-publisher-has-no-such-package"):
        package("dev", tmp_path / "out", source=project)


def test_a_zip_that_cannot_be_imported_is_refused(project: Path, tmp_path: Path) -> None:
    (project / "requirements.txt").write_text("")

    with pytest.raises(PackagingFailed, match=r"cannot be imported:(.|\n)*No module named 'urllib3'"):
        package("dev", tmp_path / "out", source=project)


def test_a_template_that_only_the_translation_refuses_is_refused(project: Path, tmp_path: Path) -> None:
    resources = (project / ".chalice" / "resources.yml").read_text()
    # Laid over Chalice's own Fn::GetAtt: a value with two intrinsic functions.
    resources = resources.replace(
        "  Sweep:\n    Properties:\n", "  Sweep:\n    Properties:\n      Role: !Sub x\n"
    )
    (project / ".chalice" / "resources.yml").write_text(resources)

    with pytest.raises(PackagingFailed, match="refuse"):
        package("dev", tmp_path / "out", source=project)


def test_a_zip_beyond_its_budget_is_refused(packaged: Package, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packaging, "ZIP_BUDGET", packaged.size / 1e6 - 0.1)

    with pytest.raises(PackagingFailed, match=r"The zip has .* MB; its budget is"):
        packaging._check_sizes(packaged)


def test_a_zip_depends_on_names_and_contents_alone(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "b.py").write_text("b")
    (folder / "a.py").write_text("a")
    write_zip(folder, tmp_path / "1.zip")
    (folder / "a.py").unlink()
    (folder / "a.py").write_text("a")
    (folder / "a.py").chmod(0o600)

    write_zip(folder, tmp_path / "2.zip")

    assert (tmp_path / "1.zip").read_bytes() == (tmp_path / "2.zip").read_bytes()


def test_no_partition_is_written_into_an_arn() -> None:
    """`arn:aws:` is wrong in AWS China (aws-cn) and GovCloud."""
    sources = [ROOT / "app.py", *(ROOT / ".chalice").glob("*.json"), *(ROOT / ".chalice").glob("*.yml")]
    for folder in ("chalicelib", "container", "deploy"):
        sources += (ROOT / folder).rglob("*.py")

    found = [str(path.relative_to(ROOT)) for path in sources if "arn:aws:" in path.read_text()]

    assert found == []
