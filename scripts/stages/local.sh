# shellcheck shell=bash
# shellcheck disable=SC2154 # what is not set here scripts/demo.sh sets
# The stage of scripts/demo.sh that is this machine: processes, and SQLite. All clients have the
# address 127.0.0.1 here, so that a port tells one from another.

story=${STORY:-lua/demo}
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
    # server is away.
    port=$((20000 + RANDOM % 12000))
    while (exec 4<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; do
        port=$((20000 + RANDOM % 12000))
    done
    stage_start_server
    until "$programs/letschat-server" health --address "127.0.0.1:$port" 2>/dev/null; do
        if ! runs server || [ $SECONDS -gt "$patience_seconds" ]; then
            echo "the server does not start; it said:"
            while read -r -t 1 -u 3 line; do
                echo "$line"
            done
            return 1
        fi
        sleep 0.1
    done
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

# A process that has ended and that nobody has asked after yet (Z) runs no more.
runs() { grep -q '^State:.[^Z]' "/proc/${running[$1]}/status" 2>/dev/null; }

# Sees somebody end, by force if they take too long, and sets `status`.
ends() {
    local tries=100
    while runs "$1" && [ $tries -gt 0 ]; do
        tries=$((tries - 1))
        sleep 0.1
    done
    [ $tries -gt 0 ] || kill -KILL "${running[$1]}" || true
    status=0
    wait "${running[$1]}" || status=$?
    unset "running[$1]"
}
