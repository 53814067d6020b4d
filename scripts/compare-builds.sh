#!/usr/bin/env bash
# Builds the packages of the last commit once more, in another folder, and compares them with those in FOLDER, which
# `make deb` has built of the same commit:
#
#   compare-builds.sh FOLDER
set -euo pipefail
cd "$(dirname "$0")/.."

first=$(realpath "$1")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
git clone --quiet --no-hardlinks . "$work/elsewhere"
CARGO_TARGET_DIR=$work/target make --no-print-directory -C "$work/elsewhere" deb
for file in "$first"/*; do
    cmp "$file" "$work/target/package/debian/$(basename "$file")"
done
echo "two builds of $(git rev-parse --short HEAD) are identical"
