#!/usr/bin/env bash
# Tells the story of lua/demo: Alice, Bob and Carol, each with a client of their own, and a server
# that is stopped in the middle. It ends by itself, says whether every step went as told (status 0)
# or which did not (1), and leaves nothing running,
# unless what it says can't be written.
#
#   demo.sh local FOLDER   with processes on this machine and SQLite; FOLDER has the two programs
#   demo.sh containers     with Docker, as docker-compose.yml has it; builds the images if need be
#
# A stage (scripts/stages) is where it is told. It has these functions:
#
#   stage_prepare           does what may take long, and is no part of the story
#   stage_set               makes it ready, with a server that answers
#   stage_enter NAME        brings somebody on, who plays NAME.lua
#   stage_status NAME       sets `status` to that with which somebody who has gone ended
#   stage_stop_server, stage_start_server
#   stage_clear             ends and removes whatever there may be
#
# Each fails if it could not do it; `set -e` does not count inside of them.
#
# What anybody says comes as a line through one pipe, which `speaks` fills; lua/demo/story.lua says
# which lines are meant for us. DEMO_STORY names another folder for the scripts of the local stage,
# and DEMO_COLOR=always wants colours even where no terminal is.
set -euo pipefail
cd "$(dirname "$0")/.."

work=
# Whether the story has begun, and how it came out.
begun=
verdict=
# Steps that were announced, and that went as told.
planned=0
went=0
# How often the server was stopped and has not said its last yet.
stops=0
# By name: the steps of one who is on stage, those that went as told, and what they are at.
declare -A steps=() performed=() doing=()

main() {
    case ${1:-} in
    local) patience_seconds=60 programs=${2:-target/release} ;;
    containers) patience_seconds=120 ;;
    *)
        echo "usage: demo.sh local FOLDER | containers" >&2
        exit 2
        ;;
    esac
    # shellcheck source=scripts/stages/local.sh
    . "scripts/stages/$1.sh"
    choose_colors
    work=$(mktemp -d)
    mkfifo "$work/lines"
    exec 3<>"$work/lines"
    trap clear_away EXIT
    trap 'exit 130' HUP INT TERM
    trap 'exit 141' PIPE

    stage_prepare
    begun=yes SECONDS=0
    performs "sets up a server" stage_set
    comes alice
    while [ ${#steps[@]} != 0 ]; do
        hear
    done
    stops_the_server
    while [ $stops != 0 ]; do
        hear
    done
    verdict="all $planned steps went as told, in $SECONDS s"
}

# The end, however it comes about.
clear_away() {
    local result=$?
    trap '' HUP INT TERM PIPE
    stage_clear >"$work/clearing.log" 2>&1 || { result=1; cat "$work/clearing.log"; }
    rm -rf "$work"
    if [ -n "$verdict" ] && [ $result = 0 ]; then
        show demo "$good" "$verdict"
    elif [ -n "$begun" ]; then
        show demo "$bad" "${verdict:-the story was broken off}"
    fi
    trap - EXIT
    exit $result
}

# The next line that anybody says, and what comes of it.
hear() {
    local left who kind text
    left=$((patience_seconds - SECONDS))
    if [ $left -le 0 ] || ! IFS=$'\t' read -r -t $left -u 3 who kind text; then
        out_of_time
    fi
    case $kind in
    says) obey ;;
    ended) see_off ;;
    esac
}

# A line may be meant for us; those of the server never are.
obey() {
    local word=${text%%:*} rest=${text#*: }
    if [ "$who" = server ]; then
        # A log's lines begin with the time.
        word='' text=${text#[0-9]*T*Z }
        text=${text# }
    fi
    case $word in
    steps)
        steps[$who]=$rest
        planned=$((planned + rest))
        ;;
    begins) doing[$who]=$rest ;;
    done)
        performed[$who]=$((performed[$who] + 1))
        went_well "$who" "$rest"
        doing[$who]=
        ;;
    failed) goes_wrong "$who" "${doing[$who]}" "$rest" ;;
    cue) take_cue "$rest" ;;
    *) show "$who" "$plain" "   $text" ;;
    esac
}

