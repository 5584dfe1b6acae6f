# `make help` lists the targets. Each installs what is missing into .venv, `demo` and `test` also
# into the user's cache folder, and is quick the second time.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/ready
PIP := $(BIN)/python -m pip install --quiet --progress-bar off
# Several times as fast as pip, which takes over where uv does not get through: a mirror that only pip
# is configured for, say.
INSTALL := $(PIP) uv==0.13.9 && $(BIN)/uv pip install --quiet --compile-bytecode --python $(BIN)/python
DEMO := .demo
LOWEST := .venv-lowest
# Test files that run at a time, each worker with servers of its own: they mostly wait.
WORKERS := 4
# Tests without servers compute: one worker per core.
PURE_WORKERS := 2
# The folders of `make check`; `pytest -m pure` runs the others' tests without servers, too.
PURE := tests/base tests/config tests/partition tests/process tests/store \
    tests/export/test_completeness.py tests/export/test_export.py tests/export/test_replacement.py \
    tests/export/test_drop.py tests/systems/prometheus/test_prometheus_parsing.py \
    tests/systems/mongo tests/test_hot.py tests/test_layers.py tests/test_pure.py \
    tests/test_reference.py

# Container images like to set it. Each of some hundred programs that the tests and the demo
# start would then compile the package again.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: demo test check help lint types layers servers spark lowest docs clean lock
.DELETE_ON_ERROR:

demo: $(READY)  ## Runs the demo on real local servers: a quarter of data
	$(BIN)/lake demo --dir $(DEMO) --fresh

test: $(READY) lint types layers servers  ## Runs every check and every test, on real servers
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder $(PYTEST_ARGS)

check: $(READY) lint types layers  ## Lint, types, layers, and the quick tests that need no server
	$(BIN)/python -m pytest -q -m pure -n $(PURE_WORKERS) --dist loadfile $(PURE) $(PYTEST_ARGS)

help:  ## Lists the targets
	@sed -n 's/^\([a-z]*\):.*  ## \(.*\)$$/\1\t\2/p' $(MAKEFILE_LIST) | expand -t 10

lint: $(READY)  ## ruff: rules and format
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(READY)  ## mypy, strict
	$(BIN)/mypy

layers: $(READY)  ## import-linter: imports point down only
	$(BIN)/lint-imports

servers: $(READY)  ## Installs the servers that the tests start
	$(BIN)/lake services install mongo prometheus promtool s3 loki loki2 prometheus3 ferretdb thanos alertmanager
	sh scripts/install-chromium.sh

spark: $(READY)  ## Installs PySpark (450 MB, needs Java 17; Spark fetches 60 MB of jars), runs the tests on Spark
	$(INSTALL) --requirement deploy/spark/requirements.txt || $(PIP) --requirement deploy/spark/requirements.txt
	$(BIN)/python -m pytest tests/spark $(PYTEST_ARGS)

lowest: $(READY) servers  ## Runs every test with the oldest packages that pyproject.toml allows
	$(PYTHON) -m venv $(LOWEST)
	$(BIN)/uv pip install --quiet --compile-bytecode --resolution lowest-direct --python $(LOWEST)/bin/python --editable '.[dev]'
	$(LOWEST)/bin/python -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder $(PYTEST_ARGS)

docs: $(READY)  ## Builds the documentation as a site in .site/
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet --strict --config-file docs/site/mkdocs.yml
	@echo "$(BIN)/python -m http.server --bind 127.0.0.1 --directory .site"

$(READY): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "Python 3.11 or newer is needed, found " + sys.version.split()[0] + ": make PYTHON=python3.12 …")'
	@echo "Installing the Python packages into $(VENV)"
	$(PYTHON) -m venv $(VENV)
	$(INSTALL) --requirement requirements.lock || $(PIP) --requirement requirements.lock
	$(PIP) --no-deps --editable '.[dev]'
	@touch $(READY)

lock:  ## Writes requirements.lock again within the bounds of pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet uv
	$(BIN)/uv pip compile --quiet --universal pyproject.toml --extra dev --output-file requirements.lock

clean:  ## Removes what was made here (not the cache folder)
	rm -rf $(VENV) $(LOWEST) $(DEMO) test-artefacts .site
