#!/bin/sh
# Plays every fault of tests/tests/faults and tests/tests/between in full, or those that are
# named, and prints a table of what was seen. CHAOS_SEED=n draws chance as it was drawn before.
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

status=0
# Two at a time: much of it is waiting, for cut links and for clocks, and leaves the processor to the other.
play() {
    cargo test --locked --release --workspace --test faults --test between -- --test-threads=2 --nocapture "$@" || status=$?
}

play "$@"
# What a restart of MySQL forgets, MariaDB never had: its logins are checked against a cache.
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
