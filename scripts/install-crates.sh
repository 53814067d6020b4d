#!/bin/sh
# Installs tools from crates.io, unless this version is there: CRATE@VERSION... They are unoptimised: they take as long
# to run, and half as long to build.
set -eu
for crate in "$@"; do
    cargo install --list | grep -q "^${crate%@*} v${crate#*@}:" ||
        env -u CARGO_TARGET_DIR cargo install --debug --quiet --locked "$crate"
done
