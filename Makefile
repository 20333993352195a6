# The commands for users and developers; `make` alone lists them. Works with GNU make 3.81, the version of macOS.
#
# The set-up is done once, in .venv. Each step writes its stamp file last, so an interrupted set-up is repeated and a
# complete one costs nothing. Programs in .venv are run by its Python, never by their own name: their first line is an
# absolute path, which breaks if it is long or contains a blank, or if the folder was moved.

PY := .venv/bin/python
PIP := touch .venv/.unfinished && $(PY) -m pip install --quiet --no-input --disable-pip-version-check
DONE := rm .venv/.unfinished && touch
# The number of processes that run tests at once, each with its own servers: 4 on 2 cores, because most of them wait.
JOBS ?= 4
# What bandit reads.
PROGRAM := run.py paper_trading_actors.py actors console deploy domain market persistence research sql
# A process that died is not replaced: pytest-xdist 3.8 would run the fatal test again in each new process, and it waits for
# ever if a new process gets a file with one test left (tests/integration/tools/test_hanging_tests.py).
CANDIDATES := $(PYTHON) python3.14 python3.13 python3.12 python3.11 python3 python

# .venv is created again if pip was interrupted (pip accepts a package whose files are incomplete), or if its Python was
# removed or replaced.
ifneq ($(shell test ! -e .venv || { test ! -e .venv/.unfinished && $(PY) -c ''; } 2>/dev/null || echo broken),)
.PHONY: .venv/.created
endif

# Python keeps what it has compiled, whatever the caller's shell says: the tests start hundreds of processes.
export PYTHONDONTWRITEBYTECODE :=

.DEFAULT_GOAL := help
.PHONY: help install demo test clocks faults fortnight check bench bench-peers screens pictures lock audit sbom images clean

help: ## list these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-11s %s\n", $$1, $$2 }' Makefile
	@echo
	@echo 'ARGS="…" goes to demo, test, clocks, faults, fortnight, bench, bench-peers, pictures and lock: make demo ARGS="--seconds 10". PYTHON=… chooses the Python.'

install: .venv/.installed ## set up .venv, with a Python of at least 3.11
	@echo '.venv is ready; next: make demo.'

demo: .venv/.installed ## show the system at work; ends after 30 s or on Ctrl-C
	@$(PY) run.py demo $(ARGS)

test: .venv/.installed-test ## run the tests
	@$(PY) -m pytest -n $(JOBS) --dist loadfile --no-loadscope-reorder --max-worker-restart 0 $(ARGS)

faults: .venv/.installed-test ## inject every fault, and count what is lost; ARGS=--quick: a small part
	@$(PY) -m tests.faults $(ARGS)

fortnight: .venv/.installed-test ## let fourteen days pass, minute by minute, in a quarter of an hour; ARGS="--days 2": fewer
	@$(PY) -m tests.support.fortnight $(ARGS)

clocks: .venv/.installed-test ## run the tests under six clocks: leap day, new year, DST nights; ARGS="-m clock": those about dates
	@.ci/clocks $(ARGS)

# import-linter has no module for `-m`.
check: .venv/.installed-dev ## check format, style, types, which package imports which, and what bandit finds
	$(PY) -m ruff format --check .
	$(PY) -m ruff check .
	$(PY) -m mypy
	$(PY) -c 'from importlinter.cli import lint_imports_command; lint_imports_command()'
	$(PY) -m bandit --quiet --configfile pyproject.toml --recursive $(PROGRAM)

bench: .venv/.installed ## measure rate and latency against plain psycopg, resting orders, a backlog, consoles, a long history, a report on a year, the rules alone, a backtest
	@$(PY) -m benchmarks $(ARGS)
	@$(PY) -m benchmarks.rules
	@$(PY) -m benchmarks.resting
	@$(PY) -m benchmarks.fairness $(if $(filter --quick,$(ARGS)),--backlog 20000 --pairs 0)
	@$(PY) -m benchmarks.consoles $(filter --quick,$(ARGS))
	@$(PY) -m benchmarks.history
	@$(PY) -m benchmarks.reports $(filter --quick,$(ARGS))
	@$(PY) -m benchmarks.research.backtest $(filter --quick,$(ARGS))

bench-peers: .venv/.installed ## measure a backtest beside other programs, each installed in an environment of its own
	@$(PY) -m benchmarks.peers $(ARGS)

screens: .venv/.installed-test ## draw docs/screens.md again
	@$(PY) -m tests.support.screens

pictures: .venv/.installed-test ## draw docs/pictures again; the report's picture needs Chromium
	@$(PY) -m docs.pictures $(ARGS)

lock: .venv/.installed-dev ## write the lock files of container and CI from pyproject.toml; ARGS=--upgrade: the newest versions
	@$(PY) -m deploy.supply.lock $(ARGS)

# make itself ends with 2 whatever the recipe ends with: the module ends with 1 where it finds something, and with 3 where it
# could not ask.
audit: .venv/.installed-dev ## ask a database whether vulnerabilities of the locked packages are known; needs a network
	@$(PY) -m deploy.supply.audit

sbom: .venv/.installed-dev ## write build/paper-trading.cdx.json, the bill of materials of the container
	@$(PY) -m deploy.supply.bill

images: .venv/.installed-dev ## pin the images of deploy/ by digest; needs docker and a network
	@$(PY) -m deploy.supply.images

clean: ## remove .venv and the files of tools; never any data
	rm -rf .venv .peers build *.egg-info .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

.venv/.created:
	@python=; bare=; \
	for candidate in $(CANDIDATES); do \
	    "$$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 || continue; \
	    if "$$candidate" -c 'import ensurepip, venv' >/dev/null 2>&1; then python=$$candidate; break; fi; \
	    bare=$${bare:-$$candidate}; \
	done; \
	if [ -n "$$python" ]; then :; \
	elif [ -n "$$bare" ]; then \
	    version=$$("$$bare" -c 'import sys; print("%d.%d" % sys.version_info[:2])'); \
	    echo "Python $$version is here but its venv module is not: install python$$version-venv (python3-venv)." >&2; exit 1; \
	else \
	    echo "No Python of at least 3.11 was found: install one, or name it with PYTHON=/path/to/python." >&2; exit 1; \
	fi; \
	echo "Setting up .venv with $$("$$python" --version); this is done once." >&2; \
	rm -rf .venv && "$$python" -m venv .venv && touch $@

.venv/.installed: pyproject.toml .venv/.created
	@$(PIP) -e . && $(DONE) $@

.venv/.installed-test: pyproject.toml .venv/.created
	@$(PIP) -e '.[test]' && $(DONE) .venv/.installed $@

.venv/.installed-dev: pyproject.toml .venv/.created
	@$(PIP) -e '.[test,dev]' && $(DONE) .venv/.installed .venv/.installed-test $@

# What CI installs: the packages of the lock file, each by its hash, and the program without any other. `pip check` says
# whether pyproject.toml asks for something that the lock file does not have.
.venv/.installed-locked: .ci/requirements.txt pyproject.toml .venv/.created
	@$(PIP) --require-hashes --requirement .ci/requirements.txt
	@$(PIP) --no-deps --no-build-isolation -e . && $(PY) -m pip check
	@$(DONE) .venv/.installed .venv/.installed-test .venv/.installed-dev $@
