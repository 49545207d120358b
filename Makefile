# make demo   the whole loop on the packaged starter questions, no network beyond the installation
# make test   every check: formatting, types, tests

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
# Without a GPU the CPU build of torch is enough, and a tenth of the size.
CONSTRAINTS := $(if $(wildcard /dev/nvidiactl),,-c constraints-cpu.txt)
# Processes that share the tests.
WORKERS ?= 2
# One thread is many times faster than the default for small models on few cores.
export OMP_NUM_THREADS ?= 1
export TOKENIZERS_PARALLELISM ?= false

.PHONY: demo test setup lint docs perf clean

setup: $(VENV)/.installed

$(VENV)/.installed: pyproject.toml constraints-cpu.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet $(CONSTRAINTS) -e ".[dev]"
	touch $@

demo: setup
	$(BIN)/medbench demo --home .medbench/demo $(if $(CONTROL),--control)

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

test: lint
	$(BIN)/python -m pytest -n $(WORKERS)

docs: setup
	$(BIN)/python -m docs.generate

perf: setup
	$(BIN)/python -m perf.throughput
	$(BIN)/python -m perf.reading

clean:
	rm -rf $(VENV) .medbench
