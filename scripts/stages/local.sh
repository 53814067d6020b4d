# shellcheck shell=bash
# shellcheck disable=SC2154 # what is not set here scripts/demo.sh sets
# The stage of scripts/demo.sh that is this machine: processes, and SQLite. All clients have the
# address 127.0.0.1 here, so that a port tells one from another.

story=${DEMO_STORY:-lua/demo}
# By name: the processes that may still run.
declare -A running=()

# What is set for other servers and clients does not count here.
unset "${!LETSCHAT_@}"
export LETSCHAT_CONFIG=/dev/null LETSCHAT_SERVER_CONFIG=/dev/null

stage_prepare() {
    if [ ! -x "$programs/letschat" ] || [ ! -x "$programs/letschat-server" ]; then
        echo "the programs are not in $programs; 'make demo-local' builds them" >&2
        return 1
    fi
}

stage_set() {
    # Below those that the kernel gives out by itself, or somebody else might be given it while the
    # server is away. Where it is taken the server ends at once, and another one is tried.
    local tries
    for tries in 1 2 3 4 5; do
        port=$((20000 + RANDOM % 12000))
        stage_start_server
        while is_running "${running[server]}" && [ $SECONDS -lt "$patience_seconds" ]; do
            ! is_listening || return 0
            sleep 0.1
        done
        ends server
        stops=$((stops + 1))
    done
    echo "the server did not start in $tries tries; it said:"
    while read -r -t 1 -u 3 line; do
        echo "$line"
    done
    return 1
}

# The server has the port itself when it has not ended: that is seen after somebody has answered.
is_listening() {
    "$programs/letschat-server" health --address "127.0.0.1:$port" 2>/dev/null && is_running "${running[server]}"
}

stage_start_server() {
    starts server "$programs/letschat-server" --data "$work/server" --listen 127.0.0.1 --port "$port"
}

stage_stop_server() {
    kill -TERM "${running[server]}" && ends server && [ "$status" = 0 ]
}

stage_enter() {
    starts "$1" "$programs/letschat" --server "127.0.0.1:$port" --data "$work/$1" \
        --peer-listen 127.0.0.1 --peer-port 0 --script "$story/$1.lua"
}

stage_status() {
    ends "$1"
}

stage_clear() {
    local name
    for name in "${!running[@]}"; do
        kill -TERM "${running[$name]}" || true
    done
    for name in "${!running[@]}"; do
        ends "$name"
    done
}

starts() {
    local name=$1
    shift
    "$@" </dev/null > >(speaks "$name") 2>&1 3>&- &
    running[$name]=$!
}

ends() {
    sees_end "${running[$1]}"
    unset "running[$1]"
}
