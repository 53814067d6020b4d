#!/bin/bash
# The entry point of the stand-in for the MySQL image, built by stand-in-images.sh. At the first
# start it sets the server up according to these variables, like the official image:
#
#   MYSQL_ROOT_PASSWORD        the password of root, from anywhere (or MYSQL_ALLOW_EMPTY_PASSWORD)
#   MYSQL_DATABASE             a database to make
#   MYSQL_USER, MYSQL_PASSWORD a user to make, with all rights on that database
set -euo pipefail

# Another program than the server is run as it is.
if [ "${1:-}" != mysqld ]; then
    exec "$@"
fi
if [ "$(id -u)" = 0 ]; then
    chown mysql: /var/lib/mysql /var/run/mysqld
    exec setpriv --reuid mysql --regid mysql --clear-groups "$0" "$@"
fi
if [ -d /var/lib/mysql/mysql ]; then
    exec "$@"
fi
if [ -z "${MYSQL_ROOT_PASSWORD:-}${MYSQL_ALLOW_EMPTY_PASSWORD:-}" ]; then
    echo "MYSQL_ROOT_PASSWORD is not set (nor MYSQL_ALLOW_EMPTY_PASSWORD)" >&2
    exit 1
fi

# Quotes a text for SQL.
quoted() {
    local text=${1//\\/\\\\}
    printf "'%s'" "${text//\'/\'\'}"
}

# Quotes a name for SQL.
# shellcheck disable=SC2016 # these quotes are SQL's
named() { printf '`%s`' "${1//\`/\`\`}"; }

"$1" --initialize-insecure

setup=$(mktemp)
{
    password=$(quoted "${MYSQL_ROOT_PASSWORD:-}")
    echo "ALTER USER root@localhost IDENTIFIED BY $password;"
    echo "CREATE USER root@'%' IDENTIFIED BY $password;"
    echo "GRANT ALL ON *.* TO root@'%' WITH GRANT OPTION;"
    [ -z "${MYSQL_DATABASE:-}" ] || echo "CREATE DATABASE $(named "$MYSQL_DATABASE");"
    if [ -n "${MYSQL_USER:-}" ] && [ -n "${MYSQL_PASSWORD:-}" ]; then
        user="$(quoted "$MYSQL_USER")@'%'"
        echo "CREATE USER $user IDENTIFIED BY $(quoted "$MYSQL_PASSWORD");"
        # In a grant, _ and % would be wildcards.
        database=${MYSQL_DATABASE:-}
        database=${database//_/\\_}
        [ -z "$database" ] || echo "GRANT ALL ON $(named "${database//%/\\%}").* TO $user;"
    fi
} >"$setup"
exec "$@" --init-file="$setup"
