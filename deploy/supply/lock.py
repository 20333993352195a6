"""Writes the lock files from pyproject.toml, by uv: ``make lock``.

Versions that are locked and still allowed stay; with ``--upgrade`` each package gets its newest allowed version. Exit
code 0; 1 if pyproject.toml cannot be satisfied, or if a package has no wheel for a Linux that the container may have.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Sequence
from pathlib import Path

from deploy.supply.pins import CI_FILE, CONTAINER_FILE, ROOT, pins

CI_EXTRAS = ("notify", "test", "dev")
NEWEST_PYTHON = 14
"""The minor version of the newest Python 3 for which wheels are required."""
PLATFORMS = ("x86_64-unknown-linux-gnu", "aarch64-unknown-linux-gnu")
UV_TIMEOUT_S = 600


def main(arguments: Sequence[str]) -> int:
    """Write both files, then look for the wheels of each platform; return the exit code."""
    if unknown := set(arguments) - {"--upgrade"}:
        message = f"there is no option {' '.join(sorted(unknown))}; --upgrade takes the newest versions"
        print(f"lock: {message}", file=sys.stderr)
        return 2
    oldest = oldest_python()
    for file, options in (
        (CONTAINER_FILE, ["--only-binary", ":all:"]),
        # The same versions in both, so that the tests run with what the container has.
        (CI_FILE, [*(f"--extra={name}" for name in CI_EXTRAS), f"--constraints={_relative(CONTAINER_FILE)}"]),
    ):
        command = ["compile", "pyproject.toml", "--universal", f"--python-version=3.{oldest}", "--generate-hashes"]
        command += ["--no-emit-index-url", "--no-emit-find-links", "--no-annotate"]
        command += ["--custom-compile-command=make lock"]
        if (code := _uv(*command, f"--output-file={_relative(file)}", *options, *arguments)) != 0:
            return code
        print(f"lock: {_relative(file)} has {len(pins(file.read_text(encoding='utf-8')))} packages")
    for minor in range(oldest, NEWEST_PYTHON + 1):
        for platform in PLATFORMS:
            if (code := _require_wheels(f"3.{minor}", platform)) != 0:
                return code
    print(f"lock: each package has a wheel for Python 3.{oldest} to 3.{NEWEST_PYTHON} on {' and '.join(PLATFORMS)}")
    return 0


def oldest_python() -> int:
    """Return the minor version of the oldest Python 3 on which the program runs, from pyproject.toml."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return int(project["requires-python"].removeprefix(">=3."))


def _require_wheels(python: str, platform: str) -> int:
    with tempfile.TemporaryDirectory() as folder:
        command = ["install", "--dry-run", "--require-hashes", "--only-binary", ":all:", "--no-deps"]
        command += [f"--target={folder}", f"--python-version={python}", f"--python-platform={platform}"]
        return _uv(*command, "-r", _relative(CONTAINER_FILE))


def _uv(*arguments: str) -> int:
    command = [sys.executable, "-m", "uv", "pip", *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=UV_TIMEOUT_S)
    if done.returncode != 0:
        print(f"lock: uv pip {' '.join(arguments)} failed:\n{done.stderr.strip()[-2000:]}", file=sys.stderr)
        return 1
    return 0


def _relative(path: Path) -> str:
    return str(path.relative_to(ROOT))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
