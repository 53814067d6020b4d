#!/bin/sh
# Installs letschat-gtk with its man page, the completions of shells, its icon, and its entry in the desktop's menu.
#
#   install-gtk.sh FOLDER   FOLDER has the program
#
# PREFIX is the final location (/usr/local). DESTDIR is a root folder before it, for building packages.
set -eu
# Installed files are readable by everybody, whatever the installer's umask.
umask 022

programs=$1
prefix=${PREFIX:-/usr/local}
root=${DESTDIR:-}$prefix
id=net.letschat.Gtk

install -D -m 755 "$programs/letschat-gtk" "$root/bin/letschat-gtk"
"$programs/letschat-gtk" --generate-pages "$root/share"
install -D -m 644 "client/gtk/$id.svg" "$root/share/icons/hicolor/scalable/apps/$id.svg"
mkdir -p "$root/share/applications"
sed "s|^Exec=|Exec=$prefix/bin/|" "client/gtk/$id.desktop" >"$root/share/applications/$id.desktop"
chmod 644 "$root/share/applications/$id.desktop"
echo "installed below $root"
