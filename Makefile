# Two commands do all the set-up: `make run` and `make test`. Everything else is for contributors.

PYTHON ?= python3
STAGE ?= dev
BIN := .venv/bin

.PHONY: run demo test test-browsers test-services test-fast fuzz chaos soak probe package lint format lock clean

run: .setup-local  ## start the whole system on http://localhost:8989, show the main job, keep serving
	@$(BIN)/python -m local

demo: .setup-local  ## show the main job and exit: 0 only if everything it showed is true
	@$(BIN)/python -m local --demo-only

test: lint  ## everything a contributor runs, in two halves side by side: each waits most of its time
	@$(MAKE) --no-print-directory -j2 test-browsers test-services

test-browsers: .setup-dev  ## the worker with its browser, and the whole system
	@$(BIN)/python -m pytest tests/container tests/system

test-services: .setup-dev  ## everything else
	@$(BIN)/python -m pytest --ignore=tests/container --ignore=tests/system

test-fast: .setup-dev  ## the tests that need no emulator, stand-in or browser
	@$(BIN)/python -m pytest -m "not system" -q

fuzz: .setup-dev  ## requests that no test has sent yet, for as long as it takes: make fuzz [SEED=N] [EXAMPLES=N]
	@FUZZ_SEED=$(or $(SEED),$(shell date +%s)) FUZZ_EXAMPLES=$(or $(EXAMPLES),200) FUZZ_TIMEOUT=14400 \
		$(BIN)/python -m pytest tests/api/test_schemathesis.py -s

probe: .setup-local  ## which locators hold on the real site, publishing nothing: make probe ARGS="--account NAME"
	@$(BIN)/python -m local.probe $(ARGS)

chaos: .setup-local  ## kill the publish worker at every point of its job, and compare its task with the truth
	@$(BIN)/python -m local.chaos

soak: .setup-local  ## 10,000 submissions while AWS throttles, fails and loses answers: none is lost or doubled
	@$(BIN)/python -m local.soak $(ARGS)

package: .setup-dev  ## the zip and the template of a stage, proved: make package STAGE=prod
	@$(BIN)/python -m deploy.package --stage $(STAGE)

lint: .setup-dev
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

format: .setup-dev
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

lock: .setup-dev  ## pin anew what pyproject.toml asks for
	@$(BIN)/python -m local.lock

clean:  ## remove what was installed and built; the state in .local/ stays
	rm -rf .venv build .chalice/deployments .mypy_cache .ruff_cache .pytest_cache .import_linter_cache

.PHONY: .setup-local .setup-dev
.setup-local:
	@$(PYTHON) -m local.setup local
.setup-dev:
	@$(PYTHON) -m local.setup dev
