# Everything a person does with this repository; `make` alone prints the list.
# Needs Python 3.11 or later (PYTHON=... picks one), make and a package index.

PYTHON ?= python3
BIN := .venv/bin

# The stamp's name lists the rooms, since a room that appears is importable only after a new install.
ROOMS := $(sort $(patsubst %/__init__.py,%,$(wildcard */__init__.py)))
nothing :=
space := $(nothing) $(nothing)
VENV := .venv/rooms-$(subst $(space),-,$(ROOMS))

.PHONY: help venv demo test lint types bench fuzz schedules manual clean

help: ## print this list
	@sed -n 's/^\([a-z]*\):[^#]*## \(.*\)/\1 \2/p' Makefile | while read -r name does; do printf '  make %-9s %s\n' "$$name" "$$does"; done

venv: $(VENV) ## make .venv and install Sohu with all its tools into it

$(VENV): pyproject.toml setup.py
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("Sohu needs Python 3.11 or later: make PYTHON=python3.11")'
	@test -x $(BIN)/python || { echo "making .venv"; $(PYTHON) -m venv .venv; }
	$(BIN)/python -m pip --disable-pip-version-check install --editable '.[dev]'
	@rm -f .venv/rooms-* && touch $@

demo: $(VENV) ## a kernel from Python to its binary, a model's answer on the emulator, the debugger
	$(BIN)/python -m sohu.demo

# pytest comes last, so that its summary is the last line.
test: lint types ## everything that must pass before a commit
	$(BIN)/python -m pytest --numprocesses auto --maxprocesses 8 --dist loadfile

lint: $(VENV) ## ruff: rules and formatting
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV) ## mypy --strict over the built wheel
	$(BIN)/python -m tools.typecheck

bench: $(VENV) ## speed of the emulator, the compiler and a model beside plain NumPy, of sohu-asm beside LLVM
	$(BIN)/python -m benchmarks

fuzz: $(VENV) ## hours of random and damaged input, from where it last stopped; then the property tests with new cases
	$(BIN)/python -m tools.fuzz --resume build/fuzz/state.json --jobs $$(nproc)
	$(BIN)/python -m pytest -m hypothesis --hypothesis-profile fuzz --numprocesses auto --maxprocesses 8

# Left out: programs that are meant to be wrong, or that only program order makes right, and limits of time.
UNORDERED := $(patsubst %,--ignore tests/emulator/test_%.py,schedules mutated_programs device run_cli limits)

schedules: $(VENV) ## every program of the tests in 100 random orders and in timed order: the same to the bit
	$(BIN)/python -m pytest tests/dsl tests/models tests/front tests/emulator $(UNORDERED) --schedules 100 \
		--numprocesses auto --maxprocesses 8 --dist loadfile

manual: $(VENV) ## docs/isa/, docs/directives.md, docs/diagnostics.md and docs/debugger-commands.md, which are made of the tables and checked in
	$(BIN)/python -m sohu.isa.manual docs/isa
	$(BIN)/python -m sohu.asm.docgen docs
	$(BIN)/python -m sohu.debugger.docgen docs

clean: ## remove everything that make and the tools made, .venv too
	rm -rf .venv build demo-out dist *.egg-info .hypothesis .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
