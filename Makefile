# Everything from Python 3.11 and make alone: `make plan` and `make test` on a fresh clone.
# `make up` is AWS and asks for a STACK; the lab is `make lab`.
GIVEN_STACK := $(STACK)
STACK ?= dev
ARGS ?=
RELEASE ?= HEAD
PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin
# Companies put their own certificate authority into the system's store: use it, not a bundled one.
export UV_SYSTEM_CERTS := true
export PIP_DISABLE_PIP_VERSION_CHECK := 1
export PULUMI_SKIP_UPDATE_CHECK := true
LOCK := $(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --upgrade

# A .venv that was copied or moved runs another folder's packages; one whose Python is gone runs nothing.
# Thousands of modules of which a program imports a few: those that a plan imports are compiled by making one.
UNCOMPILED := /(pulumi_aws|pulumi_eks|pulumi_kubernetes)/
VENV_OWNER := $(shell sed -n '1s,^\#!\(/.*\)/bin/python[0-9.]*$$,\1,p' $(BIN)/pip 2>/dev/null)
ifeq ($(filter clean help,$(MAKECMDGOALS)),)
ifneq ($(VENV_OWNER),)
ifneq ($(VENV_OWNER),$(CURDIR)/.venv)
$(error .venv belongs to $(VENV_OWNER), not to this folder: an old checkout's, copied or moved. Remove it with `make clean`, then run this again)
endif
ifneq ($(shell $(BIN)/python -c 'print(1)' 2>/dev/null),1)
$(error .venv/bin/python does not start: the Python that it was made from is gone. Remove it with `make clean`, then run this again)
endif
endif
endif

.PHONY: help plan preflight test test-engine engine coverage engine-faults settings-changes bench bench-engine bench-lab tools lab lab-status lab-down lab-test test-alerts test-collector up given-stack lint lock release hooks clean

help: ## show this list
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-14s %s\n", $$1, $$2}'

plan: .venv/plan-ready ## show what `pulumi up` would declare (STACK=dev, ARGS="--json")
	@$(BIN)/python -m otel_on_spot plan --stack $(STACK) $(ARGS)

preflight: .venv/plan-ready ## hold an AWS account against what `pulumi up` would make in it (STACK=dev, ARGS="--as ROLE")
	@$(BIN)/python -m otel_on_spot preflight --stack $(STACK) $(ARGS)

test: .venv/test-ready ## every tier that can run here, the engine's smoke among them; the last lines say which ran and which did not
	@$(BIN)/python -m tests.tiers $(ARGS)

test-engine: .venv/test-ready ## the whole engine tier (about 8 minutes): pulumi from PATH, else installed the official way
	@$(BIN)/python -m tests.engine_cli

engine: # the old name
	@echo "make engine is called make test-engine now"
	@$(MAKE) test-engine

coverage: .venv/test-ready ## make test, and which lines of the program and the tools no test ran
	@$(BIN)/python -m tests.tiers --coverage $(ARGS)

engine-faults: .venv/test-ready ## dev's update and destroy killed and refused at every step, each recovered (ARGS="--only STEP"; about 40 minutes)
	@$(BIN)/python -m tests.engine.fault_every_step $(ARGS)

settings-changes: .venv/test-ready ## preview a change of every setting and write docs/settings-changes.md (ARGS="--check" compares it; about 5 minutes)
	@$(BIN)/python -m tests.engine.settings_changes $(ARGS)

bench: .venv/test-ready ## measure imports, plans and their growth
	@$(BIN)/python -m bench $(ARGS)

bench-lab: .venv/test-ready ## measure the lab and Spot on it; stopped, it goes on (ARGS="--only drought-40,return --runs 3"; hours in all)
	@$(BIN)/python -m bench.lab $(ARGS)

bench-engine: .venv/test-ready ## measure `up` on AWS's times: makespan, parallelism, growth (needs the pulumi CLI; about an hour)
	@$(BIN)/python -m bench.engine --page docs/measurements.md --svg docs/pictures/up.svg $(ARGS)

tools: .venv/test-ready ## build the lab's tools into the user's cache (once, about 25 minutes on 2 cores; needs Go)
	@$(BIN)/python -m otel_on_spot.lab.toolchain $(ARGS)

lab: .venv/test-ready ## the whole platform on this machine, without an account (needs Linux and Go)
	@$(BIN)/python -m otel_on_spot lab up $(ARGS)

lab-status: .venv/test-ready ## the lab's processes and what is in its cluster
	@$(BIN)/python -m otel_on_spot lab status

lab-down: .venv/test-ready ## end the lab; nothing is left running
	@$(BIN)/python -m otel_on_spot lab down

test-alerts: .venv/test-ready ## promtool judges the alert rules; it is built first where it is not (once, minutes; needs Go)
	@$(BIN)/python -m otel_on_spot.lab.toolchain --alerts && ALERTS=1 $(BIN)/python -m pytest -q tests/unit/alerts

test-collector: .venv/test-ready ## a real OpenTelemetry Collector reads what the demo's is told, with a backend that fails; built first (once, minutes; needs Go)
	@$(BIN)/python -m otel_on_spot.lab.toolchain --collector && COLLECTOR=1 $(BIN)/python -m pytest -q tests/charts/test_collector.py

lab-test: .venv/test-ready ## the lessons on the lab, tools built first where they are not (needs Go)
	@$(BIN)/python -m otel_on_spot.lab.toolchain && $(BIN)/python -m otel_on_spot.lab.toolchain --alerts --collector --argocd-cli && LAB=1 $(BIN)/python -m tests.tiers lab

up: given-stack .venv/plan-ready ## pulumi up on AWS: make up STACK=dev
	@pulumi up --stack $(STACK) $(ARGS)

given-stack:
	@test -n "$(GIVEN_STACK)" || { echo "make up: no STACK was given. It runs pulumi up on AWS: make up STACK=dev. The platform on this machine is: make lab" >&2; exit 2; }
	@test "$(GIVEN_STACK)" != lab || { echo "make up STACK=lab: the stack lab has no account. The platform on this machine is: make lab" >&2; exit 2; }
	@test -f "Pulumi.$(GIVEN_STACK).yaml" || { echo "make up STACK=$(GIVEN_STACK): there is no Pulumi.$(GIVEN_STACK).yaml. Stacks with a file: $(patsubst Pulumi.%.yaml,%,$(wildcard Pulumi.*.yaml))" >&2; exit 2; }
	@command -v pulumi >/dev/null || { echo "make up: no pulumi on PATH. Install it: https://www.pulumi.com/docs/install/" >&2; exit 2; }

lint: .venv/test-ready ## format check, lint, types, layers
	@$(BIN)/python -m tests.tiers style

lock: .venv/bootstrap ## resolve the dependencies of pyproject.toml anew into the hashed lock files
	$(LOCK) pyproject.toml -o requirements.txt
	$(LOCK) pyproject.toml --extra tools -c requirements.txt -o requirements-tools.txt
	$(LOCK) pyproject.toml --extra tools --group dev -c requirements-tools.txt -o requirements-dev.txt

release: .venv/test-ready ## the archive of the committed files and its bill of materials, in dist/ (RELEASE=v0.1.0)
	@mkdir -p dist
	@git archive --format=tar.gz --prefix=otel-on-spot-$(RELEASE)/ --output=dist/otel-on-spot-$(RELEASE).tar.gz HEAD
	@$(BIN)/cyclonedx-py requirements requirements-tools.txt --pyproject pyproject.toml --mc-type application \
		--output-reproducible --output-format JSON --output-file dist/otel-on-spot-$(RELEASE).cdx.json

hooks: .venv/test-ready ## install the pre-commit hooks
	$(BIN)/prek install

clean: ## remove the virtual environment and caches
	rm -rf .venv .pytest_cache .ruff_cache .hypothesis

.venv/bootstrap: requirements-uv.txt
	@$(PYTHON) -c 'import sys; sys.exit(0 if (3, 11) <= sys.version_info < (3, 14) else f"Python {sys.version.split()[0]} found; 3.11 to 3.13 is needed: make PYTHON=python3.11")'
	@echo "preparing .venv (once)"
	@$(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet --require-hashes -r requirements-uv.txt
	@touch $@

.venv/plan-ready: .venv/bootstrap requirements-tools.txt
	@echo "installing the locked dependencies of the program and of the tools"
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes -r requirements-tools.txt
	@touch $@

.venv/test-ready: .venv/plan-ready requirements-dev.txt pyproject.toml
	@echo "installing the locked dependencies of the tests"
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes -r requirements-dev.txt
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
	@echo "compiling what the tests' processes import"
	@env -u PYTHONDONTWRITEBYTECODE $(BIN)/python -m compileall -q -j 0 -x '$(UNCOMPILED)' .venv/lib
	@env -u PYTHONDONTWRITEBYTECODE $(BIN)/python -m otel_on_spot plan --stack prod > /dev/null
	@touch $@
