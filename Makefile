# Everything a fresh machine needs: Python 3.10+ with venv, git and make. Two commands do the rest:
#   make demo     the main job, end to end, against a sandbox on this machine; no account needed
#   make test     the tests
# More: make demo DATA=<COCO or YOLO folder> STORE=<folder or s3://bucket/prefix>, make dev, make lint, make bench

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
DATA ?=
STORE ?=
PROJECT ?=
TASKS ?=
PORT ?= 3000
SANDBOX_PORT ?= 8765
export PYTHONUNBUFFERED = 1
# Of what one run of the tests compiles lives the next.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: demo dev test test-lowest lint format bench clean help

demo: $(VENV)/.run ## the whole loop: sync, exports, approvals, retraining, model, unchanged second sync
	@$(BIN)/python -m dagster_project.demo $(if $(DATA),--data "$(DATA)") $(if $(STORE),--store "$(STORE)") \
	  $(if $(PROJECT),--project "$(PROJECT)") $(if $(TASKS),--tasks "$(TASKS)")

dev: $(VENV)/.run ## sandbox and Dagster UI on loopback, ready to click
	@$(BIN)/python -m dagster_project.dev --port $(PORT) --sandbox-port $(SANDBOX_PORT) \
	  $(if $(DATA),--data "$(DATA)") $(if $(STORE),--store "$(STORE)") \
	  $(if $(PROJECT),--project "$(PROJECT)")

test: $(VENV)/.dev $(VENV)/peers/.done ## the tests
	$(BIN)/python -m pytest -n auto --dist loadfile --no-loadscope-reorder

test-lowest: $(VENV)/lowest/.done ## the tests that touch Dagster, tables and stores, with the lowest versions that are declared
	$(VENV)/lowest/bin/python -c 'import dagster; assert dagster.__version__ == "$(LOWEST)", dagster.__version__'
	$(VENV)/lowest/bin/python -m pytest -n auto --dist loadfile --no-loadscope-reorder $(WITH_DAGSTER) $(WITH_ARROW)

lint: $(VENV)/.dev ## style, types, floors
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(VENV)/.dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(VENV)/.dev $(VENV)/peers/.done ## exports, reading, uploads and bad days beside the SDK; import and load cost
	$(BIN)/python -m benchmarks.conversions.run --write
	$(BIN)/python -m benchmarks.iterate
	$(BIN)/python -m benchmarks.upload
	$(BIN)/python -m benchmarks.bad_days
	$(BIN)/python scripts/import_cost.py
	$(BIN)/python -m benchmarks.load

clean: ## what make has made here
	rm -rf $(VENV) .demo .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache

help:
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 10

# The virtual environment, in two steps: what runs the product, and what tests it.
$(VENV)/bin/python:
	@command -v $(PYTHON) >/dev/null 2>&1 || { \
	  echo "fastlabel-dagster cannot be set up: no $(PYTHON) on the PATH; install Python 3.11 or name one: make PYTHON=/path/to/python3"; exit 1; }
	@$(PYTHON) scripts/check_machine.py
	@echo "virtual environment: $(VENV)"
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); exit 1; }

$(VENV)/.run: pyproject.toml | $(VENV)/bin/python
	@$(PYTHON) scripts/check_machine.py
	@echo "installing fastlabel-dagster with the sandbox and the UI (a minute or two, once)"
	@$(PIP) install --editable '.[sandbox,ui]'
	@$(opencv)
	@touch $@

$(VENV)/.dev: pyproject.toml | $(VENV)/bin/python
	@$(PYTHON) scripts/check_machine.py
	@echo "installing the test tools (a minute or two, once)"
	@$(PIP) install --editable '.[dev]'
	@$(opencv)
	@touch $@ $(VENV)/.run

# Other people's converters, which read what we write and are measured beside us. They pin what we do not (OpenCV's
# headless build, pandas, Arrow), so they live in an environment of their own.
$(VENV)/peers/.done: benchmarks/peers.txt | $(VENV)/bin/python
	@echo "installing other converters to compare with (a minute or two, once)"
	@$(PYTHON) -m venv $(VENV)/peers
	@$(VENV)/peers/bin/python -m pip --disable-pip-version-check --quiet install -r benchmarks/peers.txt
	@touch $@

# The lowest Dagster declared in pyproject.toml, and the lowest of the libraries in tests/lowest.txt, in an environment of
# their own. What lies below the Dagster floors imports no Dagster (import-linter holds that), so of the tests there only
# those of tables, mirrors and of what all formats promise are repeated. Left out are those that go the same ways once
# more and cost minutes: tests/fire (kills and restarts), tests/ui (a browser), test_demo, test_load_cost.
LOWEST := 1.13.0
WITH_DAGSTER := tests/assets tests/checks tests/components tests/jobs tests/metadata tests/ops tests/sensors \
  tests/test_compat.py tests/test_dagster_project.py tests/test_loop.py tests/test_partitions.py \
  tests/test_public_dagster.py tests/test_resource.py tests/test_secrets_in_dagster.py tests/test_translator.py \
  tests/test_tutorial.py tests/workspace
WITH_ARROW := tests/labels tests/sync tests/formats/test_every_format.py
$(VENV)/lowest/.done: pyproject.toml tests/lowest.txt | $(VENV)/bin/python
	@echo "installing the lowest Dagster to test with (a minute or two, once)"
	@$(PYTHON) -m venv $(VENV)/lowest
	@$(VENV)/lowest/bin/python -m pip --disable-pip-version-check --quiet install --editable '.[sandbox,ui]' \
	  --constraint tests/lowest.txt 'pycocotools>=2.0.8' \
	  dagster==$(LOWEST) dagster-webserver==$(LOWEST) dagster-graphql==$(LOWEST) dagster-dg-cli==$(LOWEST) \
	  create-dagster==$(LOWEST) 'pytest>=8' 'pytest-xdist>=3.8' 'hypothesis>=6.100' 'moto[server]>=5.1' 'fastlabel==0.26.0'
	@$(VENV)/lowest/bin/python -c 'import cv2' 2>/dev/null || { \
	  $(VENV)/lowest/bin/python -m pip --quiet uninstall --yes opencv-python; \
	  $(VENV)/lowest/bin/python -m pip --quiet install 'opencv-python-headless==4.10.*'; }
	@touch $@

# opencv-python needs libGL, which slim machines lack; the headless build is the same module without it.
opencv = $(BIN)/python -c 'import cv2' 2>/dev/null || { \
  echo "OpenCV cannot load here (no libGL?): installing its headless build"; \
  $(PIP) uninstall --yes opencv-python; $(PIP) install 'opencv-python-headless>=4.10,<5'; \
  $(BIN)/python -c 'import cv2'; }
