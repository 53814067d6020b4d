#!/usr/bin/env bash
# Builds the packages of the last commit once more, in another folder and with other folders of cargo, and compares
# them with those that `make deb` has built:
#
#   compare-builds.sh [FOLDER]   FOLDER has the packages (target/package/debian)
set -euo pipefail
cd -P "$(dirname "$0")/.."

first=$(realpath "${1:-target/package/debian}")
if [ ! -d "$first" ]; then
    echo "no packages are in $first: make deb builds them" >&2
    exit 1
fi
# Several gigabytes, for which a /tmp in memory may be too small.
work=$(mktemp -d -p "${TMPDIR:-/var/tmp}")
trap 'rm -rf "$work"' EXIT
git clone --quiet --no-hardlinks . "$work/elsewhere"
cargo=${CARGO_HOME:-$HOME/.cargo}
mkdir -p "$work/cargo/registry"
cp -r "$cargo/registry/index" "$cargo/registry/cache" "$work/cargo/registry"
# Settings, and the list of installed tools.
find "$cargo" -maxdepth 1 -type f \( -name 'config*' -o -name '.crates*' \) -exec cp {} "$work/cargo" \;
export PATH=$PATH:$cargo/bin CARGO_HOME=$work/cargo CARGO_TARGET_DIR=$work/target
make --no-print-directory -C "$work/elsewhere" deb
diff -r "$first" "$work/target/package/debian"
echo "two builds of $(git rev-parse --short HEAD) are identical"
