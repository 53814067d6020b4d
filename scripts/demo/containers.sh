# shellcheck shell=bash
# The demo in containers. scripts/demo.sh reads this file, calls `start` with a name, and `remove` at the end.

if ! docker info >/dev/null 2>&1; then
    echo "no Docker engine answers here; 'make demo-local' tells the same story without one" >&2
    exit 1
fi
compose=(docker compose)
if ! docker compose version >/dev/null 2>&1; then
    scripts/install-tools.sh docker-compose
    compose=(docker-compose)
fi
# Each demo on the same engine has its own name.
export COMPOSE_PROJECT_NAME=letschat-demo-$$ COMPOSE_FILE=docker-compose.yml:scripts/demo/containers.yml

container() { "${compose[@]}" ps --all --quiet "$1"; }

# The container gets the signals that `docker start` gets, and its exit status is that of `docker start`.
start() { run "$1" docker start --attach "$(container "$1")"; }

remove() { "${compose[@]}" down --volumes --timeout 1; }

scripts/stand-in-images.sh
"${compose[@]}" build
"${compose[@]}" up --no-start --no-build
mysql=$(container mysql)
docker start "$mysql" >/dev/null
while [ "$(docker inspect --format '{{.State.Status}} {{.State.Health.Status}}' "$mysql")" = "running starting" ]; do
    sleep 0.5
done
