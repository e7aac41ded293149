# What a developer types. `just` lists them; each is one line that can be typed by hand as well.

_default:
    @just --list --unsorted

# The main job on the sample that ships
run:
    cargo run --release -- run examples/pulse.sql --until idle

# Compile everything, fast
check:
    cargo check --workspace --all-targets

# All tests, as the README gives them
test *filter:
    cargo test --workspace {{ filter }}

# Format everything
format:
    cargo fmt --all

# What must hold of every commit
ci:
    .ci/run

# Random queries against DuckDB for a while
judge seconds="600" seed="1":
    JUDGE_SECONDS={{ seconds }} JUDGE_FROM={{ seed }} cargo test -p catchment-tests --test judge -- --nocapture

# Kill the binary again and again
kills count="100" seed="1":
    KILLS={{ count }} SEED={{ seed }} cargo test -p catchment-cli --test e2e killed -- --nocapture

# Changes of 1,000 lines against the loaded main job
latency records="1000000":
    RECORDS={{ records }} LINES=1000 BATCHES=30 cargo bench --bench latency

# All benches of a room: operators, connectors, sinks, ...
bench room:
    cargo bench -p catchment-{{ room }}

# A program outside the workspace that uses the library: its job, the suites, and what it does not compile
outside:
    tests/outside/run

# The documentation of the library
docs:
    cargo doc --workspace --no-deps --open

# Licences, sources and known faults of dependencies (needs cargo-deny)
deny:
    cargo deny check
