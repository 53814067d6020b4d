#!/usr/bin/env bash
# Runs the demo: a server that is stopped in the middle, and the clients of Alice, Bob and Carol. Exits with status
# 0 if every step succeeded and 1 if not, and leaves nothing running.
#
#   demo.sh local FOLDER   on this machine, with SQLite and the two programs in FOLDER
#   demo.sh containers     in the containers of docker-compose.yml, whose images it builds first
#   demo.sh cluster        the story of three servers, of which one is killed, in containers
#
# scripts/demo/local.sh, containers.sh and cluster.sh contain the differences. Every line of every program comes
# through one pipe. lua/demo.lua lists the lines that this script acts on.
#
# DEMO_LUA replaces the folder lua in the local demo, and DEMO_SECONDS the time limit. DEMO_COLOR=always asks
# for colors without a terminal.
set -euo pipefail
cd "$(dirname "$0")/.."

declare -A colors=([alice]=36 [bob]=33 [carol]=35 [server]=34 [demo]=1)
plain=0 good=32 bad=31
limit_seconds=${DEMO_SECONDS:-80}

verdict='' went=0
# Process ids, by name.
declare -A running=()
# The current step, by name. It is empty for a program that may end, and for `demo` between two cues.
declare -A doing=([demo]='')
cues=("sets up a server" "lets alice in")

main() {
    if [[ ! " local containers cluster " == *" ${1:-} "* ]]; then
        echo "usage: demo.sh local FOLDER | containers | cluster" >&2
        exit 2
    fi
    work=$(mktemp -d)
    trap clear_away EXIT
    trap 'exit 130' HUP INT TERM PIPE
    mkfifo "$work/lines"
    # Only this script reads: when it ends, no program blocks on a full pipe.
    exec 3<>"$work/lines"
    exec 4>"$work/lines"
    # shellcheck source=scripts/demo/local.sh
    . "scripts/demo/$1.sh"

    # Bash may crash if a trap exits from within `read`. A signal that comes just before `read` is handled after it.
    local who kind text is_over=
    trap 'is_over=yes' HUP INT TERM PIPE
    verdict="the story was broken off" SECONDS=0
    take_cues
    while [ ${#running[@]} != 0 ]; do
        ! IFS=$'\t' read -r -t 1 -u 3 who kind text || obey
        [ -z "$is_over" ] || exit 130
        [ $SECONDS -lt "$limit_seconds" ] || out_of_time
        take_cues
    done
    verdict="all $went steps went as told, in $SECONDS s"
}

# Takes the cues one after the other: a server starts only when the one before has ended.
take_cues() {
    local name
    while [ -z "${doing[demo]}" ] && [ ${#cues[@]} != 0 ]; do
        doing[demo]=${cues[0]} cues=("${cues[@]:1}")
        case ${doing[demo]} in
        "sets up a server" | "starts the server again")
            doing[server]="serves"
            start server
            ;;
        "stops the server")
            doing[server]=''
            stop_server
            ;;
        "kills "*)
            kill_server "${doing[demo]#kills }"
            went_well demo
            ;;
        "lets "*" in")
            name=${doing[demo]#lets } name=${name% in}
            doing[$name]="comes"
            start "$name"
            went_well demo
            ;;
        *) goes_wrong demo "nobody knows this cue" ;;
        esac
    done
}

# Runs a program as NAME, in a session of its own, so that Ctrl+C at the terminal reaches only this script.
run() {
    setsid "${@:2}" </dev/null > >(exec 3>&-; relay "$1") 2>&1 3>&- 4>&- &
    running[$1]=$!
}

# Labels the lines of NAME and their end. A write is atomic up to the size of PIPE_BUF.
relay() {
    local line
    while IFS= read -r line || [ -n "$line" ]; do
        printf '%s\tsays\t%s\n' "$1" "${line:0:900}" >&4
    done
    printf '%s\tends\t\n' "$1" >&4
}

# Acts on a line, or shows it.
obey() {
    case "$kind $text" in
    "ends "*) see_off ;;
    "says begins: "*) doing[$who]=${text#*: } ;;
    "says done") went_well "$who" ;;
    "says failed: "*) goes_wrong "$who" "${text#*: }" ;;
    "says cue: "*) cues+=("${text#*: }") ;;
    "says end") doing[$who]='' ;;
    *)
        # The server's log lines begin with the time.
        [ "$who" != server ] || text=${text#[0-9]*T*Z } text=${text# }
        show "$who" $plain "   $text"
        [ "$who" != server ] || [[ $text != "listening on "* ]] || went_well demo
        ;;
    esac
}

# Checks the exit of a program: the server ends on a cue, a client at the end of its part.
see_off() {
    local status=0
    wait "${running[$who]}" || status=$?
    unset "running[$who]"
    if [ $status != 0 ] || [ -n "${doing[$who]}" ]; then
        goes_wrong "$who" "ended with status $status"
    elif [ "$who" = server ]; then
        went_well demo
    elif [ "${!running[*]}" = server ]; then
        cues+=("stops the server")
    fi
}

went_well() {
    went=$((went + 1))
    show "$1" $good "$(printf '%2d ✓ %s' $went "${doing[$1]}")"
    [ "$1" = demo ] && doing[$1]='' || doing[$1]="plays on"
}

goes_wrong() {
    show "$1" $bad "   ✗ ${doing[$1]:-ends}: $2"
    verdict="$went steps went as told, and then one did not: $1 ${doing[$1]:-ends}"
    exit 1
}

out_of_time() {
    local name
    unset "doing[server]"
    for name in "${!doing[@]}"; do
        [ -z "${doing[$name]}" ] || show "$name" $bad "   ✗ ${doing[$name]}: not done when time was up"
    done
    verdict="$went steps went as told; $limit_seconds s were not enough for the others"
    exit 1
}

# Ends everything, whatever the reason for the exit.
clear_away() {
    local result=$? color=$bad signal tries
    # A subshell that is about to exec a program briefly has the traps, too.
    [ $BASHPID = $$ ] || exit 1
    trap '' HUP INT TERM PIPE
    exec 3>&- 4>&-
    # Such a subshell may lose the first signal.
    for signal in TERM TERM KILL; do
        kill -$signal "${running[@]}" 2>/dev/null || true
        for ((tries = 30; tries > 0; tries--)); do
            [ -n "$(jobs -r)" ] || break 2
            sleep 0.1
        done
    done
    remove >"$work/log" 2>&1 || { result=1; cat "$work/log"; }
    rm -rf "$work"
    [ $result != 0 ] || color=$good
    [ -z "$verdict" ] || show demo "$color" "$verdict"
    exit $result
}

# Removes the programs' leftovers.
remove() { :; }

stop_server() { kill -TERM "${running[server]}"; }

# Prints a line of NAME in a color.
show() {
    if [ "${DEMO_COLOR:-}" = always ] || { [ -t 1 ] && [ -z "${NO_COLOR:-}" ]; }; then
        printf '\e[%sm%-7s\e[0m \e[%sm%s\e[0m\n' "${colors[$1]}" "$1" "$2" "$3"
    else
        printf '%-7s %s\n' "$1" "$3"
    fi
}

main "$@"
