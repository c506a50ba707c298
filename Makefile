# `make help` lists the targets. All of them work in .venv, which is created when it is first needed.

PYTHON ?= python3
PYTEST_ARGS ?=
BENCH_ARGS ?=
FAULTS ?=
FUZZ_SECONDS ?= 30
AUDIT ?=
VENV := .venv
BIN := $(VENV)/bin
IMAGE ?= likewise:latest

# By default, annoy compiles for the CPU of the build machine and crashes with SIGILL on an older
# one. x86-64-v3 (AVX2, servers since 2015) searches as fast as native did and twice as fast as v2; other
# architectures get their compiler's default. ANNOY_CPU=native asks for this machine's CPU,
# ANNOY_CPU=x86-64-v2 for older ones. The rest are annoy's own flags, which the variable replaces, and a note in
# the library of what it was compiled with.
ANNOY_CPU ?= $(if $(filter x86_64,$(shell uname -m)),x86-64-v3)
comma := ,
ANNOY_FLAGS := $(if $(ANNOY_CPU),-march=$(ANNOY_CPU)$(comma))-std=c++14,-O3,-ffast-math,-fno-associative-math,-fpermissive,-DANNOYLIB_MULTITHREADED_BUILD,-frecord-gcc-switches
# On macOS annoy's own flags are portable already, and needed.
ANNOY_BUILD := $(if $(filter Linux,$(shell uname -s)),ANNOY_COMPILER_ARGS='$(ANNOY_FLAGS)')

.DELETE_ON_ERROR:
.DEFAULT_GOAL := help
.PHONY: help install demo test test-containers test-faults test-clients test-helm coverage fuzz lint check dist format docs bench bench-quick lock audit image clean

help: ## show what each target does
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo
	@echo "  PYTHON=python3.12 chooses the Python for .venv; PYTEST_ARGS='-k redis' is passed to pytest."
	@echo "  FAULTS='--kills 100 --minutes 60' makes the faults harder, FAULTS=--bounded is CI's selection."
	@echo "  ANNOY_CPU=native compiles annoy for this machine's CPU only (make clean first)."
	@echo "  BENCH_ARGS=--full adds the large sizes to the benchmarks; BENCH_ARGS='--only ingest' runs one."

install: $(VENV)/installed ## make .venv with the locked dependencies and likewise itself

demo: $(VENV)/installed ## run the whole path on embedded servers: real likes in, recommendations out
	$(BIN)/likewise demo

test: $(VENV)/installed browser ## run all suites but security, faults, clients and helm, on embedded servers (Tansu and Redis)
	$(BIN)/pytest --ignore tests/security --ignore tests/faults --ignore tests/clients \
		--ignore tests/helm $(PYTEST_ARGS)

.PHONY: browser
browser:
	@missing=$$(.ci/prerequisites $(PYTHON) browser) && test -z "$$missing" || { \
		echo "The tests of the page need a browser. On Debian, as root:" >&2; \
		echo "  apt-get install" $$missing >&2; exit 1; }

# `up` and `demo` are left out: they bring their own servers, the embedded ones.
test-containers: $(VENV)/installed ## run the tests that talk to servers against Apache Kafka and Redis in Docker
	LIKEWISE_TEST_SERVERS=containers $(BIN)/pytest tests/contract tests/integration tests/e2e tests/security \
		--ignore tests/e2e/test_up.py --ignore tests/e2e/test_up_with_dask.py --ignore tests/e2e/test_demo.py \
		$(PYTEST_ARGS)

# FAULTS='--seed 7 --kills 100 --minutes 60' tries harder; FAULTS=--bounded is what CI runs.
test-faults: $(VENV)/installed ## kill, cut off, poison and starve everything, then compare the state with the log (needs Docker)
	$(BIN)/pytest tests/faults --show-capture=no $(FAULTS) $(PYTEST_ARGS)

# What is built for it is kept in .clients and in the caches of Go, Maven and npm.
test-clients: $(VENV)/installed ## try Kafka clients of other languages, README's examples and asyncapi.yaml (needs Go, Node, Maven, a JDK)
	$(BIN)/pytest tests/clients $(PYTEST_ARGS)

test-helm: $(VENV)/installed ## render the Helm chart and validate what it creates (needs Go)
	$(BIN)/pytest tests/helm $(PYTEST_ARGS)

fuzz: $(VENV)/installed ## feed the decoders mutated messages for half a minute (FUZZ_SECONDS); Linux on x86-64
	$(BIN)/python tests/fuzz/fuzz_decoders.py -max_total_time=$(FUZZ_SECONDS)

