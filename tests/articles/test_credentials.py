"""Where the keys are read from, how often, and that they are shown nowhere."""

from __future__ import annotations

import json
import logging
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest

from chalicelib.articles.credentials import (
    Credentials,
    SecretCache,
    read_callback_secret,
    read_credentials,
)
from chalicelib.errors import CloudFailed, ConfigurationError
from chalicelib.settings import Settings
from local.emulator import make_client
from local.template import load_template
from tests.articles.support import Lake, Upstream, VirtualClock
from tests.system.canaries import Canaries, Watch

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

    from tests.conftest import Cloud

pytestmark = pytest.mark.system

ROOT = Path(__file__).resolve().parents[2]

KEYS = {"access_key": "AKLTkept", "secret_key": "kept-secret"}


class Keeper:
    """Secrets Manager and Parameter Store, over the wire."""

    def __init__(self, cloud: Cloud) -> None:
        self.secretsmanager = cloud.client("secretsmanager")
        self.ssm = cloud.client("ssm")

    def keep(self, kind: str, text: str) -> str:
        """Keeps it under a new name; the value of VOLC_CREDENTIALS."""
        name = f"/content/{uuid4().hex}"
        if kind == "ssm":
            self.ssm.put_parameter(Name=name, Value=text, Type="SecureString")
            return f"ssm:{name}"
        arn: str = self.secretsmanager.create_secret(Name=name, SecretString=text)["ARN"]
        return arn

    def read(self, place: str) -> Credentials:
        return read_credentials(
            Settings({"VOLC_CREDENTIALS": place}),
            secretsmanager=lambda: self.secretsmanager,
            ssm=lambda: self.ssm,
        )

    def read_callback(self, place: str) -> str:
        return read_callback_secret(
            Settings({"VOLC_CALLBACK_CREDENTIALS": place}),
            secretsmanager=lambda: self.secretsmanager,
            ssm=lambda: self.ssm,
        )


@pytest.fixture(scope="module")
def keeper(cloud: Cloud) -> Keeper:
    return Keeper(cloud)


def unwanted() -> Any:
    raise AssertionError("no client is needed")


@pytest.mark.parametrize("kind", ["ssm", "secretsmanager"])
def test_the_keys_are_read_from_where_the_one_setting_says(keeper: Keeper, kind: str) -> None:
    place = keeper.keep(kind, json.dumps({**KEYS, "session_token": "STS", "note": 1}))

    assert keeper.read(place) == Credentials("AKLTkept", "kept-secret", "STS")
    assert keeper.read(keeper.keep(kind, json.dumps(KEYS))) == Credentials("AKLTkept", "kept-secret", None)


@pytest.mark.parametrize("kind", ["ssm", "secretsmanager"])
def test_the_secret_of_the_notifications_is_kept_in_a_place_of_its_own(keeper: Keeper, kind: str) -> None:
    assert keeper.read_callback(keeper.keep(kind, '{"callback_secret": "kept-callback"}')) == "kept-callback"
    assert keeper.read_callback(keeper.keep(kind, "{}")) == ""


def test_the_api_may_read_the_secret_of_the_notifications_and_not_the_keys() -> None:
    resources = load_template(ROOT / ".chalice" / "resources.yml")["Resources"]
    api = resources["APIHandler"]["Properties"]["Environment"]["Variables"]
    scan = resources["Scan"]["Properties"]["Environment"]["Variables"]

    assert "VOLC_CREDENTIALS" not in api
    assert "VOLC_CALLBACK_CREDENTIALS" not in scan
    policy = (ROOT / ".chalice" / "policy-api.json").read_text()
    assert "secretsmanager" not in policy
    assert "ssm:" not in policy


def test_without_the_setting_the_environment_holds_the_keys() -> None:
    settings = Settings({"VOLC_ACCESS_KEY": "AK", "VOLC_SECRET_KEY": "SK", "VOLC_CALLBACK_SECRET": "CS"})

    assert read_credentials(settings, secretsmanager=unwanted, ssm=unwanted) == Credentials("AK", "SK")
    assert read_callback_secret(settings, secretsmanager=unwanted, ssm=unwanted) == "CS"


@pytest.mark.parametrize("environment", [{}, {"VOLC_ACCESS_KEY": "AK"}, {"VOLC_SECRET_KEY": "SK"}])
def test_no_keys_at_all_are_a_fault_of_the_configuration(environment: dict[str, str]) -> None:
    with pytest.raises(ConfigurationError, match="VOLC_CREDENTIALS"):
        read_credentials(Settings(environment), secretsmanager=unwanted, ssm=unwanted)


@pytest.mark.parametrize("place", ["keys", "ssm:keys", "arn:aws:s3:::bucket", "ssm:", "ssm:/a b"])
def test_a_setting_that_names_no_such_place_is_refused(keeper: Keeper, place: str) -> None:
    with pytest.raises(ConfigurationError, match="VOLC_CREDENTIALS must be the ARN"):
        keeper.read(place)
    with pytest.raises(ConfigurationError, match="VOLC_CALLBACK_CREDENTIALS must be the ARN"):
        keeper.read_callback(place)


