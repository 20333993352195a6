"""Pins the images of Dockerfile and docker-compose.yml by digest: ``make images``.

A name with a tag, ``grafana/grafana:12.4.2``, becomes ``grafana/grafana:12.4.2@sha256:…``: then the registry can
deliver nothing else. The digest is that of the list of platforms, as ``docker buildx imagetools inspect`` gives it; no
engine need run. A second run asks for the digests of today. Exit code 0; 3: *not done*, because docker or the registry
cannot be reached, and no file is changed.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

from deploy.supply.pins import ROOT

FILES = (ROOT / "deploy" / "Dockerfile", ROOT / "deploy" / "docker-compose.yml")
BUILT_HERE = "paper-trading"
IMAGE = re.compile(
    r"^(?P<key>FROM| +image:) +(?P<name>[\w./-]+(?::[\w.-]+)?)(?:@sha256:[0-9a-f]{64})?(?=\s|$)", re.MULTILINE
)
DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
NOT_DONE = 3
TIMEOUT_S = 120


class NotDone(Exception):
    """The digests are not known; the message is the reason."""


def main(files: tuple[Path, ...] = FILES) -> int:
    """Write the digests into the files; return the exit code."""
    texts = {file: file.read_text(encoding="utf-8") for file in files}
    try:
        digests = {name: _digest(name) for text in texts.values() for name in images(text)}
    except NotDone as reason:
        print(f"images: not done: {reason}", file=sys.stderr)
        return NOT_DONE
    for file, text in texts.items():
        file.write_text(pinned(text, digests), encoding="utf-8")
    for name, digest in sorted(digests.items()):
        print(f"{name}@{digest}")
    return 0


def images(text: str) -> list[str]:
    """Return the images that a Dockerfile or compose file gets from a registry, with their tags."""
    return [match["name"] for match in IMAGE.finditer(text) if match["name"] != BUILT_HERE]


def pinned(text: str, digests: dict[str, str]) -> str:
    """Return a file with the digest of each image behind its tag, in place of an earlier one."""

    def line(match: re.Match[str]) -> str:
        name = match["name"]
        return f"{match['key']} {name}@{digests[name]}" if name in digests else match[0]

    return IMAGE.sub(line, text)


def _digest(name: str) -> str:
    docker = shutil.which("docker")
    if docker is None:
        raise NotDone("docker is not installed")
    command = [docker, "buildx", "imagetools", "inspect", "--format", "{{.Manifest.Digest}}", name]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=TIMEOUT_S)
    except subprocess.TimeoutExpired:
        raise NotDone(f"no answer about {name} within {TIMEOUT_S} s") from None
    digest = done.stdout.strip()
    if done.returncode != 0 or not DIGEST.fullmatch(digest):
        reason = (done.stderr.strip().splitlines() or [f"it answered {digest[:100]!r}"])[0]
        raise NotDone(f"docker does not give the digest of {name}: {reason[:300]}")
    return digest


if __name__ == "__main__":
    sys.exit(main())