lint: $(VENV)/installed ## format, lint, types, import rules
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

check: lint ## lint and the unit tests: before every commit
	$(BIN)/pytest -n auto tests/unit $(PYTEST_ARGS)

coverage: $(VENV)/installed ## run the unit tests; their branch coverage must not fall (fail_under)
	$(BIN)/pytest -n auto tests/unit --cov --cov-report=term:skip-covered $(PYTEST_ARGS)

dist: $(VENV)/installed ## build the sdist and the wheel in dist/
	rm -rf dist
	$(BIN)/hatchling build

format: $(VENV)/installed ## format the code and fix what the linter can fix
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: $(VENV)/installed ## write the generated tables of the documentation: settings, metrics, commands, codes
	$(BIN)/python -m docs.generate

bench: $(VENV)/peers ## measure speed and memory, next to floors and peers; writes docs/benchmarks.md (under 20 min)
	$(BIN)/python -m benchmarks $(BENCH_ARGS)

bench-quick: $(VENV)/installed ## run every benchmark in its smallest size: checks that it works
	$(BIN)/python -m benchmarks --quick

# The second lock is the part of the first that the container image needs, at the same versions.
# pip installs from them; uv only writes them, because it resolves for every supported Python.
LOCK := $(BIN)/uv pip compile pyproject.toml --universal --python-version 3.11 --generate-hashes \
	--custom-compile-command "make lock" --quiet $(if $(UPGRADE),--upgrade)

lock: $(VENV)/installed ## pin the dependencies again after a change to pyproject.toml (UPGRADE=1: the newest of each)
	$(LOCK) --all-extras --group dev --output-file requirements.lock
	$(LOCK) --extra server --extra gateway --extra otel --extra files --extra evaluation \
		--extra cluster --extra s3 --extra search --constraint requirements.lock \
		--output-file requirements-image.lock
	$(subst pyproject.toml,tests/clients/requirements.in,$(LOCK)) --output-file tests/clients/requirements.lock
	$(subst pyproject.toml,tests/helm/requirements.in,$(LOCK)) --output-file tests/helm/requirements.lock

# Compares the pins with the advisories of PyPI, which has to be PyPI itself: mirrors often lack the document
# of each release. AUDIT="--vulnerability-service osv" asks OSV. Installs nothing.
audit: ## look for known vulnerabilities in the locked dependencies (pip-audit; needs the internet)
	$(BIN)/uv tool run pip-audit --strict --disable-pip --require-hashes --requirement requirements.lock $(AUDIT)

image: ## build the container image, likewise:latest
	docker build --tag $(IMAGE) .

clean: ## remove .venv and all caches
	rm -rf $(VENV) .clients tests/clients/*/node_modules tests/clients/spring/target build dist .coverage .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -not -path './.git/*' -prune -exec rm -rf {} +

# Rebuilt whenever a dependency changed. Hashes are checked for all that the lock names; likewise
# itself is installed in place, so that an edit counts at once.
$(VENV)/installed: requirements.lock pyproject.toml
	@missing=$$(.ci/prerequisites $(PYTHON)) && test -z "$$missing" || { \
		echo "Some things are missing to install from source. On Debian, as root:" >&2; \
		echo "  apt-get install" $$missing >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' || { \
		echo "likewise needs Python 3.11, 3.12 or 3.13, and $(PYTHON) is another one;" >&2; \
		echo "name one of those: make PYTHON=python3.11 $(MAKECMDGOALS)" >&2; exit 1; }
	@echo "Installing the locked dependencies into $(VENV) (a minute or so the first time)"
	@$(PYTHON) -m venv --clear $(VENV)
	@# Apart and without pip's cache, which knows nothing of flags and may hold a wheel for another CPU.
	@sed -n '/^annoy==/,/^[^ ]/{/^annoy==/p;/^ /p}' requirements.lock >$(VENV)/annoy.lock
	@$(ANNOY_BUILD) $(BIN)/pip install --quiet --disable-pip-version-check --no-cache-dir --no-deps --no-binary annoy \
		--require-hashes --requirement $(VENV)/annoy.lock
	@$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes --requirement requirements.lock
	@$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --editable .
	@touch $@

# The peers that the benchmarks compare likewise with. A peer that is not installed is left out, and the result says so.
$(VENV)/peers: $(VENV)/installed pyproject.toml
	@echo "Installing the benchmarks' peers into $(VENV)"
	@if $(BIN)/uv pip install --quiet --python $(BIN)/python --group bench; then touch $@; \
		else echo "some peers can't be installed; the benchmarks run without them" >&2; fi
