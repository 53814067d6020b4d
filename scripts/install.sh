#!/bin/sh
# Installs both programs, their man pages and the completions of bash, zsh and fish. They write
# these pages themselves, so that they are those of the programs installed.
#
#   install.sh FOLDER   FOLDER has the two programs
#
# PREFIX is where they are to be used from (/usr/local), DESTDIR stands before it while a package
# is made.
set -eu
# What is installed is for everybody, whatever the installer keeps to themselves.
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
