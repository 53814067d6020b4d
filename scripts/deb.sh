#!/usr/bin/env bash
# Builds a Debian package of each program, and its SBOM beside it:
#
#   deb.sh FOLDER   builds in FOLDER, and puts both into FOLDER/debian
#
# Two builds of one commit on the same distribution are identical. The packages depend on the libraries of the
# distribution that builds them. Installs cargo-deb if it is missing.
set -euo pipefail
cd -P "$(dirname "$0")/.."

deb_version=3.8.0
programs=(letschat letschat-server letschat-gtk)

main() {
    if [ $# != 1 ]; then
        echo "usage: deb.sh FOLDER" >&2
        exit 2
    fi
    mkdir -p "$1"
    CARGO_TARGET_DIR=$(realpath "$1")
    export CARGO_TARGET_DIR
    scripts/install-crates.sh "cargo-deb@$deb_version"
    scripts/install-tools.sh dpkg-shlibdeps:dpkg-dev
    scripts/build-release.sh "$CARGO_TARGET_DIR" "${programs[@]}"
    rm -rf "$CARGO_TARGET_DIR/debian"

    SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(scripts/release-date.sh +%s)}
    export SOURCE_DATE_EPOCH
    local program
    for program in "${programs[@]}"; do
        stage "$program" "$CARGO_TARGET_DIR/release/package/$program"
        cargo deb --quiet --no-build --package "$program"
        cp "$CARGO_TARGET_DIR/release/$program.cdx.json" "$CARGO_TARGET_DIR/debian"
    done
    ls -l "$CARGO_TARGET_DIR/debian"
}

# Puts the files of a program's package into a folder. The manifests of the programs list them.
stage() {
    rm -rf "$2"
    DESTDIR=$2 PREFIX=/usr scripts/install.sh "$CARGO_TARGET_DIR/release" "$1"
    local doc=$2/usr/share/doc/$1
    mkdir -p "$doc"
    cp "$CARGO_TARGET_DIR/release/$1.cdx.json" "$CARGO_TARGET_DIR/release/$1.licenses" "$doc"
    cp CHANGELOG.md "$doc/changelog"
    debian_changelog "$1" >"$doc/changelog.Debian"
    gzip -9n "$doc"/changelog* "$doc/$1".* "$2"/usr/share/man/man1/*
    copyright "$1" >"$2/copyright"
    # Also the subcommands for the operator then find the data of the service.
    sed 's/^#data = /data = /' server/settings.sample.toml >"$2/settings.toml"
}

# The machine-readable form of Debian, https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/.
copyright() {
    cat <<COPYRIGHT
Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/
Upstream-Name: Let's Chat
Comment: The program contains crates of others. $1.licenses.gz in this
 folder has their licenses, and $1.cdx.json.gz lists them.

Files: *
$(sed -n 's/^Copyright (c) /Copyright: /p' LICENSE)
License: Expat
$(sed '1,4d; s/^$/./; s/^/ /' LICENSE)
COPYRIGHT
}

debian_changelog() {
    local version date
    sed -n 's/^## \[\([0-9.]*\)\] - /\1 /p' CHANGELOG.md | while read -r version date; do
        cat <<CHANGELOG
$1 ($version-1) stable; urgency=medium

  * Version $version. changelog.gz in this folder lists the changes.

 -- The Let's Chat authors <authors@letschat.net>  $(date --utc --date "$date" --rfc-email)

CHANGELOG
    done
}

main "$@"
