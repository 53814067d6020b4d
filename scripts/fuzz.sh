#!/bin/sh
# Runs every fuzzer, or those that are named, for SECONDS_EACH (60) each. What reaches something new
# is kept below fuzz/target and used in the next run; what fails is kept in fuzz/artifacts, and
# cargo-fuzz says how to run it again. cargo-fuzz is installed if it is missing.
set -eu
cd "$(dirname "$0")/.."

fuzz_version=0.13.2
seconds_each=${SECONDS_EACH:-60}

# Thousands of commits a second are not for a disk, and a fuzzer that ends leaves its files.
if [ -d /dev/shm ]; then
    TMPDIR=$(mktemp -d -p /dev/shm)
    export TMPDIR
    trap 'rm -rf "$TMPDIR"' EXIT
fi

cargo fuzz --version >/dev/null 2>&1 || cargo install --quiet --locked "cargo-fuzz@$fuzz_version"
for target in ${*:-$(ls fuzz/corpus)}; do
    echo "== $target, $seconds_each s"
    found=fuzz/target/found/$target
    mkdir -p "$found"
    # A sanitizer would want a nightly compiler, and finds what safe Rust can't do.
    cargo fuzz run --sanitizer none "$target" "$found" "fuzz/corpus/$target" -- \
        -max_len=4096 "-max_total_time=$seconds_each"
done
echo "every fuzzer ran for $seconds_each s and found nothing"
