# shellcheck shell=bash disable=SC2034
# The demo of several servers, in containers. scripts/demo.sh reads this file, and calls `start` with a client's name,
# `kill_server` with a server's, and `remove` at the end.

# shellcheck source=scripts/demo/engine.sh
. scripts/demo/engine.sh
export COMPOSE_FILE=docker-compose.yml:scripts/demo/cluster.yml COMPOSE_PROFILES=cluster

cues=("lets alice in")

# docker kill ends it at once, as a power cut would.
kill_server() { docker kill "$(container "$1")" >/dev/null; }

scripts/stand-in-images.sh
build
# Each waits for those that it depends on.
"${compose[@]}" up --detach --no-build a b c
"${compose[@]}" up --no-start --no-build --no-recreate alice bob
for server in a b c; do
    until [ "$(docker inspect --format '{{.State.Status}} {{.State.Health.Status}}' "$(container $server)")" != "running starting" ]; do
        sleep 0.5
    done
done
