#!/bin/sh
# Installs both programs, their man pages and the completions of bash, zsh and fish. The installed
# programs generate these pages, so that they match.
#
#   install.sh FOLDER   FOLDER has the two programs
#
# PREFIX is the final location (/usr/local). DESTDIR is a root folder before it, for building
# packages.
set -eu
# Installed files are readable by everybody, whatever the installer's umask.
umask 022

programs=$1
root=${DESTDIR:-}${PREFIX:-/usr/local}

for program in letschat letschat-server; do
    install -D -m 755 "$programs/$program" "$root/bin/$program"
    "$programs/$program" --generate-pages "$root/share"
done
install -D -m 644 client/terminal/settings.sample.toml "$root/share/doc/letschat/settings.sample.toml"
install -D -m 644 server/settings.sample.toml "$root/share/doc/letschat-server/settings.sample.toml"
for unit in letschat-server.service letschat-server.socket; do
    mkdir -p "$root/lib/systemd/system"
    sed "s|/usr/local/bin/|${PREFIX:-/usr/local}/bin/|" "server/$unit" >"$root/lib/systemd/system/$unit"
    chmod 644 "$root/lib/systemd/system/$unit"
done
echo "installed below $root"
