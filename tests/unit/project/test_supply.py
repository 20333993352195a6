"""What the program is made of: the lock files fit pyproject.toml, and the tools around them tell what they know."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from console.report.html.plotly_script import SHA256, VERSION
from deploy.supply import audit, bill, images, lock
from deploy.supply.pins import CI_FILE, CONTAINER_FILE, ROOT, Pin, pins

PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
LOCKED = {file: pins(file.read_text(encoding="utf-8")) for file in (CONTAINER_FILE, CI_FILE)}
WANTED = {
    CONTAINER_FILE: PROJECT["dependencies"],
    CI_FILE: [
        *PROJECT["dependencies"],
        *(line for extra in lock.CI_EXTRAS for line in PROJECT["optional-dependencies"][extra]),
    ],
}
FILES = pytest.mark.parametrize("file", LOCKED, ids=["container", "ci"])
FAKE_AUDIT = """
import json, os, sys
options = dict(option[2:].partition("=")[::2] for option in sys.argv[1:])
packages = [line.split()[0].split("==") for line in open(options["requirement"])]
assert len(packages) == len(dict(packages)), "pip-audit refuses two versions of one package"
kind = os.environ["FAKE_AUDIT"]
if kind == "offline":
    sys.exit("urllib3: Max retries exceeded with url: /pypi/x/json (NewConnectionError)")
if kind == "broken":
    sys.exit("Traceback ...\\nTypeError: 'NoneType' object is not callable")
dependencies = [{"name": name, "version": version, "vulns": []} for name, version in packages]
if kind == "unknown":
    dependencies[0] = {"name": packages[0][0], "skip_reason": "not found"}
if kind == "mirror":
    dependencies = [{"name": name, "skip_reason": "not found"} for name, _ in packages]
if kind == "vulnerable":
    dependencies[0]["vulns"] = [{"id": "PYSEC-1", "aliases": ["CVE-1"], "fix_versions": ["2", "3"]}]
json.dump({"dependencies": dependencies, "fixes": []}, open(options["output"], "w"))
sys.exit(kind == "vulnerable")
"""
"""In place of pip-audit: it gives the answer that FAKE_AUDIT names."""
FAKE_DOCKER = """#!/bin/sh
for name; do :; done
case "$name" in
    *{missing}*) echo "ERROR: $name: not found" >&2; exit 1;;
    python:*) echo sha256:{digit}{zeros};;
    *) echo sha256:f{zeros};;
