# shellcheck shell=bash
# The demo in containers. scripts/demo.sh reads this file, calls `start` with a name, and `remove` at the end.

# shellcheck source=scripts/demo/engine.sh
. scripts/demo/engine.sh
export COMPOSE_FILE=docker-compose.yml:scripts/demo/containers.yml

scripts/stand-in-images.sh
build
"${compose[@]}" up --no-start --no-build
mysql=$(container mysql)
docker start "$mysql" >/dev/null
while [ "$(docker inspect --format '{{.State.Status}} {{.State.Health.Status}}' "$mysql")" = "running starting" ]; do
    sleep 0.5
done
