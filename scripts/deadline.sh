#!/usr/bin/env bash
# Runs tests, and ends the run with the test's name if a test takes longer than two minutes.
#
#   scripts/deadline.sh cargo test ...
#
# The test harness names a test that has run for a minute. It does so only with more than one thread.
set -uo pipefail

# Wait from that line on.
rest=${DEADLINE_REST_SECONDS:-60}

lines=$(mktemp -u)
mkfifo "$lines"
# A shell starts background processes with SIGINT ignored, and Ctrl+C has to end the programs that are tested.
setsid env --default-signal=INT,QUIT "$@" >"$lines" 2>&1 &
tests=$!
exec 3<"$lines"
rm "$lines"
trap 'kill -- -$tests 2>/dev/null' EXIT

declare -A due=()
while true; do
    if IFS= read -r -t 1 -u 3 line; then
        printf '%s\n' "$line"
        case $line in
            "test "*" has been running for over 60 seconds")
                name=${line#test }
                due[${name% has been running*}]=$((SECONDS + rest))
                ;;
            "test "*" ... "*)
                name=${line#test }
                unset "due[${name%% ... *}]"
                ;;
        esac
    elif [ $? -le 128 ]; then
        # The end of the output.
        printf '%s' "$line"
        break
    fi
    for name in "${!due[@]}"; do
        if ((SECONDS > due[$name])); then
            echo "test $name takes longer than two minutes" >&2
            exit 1
        fi
    done
done
trap - EXIT
wait "$tests"
