#!/bin/sh
# Installs programs with their man pages, completions of bash, zsh and fish, sample settings, systemd units and desktop
# entry. The programs generate their pages, so that they match.
#
#   install.sh FOLDER PROGRAM...   FOLDER has the programs: letschat, letschat-server, letschat-gtk
#   install.sh --remove            removes all that this script installs
#
# PREFIX is the final location (/usr/local). DESTDIR is a root folder before it, for building packages.
set -eu
# Installed files are readable by everybody, whatever the installer's umask.
umask 022

prefix=${PREFIX:-/usr/local}
root=${DESTDIR:-}$prefix
desktop_id=net.letschat.Gtk

main() {
    if [ $# = 0 ]; then
        echo "usage: install.sh FOLDER PROGRAM... | --remove" >&2
        exit 2
    fi
    if [ "$1" = --remove ]; then
        remove
        echo "removed below $root"
        return
    fi
    folder=$(realpath "$1")
    root=$(realpath --canonicalize-missing "$root")
    cd "$(dirname "$0")/.."
    shift
    for program in "$@"; do
        install -D -m 755 "$folder/$program" "$root/bin/$program"
        "$folder/$program" --generate-pages "$root/share"
        case $program in
            letschat) install_settings client/terminal ;;
            letschat-server)
                install_settings server
                install_with_prefix server/letschat-server.service lib/systemd/system
                install_with_prefix server/letschat-server.socket lib/systemd/system
                ;;
            letschat-gtk)
                install -D -m 644 "client/gtk/$desktop_id.svg" "$root/share/icons/hicolor/scalable/apps/$desktop_id.svg"
                install_with_prefix "client/gtk/$desktop_id.desktop" share/applications
                ;;
        esac
    done
    echo "installed below $root"
}

install_settings() {
    install -D -m 644 "$1/settings.sample.toml" "$root/share/doc/$program/settings.sample.toml"
}

# Installs a file into a folder. It names programs in /usr/local.
install_with_prefix() {
    mkdir -p "$root/$2"
    sed "s|/usr/local/bin/|$prefix/bin/|" "$1" >"$root/$2/$(basename "$1")"
    chmod 644 "$root/$2/$(basename "$1")"
}

# Leaves settings, keys and data alone, and folders of other programs.
remove() {
    for program in letschat letschat-server letschat-gtk; do
        rm -f "$root/bin/$program" "$root/share/man/man1/$program.1" "$root/share/man/man1/$program"-*.1 \
            "$root/share/bash-completion/completions/$program" "$root/share/zsh/site-functions/_$program" \
            "$root/share/fish/vendor_completions.d/$program.fish" "$root/share/doc/$program/settings.sample.toml" \
            "$root/lib/systemd/system/$program.service" "$root/lib/systemd/system/$program.socket"
        [ ! -d "$root/share/doc/$program" ] || rmdir --ignore-fail-on-non-empty "$root/share/doc/$program"
    done
    rm -f "$root/share/icons/hicolor/scalable/apps/$desktop_id.svg" "$root/share/applications/$desktop_id.desktop"
}

main "$@"
