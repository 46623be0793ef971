# `make check` is what CI runs. Fuzz targets come with the parsers that face the network.

CARGO ?= cargo

.PHONY: check lint fmt clippy doc deny test integration bench run demo

# Tests last: their summary is what one wants to see.
check: lint test

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

test:
	$(CARGO) test --locked --no-fail-fast

# Against real servers.
integration:
	@test -f integration/main.rs || { echo "no integration tests yet: they come with the message bus" >&2; exit 1; }
	$(CARGO) test --locked --test integration

# All benches that Cargo.toml knows.
bench:
	$(CARGO) bench --locked

run:
	$(CARGO) run --locked --release -- run config/quickstart.toml

demo:
	$(CARGO) run --locked --release -- demo
