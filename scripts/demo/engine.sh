# shellcheck shell=bash
# Shared by the demos in containers: the engine, and how a container plays its part.

if ! docker info >/dev/null 2>&1; then
    echo "no Docker engine answers here; 'make demo-local' tells its story without one" >&2
    exit 1
fi
compose=(docker compose)
if ! docker compose version >/dev/null 2>&1; then
    scripts/install-tools.sh docker-compose
    compose=(docker-compose)
fi
# Each demo on the same engine has its own name.
export COMPOSE_PROJECT_NAME=letschat-demo-$$

# DEMO_BUILD has further flags of the build.
build() {
    # shellcheck disable=SC2086
    "${compose[@]}" build ${DEMO_BUILD:-}
}

container() { "${compose[@]}" ps --all --quiet "$1"; }

# The container gets the signals that `docker start` gets, and its exit status is that of `docker start`.
start() { run "$1" docker start --attach "$(container "$1")"; }

# Not by a signal to `docker start`, which may end without passing it on.
stop_server() { docker kill --signal TERM "$(container server)" >/dev/null; }

remove() { "${compose[@]}" down --volumes --timeout 1; }
