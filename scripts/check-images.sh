#!/usr/bin/env bash
# Checks that the images of client and server have the SBOM of their program, and the licenses of its crates. Builds the
# images; after a demo they are there. DEMO_BUILD has further flags of the build.
set -euo pipefail
cd "$(dirname "$0")/.."

image=letschat-check-$$
container=letschat-check-$$
work=$(mktemp -d)
remove() {
    docker rm --force "$container" >/dev/null 2>&1 || true
    docker rmi "$image" >/dev/null 2>&1 || true
}
trap 'remove; rm -r "$work"' EXIT
trap 'exit 130' HUP INT TERM

declare -A programs=([client]=letschat [server]=letschat-server)
for target in "${!programs[@]}"; do
    program=${programs[$target]}
    # shellcheck disable=SC2086
    docker build ${DEMO_BUILD:-} --target "$target" --tag "$image" . >"$work/log" 2>&1 || { cat "$work/log" >&2; exit 1; }
    docker create --name "$container" "$image" >/dev/null
    docker cp "$container:/usr/local" "$work/$program"
    remove
    doc=$work/$program/share/doc/$program
    scripts/packages/check-sbom.py "$work/$program/bin/$program" "$doc/$program.cdx.json"
    if ! grep --quiet '^==== rustls-[0-9.]*/LICENSE' "$doc/$program.licenses"; then
        echo "the image of $program lacks the license of rustls" >&2
        exit 1
    fi
done
