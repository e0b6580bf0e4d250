# Everything a newcomer needs: `make run` and `make test`. Both set up what they need first, without root,
# inside this checkout only (plus pip's own cache). Paths stay relative, so the checkout may have spaces in its name.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-builtin-rules

PYTHON ?= python3
JOBS ?= 2
# Many of these tests wait for time to pass: one process more than there are processors.
UNIT_JOBS ?= 3
BIN := .venv/bin
# A home directory that cannot be written to must not stop pip: keep its cache in the checkout then.
PIP := if ! [ -w "$${HOME:-/nonexistent}" ]; then export PIP_CACHE_DIR=.venv/cache; fi; \
	$(BIN)/python -m pip --disable-pip-version-check --quiet
LOCKS := requirements/run.txt requirements/live.txt requirements/vm.txt requirements/cluster.txt requirements/dev.txt
# What a Wine machine is made of; rrsim.backends.live.wine.parts names the same, and a test compares the two.
WINE_PROGRAMS := wine wineserver Xvfb xdotool x86_64-w64-mingw32-gcc x86_64-w64-mingw32-objdump makensis
WINE_PACKAGES := wine64 wine xvfb xdotool gcc-mingw-w64-x86-64 nsis
# The agent's builder and the harness's adapter for it run where rrsim runs; all else of the agent runs on Windows too.
NOT_ON_WINDOWS := --exclude '^rrsim/agent/(freezing/|(adapter|build)\.py$$)'

.PHONY: help run test test-wine test-vm test-nightly nightly nightly-vm test-browser lint unit scenarios broken search bench clean

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## /  make \1\t/p' Makefile | expand -t 22

run: .venv/run.stamp ## run every scenario on the simulator
	$(BIN)/rrsim run scenarios/

test: lint unit scenarios broken ## everything that must pass before a commit

test-wine: .wine .venv/dev.stamp ## the tests on real machines, which need Wine; then a selection of the scenarios there
	$(BIN)/python -m pytest tests -n $(JOBS) -m "wine and not nightly"
	rm -rf out/wine-histories
	$(BIN)/rrsim run scenarios/ --backend wine --cases scenarios/wine-ci.txt --jobs $(JOBS) -v --junit out/wine.xml --html out/wine.html --histories out/wine-histories
	$(BIN)/rrsim conform out/wine-histories

test-nightly: .wine .venv/dev.stamp ## everything on real machines, too long for every commit: all broken agents, each case three times
	.ci/nightly wine

# What the processor's emulation allows in twenty minutes; `make nightly-vm` has the rest.
test-vm: .venv/libvirt.stamp ## the tests with libvirt and QEMU, then a selection of the scenarios in virtual machines
	$(BIN)/rrsim image build wine-guest
	rm -rf out/vm-histories
	$(BIN)/rrsim run scenarios/ --backend libvirt --cases scenarios/vm-ci.txt -v --junit out/vm.xml --html out/vm.html --histories out/vm-histories
	$(BIN)/rrsim conform out/vm-histories
	$(BIN)/python -m pytest -m "libvirt and not nightly" tests/images tests/doctor

nightly-vm: ## virtual machines with the real ten minutes, the machine contract, and the longer tests
	.ci/nightly vm --jobs $(JOBS)

nightly: .venv/dev.stamp ## a whole night, as unattended machines run it
	.ci/nightly

.PHONY: .wine
.wine:
	@missing=; for program in $(WINE_PROGRAMS); do command -v $$program >/dev/null || missing="$$missing $$program"; done; \
	if [ -n "$$missing" ]; then \
		echo "not found:$$missing; install what make test-wine needs with: sudo apt-get install -y $(WINE_PACKAGES)" >&2; \
		exit 70; \
	fi

test-browser: .venv/dev.stamp ## the tests of the web console, which need Chromium
	$(BIN)/python -m pytest tests -m browser

lint: .venv/dev.stamp ## ruff, mypy --strict and the import contracts
	$(BIN)/ruff check .
	$(BIN)/mypy --strict rrsim
	$(BIN)/mypy --strict --platform win32 --cache-dir .mypy_cache/win32 $(NOT_ON_WINDOWS) rrsim/agent
	$(BIN)/lint-imports

unit: .venv/dev.stamp ## the tests of rrsim itself, repository rules included
	$(BIN)/python -m pytest tests -n $(UNIT_JOBS) -m "not wine and not libvirt and not browser"

scenarios: .venv/dev.stamp ## the scenarios as pytest sees them
	$(BIN)/python -m pytest scenarios

broken: .venv/dev.stamp ## prove that every deliberate bug is caught
	$(BIN)/rrsim broken

search: .venv/run.stamp ## every interleaving of the standard models
	$(BIN)/rrsim search --all --json out/search.json

bench: .venv/dev.stamp ## the figures for speed and memory
	$(BIN)/rrsim bench

clean: ## remove the environment and everything that was generated
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis build dist out *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# An environment knows the place it was made in: one that was moved or copied is made anew.
.venv/place.stamp:
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("rrsim needs Python 3.11 or later; try: make PYTHON=python3.11")'
	@$(PYTHON) -m venv --clear .venv
	@pwd > $@

ifneq ($(shell cat .venv/place.stamp 2>/dev/null),$(shell pwd))
.PHONY: .venv/place.stamp
endif

.venv/run.stamp: .venv/place.stamp requirements/run.txt pyproject.toml
	@echo "setting up .venv (once; needs the network or a warm pip cache)" >&2
	@$(PIP) install -r requirements/run.txt
	@$(PIP) install --no-deps --no-build-isolation --editable .
	@touch $@

.venv/dev.stamp: .venv/run.stamp $(LOCKS)
	@echo "adding the development tools to .venv" >&2
	@$(PIP) install -r requirements/dev.txt
	@touch $@

# The binding has to match the libvirt of this computer, so its version comes from there.
.venv/libvirt.stamp: .venv/dev.stamp
	@pkg-config --exists libvirt || { echo "not found: libvirt's headers; install them with: sudo apt-get install -y libvirt-dev pkg-config gcc python3-dev" >&2; exit 70; }
	@echo "building libvirt's binding for Python" >&2
	@$(PIP) install "libvirt-python==$$(pkg-config --modversion libvirt)"
	@touch $@
