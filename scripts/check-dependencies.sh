#!/bin/sh
# Checks what we depend on: no tokio in any form, and cargo-deny's bans, licenses and sources.
# cargo-deny is installed if it is missing.
set -eu
cd "$(dirname "$0")/.."

deny_version=0.20.2

if cargo tree --locked --workspace --edges all --prefix none | grep -q '^tokio'; then
    echo "tokio is in the dependency tree:" >&2
    cargo tree --locked --workspace --edges all --invert tokio >&2
    exit 1
fi
echo "no tokio in the dependency tree"

if ! cargo deny --version >/dev/null 2>&1; then
    cargo install --quiet --locked "cargo-deny@$deny_version"
fi
# It looks at the crates of every platform, which a build here does not need.
cargo fetch --quiet --locked
cargo deny --offline --locked check bans licenses sources
