# `make check` is what CI runs. `make fuzz` is for people: what it finds depends on its time.

CARGO ?= cargo

.PHONY: check lint fmt clippy doc deny guard test integration soak package bench fuzz run demo

# Tests last: their summary is what one wants to see.
check: lint guard test

lint: fmt clippy doc deny

fmt:
	$(CARGO) fmt --check

# The second one is what a program gets that embeds the balancer.
clippy:
	$(CARGO) clippy --locked --all-targets -- -D warnings
	$(CARGO) clippy --locked --lib --examples --no-default-features -- -D warnings

doc:
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --locked --no-deps --document-private-items

deny:
	$(CARGO) deny check licenses bans sources

# What a connection and a message cost, against benches/instructions/recorded; needs valgrind.
guard:
	$(CARGO) bench --locked --no-default-features --bench instructions

test:
	$(CARGO) test --locked --no-fail-fast

# Against real servers.
integration:
	REQUIRE_REAL=1 $(CARGO) test --locked --test bus --test directories --test metrics --test service --test soak --example control_over_stomp

# Ten minutes of everything at once; `integration/soak --hours 6` for a night.
soak:
	integration/soak

# target/debian/pointsman_VERSION_ARCHITECTURE.deb
package:
	integration/package build

# All benches that Cargo.toml knows.
bench:
	$(CARGO) bench --locked

# Fuzzing with stable Rust and g++: the flags are those that cargo-fuzz needs nightly for. Only what
# is built for the target is instrumented, not what runs while building. Not --locked: its lock file
# follows ours when a dependency changes.
FUZZ_SECONDS ?= 30
FUZZ_HOST := $(shell rustc -vV | sed -n 's/^host: //p')
FUZZ_FLAGS := --cfg fuzzing -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
	-Cllvm-args=-sanitizer-coverage-inline-8bit-counters \
	-Cllvm-args=-sanitizer-coverage-pc-table -Ccodegen-units=1
FUZZ_RUN = mkdir -p fuzz/corpus/$(1) fuzz/artifacts/$(1) && \
	fuzz/target/$(FUZZ_HOST)/release/$(1) -max_total_time=$(FUZZ_SECONDS) -timeout=10 \
	-artifact_prefix=fuzz/artifacts/$(1)/ fuzz/corpus/$(1) $(2)

fuzz:
	RUSTFLAGS="$(FUZZ_FLAGS)" $(CARGO) build --release --manifest-path fuzz/Cargo.toml \
		--target-dir fuzz/target --target $(FUZZ_HOST)
	$(call FUZZ_RUN,config,tests/data/valid tests/data/edit tests/data/invalid)
	$(call FUZZ_RUN,command,fuzz/seeds/command)
	$(call FUZZ_RUN,header,)
	$(call FUZZ_RUN,stomp,fuzz/seeds/stomp)

run:
	$(CARGO) run --locked --release -- run config/quickstart.toml

demo:
	$(CARGO) run --locked --release -- demo
