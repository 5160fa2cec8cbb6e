# The commands of the README. `make quick` and `make test` install what is missing first.
SHELL := /bin/bash
.DEFAULT_GOAL := help

# One target directory outside the checkout, shared by every command; polars is then built once.
export CARGO_TARGET_DIR ?= $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/qbench/target
QBENCH := $(CARGO_TARGET_DIR)/release/qbench

.PHONY: help quick test bench verify lint build clean

help: ## Show these commands
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /  make \1\t/' | expand -t 16

quick: ## Install what is missing, build, compare four queues in three scenarios, draw six pictures
	@orchestration/quickstart.sh

build: ## Build the program
	cargo build --release --locked --bin qbench
	@echo "the program is $(QBENCH)"

test: ## Run the whole test suite against real servers that it starts and stops itself
	@orchestration/install.sh --with all,chromium,sshd
	@if cargo nextest --version >/dev/null 2>&1; \
	then cargo nextest run --release --locked --workspace; \
	else cargo test --release --locked --workspace; fi

bench: ## Measure the harness beside pgbench and valkey-benchmark, its ceiling, adapters, recording, pacing and job files (ONLY=part for one)
	@orchestration/install.sh
	cargo bench --locked -p qbench --bench harness -- $(ONLY)

verify: build ## Run the conformance suite of every backend
	@orchestration/install.sh --with all
	$(QBENCH) verify --backend all

lint: ## Check formatting, lints and documentation
	cargo fmt --all --check
	cargo clippy --release --locked --workspace --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --release --locked --workspace --no-deps --document-private-items

clean: ## Remove what was built
	cargo clean
