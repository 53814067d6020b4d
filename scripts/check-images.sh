#!/usr/bin/env bash
# Checks that the images of client and server have the SBOM of their program, and the licenses of its crates. Builds the
# images; after a demo they are there. DEMO_BUILD has further flags of the build.
set -euo pipefail
cd "$(dirname "$0")/.."

work=$(mktemp -d)
trap 'rm -r "$work"' EXIT
declare -A programs=([client]=letschat [server]=letschat-server)
for target in "${!programs[@]}"; do
    program=${programs[$target]}
    # shellcheck disable=SC2086
    docker build ${DEMO_BUILD:-} --target "$target" --tag "letschat-check-$target" . >/dev/null 2>"$work/log" \
        || { cat "$work/log" >&2; exit 1; }
    container=$(docker create "letschat-check-$target")
    docker cp "$container:/usr/local" "$work/$program"
    docker rm "$container" >/dev/null
    docker rmi "letschat-check-$target" >/dev/null
    doc=$work/$program/share/doc/$program
    scripts/packages/check-sbom.py "$work/$program/bin/$program" "$doc/$program.cdx.json"
    grep --quiet '^==== rustls-' "$doc/$program.licenses"
done