esac
"""
"""In place of docker: it knows the digest of every image but one."""


def pinned_as(requirement: Requirement, locked: Sequence[Pin]) -> list[str]:
    return [pin.version for pin in locked if pin.name == canonicalize_name(requirement.name)]


@FILES
def test_a_lock_file_has_versions_and_hashes_and_no_address(file: Path) -> None:
    assert "://" not in file.read_text(encoding="utf-8")
    assert [] == [line for line in file.read_text(encoding="utf-8").splitlines() if line.startswith("-")]
    names = [(pin.name, pin.marker) for pin in LOCKED[file]]
    assert len(names) == len(set(names)) > 40
    assert all(re.fullmatch("sha256:[0-9a-f]{64}", one) for pin in LOCKED[file] for one in pin.hashes)


@FILES
def test_a_lock_file_fits_pyproject(file: Path) -> None:
    for line in WANTED[file]:
        requirement = Requirement(line)
        versions = pinned_as(requirement, LOCKED[file])
        assert versions, f"{line} is not locked: make lock"
        assert [] == [version for version in versions if version not in requirement.specifier], f"{line}: make lock"


def test_ci_tests_what_the_container_has() -> None:
    container, ci = (
        {(pin.name, pin.version, pin.hashes) for pin in LOCKED[file]} for file in (CONTAINER_FILE, CI_FILE)
    )
    assert set() == container - ci


@FILES
def test_what_a_locked_package_requires_is_locked(file: Path) -> None:
    """As far as it is installed here in the locked version; in CI, that is all of them."""
    compared, missing = 0, []
    for pin in LOCKED[file]:
        try:
            installed = metadata.distribution(pin.name)
        except metadata.PackageNotFoundError:
            continue
        if installed.version != pin.version:
            continue
        compared += 1
        for requirement in map(Requirement, installed.requires or ()):
            if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
                versions = pinned_as(requirement, LOCKED[file])
                fits = any(requirement.specifier.contains(version, prereleases=True) for version in versions)
                missing += [] if fits else [f"{pin.name} requires {requirement}"]
    assert compared
    assert [] == missing


@pytest.mark.parametrize(
    "line",
    ["rich", "rich>=13 --hash=sha256:0", "rich==13", "rich==13.* --hash=sha256:0", "rich @ file:///x --hash=sha256:0"],
)
def test_a_line_without_an_exact_version_and_a_hash_is_refused(line: str) -> None:
    with pytest.raises(ValueError, match="a lock file has lines of the form name==version --hash="):
        pins(line)


@pytest.mark.parametrize(
    ("answer", "code", "words"),
    [
        ("clean", 0, "audit: no vulnerability is known in "),
        ("vulnerable", audit.VULNERABLE, ": PYSEC-1, CVE-1, mended in 2 or 3"),
        ("unknown", audit.NOT_RUN, "audit: not complete: the database does not know "),
        ("mirror", audit.NOT_RUN, "audit: not run: what answered knows none of the "),
        ("offline", audit.NOT_RUN, "audit: not run: no network"),
        ("broken", audit.NOT_RUN, "audit: not run: pip-audit failed: TypeError: 'NoneType' object is not callable"),
    ],
)
def test_an_audit_says_what_is_known_and_when_it_could_not_ask(
    answer: str,
    code: int,
    words: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "pip_audit.py").write_text(FAKE_AUDIT, encoding="utf-8")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setenv("FAKE_AUDIT", answer)
    assert code == audit.main()
    printed = capsys.readouterr()
    assert words in printed.out + printed.err


@pytest.fixture
def deployed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[Path, ...]]:
    """Copies the files that name images, and puts a docker that knows their digests on the PATH."""
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))

    def make(*, missing: str = "nothing", digit: str = "a", docker: bool = True) -> tuple[Path, ...]:
        (tmp_path / "bin").mkdir(exist_ok=True)
        if docker:
            program = FAKE_DOCKER.format(missing=missing, digit=digit, zeros="0" * 63)
            (tmp_path / "bin" / "docker").write_text(program, encoding="utf-8")
            (tmp_path / "bin" / "docker").chmod(0o700)
        copies = tuple(tmp_path / file.name for file in images.FILES)
        for file, copy in zip(images.FILES, copies, strict=True):
            if not copy.exists():
                copy.write_text(file.read_text(encoding="utf-8"), encoding="utf-8")
        return copies

    return make


def test_images_are_pinned_by_the_digest_of_today(deployed: Callable[..., tuple[Path, ...]]) -> None:
    for digit in ("a", "b"):
        dockerfile, compose = deployed(digit=digit)
        assert 0 == images.main((dockerfile, compose))
        assert f"\nFROM python:3.11-slim@sha256:{digit}{'0' * 63}\n" in dockerfile.read_text(encoding="utf-8")
    services = yaml.safe_load(compose.read_text(encoding="utf-8"))["services"]
    assert images.BUILT_HERE == services["paper"]["image"]
    from_registry = [service["image"] for service in services.values() if "build" not in service]
    assert len(from_registry) >= 2
    assert [] == [name for name in from_registry if not name.endswith(f"@sha256:f{'0' * 63}")]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"missing": "grafana"}, "docker does not give the digest of grafana/grafana:"),
        ({"docker": False}, "docker is not installed"),
    ],
)
def test_without_a_digest_no_file_is_changed(
    change: dict[str, Any], reason: str, deployed: Callable[..., tuple[Path, ...]], capsys: pytest.CaptureFixture[str]
) -> None:
    files = deployed(**change)
    assert images.NOT_DONE == images.main(files)
    assert f"images: not done: {reason}" in capsys.readouterr().err
    assert [file.read_bytes() for file in images.FILES] == [file.read_bytes() for file in files]


def test_the_bill_and_the_notice_name_what_this_repository_holds_of_others() -> None:
    (plotly,) = bill.with_vendored({"components": []})["components"]
    assert (VERSION, [{"alg": "SHA-256", "content": SHA256}]) == (plotly["version"], plotly["hashes"])
    assert f"plotly.js (basic, minified) {VERSION}, unchanged" in (ROOT / "NOTICE").read_text(encoding="utf-8")
    assert f"{PROJECT['license']} License\n" == (ROOT / "LICENSE").read_text(encoding="utf-8")[:12]
    assert [] == [name for name in PROJECT["license-files"] if not (ROOT / name).is_file()]


def test_the_workflow_runs_what_ci_runs_with_actions_that_cannot_change() -> None:
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text(encoding="utf-8"))
    steps = [step for job in workflow["jobs"].values() for step in job["steps"]]
    actions = [step["uses"] for step in steps if "uses" in step]
    assert actions
    assert [] == [action for action in actions if not re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40}", action)]
    assert {"contents": "read"} == workflow["permissions"]
    assert ".ci/run" in workflow["jobs"]["run"]["steps"][-1]["run"].splitlines()
