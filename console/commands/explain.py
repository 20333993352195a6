"""Command explain: why a decision, an order or a fill ended as it did, and whether each fill can be computed again."""

from __future__ import annotations

from typing import Annotated

import typer

from actors.settings import Settings
from console.database import ledger_reader
from console.display.explanation import lines
from console.display.format import answer, terminal
from console.errors import FAILURE
from console.options import AsJson, with_settings
from console.service.explanation import explain as explain_reference

Reference = Annotated[
    str,
    typer.Argument(
        metavar="ORDER|DECISION|FILL",
        help="An order's id; a decision's id, uid or idempotency_key; or ORDER/FILL_NO.",
    ),
]


@with_settings
def explain(settings: Settings, reference: Reference, as_json: AsJson = False) -> None:
    r"""Explain a decision, an order or a fill: what was asked, which quote it met, how its price and costs came about.

    Each fill is computed again from what is stored of it. Exit code 1: a digit differs.

    \b
      run.py explain 19
      run.py explain 19 --json
      run.py explain 7d5c2c52-6a0f-5c6e-9d0e-3c1f5a1b2d3e/1
    """
    with ledger_reader(settings) as reader:
        document = explain_reference(reader, reference)

    def print_lines() -> None:
        out = terminal()
        for line in lines(document, out.width) if out.file.isatty() else document["lines"]:
            out.print(line, soft_wrap=True)

    answer(as_json, document, print_lines)
    if document["same"] is False:
        raise typer.Exit(FAILURE)
