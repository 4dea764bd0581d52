# Every habit of this project; CI (.ci/run) does the same things.

# Serves on port 6379.
run *arguments:
    cargo run --release -- {{arguments}}

# Format and lints.
check:
    cargo fmt --all --check
    cargo clippy --workspace --all-targets -- -D warnings

# The tests that every change must pass.
test *arguments:
    cargo test --workspace {{arguments}}

# Without the store's hash directory: every test passes unchanged.
test-no-directory:
    RUSTFLAGS="--cfg darter_no_directory" cargo test --workspace --target-dir target/no-directory

# The store under a scheduler that decides every step: `just shuttle 100000` for the long form.
shuttle schedules="300" *arguments:
    SCHEDULES={{schedules}} RUSTFLAGS="--cfg darter_shuttle" cargo test -p darter-storage --test schedules --target-dir target/shuttle {{arguments}}

# Small parts of the store in every order that the memory model allows; `WEAKEN=ring.rs:89 just loom
# rings` with the ordering in that line made Relaxed.
loom *arguments:
    RUSTFLAGS="--cfg darter_loom" cargo test -p darter-storage --lib --target-dir target/loom models::{{arguments}}

# Breaks the store on purpose, one rule at a time, and sees that a test finds it.
faults *names:
    tests/faults/run {{names}}

# AddressSanitizer and LeakSanitizer over the store (nightly); `just asan commands` for the server.
asan *arguments:
    tests/sanitize address {{arguments}}

# ThreadSanitizer over the store, or `just tsan server` (nightly).
tsan *arguments:
    tests/sanitize thread {{arguments}}

# The embedding examples under valgrind's memcheck.
memcheck:
    cargo build -p darter-storage --examples
    for example in quick_start transfer report prefix_scan collections; do \
        valgrind --quiet --error-exitcode=9 --leak-check=full --errors-for-leak-kinds=definite \
            target/debug/examples/$example || exit; \
    done

# Miri over the store's values (nightly, with its component `miri`).
miri *arguments:
    MIRIFLAGS="-Zmiri-permissive-provenance -Zmiri-disable-isolation" PROPTEST_CASES=2 \
        cargo +nightly miri test -p darter-storage --lib --target-dir target/miri {{arguments}}

# Each fuzz target for so many seconds: `just fuzz 600`, with SEED= for what was done before.
fuzz seconds="60" *arguments:
    SEED="${SEED:-$RANDOM}" FUZZ_SECONDS={{seconds}} cargo test --release --test fuzz -- --nocapture {{arguments}}

# The same targets under libFuzzer with AddressSanitizer (nightly): `just fuzz-guided 900 globs`.
fuzz-guided seconds="60" *targets:
    tests/fuzz/guided {{seconds}} {{targets}}

# Writes what the fuzzing of RESTORE begins with; wants redis-server. By hand, when an encoding is added.
restore-corpus:
    cargo test --test commands payloads::write_the_corpus_of_restore -- --exact --ignored

# Histories of many clients, checked for strict serializability: OPERATIONS= and SEED= say how many and
# which; `just histories long --ignored` goes on for ten million.
histories *arguments:
    cargo test --release --test histories -- --nocapture {{arguments}}

# The same stream of commands to Redis 7.0 and here; wants redis-server. SEED= and COMMANDS= say which
# and how many.
differential *arguments:
    SEED="${SEED:-$RANDOM}" COMMANDS="${COMMANDS:-500000}" cargo test --release --test differential -- \
        --nocapture {{arguments}}

# Load against a real server: connections, churn, deaf, delete, attacks, gallery or hour; `just load hour 3600`.
load name seconds="":
    LOAD_SECONDS={{seconds}} cargo test --release --test load {{name}}::{{name}} -- \
        --exact --ignored --nocapture

# Real clients and frameworks against a release build.
clients:
    cargo build --release
    tests/clients/run target/release/darter

# Criterion: the flag modes side by side, and the store.
bench *arguments:
    cargo bench --workspace {{arguments}}

# Counts the instructions of fixed paths under valgrind and compares them with what is recorded;
# `just instructions record` writes the new figures.
instructions *arguments:
    tests/instructions/run {{arguments}}

# Against redis-server, valkey-server, keydb-server and dragonfly, if they are on the PATH: the table, its
# values and a picture go to target/bench-compare. `just bench-compare curves`, `--only GET`, `--help`.
bench-compare *arguments:
    cargo build --release
    cargo run --release --package bench-compare -- {{arguments}}

# A release that is compiled once more by what the table's loads ran: target/profile-guided/darter, five minutes.
profile-guided:
    bench-compare/profile-guided

# Licences, bans and sources of all dependencies.
deny:
    cargo deny check licenses bans sources

# The crate's documentation.
docs:
    cargo doc --workspace --no-deps --open
