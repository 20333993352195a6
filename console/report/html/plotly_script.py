"""plotly.js and the charts as a page carries them: compressed; the page's script unpacks them.

The file in ``plotly/`` is ``plotly-basic.min.js`` of the npm package plotly.js-basic-dist-min, unchanged, beside its
licence.
"""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources

from console.report.html.charts import Spec
from console.report.html.policy import script_digest

VERSION = "4.1.1"
SHA256 = "99784e3abfb07b142a15e521a439e6d9addceadb3f79553fd24c72774f0649ba"
"""Of the file, as npm delivers it; a test compares them."""
FILE = "plotly/plotly-basic.min.js"


@dataclass(frozen=True, slots=True)
class PackedScript:
    """A script that the page unpacks.

    Attributes:
        text: gzip in base64, about 45 % of the script's size.
        digest: see `script_digest`; of the script itself.
    """

    text: str
    digest: str


@cache
def plotly_script() -> PackedScript:
    """Return plotly.js for the page."""
    script = resources.files("console.report.html").joinpath(FILE).read_bytes()
    return PackedScript(_packed(script), script_digest(script))


def packed_specs(specs: Mapping[str, Spec]) -> str:
    """Return charts for the page, as JSON by the id of their place: a year of them is a fifth of its size."""
    return _packed(json.dumps(specs, allow_nan=False, separators=(",", ":")).encode())


def _packed(data: bytes) -> str:
    return base64.b64encode(gzip.compress(data, 9, mtime=0)).decode("ascii")
