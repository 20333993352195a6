"""docs/settings.md, written from the fields of `Settings`: ``python -m docs.settings_page``."""

from __future__ import annotations

from pathlib import Path

from actors.configuration.settings_reference import SettingReference, setting_references
from actors.settings import Settings

PAGE = Path(__file__).parent / "settings.md"
INTRODUCTION = """\
# Settings

This page is generated from `actors/settings.py` and `actors/configuration/` by `python -m docs.settings_page`; edit the
fields there.

Settings come from four sources; the first one that has a value decides:

1. options of the command line, such as `--prices`, or arguments of `Settings(…)` in Python;
2. environment variables: `PAPER_` and the name in upper case, such as `PAPER_SEED`; an empty one counts as not set;
3. the settings file: the one that `--config FILE` names, else the first `paper.toml` of the working folder, `home` and
   `~/.config/paper-trading`;
4. the defaults below.

The settings file must belong to the user who runs the program, or to root, and nobody else may write it: it names the
database, and commands that the program runs. So neither file nor folder may be writable for everybody, or for a group
with other members; a folder with the sticky bit, such as `/tmp`, is fine, and so is a file system that is mounted
read-only, as a container has it. Any other file ends the command with the `chmod` or `chown` that mends it. It must be
a regular file; one that `--config` names may also be a pipe or a device.

`home` must be a folder of your own, too: it and each folder above it are checked in the same way, and root does not
work in the home of another user ([operations.md](operations.md#whose-files)).

`run.py check` shows the settings in effect and the source of each; `run.py check --explain NAME` shows what this page
says about one. An unknown name or a wrong value ends every command with exit code 2 and one sentence.

```toml
# paper.toml; ratios are fractions, times are seconds
database_url = "postgresql://paper@localhost:5432/paper"
exchange = "kraken"
symbols = "BTC/USDT, ETH/USDT"
initial_capital = 10000
max_position_size = 0.20
```

Times are in seconds (s). A *fraction* is a ratio: 0.001 is 0.1 %. *Money* is in the currency of the portfolio. The
examples are lines of `paper.toml`.
"""
SECTIONS = {
    "home": ("Database and files", ""),
    "prices": ("Prices", "More on them: [prices.md](prices.md)."),
    "initial_capital": (
        "The first portfolio",
        """\
These only create the row of the portfolio `default` in `paper_trading_config`. From then on the row decides; change it
with `run.py portfolio set`, or by SQL ([database.md](database.md#paper_trading_config)).""",
    ),
    "alert_trading": ("Messages about trading", "More on them: [alerts.md](alerts.md#messages-about-trading)."),
    "check_interval": ("Service", "More on them: [operations.md](operations.md), [guarantees.md](guarantees.md)."),
    "validation_min_days": (
        "Validation",
        "The criteria of a run; it keeps those with which it began. More on them: [validation.md](validation.md).",
    ),
    "alert_command": (
        "Alerts, metrics and log",
        "More on them: [alerts.md](alerts.md), [metrics.md](metrics.md).",
    ),
}
"""The headings, each with its introduction, by the name of the first setting below it."""
HEADER = "| name | default | unit | allowed | meaning | example |\n|---|---|---|---|---|---|\n"


def settings_page() -> str:
    """Return the page."""
    parts = [INTRODUCTION]
    for reference in setting_references(Settings.model_fields):
        if reference.name in SECTIONS:
            heading, introduction = SECTIONS[reference.name]
            parts.append(f"\n## {heading}\n\n" + (f"{introduction}\n\n" if introduction else "") + HEADER)
        parts.append(_row(reference))
    return "".join(parts)


def _row(reference: SettingReference) -> str:
    default = f"`{reference.default}`" if reference.default else "none"
    cells = (
        f"`{reference.name}`", default, reference.unit or "–", reference.allowed, reference.meaning,
        f"`{reference.example}`",
    )  # fmt: skip
    return "| " + " | ".join(cells) + " |\n"


if __name__ == "__main__":
    PAGE.write_text(settings_page(), encoding="utf-8")
