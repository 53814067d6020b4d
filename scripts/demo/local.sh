# shellcheck shell=bash disable=SC2154
# The demo as processes on this machine. scripts/demo.sh reads this file, and calls `start` with a name.

programs=${2:-target/release} lua=${DEMO_LUA:-lua}
# Each demo has its own address. The kernel gives its port to no other program while the server is away.
host=127.$((RANDOM % 250 + 1)).$((RANDOM % 250)).1 port=$((20000 + RANDOM % 12000))

# Settings for other servers and clients must not apply here.
unset "${!LETSCHAT_@}"
export LETSCHAT_CONFIG=/dev/null LETSCHAT_SERVER_CONFIG=/dev/null

start() {
    if [ "$1" = server ]; then
        run server "$programs/letschat-server" --data "$work/server" --listen "$host" --port "$port"
    else
        # Files are saved in the first folder. Alice sends one from the other.
        mkdir "$work/files of $1"
        run "$1" "$programs/letschat" --server "$host:$port" --data "$work/$1" \
            --peer-listen 127.0.0.1 --peer-port 0 --files "$work/files of $1" --files docs \
            --script "$lua/demo.lua" "$1"
    fi
}
