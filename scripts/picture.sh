#!/usr/bin/env bash
# Draws the pictures in README.md and docs/ASSIGNMENTS.md from the programs' current output. Times, ports, addresses,
# keys, ids, the names of temporary folders, the sizes of envelopes and the bytes of a TLS record differ each time.
#
#   picture.sh session    docs/session.svg: plays a session, and draws what its two people see
#   picture.sh full-screen  docs/full-screen.svg: plays a chat, a group and a request in a full screen
#   picture.sh accounts   docs/accounts.svg: imports accounts, and draws an operator and two people
#   picture.sh mysql      docs/mysql.svg: signs somebody up at a server with MySQL, and draws both and the accounts
#   picture.sh open-room  docs/open-room.svg: draws an open room and two people in it
#   picture.sh classroom  docs/classroom.svg: plays a class, and draws the server, its file and three of its clients
#   picture.sh relayed    docs/relayed.svg: sends messages through a server, and draws its log and two people
#   picture.sh group      docs/group.svg: founds a group and removes a member, and draws three people
#   picture.sh file       docs/file.svg: sends a file, and draws both people
#   picture.sh absent     docs/absent.svg: writes to somebody who is away, and draws the server and both people
#   picture.sh wire       docs/wire.svg: sends a message, and draws its sender and the encrypted bytes
#   picture.sh by-hand    docs/by-hand.svg: types the dialogue through openssl, and draws a sign-up and wrong passwords
#   picture.sh server     docs/server.svg: ends a server during a chat, and draws its console and both people
#   picture.sh busy       docs/busy.svg: fills a server of one place, and draws its log and three people
#   picture.sh broadcast  docs/broadcast.svg: broadcasts, and draws the server, the sender and two recipients
#   picture.sh timeout    docs/timeout.svg: waits for an idle timeout, and draws the server and the client
#   picture.sh window     docs/window*.png: plays a chat, a group and a request in a window, in light and dark
#   picture.sh demo       docs/demo.svg: runs `make demo`, and draws the end of what it prints
set -euo pipefail
cd "$(dirname "$0")/.."

target=$(cargo metadata --no-deps --format-version 1 | sed -n 's/.*"target_directory":"\([^"]*\)".*/\1/p')

picture() {
    # For the whole workspace, as the tests are built: all crates then have the features that they have there.
    cargo build --quiet --locked --workspace --bins --examples
    TZ=UTC "$target/debug/examples/picture" "$@"
}

case ${1:-} in
session | full-screen | accounts | mysql | open-room | classroom | relayed | group | file | absent | wire | by-hand | \
    server | busy | broadcast | timeout)
    picture "$1" "docs/$1.svg"
    ;;
window)
    # Tests of the window play the story.
    scripts/install-tools.sh /usr/share/fonts/truetype/noto/NotoColorEmoji.ttf:fonts-noto-color-emoji
    TZ=UTC cargo test --quiet --locked --workspace --test desktop pictures
    cp "$target/tmp/pictures/picture-light-window.png" docs/window-light.png
    cp "$target/tmp/pictures/picture-dark-window.png" docs/window-dark.png
    ;;
demo)
    recording=$(mktemp)
    trap 'rm -f "$recording"' EXIT
    DEMO_COLOR=always scripts/demo.sh containers | tee "$recording"
    picture recording "make demo" "$recording" docs/demo.svg
    ;;
*)
    echo "usage: picture.sh session | full-screen | accounts | mysql | open-room | classroom | relayed | group | file | absent |" \
        "wire | by-hand | server | busy | broadcast | timeout | window | demo" >&2
    exit 2
    ;;
esac
