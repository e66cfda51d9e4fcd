# Two commands are all that a newcomer needs: `make start` and `make test`.

PYTHON ?= $(shell for p in python3.13 python3.12 python3.11 python3.14 python3 python; do \
	$$p -c 'import sys; sys.exit(not ((3, 11) <= sys.version_info[:2] <= (3, 14)))' >/dev/null 2>&1 && echo $$p && break; done)
VENV := .venv
BIN := $(VENV)/bin
BENCHMARK_BIN := $(VENV)-benchmark/bin
# How many processes run tests at a time. Most tests wait for other processes, so that one would use half of a core.
JOBS ?= 2
EXTENSIONS := $(sort $(wildcard extensions/*/setup.py))
AZURITE := tests/azurite/node_modules/.package-lock.json

.PHONY: docs start test lint format benchmark screenshot protos clean

start: $(VENV)/.start
	$(BIN)/func host start --script-root sample_app

test: $(VENV)/.test $(AZURITE)
	$(BIN)/python -m pytest --numprocesses $(JOBS) --dist loadfile $(TESTS)

lint: $(VENV)/.test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# Installed as users install it: what an editable install does at every start of Python would be measured as well.
benchmark: $(BENCHMARK_BIN)/python
	rm -rf build extensions/*/build
	$(BENCHMARK_BIN)/python -m pip install --quiet --disable-pip-version-check '.[host,rpc,baetyl,benchmark]' \
		$(foreach e,$(EXTENSIONS),./$(dir $(e)))
	$(BENCHMARK_BIN)/python -m pip install --quiet --disable-pip-version-check --force-reinstall --no-deps . \
		$(foreach e,$(EXTENSIONS),./$(dir $(e)))
	rm -rf build extensions/*/build
	$(BENCHMARK_BIN)/python -m benchmarks $(BENCHMARK)

screenshot: $(VENV)/.test
	$(BIN)/python tests/page/screenshot.py

# Old and new versions of protobuf can load what an old compiler makes; what a new one makes refuses the old.
PROTOC := grpcio-tools==1.51.3 protobuf<5 setuptools<81
PROTOC_PYTHON ?= python3.11

protos:
	$(PROTOC_PYTHON) -m venv $(VENV)/protoc
	$(VENV)/protoc/bin/python -m pip install --quiet --disable-pip-version-check --only-binary :all: $(foreach p,$(PROTOC),'$(p)')
	$(VENV)/protoc/bin/python -m grpc_tools.protoc -I . --python_out=. $(shell find worker_ext -name '*.proto')

docs: $(VENV)/.test
	$(BIN)/mkdocs build

format: $(VENV)/.test
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

$(BENCHMARK_BIN)/python:
	$(PYTHON) -m venv $(VENV)-benchmark

$(BIN)/python:
	@test -n "$(PYTHON)" || { echo "make: no Python 3.11 to 3.14 found; set PYTHON=/path/to/python" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.start: $(BIN)/python setup.py $(EXTENSIONS)
	@echo "Installing the host and the extensions into $(VENV). This is done once and takes a minute."
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[host]' $(foreach e,$(EXTENSIONS),-e ./$(dir $(e)))
	@touch $@

$(VENV)/.test: $(VENV)/.start setup.py
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[host,rpc,baetyl,dev]' -e './extensions/telemetry[azure,requests]'
	PYTHONPATH=tests $(BIN)/python -m support.stock_runtime
	@touch $@

# The storage emulator, for the tests of storage triggers and bindings. Without npm those are skipped.
$(AZURITE): tests/azurite/package-lock.json
	@if command -v npm >/dev/null; then \
		cd tests/azurite && npm ci --silent --no-audit --no-fund --ignore-scripts && touch node_modules/.package-lock.json; \
	else echo "make: there is no npm, so tests with the storage emulator are skipped" >&2; fi

clean:
	rm -rf $(VENV) $(VENV)-* build dist *.egg-info extensions/*/build extensions/*/dist extensions/*/*.egg-info
