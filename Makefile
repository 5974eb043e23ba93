SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
AA := $(BIN)/attribute-authority
LOCKS := deploy/requirements
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
CHECKED := attribute_authority connectors tests deploy/webhook setup.py .ci

INSTALLED := $(VENV)/.installed
DEVELOPED := $(VENV)/.developed

.PHONY: help
help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 14

.PHONY: install
install: $(INSTALLED) ## the virtual environment in .venv, with the command in .venv/bin
	@echo "$(AA) is ready"

.PHONY: demo
demo: $(INSTALLED) ## a small federation on localhost: link an iD in the browser and see it arrive
	@$(AA) demo $$([ -t 0 ] || echo --once) $(DEMO_OPTIONS)

.PHONY: test
test: $(DEVELOPED) debian-packages ## every test, with real peers (TEST_OPTIONS go to pytest)
	@$(BIN)/python -m pytest --numprocesses=auto $(TEST_OPTIONS)

.PHONY: check
check: $(DEVELOPED) ## format, lint, types, import law, docstrings, spelling, locks
	$(BIN)/ruff format --check $(CHECKED)
	$(BIN)/ruff check $(CHECKED)
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo
	$(BIN)/codespell --dictionary - --dictionary .ci/british.txt $(wildcard *.md) Makefile pyproject.toml conf deploy $(CHECKED)
	$(BIN)/python .ci/check_locks.py

.PHONY: format
format: $(DEVELOPED) ## write the format and the fixes that ruff is sure of
	@$(BIN)/ruff check --fix-only --quiet $(CHECKED)
	@$(BIN)/ruff format $(CHECKED)

.PHONY: translations
translations: $(DEVELOPED) ## bring the catalogues of the pages up to date with their messages; what is new is left empty
	@cd $(PAGES) && $(PYBABEL) extract --mapping-file=locale/babel.toml --keywords=msg --add-location=file --sort-by-file --msgid-bugs-address= --output-file=$(TEMPLATE) .
	@cd $(PAGES) && $(PYBABEL) update --domain=companion --input-file=$(TEMPLATE) --output-dir=locale --no-fuzzy-matching --ignore-obsolete --ignore-pot-creation-date --width=140
	@rm $(PAGES)/$(TEMPLATE)

PAGES := attribute_authority/web/companion
PYBABEL := $(CURDIR)/$(BIN)/pybabel --quiet
TEMPLATE := locale/companion.pot

.PHONY: bench
bench: $(DEVELOPED) debian-packages ## speed beside peers in the same run, saved as bench-results.json
	@$(BIN)/python -m tests.bench $(BENCH_OPTIONS)

.PHONY: bench-quick
bench-quick: $(DEVELOPED) debian-packages ## the same in less than four minutes: short rounds, rough figures
	@$(BIN)/python -m tests.bench --quick $(BENCH_OPTIONS)

.PHONY: fuzz
fuzz: $(DEVELOPED) ## the parser under random messages, longer than in `make test`
	@HYPOTHESIS_PROFILE=long $(BIN)/python -m pytest --numprocesses=auto -k fuzz $(TEST_OPTIONS)

.PHONY: faults
faults: $(DEVELOPED) debian-packages ## deliveries through 200 kills, outages, a full disk and crashes, with figures; longer than in `make test`
	@FAULT_KILLS=$${FAULT_KILLS:-200} $(BIN)/python -m pytest --numprocesses=auto $(FAULTS) $(TEST_OPTIONS)

FAULTS := tests/faults/test_dying_deliveries.py tests/faults/test_deliveries.py

.PHONY: lock
lock: $(DEVELOPED) ## make the locks anew from setup.py: the newest versions that fit
	@$(BIN)/uv pip compile setup.py --extra build --extra development --output-file $(LOCKS)/development.txt $(COMPILE)
	@$(BIN)/uv pip compile setup.py --extra build --constraint $(LOCKS)/development.txt --output-file $(LOCKS)/runtime.txt $(COMPILE)

COMPILE := --universal --python-version 3.11 --generate-hashes --upgrade --no-config --no-emit-index-url --no-header --no-annotate --quiet

.PHONY: clean
clean: ## remove what the other targets made
	@rm -rf $(VENV) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache bench-results.json

.PHONY: debian-packages
debian-packages:
	@deploy/install-debian-packages.sh deploy/debian-packages.txt

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed")'
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null || deploy/install-debian-packages.sh python3-venv
	@$(PYTHON) -m venv $(VENV)

$(INSTALLED): $(LOCKS)/runtime.txt setup.py | $(BIN)/python
	@$(PIP) install --require-hashes --requirement $(LOCKS)/runtime.txt
	@PYTHONWARNINGS=ignore $(PIP) install --no-build-isolation --no-deps --no-index --editable .
	@touch $@

$(DEVELOPED): $(LOCKS)/development.txt $(INSTALLED)
	@$(PIP) install --require-hashes --requirement $(LOCKS)/development.txt
	@touch $@
