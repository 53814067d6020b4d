#!/bin/sh
# Installs tools from crates.io if they are missing, unoptimised: they take as long to run, and half as long to build.
# Each argument is CRATE@VERSION, with a program of the crate's name.
set -eu
for crate in "$@"; do
    command -v "${crate%@*}" >/dev/null 2>&1 || env -u CARGO_TARGET_DIR cargo install --debug --quiet --locked "$crate"
done
