# make quickstart   set-up, then the whole SPECS pipeline on the built-in nano world (2 CPU cores, no GPU)
# make test         set-up, then lint and all tests
# make gpu-check    checks of sampling, GRPO and the cold start on a CUDA GPU, in an environment where it is installed (skipped without one)
# make mutants      does a test see each fault of a table of faults (tests/mutants)? about 20 minutes
# make setup        only the set-up: a virtual environment with the CPU profile in $(VENV)
# make clean        removes the environment and the nano run
#
# Variables: PYTHON (an interpreter of version 3.11), VENV (.venv), OUT (runs/nano), SEED (0), JOBS (processes of make test: 3 where 18 GiB are free, else 2)

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
.PHONY: quickstart test gpu-check mutants setup lint clean

VENV ?= .venv
OUT ?= runs/nano
SEED ?= 0
# Files of tests are dealt out whole, in their order: those that start whole runs begin early. They leave half of two cores
# idle while verl starts: a third process uses it, where there is memory for one (18 GiB, in KiB).
JOBS ?= $(shell awk '/MemAvailable/ {print ($$2 > 18874368) ? 3 : 2}' /proc/meminfo)
PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := $(VENV)/bin
READY := $(VENV)/.specs-ready
CPU_INDEX := https://download.pytorch.org/whl/cpu

quickstart: $(READY)
	$(BIN)/specs run nano --out "$(OUT)" --seed $(SEED)

test: $(READY) lint
	$(BIN)/python -m pytest -n $(JOBS) --dist loadfile --no-loadscope-reorder --durations 12

# Not with $(VENV), which is the CPU profile: GPU_PYTHON is the interpreter of the environment that trains.
GPU_PYTHON ?= python
gpu-check:
	SPECS_GPU_CHECK=1 $(GPU_PYTHON) -m pytest -rs tests/gpu

mutants: $(READY)
	$(BIN)/python tests/mutants/run.py

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

setup: $(READY)

# The marker is written last: an interrupted set-up is repeated, a finished one reused.
$(READY): setup.py requirements/base.txt requirements/cpu.txt requirements/dev.txt requirements/cpu-constraints.txt
	@command -v "$(PYTHON)" >/dev/null || { echo "Python 3.11 is needed: install it, or say make PYTHON=/path/to/python3.11"; exit 2; }
	@"$(PYTHON)" -c 'import sys; v = sys.version_info[:2]; sys.exit(0 if v == (3, 11) else f"The CPU profile is pinned for Python 3.11, this is {v[0]}.{v[1]}: say make PYTHON=/path/to/python3.11")' || exit 2
	@command -v cc gcc >/dev/null || { echo "A C compiler is needed (Debian: apt-get install gcc): triton and vLLM look for one at start."; exit 2; }
	@echo "Setting up $(VENV): about 2 minutes and 4.5 GB on disk"
	rm -f $(READY)
	"$(PYTHON)" -m venv "$(VENV)"
	$(BIN)/pip install --quiet --upgrade pip "setuptools<78" wheel
	@index=; \
	if ! $(BIN)/pip install --quiet --dry-run --no-deps "torch==2.13.0+cpu" >/dev/null 2>&1; then \
		echo "pip does not see torch 2.13.0+cpu here: taking it from PyTorch's CPU wheel index, $(CPU_INDEX)"; \
		index="--extra-index-url $(CPU_INDEX)"; \
	fi; \
	$(BIN)/pip install --quiet --no-compile $$index -r requirements/cpu.txt -r requirements/base.txt -r requirements/dev.txt -c requirements/cpu-constraints.txt
	@# pip would compile on one core. Some libraries ship templates that are no Python: they are what fails here.
	$(BIN)/python -m compileall -q -j 0 "$$($(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')" >/dev/null 2>&1 || true
	$(BIN)/pip install --quiet --no-build-isolation --no-deps -e .
	$(BIN)/python -m specs_verl.cpu.torchvision_shim
	touch $(READY)

clean:
	rm -rf "$(VENV)" "$(OUT)"