take_cue() {
    case $1 in
    *" comes") comes "${1% comes}" ;;
    "the server stops") stops_the_server ;;
    "the server starts again") performs "starts the server again" stage_start_server ;;
    *) goes_wrong "$who" "${doing[$who]}" "nobody knows the cue \"$1\"" ;;
    esac
}

stops_the_server() {
    stops=$((stops + 1))
    performs "stops the server" stage_stop_server
}

# Somebody comes on. Until they say how many steps they have it counts as one, so that they are missed.
comes() {
    steps[$1]=1 performed[$1]=0 doing[$1]="comes"
    performs "lets $1 in" stage_enter "$1"
}

# Somebody is gone. The server goes when it is told to, and not before.
see_off() {
    if [ "$who" = server ]; then
        [ $stops != 0 ] || goes_wrong server serves "it ended by itself"
        stops=$((stops - 1))
        return
    fi
    local status
    stage_status "$who"
    if [ "$status" != 0 ] || [ "${performed[$who]}" != "${steps[$who]}" ]; then
        goes_wrong "$who" "${doing[$who]:-plays on}" \
            "ended with status $status after ${performed[$who]} of ${steps[$who]} steps"
    fi
    unset "steps[$who]"
}

# A step of our own: what it does, and the function of the stage that does it.
performs() {
    local what=$1
    shift
    planned=$((planned + 1))
    if ! "$@" >"$work/stage.log" 2>&1; then
        cat "$work/stage.log"
        goes_wrong demo "$what" "the stage could not do it; what it said is above"
    fi
    went_well demo "$what"
}

went_well() {
    went=$((went + 1))
    show "$1" "$good" "$(printf '%2d ✓ %s' $went "$2")"
}

goes_wrong() {
    show "$1" "$bad" "   ✗ $2: $3"
    verdict="$went steps went as told, and then one did not: $1 $2"
    exit 1
}

out_of_time() {
    local name
    for name in "${!steps[@]}"; do
        show "$name" "$bad" "   ✗ ${doing[$name]:-nothing}: not done when time was up"
    done
    verdict="$went steps went as told; $patience_seconds s were not enough for the others"
    exit 1
}

# One that has ended and that nobody has asked after yet (Z) runs no more.
is_running() { grep -q '^State:.[^Z]' "/proc/$1/status" 2>/dev/null; }

# Sees a process of ours end, by force if it takes too long, and sets `status`.
sees_end() {
    local tries=100
    while is_running "$1"; do
        tries=$((tries - 1))
        [ $tries != 0 ] || kill -KILL "$1" || true
        sleep 0.1
    done
    status=0
    wait "$1" || status=$?
}

# What NAME says, on standard input, and then that they have ended.
speaks() {
    local line
    while IFS= read -r line || [ -n "$line" ]; do
        # So long a line is still written at once.
        printf '%s\tsays\t%s\n' "$1" "${line:0:900}" >&3
    done
    printf '%s\tended\t\n' "$1" >&3
}

choose_colors() {
    declare -gA colors=([alice]="" [bob]="" [carol]="" [server]="" [demo]="")
    good='' bad='' plain='' reset=''
    if [ "${DEMO_COLOR:-}" = always ] || { [ -t 1 ] && [ -z "${NO_COLOR:-}" ]; }; then
        colors=([alice]=$'\e[36m' [bob]=$'\e[33m' [carol]=$'\e[35m' [server]=$'\e[34m' [demo]=$'\e[1m')
        good=$'\e[32m' bad=$'\e[31m' reset=$'\e[0m'
    fi
}

# A line of somebody's, in a colour.
show() {
    printf '%s%-7s%s %s%s%s\n' "${colors[$1]}" "$1" "$reset" "$2" "$3" "$reset"
}

main "$@"
