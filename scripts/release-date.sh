#!/bin/sh
# Prints the date of the newest version in CHANGELOG.md, in a format of date(1): release-date.sh +%s
set -eu
cd "$(dirname "$0")/.."
date=$(sed -n 's/^## \[[0-9.]*\] - //p' CHANGELOG.md | head -n 1)
[ -n "$date" ] || { echo "no version in CHANGELOG.md has a date" >&2; exit 1; }
date --utc --date "$date" "$1"