@pytest.mark.parametrize(
    "text", ["kept-secret", '{"secret_key": kept-secret}', '["kept-secret"]', '{"secret_key": ["kept-secret"]}']
)
def test_what_is_no_such_secret_is_refused_without_being_shown(keeper: Keeper, text: str) -> None:
    with pytest.raises(ConfigurationError, match="does not hold") as caught:
        keeper.read(keeper.keep("ssm", text))

    error: BaseException | None = caught.value
    while error is not None:
        assert "kept-secret" not in repr(error) + str(getattr(error, "doc", ""))
        error = error.__context__


@pytest.mark.parametrize(
    "place", ["ssm:/nothing/here", "arn:aws:secretsmanager:us-east-1:000000000000:secret:nothing-here"]
)
def test_a_secret_that_is_not_there_is_a_fault_of_the_configuration(keeper: Keeper, place: str) -> None:
    with pytest.raises(ConfigurationError, match="NotFound"):
        keeper.read(place)


def test_a_service_that_does_not_answer_is_worth_another_try() -> None:
    ssm = make_client("ssm", "http://127.0.0.1:1")

    with pytest.raises(CloudFailed):
        read_credentials(Settings({"VOLC_CREDENTIALS": "ssm:/x"}), secretsmanager=unwanted, ssm=lambda: ssm)
    ssm.close()


def test_a_secret_is_read_once_and_again_when_refused_but_never_twice_a_minute() -> None:
    clock = VirtualClock()
    kept = iter("012345678")
    cache = SecretCache(kept.__next__, monotonic=clock.monotonic)

    assert [cache.current(), cache.current()] == ["0", "0"]
    clock.sleep(59)
    assert cache.renewed() == "0"
    clock.sleep(1)
    assert [cache.renewed(), cache.renewed()] == ["1", "1"]
    assert cache.current() == "1"


@pytest.mark.parametrize("failure", [CloudFailed("no answer"), ConfigurationError("no right")])
def test_a_secret_that_cannot_be_read_again_stays_as_it_is_known(failure: Exception) -> None:
    clock = VirtualClock()
    answers: list[str | Exception] = ["good", failure, "better"]
    asked = 0

    def read() -> str:
        nonlocal asked
        answer = answers[asked]
        asked += 1
        if isinstance(answer, Exception):
            raise answer
        return answer

    cache = SecretCache(read, monotonic=clock.monotonic)
    cache.current()
    clock.sleep(60)
    assert [cache.renewed(), cache.renewed(), cache.current()] == ["good", "good", "good"]
    assert asked == 2, "a read that fails is as dear as one that does not"
    clock.sleep(60)
    assert [cache.renewed(), cache.current()] == ["better", "better"]


def test_a_secret_that_was_never_read_fails_as_its_reading_does() -> None:
    def read() -> str:
        raise ConfigurationError("no right")

    for ask in (SecretCache(read).current, SecretCache(read).renewed):
        with pytest.raises(ConfigurationError):
            ask()


def test_no_repr_shows_a_secret() -> None:
    assert "hidden" not in repr(Credentials("AK", "sk-hidden", "st-hidden"))


def test_no_secret_of_a_sync_is_sent_logged_or_stored(
    s3: S3Client, bucket: str, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    secret_key, token, former = (f"canary-{name}-{uuid4().hex}" for name in ("key", "token", "former"))
    watch = Watch(Canaries(secret=secret_key, former=former))
    caplog.set_level(logging.DEBUG)
    with Upstream(tmp_path, articles=40, secret_key=secret_key, session_token=token) as strict:
        strict.fault("http500", count=2)
        strict.fault("garbage", action="MGetSyncArticles")
        lake = Lake(s3, bucket, strict)
        client = strict.client(
            Credentials("AKLTtest", former, token),
            renew=lambda: Credentials("AKLTtest", secret_key, token),
            clock=lambda: strict.clock.now() + timedelta(hours=1),
        )
        lake.run(client=client)
        with pytest.raises(Exception, match="not JSON") as caught:
            client.mget("local_default_content", ["1"])
        lake.run(client=strict.client(Credentials("AKLTtest", secret_key, token), max_attempts=1))

    assert len(strict.sent) >= 6
    for request in strict.sent:
        watch.look_at("a request", request)
    watch.look_at("the log", "\n".join(record.getMessage() for record in caplog.records).encode())
    watch.look_at("an error", repr(caught.value).encode())
    for key in lake.keys("articles/") + lake.keys("state/") + lake.keys("runs/"):
        stored = s3.get_object(Bucket=bucket, Key=key)
        watch.look_at(key, f"{key} {stored['Metadata']}".encode() + stored["Body"].read())
    assert watch.found == set()
    # And it would have been found.
    watch.look_at("a header", f"SecretKey: {secret_key}".encode())
    assert watch.found == {"a header: secret in clear"}
