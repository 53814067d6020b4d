#!/usr/bin/env bash
# Opens a client on this machine's server, and starts that server if none answers.
#
#   chat.sh open FOLDER   FOLDER has the two programs
#   chat.sh stop          ends the server that `open` started
#
# The server runs in a session of its own with its input closed, so that it outlives the terminal.
# PORT is its port (4400), DATA its data folder (the usual one, or for another port one beside it).
# Its log and its process id are in the user's state folder.
set -euo pipefail

port=${PORT:-4400}
state=${XDG_STATE_HOME:-$HOME/.local/state}/letschat
data=${DATA:-}
[ -n "$data" ] || [ "$port" = 4400 ] || data=${XDG_DATA_HOME:-$HOME/.local/share}/letschat-server-$port
log=$state/server-$port.log
pid_file=$state/server-$port.pid

stop="make stop"
[ "$port" = 4400 ] || stop="make stop PORT=$port"

answers() { (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; }

# A zombie (Z) has ended but was not reaped yet.
runs() { grep -q '^State:.[^Z]' "/proc/$1/status" 2>/dev/null; }

# True for a server that this script started and that still runs. No other is ended.
ours() {
    [ -r "$pid_file" ] && read -r pid <"$pid_file" \
        && [ "$(cat "/proc/$pid/comm" 2>/dev/null)" = letschat-server ] && runs "$pid"
}

start_server() {
    mkdir -p "$state"
    # Start the server from its own shell, so that it is no child of the client that this process
    # becomes.
    (
        setsid "$1/letschat-server" --port "$port" ${data:+--data "$data"} </dev/null >>"$log" 2>&1 &
        echo $! >"$pid_file"
    )
    for _ in $(seq 100); do
        answers && { echo "A server was started; its log is $log, and '$stop' ends it."; return; }
        runs "$(cat "$pid_file")" || break
        sleep 0.1
    done
    echo "The server did not start:" >&2
    tail -n 3 "$log" >&2
    exit 1
}

case ${1:-} in
open)
    answers || start_server "$2"
    exec "$2/letschat" 127.0.0.1 "$port"
    ;;
stop)
    if ours; then
        kill -TERM "$pid"
        # It takes 3 s at most.
        for _ in $(seq 100); do
            ours || break
            sleep 0.1
        done
        if ours; then
            echo "The server (process $pid) does not stop; its log is $log." >&2
            exit 1
        fi
        rm -f "$pid_file"
        echo "The server has stopped."
    else
        echo "No server runs that 'make chat' started on port $port."
    fi
    ;;
*)
    echo "usage: chat.sh open FOLDER | stop" >&2
    exit 2
    ;;
esac
