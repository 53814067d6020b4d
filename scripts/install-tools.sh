#!/bin/sh
# Checks for the programs that the tests or the demo use. Installs missing ones if possible: as root on Debian and
# its derivatives. Each argument is a program with a Debian package of the same name, PROGRAM:PACKAGE,
# /FILE:PACKAGE, or pc:LIBRARY:PACKAGE for a library that pkg-config knows. No package may be one that starts a service.
set -eu
PATH=$PATH:/usr/sbin

programs=
packages=
for tool in "$@"; do
    case $tool in
        pc:*)
            name=${tool#pc:} name=${name%%:*}
            pkg-config --exists "$name" 2>/dev/null && continue
            ;;
        /*)
            name=${tool%%:*}
            [ -e "$name" ] && continue
            ;;
        *)
            name=${tool%%:*}
            command -v "$name" >/dev/null 2>&1 && continue
            ;;
    esac
    programs="$programs $name"
    packages="$packages ${tool##*:}"
done
[ -n "$programs" ] || exit 0

if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
    echo "installing$packages"
    apt-get update -qq
    # shellcheck disable=SC2086 # one word for each package
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $packages >/dev/null
else
    echo "This needs$programs (in Debian:$packages); install them with your system's package manager." >&2
    exit 1
fi
