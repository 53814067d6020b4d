#!/bin/sh
# Runs every fault of tests/tests/faults, tests/tests/between and tests/tests/files in full, or only the named ones, and prints a table
# of the results. CHAOS_SEED=n repeats a run with its random seed.
set -eu
cd "$(dirname "$0")/.."

mkdir -p target
export CHAOS=full
CHAOS_SEED=${CHAOS_SEED:-$(od -An -N3 -tu4 /dev/urandom | tr -d ' ')}
CHAOS_TABLE=$PWD/target/chaos.md
export CHAOS_SEED CHAOS_TABLE

{
    printf 'seed %s, commit %s\n\n' "$CHAOS_SEED" "$(git rev-parse --short HEAD 2>/dev/null || echo unknown)"
    printf '| fault | played | seen |\n|---|---|---|\n'
} >"$CHAOS_TABLE"

# Before the tests, whose time is limited: the first of them would build the programs.
cargo build --locked --release --workspace --bins

status=0
# Two at a time: the tests mostly wait, for cut links and for clocks, and leave the processor to each other.
play() {
    cargo test --locked --release --workspace --test faults --test between --test files -- --test-threads=2 --nocapture "$@" || status=$?
}

play "$@"
# MySQL checks logins against a cache that a restart clears. MariaDB has no such cache.
if [ $# = 0 ]; then
    export LETSCHAT_TEST_MYSQL_IMAGE=mysql:9.7
    if docker info >/dev/null 2>&1 && scripts/stand-in-images.sh && scripts/throwaway-mysql.sh --check; then
        play databases
    else
        echo '| a database of MySQL, not MariaDB | not played | no image of it runs here |' >>"$CHAOS_TABLE"
    fi
fi
echo
cat "$CHAOS_TABLE"
exit "$status"
