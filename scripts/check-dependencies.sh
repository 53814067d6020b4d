#!/bin/sh
# Checks what we depend on: no tokio in any form, and cargo-deny's bans, licenses and sources; and
# that no crate of ours may have unsafe code. cargo-deny is installed if it is missing.
set -eu
cd "$(dirname "$0")/.."

deny_version=0.20.2

if cargo tree --locked --workspace --edges all --prefix none | grep -q '^tokio'; then
    echo "tokio is in the dependency tree:" >&2
    cargo tree --locked --workspace --edges all --invert tokio >&2
    exit 1
fi
echo "no tokio in the dependency tree"

# A crate that takes the workspace's lints can't allow what they forbid. The fuzzers' own crate is
# made by a macro of libFuzzer's and has no code beside it; the bodies are a crate like the others.
grep -q '^unsafe_code = "forbid"$' Cargo.toml || { echo "the workspace does not forbid unsafe code" >&2; exit 1; }
find . -name Cargo.toml -not -path '*/target/*' -not -path ./Cargo.toml -not -path ./fuzz/Cargo.toml |
    while read -r manifest; do
        grep -A1 '^\[lints\]$' "$manifest" | grep -q '^workspace = true$' && continue
        echo "$manifest does not take the workspace's lints, which forbid unsafe code" >&2
        exit 1
    done
if grep -lw unsafe -r fuzz/fuzz_targets; then
    echo "unsafe code in a fuzzer" >&2
    exit 1
fi
echo "unsafe code is forbidden in every crate"

if ! cargo deny --version >/dev/null 2>&1; then
    cargo install --quiet --locked "cargo-deny@$deny_version"
fi
# It looks at the crates of every platform, which a build here does not need.
cargo fetch --quiet --locked
cargo deny --offline --locked check bans licenses sources
