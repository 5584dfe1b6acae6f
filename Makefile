# Two commands: `make demo` and `make test`. Both install what is missing into .venv and
# into the user's cache folder, and are quick the second time.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/ready
DEMO := .demo
# Test files that run at a time, each worker with servers of its own: they mostly wait.
WORKERS := 3

# Container images like to set it. Each of some hundred programs that the tests and the demo
# start would then compile the package again.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: demo test lint types layers servers clean lock
.DELETE_ON_ERROR:

demo: $(READY)  ## the main job on real local servers, a quarter of data
	$(BIN)/lake demo --dir $(DEMO) --fresh

test: $(READY) lint types layers servers  ## every test
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder $(PYTEST_ARGS)

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(READY)
	$(BIN)/mypy

layers: $(READY)
	$(BIN)/lint-imports

servers: $(READY)
	$(BIN)/lake services install mongo prometheus promtool s3 loki loki2 prometheus3 ferretdb thanos
	sh scripts/install-chromium.sh

$(READY): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "Python 3.11 or newer is needed, found " + sys.version.split()[0] + ": make PYTHON=python3.12 …")'
	@echo "Installing the Python packages into $(VENV): one to two minutes the first time"
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --progress-bar off --requirement requirements.lock
	$(BIN)/python -m pip install --quiet --no-deps --editable '.[dev]'
	@touch $(READY)

lock:  ## pins again what pyproject.toml allows
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet uv
	$(BIN)/uv pip compile --quiet --universal pyproject.toml --extra dev --output-file requirements.lock

clean:  ## removes what the two commands made here (not the cache folder)
	rm -rf $(VENV) $(DEMO) test-artefacts
