#!/usr/bin/env bash
# Checks the packages in a container of Debian 12 whose first process is systemd: lintian, then a life of each
# package from its installation to the purge. Needs Docker; removes its containers, and keeps the image with the tools.
#
#   check-packages.sh [FOLDER]   FOLDER has the packages (target/package/debian)
set -euo pipefail
cd "$(dirname "$0")/.."

image=letschat-packages
container=letschat-packages-$$

main() {
    local packages program
    packages=$(realpath "${1:-target/package/debian}")
    if [ ! -d "$packages" ]; then
        echo "no packages are in $packages: make deb builds them" >&2
        exit 1
    fi
    work=$(mktemp -d)
    trap 'rm -r "$work"; docker rm --force --volumes "$container" >/dev/null 2>&1' EXIT
    trap 'exit 130' HUP INT TERM
    for program in letschat letschat-server letschat-gtk; do
        check_sbom "$program"
    done
    scripts/stand-in-images.sh debian:bookworm-slim
    local output
    output=$(docker build --tag "$image" scripts/packages 2>&1) || { echo "$output" >&2; exit 1; }
    # As systemd's container interface asks: control groups, a /run of its own, and the right to mount.
    docker run --detach --name "$container" --cap-add SYS_ADMIN --security-opt seccomp=unconfined \
        --security-opt apparmor=unconfined --cgroupns host \
        --tmpfs /run --tmpfs /run/lock --volume /sys/fs/cgroup:/sys/fs/cgroup:rw "$image" >/dev/null
    docker cp "$packages" "$container:/packages"
    # It takes two minutes here.
    timeout 900 docker exec "$container" check-packages
}

# The SBOM beside the package, the one in it, and the program have to fit.
check_sbom() {
    local root=$work/$1
    dpkg-deb --extract "$packages/$1"_*.deb "$root"
    gunzip --stdout "$root/usr/share/doc/$1/$1.cdx.json.gz" | cmp - "$packages/$1.cdx.json"
    scripts/packages/check-sbom.py "$root/usr/bin/$1" "$packages/$1.cdx.json"
    zgrep --quiet '^==== rustls-[0-9.]*/LICENSE' "$root/usr/share/doc/$1/$1.licenses.gz"
}

main "$@"
