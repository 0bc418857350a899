# simledger. `make help` lists what there is. Everything made goes to build/ and target/.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

PREFIX ?= /usr/local
JOBS ?= 2
# What tools/need could only install here comes first.
export PATH := $(CURDIR)/build/venv/bin:$(PATH)

# The same profile and features for all of these: SQLite is compiled once.
CARGO_TEST := cargo test --release --locked --features test-hooks

.PHONY: help demo test lib header limits fmt lint doc install clean bench campaigns sbom

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

# The compiler alone: this is also how any C program is linked with the static library.
demo: lib ## Run the anomaly detection example in C, with 16 nodes, in both ways of committing
	$(CC) -std=c11 -O2 -Iinclude -o build/anomaly_mesh examples/c/anomaly_mesh.c \
	    build/lib/libsimledger.a -lpthread -ldl -lm
	tools/in-fresh-dir build/demo env TMPDIR=. "$(CURDIR)/build/anomaly_mesh" --nodes 16 \
	    --data "$(CURDIR)/examples/data/shuttle.csv" --compare

# Cargo's tests once in each way of committing: what a test does not say is taken from the variable.
test: ## Run every test: Rust, C, C++, examples, linking
	@tools/need cmake
	@tools/need valgrind || echo "The valgrind tests will be skipped."
	@tools/need strace || echo "The test of what calls cost at most will be skipped."
	@tools/need libsqlite3 || echo "The tests beside the system's SQLite will be skipped."
	@tools/need prometheus_client || echo "The test with Prometheus' own parser will be skipped."
	LEDGER_TEST_COMMIT=log $(CARGO_TEST)
	LEDGER_TEST_COMMIT=sqlite $(CARGO_TEST)
	cmake -S . -B build -DSIMLEDGER_BUILD_TESTS=ON -DSIMLEDGER_BUILD_EXAMPLES=ON
	cmake --build build --parallel $(JOBS)
	cd build && ctest --output-on-failure --no-tests=error --parallel $(JOBS) | tee ctest.log
	@echo "ctest skipped $$(grep -c '(Skipped)$$' build/ctest.log || true) tests" \
	    "(each is named above; it says why in build/Testing/Temporary/LastTest.log)"

# Each is documented in its file and in CONTRIBUTING.md.
LENGTH ?= slice
ONLY ?=
campaigns: ## Try to break it, a slice of each campaign: 10 minutes; LENGTH=long ONLY=<name> for the whole of one
	tools/campaigns $(LENGTH) $(ONLY)

lib: ## Build build/lib/libsimledger.so and libsimledger.a
	tools/build-libs build/lib

header: ## Write include/simledger.h anew from src/ffi
	SIMLEDGER_UPDATE_HEADER=1 $(CARGO_TEST) --test header

limits: ## Write anew what calls cost at most: tests/limits/limits.txt
	@tools/need cmake
	@tools/need valgrind
	@tools/need strace
	cmake -S . -B build -DSIMLEDGER_BUILD_TESTS=ON
	cmake --build build --target limits_calls
	cd build && SIMLEDGER_UPDATE_LIMITS=1 ctest --verbose --no-tests=error -R '^limits$$'

sbom: ## Write the bill of materials, build/simledger.cdx.json (CycloneDX)
	@tools/need cargo-cyclonedx
	tools/sbom build/simledger.cdx.json

fmt: ## Format Rust, C and C++
	cargo fmt
	@tools/need clang-format
	git ls-files '*.c' '*.cpp' '*.h' '*.hpp' ':!include/simledger.h' | xargs clang-format -i

lint: ## Check the format and clippy
	cargo fmt --check
	cargo clippy --release --all-targets --all-features --locked -- -D warnings

doc: ## Build the Rust documentation
	RUSTDOCFLAGS=-Dwarnings cargo doc --no-deps --release --locked

# What cannot be installed is left out, and named in the results. The README shows those of a whole run; with
# ARGS, for which see benches/README.md, they go to build/.
BENCH_RESULTS = $(CURDIR)/$(if $(ARGS),build/bench-results,benches/results)
bench: ## Measure simledger beside what you would use instead: 25 minutes; ARGS=--quick for 4
	@tools/need cmake
	@for other in sqlitecpp lmdb rocksdb redis; do tools/need $$other || true; done
	benches/engines/build build/bench-engines || echo "fjall and honker will be left out."
	cmake -S . -B build -DSIMLEDGER_BUILD_TESTS=ON
	cmake --build build --target bench --parallel $(JOBS)
	@mkdir -p "$(BENCH_RESULTS)"
	tools/in-fresh-dir build/bench-files "$(CURDIR)/build/bin/bench" --engines "$(CURDIR)/build/bench-engines" \
	    --results "$(BENCH_RESULTS)" $(ARGS)
	python3 benches/plots.py "$(BENCH_RESULTS)"

install: ## Install under PREFIX (and DESTDIR)
	@tools/need cmake
	cmake -S . -B build -DCMAKE_INSTALL_PREFIX=$(PREFIX)
	cmake --build build --target simledger_libraries
	cmake --install build

clean: ## Remove everything made
	rm -rf build
	cargo clean
