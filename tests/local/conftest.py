"""An emulator for the tests of this folder, and queues and functions on it."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

import pytest

from local.emulator import client_environment, make_client, running_emulator
from local.runtime.function import LocalFunction
from local.template import FunctionSpec

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    MakeFunction = Callable[..., LocalFunction]


@pytest.fixture(scope="session")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The endpoint of an emulator that nothing was deployed on."""
    with running_emulator(tmp_path_factory.mktemp("emulator")) as endpoint:
        yield endpoint


@pytest.fixture(scope="session")
def sqs(emulator: str) -> Any:
    return make_client("sqs", emulator)


@pytest.fixture
def name() -> str:
    """A name that nothing else has."""
    return f"t{uuid.uuid4().hex[:10]}"


@pytest.fixture
def make_function(tmp_path: Path, emulator: str, name: str) -> Iterator[MakeFunction]:
    """Makes functions from the handlers of `tests.local.handlers`, by name; they are closed at the end."""
    made = []

    def make(
        handler: str,
        *,
        timeout: int = 20,
        variables: dict[str, str] | None = None,
        env: dict[str, str] | None = None,
        **arguments: Any,
    ) -> LocalFunction:
        spec = FunctionSpec(name, f"tests.local.handlers.{handler}", timeout, 256, variables or {})
        environment = client_environment(emulator) | (env or {})
        function = LocalFunction(spec, environment, tmp_path / "logs", **arguments)
        made.append(function)
        return function

    yield make
    for function in made:
        function.close()
