# `make help` lists what there is.

CARGO ?= cargo
# How long each fuzz target runs, in seconds, in `make test` and in `make fuzz`.
FUZZ_SECONDS ?= 5
# How many tests run at once: most of them wait for processes, timeouts and connections, and leave the cores idle.
TEST_THREADS ?= $(shell cores=$$(nproc); echo $$((cores > 4 ? cores : 4)))
# The targets that build soon; the others link the whole registry, or the whole edge cache.
QUICK_FUZZ = path reference range manifest hash_state token

.DEFAULT_GOAL := help
.PHONY: help up build test soak fmt lint deny bench fuzz clean install

help: ## Lists the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

up: ## Builds, and runs a registry on 127.0.0.1:5000 with its data in ./data
	@$(CARGO) build --release --package longshore
	@exec $${CARGO_TARGET_DIR:-target}/release/longshore up

build: ## Builds the program
	$(CARGO) build --release --package longshore

install: ## Installs what the tests need, by name
	tests/install.sh

test: install build ## Runs every test, with real servers and clients
	RUST_TEST_THREADS=$(TEST_THREADS) $(CARGO) test --release --workspace
	fuzz/run.sh $(FUZZ_SECONDS) $(QUICK_FUZZ)

soak: install build ## Runs the heavy tests at many times their usual counts
	LONGSHORE_SOAK=1 $(CARGO) test --release --package longshore-tests -- --nocapture
	fuzz/run.sh 300

fmt: ## Formats the code
	$(CARGO) fmt --all

lint: ## Looks for what clippy finds fault with, and for code that is not formatted
	$(CARGO) fmt --all --check
	$(CARGO) clippy --release --workspace --all-targets -- --deny warnings

deny: ## Checks licences, bans, sources and advisories of what we depend on
	.ci/deny

bench: build ## Times ours against its peers, side by side
	bench/install.sh
	$(CARGO) run --release --package longshore-bench

fuzz: ## Fuzzes each parser for FUZZ_SECONDS
	fuzz/run.sh $(FUZZ_SECONDS)

clean: ## Removes what was built, and nothing else
	$(CARGO) clean
