# shellcheck shell=bash
# shellcheck disable=SC2154 # what is not set here scripts/demo.sh sets
# The stage of scripts/demo.sh that is docker-compose.yml with demo.yml: everybody is a container with an address
# of its own.

# Whatever is called so is ours, and other runs on the same engine are not.
project=letschat-demo-$$
is_set=
# By name: the containers, and the processes that read what they say.
declare -A containers=() readers=()

compose() {
    "${composer[@]}" --project-name "$project" --file docker-compose.yml --file scripts/stages/demo.yml "$@"
}

# What takes minutes the first time: the images.
stage_prepare() {
    if ! docker info >/dev/null 2>&1; then
        echo "no Docker engine answers here; 'make demo-local' tells the same story without one" >&2
        return 1
    fi
    composer=(docker compose)
    if ! docker compose version >/dev/null 2>&1; then
        composer=(docker-compose)
        scripts/install-tools.sh docker-compose || return 1
    fi
    scripts/stand-in-images.sh && compose build
}

stage_set() {
    local name
    is_set=yes
    compose up --no-start --no-build || return 1
    for name in mysql server alice bob carol; do
        containers[$name]=$(compose ps --all --quiet "$name") || return 1
    done
    docker start "${containers[mysql]}" && is_well mysql && stage_start_server && is_well server
}

stage_start_server() {
    starts server
}

stage_stop_server() {
    docker stop "${containers[server]}" && stage_status server && [ "$status" = 0 ]
}

stage_enter() {
    starts "$1"
}

stage_status() {
    local ended
    ended=$(timeout 10 docker wait "${containers[$1]}") || return 1
    sees_end "${readers[$1]}"
    unset "readers[$1]"
    status=$ended
}

stage_clear() {
    [ -n "$is_set" ] || return 0
    local name failed=0
    compose down --volumes --timeout 1 || failed=1
    for name in "${!readers[@]}"; do
        sees_end "${readers[$name]}"
    done
    return $failed
}

starts() {
    docker start --attach "${containers[$1]}" </dev/null > >(speaks "$1") 2>&1 3>&- &
    readers[$1]=$!
}

# Waits until Docker finds that a container is in good health.
is_well() {
    local state='{{.State.Status}} {{with .State.Health}}{{.Status}}{{end}}'
    while [ $SECONDS -lt "$patience_seconds" ]; do
        case $(docker inspect --format "$state" "${containers[$1]}") in
        'running healthy') return ;;
        exited*) break ;;
        esac
        sleep 0.2
    done
    docker logs --tail 20 "${containers[$1]}"
    return 1
}
