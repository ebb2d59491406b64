"""Sets this machine up: `python3 -m local.setup local|dev`. Standard library only, and safe to run every time.

Makes `.venv`, installs the pinned and hashed requirements of the group, and finds or installs a Chromium. Says
what it does, does nothing that is done already, and says what to do where it can't.
"""

from __future__ import annotations

import hashlib
import html
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tempfile
import urllib.request
import venv
from pathlib import Path
from urllib.parse import urljoin, urlsplit

from local.chromium import find_chromium

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
MINIMUM = (3, 11)


class SetupFailed(Exception):
    """The text says what failed and what the user can do."""


def main(arguments: list[str]) -> int:
    try:
        check_python()
        install_requirements(ROOT / f"requirements-{arguments[0]}.txt")
        ensure_driver()
        ensure_chromium()
        if arguments[0] == "dev":
            ensure_screen()
    except SetupFailed as failure:
        print(f"\nset-up stopped: {failure}", file=sys.stderr)
        return 1
    return 0


def check_python() -> None:
    if sys.version_info < MINIMUM:
        raise SetupFailed(
            f"Python {sys.version.split()[0]} is too old: install Python 3.11 or newer, "
            "or name one: make run PYTHON=/path/to/python3.11"
        )


def install_requirements(requirements: Path) -> None:
    stamp = VENV / f"{requirements.stem}.installed"
    wanted = hashlib.sha256(requirements.read_bytes()).hexdigest()
    if PYTHON.exists() and stamp.exists() and stamp.read_text() == wanted:
        return
    count = len(re.findall(r"^[a-z0-9]", requirements.read_text(), re.MULTILINE | re.IGNORECASE))
    say(f"Installing {count} pinned packages into .venv (the first time takes a minute or two) …")
    with tempfile.TemporaryDirectory() as folder:
        pip = make_venv(requirements, Path(folder))
        run(
            [*pip, "install", "--quiet", "--require-hashes", "--requirement", str(requirements)],
            "The packages could not be installed. Check the network, or set PIP_INDEX_URL to a mirror.",
        )
    stamp.write_text(wanted)


def make_venv(requirements: Path, folder: Path) -> list[str]:
    """Makes `.venv` where there is none that works, and returns the command that starts pip for it."""
    if PYTHON.exists() and subprocess.run([PYTHON, "-c", ""], check=False).returncode == 0:
        if subprocess.run([PYTHON, "-m", "pip", "--version"], check=False, capture_output=True).returncode == 0:
            return [str(PYTHON), "-m", "pip"]
    elif VENV.exists():
        shutil.rmtree(VENV)
    if importlib.util.find_spec("ensurepip"):
        venv.create(VENV, with_pip=True)
        return [str(PYTHON), "-m", "pip"]
    # Debian's python3 comes without ensurepip. A wheel of pip can install packages, itself included.
    venv.create(VENV, with_pip=False)
    return [str(PYTHON), str(download_pip(requirements, folder) / "pip")]


def download_pip(requirements: Path, folder: Path) -> Path:
    """The wheel of the pip that is pinned in the requirements, checked against its hash there."""
    text = requirements.read_text()
    pinned = re.search(r"^pip==(\S+)((?:\s*\\\s*--hash=sha256:[0-9a-f]{64})+)", text, re.MULTILINE)
    if pinned is None:
        raise SetupFailed(f"{requirements.name} does not pin pip. Install it: apt-get install python3-venv")
    hashes = re.findall(r"sha256:([0-9a-f]{64})", pinned[2])
    name = f"pip-{pinned[1]}-py3-none-any.whl"
    index = os.environ.get("PIP_INDEX_URL", "https://pypi.org/simple").rstrip("/")
    say(f"This Python has no pip: fetching {name} …")
    try:
        with urllib.request.urlopen(f"{index}/pip/", timeout=60) as answer:
            page, base = answer.read().decode(), answer.geturl()
        # The simple repository API in HTML (PEP 503): every mirror has it.
        links = map(html.unescape, re.findall(r"""href=["']([^"']+)["']""", page))
        link = next(link for link in links if urlsplit(link).path.endswith(f"/{name}"))
        with urllib.request.urlopen(urljoin(base, link), timeout=300) as answer:
            wheel = answer.read()
    except (OSError, ValueError, StopIteration) as error:
        raise SetupFailed(
            f"pip could not be fetched from {index} ({error}). Install it: apt-get install python3-venv"
        ) from error
    if hashlib.sha256(wheel).hexdigest() not in hashes:
        raise SetupFailed(f"{name} from {index} is not the file that {requirements.name} pins.")
    path = folder / name
    path.write_bytes(wheel)
    return path


def ensure_driver() -> None:
    """Playwright's driver brings its own Node.js, which needs a library that a bare Debian does not have."""
    if driver_runs():
        return
    if not install_debian_packages("libatomic1") or not driver_runs():
        raise SetupFailed(
            f"Playwright's driver does not run. `{PYTHON} -m playwright --version` tells why; on Debian and "
            "Ubuntu it is usually a missing library: apt-get install libatomic1"
        )


def driver_runs() -> bool:
    return (
        subprocess.run([PYTHON, "-m", "playwright", "--version"], check=False, capture_output=True).returncode
        == 0
    )


def ensure_chromium() -> None:
    given = os.environ.get("CHROMIUM_PATH")
    if given and not os.access(given, os.X_OK):
        raise SetupFailed(f"CHROMIUM_PATH is {given!r}, which is not a program that can be run.")
    if find_chromium():
        return
    installed = install_debian_packages("chromium-headless-shell", "fonts-wqy-zenhei") or download_chromium()
    if not installed or not find_chromium():
        raise SetupFailed(
            "No Chromium was found, and none could be installed. Install Chrome or Chromium yourself "
            "(Debian: apt-get install chromium-headless-shell), or set CHROMIUM_PATH to one."
        )


def ensure_screen() -> None:
    """What the tests of the headed mode need beside: a browser with a window, and a screen to show it on."""
    missing = [
        package
        for package, present in (("chromium", find_chromium(headed=True)), ("xvfb", shutil.which("Xvfb")))
        if not present
    ]
    if missing and not install_debian_packages(*missing):
        say(f"The tests of the headed mode will be skipped: they need {' and '.join(missing)}.")


def install_debian_packages(*packages: str) -> bool:
    """With apt-get, where there is one that we may use. Says what it does; False where it could not."""
    if not shutil.which("apt-get"):
        return False
    if os.geteuid() == 0:
        prefix = []
    elif (
        shutil.which("sudo")
        and subprocess.run(["sudo", "-n", "true"], check=False, capture_output=True).returncode == 0
    ):
        prefix = ["sudo", "-n"]
    else:
        return False
    say(f"Installing {' and '.join(packages)} with apt-get …")
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for command in (
        ["apt-get", "update", "-qq"],
        ["apt-get", "install", "-y", "-qq", "--no-install-recommends", *packages],
    ):
        done = subprocess.run([*prefix, *command], check=False, capture_output=True, text=True, env=environment)
        if done.returncode:
            say(f"apt-get could not do it: {done.stderr.strip().splitlines()[-1:]}")
            return False
    return True


def download_chromium() -> bool:
    say("Downloading Playwright's Chromium …")
    done = subprocess.run([PYTHON, "-m", "playwright", "install", "chromium"], check=False)
    return done.returncode == 0


def run(command: list[str], failure: str) -> None:
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode:
        output = "\n".join((done.stdout + done.stderr).strip().splitlines()[-15:])
        raise SetupFailed(f"{failure}\n{output}")


def say(text: str) -> None:
    print(text, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
