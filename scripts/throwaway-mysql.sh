#!/bin/sh
# Runs a throwaway MySQL or MariaDB server for tests: one on this machine, else one in a container, if Docker has an
# image of one here. Nothing is downloaded. LETSCHAT_TEST_MYSQL_IMAGE=NAME selects this image.
#
# usage: throwaway-mysql.sh --check | --check-here
#        throwaway-mysql.sh [--keep] PORT FOLDER [OPTION...]
#
# --check only checks whether there is one, and --check-here whether it is on this machine and not in a container. Otherwise the server listens on 127.0.0.1, reads no system settings, and
# lets `root` in without a password. It ends with its standard input, so that it does not outlive its starter. Its
# folder is removed then unless --keep is given.
set -eu
PATH=$PATH:/usr/sbin:/usr/local/sbin
self=$(cd "$(dirname "$0")" && pwd)/$(basename "$0")

main() {
    if [ "$1" = --check-here ]; then
        [ -z "${LETSCHAT_TEST_MYSQL_IMAGE:-}" ] && find_server
        exit
    fi
    if [ -z "${LETSCHAT_TEST_MYSQL_IMAGE:-}" ] && find_server; then
        how=here
    elif find_image; then
        how=in_container
    else
        echo "here is no MySQL server (mysqld), no MariaDB server (mariadbd, with my_print_defaults), and no image of mysql or mariadb in Docker: install one, the server alone, without starting it, or name one that runs in LETSCHAT_TEST_MYSQL, as mysql://USER[:PASSWORD]@HOST[:PORT]" >&2
        exit 1
    fi
    if [ "$1" = --check ]; then
        "check_$how"
        exit 0
    fi

    keep=
    if [ "$1" = --keep ]; then
        keep=yes
        shift
    fi
    port=$1
    mkdir -p "$2"
    folder=$(cd "$2" && pwd)
    shift 2
    "run_$how" "$@"
    [ -n "$keep" ] || rm -rf "$folder"
}

find_server() {
    server=$(command -v mysqld || command -v mariadbd) || return 1
    case $("$server" --no-defaults --version) in
    *MariaDB*) kind=mariadb ;;
    *) kind=mysql ;;
    esac
    # MariaDB needs this client program to create a database.
    [ $kind = mysql ] || command -v my_print_defaults >/dev/null
}

check_here() {
    :
}

run_here() {
    # The servers refuse to run as root without this option.
    user=
    [ "$(id -u)" != 0 ] || user=--user=root
    # A server that starts deletes temporary tables, also those of another in the same folder.
    export TMPDIR="$folder/tmp"
    mkdir -p "$TMPDIR"

    if [ ! -d "$folder/data" ]; then
        if [ $kind = mariadb ]; then
            mariadb-install-db --no-defaults $user --datadir="$folder/data" --skip-test-db \
                --auth-root-authentication-method=normal >"$folder/install.log"
        else
            "$server" --no-defaults $user --datadir="$folder/data" --initialize-insecure
        fi
    fi

    # Commits do not wait for the disk: they survive a killed server, but not a power cut.
    "$server" --no-defaults $user --datadir="$folder/data" --bind-address=127.0.0.1 --port="$port" \
        --socket="$folder/socket" --pid-file="$folder/pid" --secure-file-priv="$folder" \
        --skip-log-bin --loose-mysqlx=0 --innodb-buffer-pool-size=32M --innodb-flush-log-at-trx-commit=2 "$@" </dev/null &
    pid=$!

    # Signals to the process group end the server, and the output may be closed; this script stays to clean up.
    trap '' HUP INT TERM PIPE
    exec 3<&0
    { cat <&3; kill -s KILL $pid; } >/dev/null 2>&1 &
    watcher=$!

    wait $pid || true
    # By then the id may belong to another process.
    kill "$watcher" 2>/dev/null || true
}

find_image() {
    image=${LETSCHAT_TEST_MYSQL_IMAGE:-$(docker image ls --quiet --filter reference=mysql --filter reference=mariadb 2>/dev/null | head -n 1)}
    [ -n "$image" ]
}

# A remote engine has the image, but not our files.
check_in_container() {
    in_container "$image" /throwaway-mysql.sh --check </dev/null || {
        echo "Docker can't run this script in the image $image; what it said is above. An engine on another machine has the image, but not our files: name a server in LETSCHAT_TEST_MYSQL instead" >&2
        exit 1
    }
}

# This script also runs in the container. The server is queried from outside the container's network, so not as
# `localhost`. Not every engine supports a socket in a shared folder.
run_in_container() {
    printf '%s\n' "CREATE USER IF NOT EXISTS root@'%';" "GRANT ALL ON *.* TO root@'%' WITH GRANT OPTION;" \
        >"$folder/root.sql"
    # Signals to the process group end the users of the server; this script stays until the server has ended.
    trap '' HUP INT TERM PIPE
    in_container --publish "127.0.0.1:$port:$port" --mount "type=bind,source=$folder,target=$folder" \
        "$image" /throwaway-mysql.sh --keep "$port" "$folder" --bind-address=0.0.0.0 --skip-name-resolve \
        --init-file="$folder/root.sql" --socket=/tmp/socket "$@" || true
}

in_container() {
    # The files should belong to this user. With a rootless engine, root in a container is this user already.
    user=
    case $(docker info --format '{{.SecurityOptions}}' 2>/dev/null) in
    '' | *rootless*) ;;
    *) user=--user=$(id -u):$(id -g) ;;
    esac
    docker run --interactive --rm --pull never $user --security-opt label=disable \
        --mount "type=bind,source=$self,target=/throwaway-mysql.sh,readonly" --entrypoint sh "$@"
}

main "$@"
