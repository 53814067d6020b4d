#!/usr/bin/env bash
# Builds programs for distribution, each with an SBOM and the licenses of its crates, for packages and images:
#
#   build-release.sh FOLDER PROGRAM...   puts PROGRAM, PROGRAM.cdx.json and PROGRAM.licenses into FOLDER/release
#
# Two builds of one commit are identical, wherever they are: the compilers write other paths into the programs, and
# the SBOM has the date of the newest version in CHANGELOG.md. The programs themselves hold the list of their crates,
# for tools such as `cargo audit bin`. Installs cargo-auditable and cargo-cyclonedx if they are missing.
set -euo pipefail
cd -P "$(dirname "$0")/.."

auditable_version=0.7.7
cyclonedx_version=0.5.9

main() {
    if [ $# -lt 2 ]; then
        echo "usage: build-release.sh FOLDER PROGRAM..." >&2
        exit 2
    fi
    mkdir -p "$1"
    CARGO_TARGET_DIR=$(realpath "$1")
    export CARGO_TARGET_DIR
    shift
    scripts/install-crates.sh "cargo-auditable@$auditable_version" "cargo-cyclonedx@$cyclonedx_version"
    # Downloads the crates, and so makes their folders.
    cargo fetch --quiet --locked --target "$(rustc --version --verbose | sed -n 's/^host: //p')"
    sources=("${CARGO_HOME:-$HOME/.cargo}"/registry/src/*)

    # Cargo takes these in the place of RUSTFLAGS.
    unset CARGO_ENCODED_RUSTFLAGS
    map_paths "$PWD" /letschat
    map_paths "$CARGO_TARGET_DIR" /target
    local folder program
    for folder in "${sources[@]}"; do
        map_paths "$folder" /crates
    done
    export RUSTFLAGS CFLAGS CXXFLAGS
    # Of the date, some build scripts only ask whether it has changed, and then compile everything again.
    env --unset=SOURCE_DATE_EPOCH cargo auditable build --locked --release "${@/#/--package=}"
    write_sboms "$@"
    for program in "$@"; do
        write_licenses "$CARGO_TARGET_DIR/release/$program"
    done
}

# Has the compilers of Rust, C and C++ write the second path where they would write the first.
map_paths() {
    case $1 in
    *[[:space:]]*)
        echo "the path $1 has a blank, which compilers would take for the end of a flag" >&2
        exit 1
        ;;
    esac
    RUSTFLAGS="${RUSTFLAGS:-} --remap-path-prefix=$1=$2"
    CFLAGS="${CFLAGS:-} -ffile-prefix-map=$1=$2"
    CXXFLAGS="${CXXFLAGS:-} -ffile-prefix-map=$1=$2"
}

# cargo-cyclonedx writes a file into the folder of each crate of the workspace.
write_sboms() {
    local name=sbom-$$ program folder
    SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(scripts/release-date.sh +%s)}
    export SOURCE_DATE_EPOCH
    trap 'find . -name "'$name.json'" -delete' EXIT
    cargo cyclonedx --quiet --format json --spec-version 1.5 --no-build-deps --override-filename "$name"
    for program in "$@"; do
        folder=$(dirname "$(grep -lx "name = \"$program\"" server/Cargo.toml client/*/Cargo.toml)")
        sed "s|$PWD/|/letschat/|g" "$folder/$name.json" >"$CARGO_TARGET_DIR/release/$program.cdx.json"
    done
}

# Licenses ask that their texts go with the program. Of crates without a text, what their manifest says is taken.
write_licenses() {
    local crate folder files file
    # Crates of this workspace have a path in the place of a registry.
    sed -n '/download_url=/d; s|.*"purl": "pkg:cargo/\([^@]*\)@\([^"]*\)".*|\1-\2|p' "$1.cdx.json" \
        | LC_ALL=C sort --unique | while read -r crate; do
        folder=$(source_of "$crate")
        files=$(find "$folder" -type f -iregex '.*/\(licen[cs]e\|copying\|notice\|copyright\)[^/]*' | LC_ALL=C sort)
        [ -n "$files" ] || files=$folder/Cargo.toml
        while read -r file; do
            printf '\n==== %s\n\n' "$crate/${file#"$folder/"}"
            if [ "$file" = "$folder/Cargo.toml" ]; then
                sed -n '/^authors = \[$/,/^\]/p; /^authors = \[./p; /^license = /p; /^repository = /p' "$file"
            else
                cat "$file"
            fi
        done <<<"$files"
    done >"$1.licenses"
}

# Prints the folder of a crate's source.
source_of() {
    local folder
    for folder in "${sources[@]}"; do
        if [ -d "$folder/$1" ]; then
            echo "$folder/$1"
            return
        fi
    done
    echo "the source of $1 is not in the registry of cargo" >&2
    return 1
}

main "$@"
