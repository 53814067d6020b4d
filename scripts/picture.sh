#!/usr/bin/env bash
# Draws the pictures in README.md and docs/ASSIGNMENTS.md from the programs' current output. Times, ports, addresses
# and keys differ each time.
#
#   picture.sh session    docs/session.svg: plays a session, and draws what its two people see
#   picture.sh full-screen  docs/full-screen.svg: plays a chat, a group and a request in a full screen
#   picture.sh accounts   docs/accounts.svg: imports accounts, and draws an operator and two people
#   picture.sh open-room  docs/open-room.svg: draws an open room and two people in it
#   picture.sh classroom  docs/classroom.svg: plays a class, and draws the server and three of its clients
#   picture.sh window     docs/window*.png: plays a chat, a group and a request in a window, in light and dark
#   picture.sh demo       docs/demo.svg: runs `make demo`, and draws the end of what it prints
set -euo pipefail
cd "$(dirname "$0")/.."

picture() {
    TZ=UTC cargo run --quiet --locked --package letschat-tests --example picture -- "$@"
}

case ${1:-} in
session | full-screen | accounts | open-room | classroom)
    cargo build --locked --bins
    picture "$1" "docs/$1.svg"
    ;;
window)
    # Tests of the window play the story.
    scripts/install-tools.sh /usr/share/fonts/truetype/noto/NotoColorEmoji.ttf:fonts-noto-color-emoji
    TZ=UTC cargo test --quiet --locked --workspace --test desktop pictures
    pictures=$(cargo metadata --no-deps --format-version 1 | sed -n 's/.*"target_directory":"\([^"]*\)".*/\1/p')/tmp/pictures
    cp "$pictures/picture-light-window.png" docs/window-light.png
    cp "$pictures/picture-dark-window.png" docs/window-dark.png
    ;;
demo)
    recording=$(mktemp)
    trap 'rm -f "$recording"' EXIT
    DEMO_COLOR=always scripts/demo.sh containers | tee "$recording"
    picture recording "make demo" "$recording" docs/demo.svg
    ;;
*)
    echo "usage: picture.sh session | full-screen | accounts | open-room | classroom | window | demo" >&2
    exit 2
    ;;
esac
