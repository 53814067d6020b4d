-- Alice watches. Bob logs in and leaves; his chat with her continues without the server.

local play = require("play")
local alice = play.enter("alice")
alice.watch("on")

local bob = play.enter("bob")
local came = play.sees(alice, "joined")
play.expect(came.count == 1 and came.usernames[1] == "bob", "bob to come")

play.chat(alice, bob)
play.fails("chat_open", bob.leave)
bob.detach()
play.sees(bob, "left_server")
local went = play.sees(alice, "left")
play.expect(went.usernames[1] == "bob", "bob to go")

-- The server does not list him any more, but Alice's chat with him is open.
for _, user in alice.list() do
    play.expect(user.username ~= "bob", "bob not to be listed")
end
play.says(bob, "still here", alice)
play.says(alice, "so am I", bob)

-- He logs in again, by his key.
bob.login("bob")
play.sees(alice, "joined")

chat.print("people come and go: as told")
