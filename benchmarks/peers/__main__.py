"""``python -m benchmarks.peers``: this program's backtest beside others, in alternating runs at the same prices.

Each other program is installed in an environment of its own, in ``.peers`` of the current folder. All of them decide at
each tenth bar, with commission and slippage; only the run itself is timed, not the reading of prices. This program has
two rows: a Python strategy that is called at each bar, as theirs are, and a tape of the same decisions.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import venv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.pairs import LEAST_PAIRS, ratio_of
from benchmarks.research.backtest import MINUTE, columns

PROGRAMS = Path(__file__).parent / "programs"
OWN = {
    "this program, a strategy": "strategy called at each bar, a fill every 10",
    "this program, a tape": "tape, a fill every 10 bars",
}
"""Rows of this program, with their cases of `benchmarks.research.backtest`."""


@dataclass(frozen=True, slots=True)
class Peer:
    """Another program.

    Attributes:
        program: the name of its file in ``programs``.
        packages: what its environment needs.
    """

    program: str
    packages: tuple[str, ...]

    def python(self, folder: Path) -> Path:
        """Return the Python of its environment, which is made where it is missing or has other packages."""
        home = folder / self.program
        python, made = home / "bin" / "python", home / "packages.txt"
        wanted = "\n".join(self.packages)
        if not made.exists() or made.read_text(encoding="utf-8") != wanted:
            print(f"installing {', '.join(self.packages)} …", file=sys.stderr, flush=True)
            venv.create(home, clear=True, with_pip=True)
            subprocess.run([python, "-m", "pip", "install", "--quiet", *self.packages], check=True)
            made.write_text(wanted, encoding="utf-8")
        return python


PEERS = {
    "raptorbt": Peer("raptorbt", ("raptorbt==0.13.4", "numpy")),
    "backtesting.py": Peer("backtesting", ("backtesting==0.6.6",)),
    "backtrader": Peer("backtrader", ("backtrader==1.9.78.123", "numpy")),
    "nautilus_trader": Peer("nautilus", ("nautilus_trader==1.221.0",)),
}


@dataclass(frozen=True, slots=True)
class Run:
    """One run: its time in seconds, the bars and the fills."""

    seconds: float
    bars: int
    fills: int


def run(command: Sequence[str | Path]) -> Run:
    """Run a program that prints its result as JSON.

    Raises:
        subprocess.CalledProcessError: it failed; its own message is on stderr.
    """
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    result = json.loads(done.stdout.splitlines()[-1])
    return Run(result["seconds"], result["bars"], result["fills"])


def commands(peers: Sequence[str], bars: int, folder: Path, work: Path) -> dict[str, list[str | Path]]:
    """Return the command of each row; make the prices and the environments that they need."""
    own = columns("S/USDT", bars, MINUTE, 0)
    unit = 10.0**own.price_scale
    file = work / "prices.npz"
    prices = {name: getattr(own, name) / unit for name in ("open", "high", "low", "close")}
    np.savez(file, time=own.time * 1_000, **prices)
    lines: dict[str, list[str | Path]] = {
        row: [sys.executable, "-m", "benchmarks.research.backtest", "--case", case, "--bars", str(bars)]
        for row, case in OWN.items()
    }
    for name in peers:
        peer = PEERS[name]
        lines[name] = [peer.python(folder), PROGRAMS / f"{peer.program}_program.py", file]
    return lines


def table(runs: dict[str, list[Run]]) -> list[str]:
    """Return the rows: bars a second, fills, and how many times as fast the rows of this program are."""
    lines = [f"{'':26} {'bars/s':>10} {'fills':>8}  " + "".join(f"{row:>29}" for row in OWN)]
    for name, measured in runs.items():
        rate = statistics.median(one.bars / one.seconds for one in measured)
        line = f"{name:26} {rate:>10,.0f} {measured[0].fills:>8,}  "
        if name not in OWN:
            for row in OWN:
                pairs = [(mine.seconds, theirs.seconds) for mine, theirs in zip(runs[row], measured, strict=True)]
                enough = len(pairs) >= LEAST_PAIRS
                times = f"{ratio_of(pairs)} ×" if enough else f"{len(pairs)} of {LEAST_PAIRS} runs"
                line += f"{times:>29}"
        lines.append(line.rstrip())
    return lines


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peers", nargs="+", choices=PEERS, default=list(PEERS), help="all by default")
    parser.add_argument("--bars", type=int, default=200_000, help="of a minute [200000]")
    parser.add_argument("--rounds", type=int, default=LEAST_PAIRS, help=f"runs of each program [{LEAST_PAIRS}]")
    parser.add_argument("--quick", action="store_true", help="a tenth of the bars, and one round: no ratio")
    options = parser.parse_args()
    bars, rounds = (options.bars // 10, 1) if options.quick else (options.bars, options.rounds)
    with tempfile.TemporaryDirectory() as work:
        lines = commands(options.peers, bars, Path(".peers"), Path(work))
        runs: dict[str, list[Run]] = {name: [] for name in lines}
        for number in range(rounds):
            # Each round in the other direction: what changes with time concerns both of a pair.
            for name in list(lines) if number % 2 == 0 else reversed(lines):
                runs[name].append(run(lines[name]))
                print(f"round {number + 1}: {name} {runs[name][-1].seconds:.2f} s", file=sys.stderr, flush=True)
    print(f"{bars:,} bars of a minute, a decision at each tenth; medians of {rounds}; how many times as fast, 95 %")
    print(*table(runs), sep="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
