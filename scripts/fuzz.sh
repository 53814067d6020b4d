#!/bin/sh
# Runs every fuzzer, or only the named ones, for SECONDS_EACH (60) each. Inputs that reach new code
# are kept below fuzz/target and used in the next run. Failing inputs are kept in fuzz/artifacts,
# and cargo-fuzz prints how to run them again. Installs cargo-fuzz if it is missing.
set -eu
cd "$(dirname "$0")/.."

fuzz_version=0.13.2
seconds_each=${SECONDS_EACH:-60}

# Use memory: fuzzers do thousands of commits a second, and a killed fuzzer leaves its files.
if [ -d /dev/shm ]; then
    TMPDIR=$(mktemp -d -p /dev/shm)
    export TMPDIR
    trap 'rm -rf "$TMPDIR"' EXIT
fi

scripts/install-crates.sh "cargo-fuzz@$fuzz_version"
for target in ${*:-$(ls fuzz/corpus)}; do
    echo "== $target, $seconds_each s"
    found=fuzz/target/found/$target
    mkdir -p "$found"
    # A sanitizer would need a nightly compiler, and finds only faults that safe Rust excludes.
    cargo fuzz run --sanitizer none "$target" "$found" "fuzz/corpus/$target" -- \
        -max_len=4096 "-max_total_time=$seconds_each"
done
echo "every fuzzer ran for $seconds_each s and found nothing"
