"""The probe of the locators on the stand-in: what holds, by which way, what is broken. It publishes nothing."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from chalicelib.accounts.store import AccountStore, Profile
from chalicelib.accounts.vault import Vault
from chalicelib.errors import LoginRequired, SessionExpired
from container.browser import open_page
from container.douyin import locators as table
from container.douyin import probe
from container.douyin.probe import EITHER, OCCASIONAL, Finding, all_targets, probe_creator, probe_login
from container.profile import BrowserProfile
from local.probe import sealed_session
from tests.container.support import VIDEO

if TYPE_CHECKING:
    from container.browser import Browser
    from tests.conftest import Cloud
    from tests.container.conftest import Run
    from tests.container.support import Site

pytestmark = pytest.mark.system

_ROOT = Path(__file__).parents[2]

# Takes one thing off the form, whenever it appears.
_SABOTAGE = """
new MutationObserver(() => {
  for (const node of document.querySelectorAll(".semi-datepicker-switch-time")) node.remove();
}).observe(document, {subtree: true, childList: true});
"""


async def _probe(browser: Browser, site: Site, *, sabotage: str = "") -> list[Finding]:
    findings: list[Finding] = []
    async with browser.context() as context:
        findings += [finding async for finding in probe_login(await open_page(context), site.origin)]
    async with browser.context(storage_state=site.log_in()) as context:
        if sabotage:
            await context.add_init_script(sabotage)
        page = await open_page(context)
        findings += [finding async for finding in probe_creator(page, site.origin, VIDEO)]
    return findings


@pytest.mark.parametrize(
    "scenario",
    [
        {},
        {"post_page": "v1", "declaration": "old", "qr": "svg", "hashes": "random"},
        {"drift": "spaces"},
        {"drift": "wrappers"},
        {"drift": "tags"},
    ],
    ids=["today", "older", "spaces", "wrappers", "tags"],
)
def test_every_locator_holds_and_nothing_is_left_behind(
    run: Run, browser: Browser, site: Site, scenario: dict[str, str]
) -> None:
    site.scenario(**scenario)
    findings = run(_probe(browser, site))
    assert [finding.target.purpose for finding in findings if finding.broken] == []
    by_fallback = [finding.target.purpose for finding in findings if finding.way]
    assert bool(by_fallback) is ("drift" in scenario), by_fallback
    assert site.publish_requests() == 0
    (draft,) = site.get("/admin/state")["uploads"]
    assert draft["status"] == "complete"


def test_a_locator_that_leads_nowhere_is_broken(
    run: Run, browser: Browser, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(probe, "_LOOK_MS", 2_500)
    findings = run(_probe(browser, site, sabotage=_SABOTAGE))
    broken = [table.TIME_SWITCH, table.TIME_HOUR, table.TIME_MINUTE]
    assert [finding.target for finding in findings if finding.broken] == broken


def test_the_whole_table_is_told_of() -> None:
    sought = {target for target in table.TABLE if target not in OCCASIONAL}
    findings = all_targets([Finding(target, 0, "") for target in sought])
    assert {finding.target for finding in findings} == set(table.TABLE)
    assert not any(finding.broken for finding in findings)
    assert all(one in sought and other in sought for one, other in EITHER)


def test_a_session_that_is_over_ends_the_probe(run: Run, browser: Browser, site: Site) -> None:
    async def go() -> None:
        async with browser.context() as context:
            page = await open_page(context)
            with pytest.raises(SessionExpired):
                [finding async for finding in probe_creator(page, site.origin, VIDEO)]

    run(go())


@pytest.mark.parametrize("alive", [True, False], ids=["session", "session-over"])
def test_the_command_prints_a_table_and_tells_by_its_exit_code(
    site: Site, tmp_path: Path, chromium_path: str, alive: bool
) -> None:
    session = tmp_path / "session.json"
    session.write_text(json.dumps(site.log_in()))
    if not alive:
        site.post("/admin/logout", {"user": "3820146579012345"})
    probed = subprocess.run(
        [
            *(sys.executable, "-m", "local.probe"),
            *("--douyin-origin", site.origin, "--storage-state", str(session)),
        ],
        cwd=_ROOT,
        env={"PATH": "/usr/bin:/bin", "CHROMIUM_PATH": chromium_path, "COLUMNS": "200"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert probed.returncode == (0 if alive else 1), probed.stdout + probed.stderr
    assert "QR code of the login" in probed.stdout
    assert ("button that publishes" in probed.stdout) is alive
    assert ("The session is over" in probed.stdout) is not alive
    assert site.publish_requests() == 0


def test_an_accounts_session_comes_out_of_the_vault(cloud: Cloud) -> None:
    variables = {name: cloud.variable(name) for name in ("ACCOUNTS_TABLE", "PRIVATE_BUCKET", "SESSION_KEY_ID")}
    accounts = AccountStore(cloud.client("dynamodb"), variables["ACCOUNTS_TABLE"])
    vault = Vault(
        cloud.client("s3"), cloud.client("kms"), variables["PRIVATE_BUCKET"], variables["SESSION_KEY_ID"]
    )
    session: dict[str, list[str]] = {"cookies": [], "origins": []}
    vault.seal("probed", 7, session)
    account = accounts.log_in("probed", Profile("1", "小满", None), session_version=7)
    accounts.prefer("probed", {"locale": "zh-HK"})
    assert sealed_session(cloud.endpoint, "publisher", "probed") == (session, BrowserProfile(locale="zh-HK"))
    accounts.mark_expired(account, "The page asks to log in.")
    with pytest.raises(LoginRequired):
        sealed_session(cloud.endpoint, "publisher", "probed")
