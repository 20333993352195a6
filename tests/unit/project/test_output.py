"""Whatever reaches a terminal goes through few functions, which take away what a terminal would obey."""

from __future__ import annotations

import ast

from tests.unit.project.test_walls import PACKAGES, ROOT, modules

WRITING = {
    "print", "input", "Console", "typer.echo", "typer.secho", "typer.confirm", "typer.prompt", "sys.stdout.write",
    "sys.stderr.write",
}  # fmt: skip
PLACES = {
    ("console/cli.py", "print"): "errors, by one_line; their document has the same sentence",
    ("console/cli.py", "typer.echo"): "the program's own version",
    ("console/commands/db.py", "typer.echo"): "the path of home",
    ("console/debug/client.py", "input"): "the prompt of repl",
    ("console/display/format.py", "print"): "print_document",
    ("console/display/format.py", "self.file.write"): "terminal()",
    ("console/display/format.py", "typer.confirm"): "confirmed",
    ("console/listing/csv_rows.py", "sys.stdout.write"): "CSV on a terminal, by escape_control",
    ("console/live/terminal.py", "Console"): "the live view, by printable_text",
    ("console/live/terminal.py", "sys.stderr.write"): "lines of the log that were kept",
    ("console/logs.py", "sys.stderr.write"): "lines of the log, by printable",
    ("console/streams.py", "print"): "print_for_people",
}
"""Calls that write to a stream, each with what it writes; a new command needs none."""


def test_only_these_functions_write_to_a_terminal() -> None:
    calls = set()
    for path in modules(*PACKAGES):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call):
                name = ast.unparse(node.func)
                if name in WRITING or name.endswith(".file.write"):
                    calls.add((str(path.relative_to(ROOT)), name))
    assert set(PLACES) == calls
