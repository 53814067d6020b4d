#!/usr/bin/env bash
# Builds the four public images of the demo on this machine, if no image registry can be reached, or those that are
# named. They have the same distributions and versions, so that the same Dockerfile and docker-compose.yml work with them.
#
#   stand-in-images.sh [IMAGE...]
#
#   debian:bookworm-slim      a minimal Debian 12
#   rust:1.95-slim-bookworm   the same with a C compiler and this machine's own Rust and certificates
#   mysql:9.7                 Debian unstable with its MySQL; sets itself up as the official image does
#   valkey/valkey:8           Debian 12 with its Redis, by Valkey's names
#
# Existing images are left alone, and images are pulled if a registry has them. The packages come from this
# machine's own sources. The script takes about two minutes, and needs root and Debian.
set -euo pipefail
cd "$(dirname "$0")/.."

slim=debian:bookworm-slim
rust=rust:1.95-slim-bookworm
mysql=mysql:9.7
valkey=valkey/valkey:8

main() {
    missing=()
    [ $# != 0 ] || set -- "$slim" "$rust" "$mysql" "$valkey"
    for image in "$@"; do
        has_image "$image" || missing+=("$image")
    done
    [ ${#missing[@]} != 0 ] || exit 0

    see_what_it_takes
    echo "no registry hands out ${missing[*]}: stand-ins are being made here, of Debian's packages"
    work=$(mktemp -d)
    trap clear_away EXIT
    trap 'exit 130' INT TERM
    exec 3>&1
    make_bookworm >"$work/log" 2>&1
    make_mysql >"$work/log" 2>&1
    make_valkey >"$work/log" 2>&1
}

has_image() {
    docker image inspect "$1" >/dev/null 2>&1 || docker pull --quiet "$1" >/dev/null 2>&1
}

clear_away() {
    status=$?
    [ $status = 0 ] || { echo "the stand-in images can't be made:"; tail -n 20 "$work/log"; } >&2
    rm -rf --one-file-system "$work"
}

see_what_it_takes() {
    if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
        echo "no registry hands out ${missing[*]}, and only root on Debian can make stand-ins" >&2
        exit 1
    fi
    scripts/install-tools.sh debootstrap
    mirror=$(debian_mirror)
    if [ -z "$mirror" ]; then
        echo "none of this machine's package sources is Debian's: stand-in images can't be made" >&2
        exit 1
    fi
    local here
    here=$(rustc --version || true)
    if wanted $rust && [[ $here != 'rustc 1.95.'* ]]; then
        echo "a stand-in for $rust takes Rust 1.95, and here is ${here:-none}" >&2
        exit 1
    fi
    # debootstrap needs the same proxy as apt.
    proxy=
    eval "$(apt-config shell proxy Acquire::http::Proxy)"
    [ -z "$proxy" ] || export http_proxy=$proxy
}

# The URL of this machine's own Debian packages. It is known only after the package lists were downloaded.
debian_mirror() {
    apt-get update -qq >&2
    # shellcheck disable=SC2016 # what is replaced is apt's
    apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Origin: Debian' 'Label: Debian' | head -n 1
}

wanted() {
    case " ${missing[*]} " in
    *" $1 "*) ;;
    *) return 1 ;;
    esac
}

make_bookworm() {
    wanted $slim || wanted $rust || return 0
    root=$work/bookworm
    bootstrap bookworm
    if wanted $slim; then
        import $slim -c 'CMD ["bash"]'
    fi
    wanted $rust || return 0
    install_packages gcc libc6-dev
    # The documentation is more than half of the toolchain.
    mkdir -p "$root/usr/local/rust" "$root/usr/local/cargo"
    tar -C "$(rustc --print sysroot)" --exclude=./share -c . | tar -C "$root/usr/local/rust" -x
    # A private configuration for crates.io applies in the container, too.
    for file in config.toml config; do
        file=${CARGO_HOME:-${HOME:-/root}/.cargo}/$file
        [ ! -e "$file" ] || cp "$file" "$root/usr/local/cargo"
    done
    import $rust -c 'ENV PATH=/usr/local/cargo/bin:/usr/local/rust/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin' \
        -c 'ENV CARGO_HOME=/usr/local/cargo' -c 'CMD ["bash"]'
}

make_mysql() {
    wanted $mysql || return 0
    root=$work/sid
    bootstrap sid
    install_packages mysql-server-core mysql-client-core
    chroot "$root" groupadd --system --gid 999 mysql
    chroot "$root" useradd --system --uid 999 --gid 999 --home-dir /var/lib/mysql --shell /usr/sbin/nologin mysql
    install -d -o 999 -g 999 "$root/var/lib/mysql"
    # Not /var/run: until the change of root it is a link to this machine's own folder.
    install -d -o 999 -g 999 -m 1777 "$root/run/mysqld"
    install -d -o 999 -g 999 -m 750 "$root/var/lib/mysql-files"
    cat >"$root/etc/my.cnf" <<'CONFIGURATION'
[mysqld]
host-cache-size=0
skip-name-resolve
datadir=/var/lib/mysql
socket=/var/run/mysqld/mysqld.sock
secure-file-priv=/var/lib/mysql-files
user=mysql
pid-file=/var/run/mysqld/mysqld.pid

[client]
socket=/var/run/mysqld/mysqld.sock
CONFIGURATION
    install -m 755 scripts/stand-in-mysql.sh "$root/usr/local/bin/docker-entrypoint.sh"
    import $mysql -c 'ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin' \
        -c 'EXPOSE 3306 33060' -c 'VOLUME /var/lib/mysql' \
        -c 'ENTRYPOINT ["docker-entrypoint.sh"]' -c 'CMD ["mysqld"]'
}

make_valkey() {
    wanted $valkey || return 0
    docker build --tag $valkey - <<DOCKERFILE
FROM $slim
RUN apt-get update \
    && apt-get install -y --no-install-recommends redis-server \
    && ln -s redis-server /usr/bin/valkey-server \
    && ln -s redis-cli /usr/bin/valkey-cli \
    && rm -rf /var/lib/apt/lists/*
EXPOSE 6379
CMD ["valkey-server"]
DOCKERFILE
    echo "made $valkey" >&3
}

# Installs a minimal Debian of that release in $root, which trusts the same certificates as this machine.
bootstrap() {
    debootstrap --variant=minbase --include=ca-certificates "$1" "$root" "$mirror"
    cp "${SSL_CERT_FILE:-/etc/ssl/certs/ca-certificates.crt}" "$root/etc/ssl/certs/ca-certificates.crt"
    # No installed service may start.
    printf '#!/bin/sh\nexit 101\n' >"$root/usr/sbin/policy-rc.d"
    chmod 755 "$root/usr/sbin/policy-rc.d"
}

# A mirror may lag behind its origin, but its packages are signed all the same.
install_packages() {
    chroot "$root" apt-get update -qq -o Acquire::Check-Valid-Until=false
    chroot "$root" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@"
}

# Imports the folder $root as an image of that name. Further arguments are docker's.
import() {
    image=$1
    shift
    tar -C "$root" --exclude='./proc/*' --exclude='./sys/*' --exclude='./dev/*' \
        --exclude='./var/cache/apt/*' --exclude='./var/lib/apt/lists/*' --exclude='./usr/sbin/policy-rc.d' \
        --exclude='./usr/share/doc/*' --exclude='./usr/share/man/*' --exclude='./usr/share/locale/*' -c . \
        | docker import "$@" - "$image"
    echo "made $image" >&3
}

main "$@"
