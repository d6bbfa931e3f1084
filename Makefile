# The everyday commands. Each sets up .venv by itself; nothing is done twice.
# Variables: DEMO_ARGS (`make demo DEMO_ARGS=--keep`), TEST_ARGS (`make test TEST_ARGS=tests/api`), WORKERS (processes that
# share the tests; 0 to see them run one by one in this one).

PYTHON ?= python3
WORKERS ?= 2
BIN := .venv/bin
PY_FOLDERS := src tests bench tools examples

.PHONY: check setup demo test bench chaos format unit clean

check: setup ## format check, lint, types, imports, unit tests: seconds
	@$(BIN)/ruff format --check --quiet $(PY_FOLDERS)
	@$(BIN)/ruff check --quiet $(PY_FOLDERS)
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-cache > build/imports.txt || (cat build/imports.txt; exit 1)
	@$(BIN)/pytest -q tests/unit

setup:
	@mkdir -p build
	@$(PYTHON) tools/bootstrap.py

demo: setup ## a real Spark application from git commits to production jobs, five scenarios
	@$(BIN)/headway demo $(DEMO_ARGS)

test: setup ## every test: real Spark, real git, the S3 protocol, the official SDK
	@$(BIN)/pytest -q -n $(WORKERS) --dist loadscope $(TEST_ARGS)

bench: setup ## figures as ratios, in build/bench.json
	@PYTHONPATH=tests $(BIN)/python -m bench

chaos: setup ## the deployer killed or disturbed at each of its calls, in build/chaos.json; fails unless all converged
	@PYTHONPATH=tests $(BIN)/python -m chaos.sweep

format: setup
	@$(BIN)/ruff format $(PY_FOLDERS)
	@$(BIN)/ruff check --fix $(PY_FOLDERS)

unit: setup
	@$(BIN)/pytest -q tests/unit

clean: ## what was built; not .venv
	@rm -rf build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
