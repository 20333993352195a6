"""Writes the bill of materials of the container, in CycloneDX's JSON: ``make sbom``.

It has each locked package with the hashes of its files, by cyclonedx-py, and what this repository holds of others: the
script that draws the report's charts.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from console.report.html.plotly_script import FILE, SHA256, VERSION
from deploy.supply.pins import CONTAINER_FILE, ROOT, pins

BILL = ROOT / "build" / "paper-trading.cdx.json"
SPECIFICATION = "1.6"
"""Of CycloneDX."""
TIMEOUT_S = 120


def main(arguments: Sequence[str]) -> int:
    """Write the bill to the given path, else to `BILL`; return the exit code."""
    target = Path(arguments[0]) if arguments else BILL
    locked = pins(CONTAINER_FILE.read_text(encoding="utf-8"))
    options = ["--pyproject", "pyproject.toml", "--mc-type", "application", "--output-reproducible", "--short-PURLs"]
    options += ["--spec-version", SPECIFICATION, "--output-format", "JSON", "--output-file", "-"]
    command = [sys.executable, "-m", "cyclonedx_py", "requirements", *options, str(CONTAINER_FILE.relative_to(ROOT))]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=TIMEOUT_S)
    if done.returncode != 0:
        print(f"sbom: cyclonedx-py failed: {done.stderr.strip()[-500:]}", file=sys.stderr)
        return 1
    document = with_vendored(json.loads(done.stdout))
    listed = {(component["name"], component["version"]) for component in document["components"]}
    if missing := {(pin.name, pin.version) for pin in locked} - listed:
        print(f"sbom: {len(missing)} locked packages are missing: {sorted(missing)}", file=sys.stderr)
        return 1
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    print(f"sbom: {target} has {len(document['components'])} components")
    return 0


def with_vendored(document: dict[str, Any]) -> dict[str, Any]:
    """Return a bill with plotly.js, which is a file of this repository and no package that is installed."""
    plotly = {
        "bom-ref": f"plotly.js-basic-dist-min@{VERSION}",
        "type": "library",
        "name": "plotly.js-basic-dist-min",
        "version": VERSION,
        "purl": f"pkg:npm/plotly.js-basic-dist-min@{VERSION}",
        "licenses": [{"license": {"id": "MIT"}}],
        "hashes": [{"alg": "SHA-256", "content": SHA256}],
        "description": f"console/report/html/{FILE}, unchanged; it draws the charts of the report's page",
    }
    return {**document, "components": [*document.get("components", ()), plotly]}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
