-- Denied, withdrawn, absent: every request for a chat gets a clear answer.

local play = require("play")
local alice, bob = play.enter("alice"), play.enter("bob")

-- Bob denies.
local failure
local asking = function()
    local ok, why = pcall(alice.connect, "bob")
    failure = not ok and why or nil
end
chat.spawn(asking)
play.sees(bob, "request", { from = "alice" })
bob.deny("alice")
while not failure do
    chat.sleep(0.01)
end
play.expect(failure.code == "denied", "denied, not", failure.code)

-- Alice asks again and withdraws.
failure = nil
chat.spawn(asking)
play.sees(bob, "request", { from = "alice" })
alice.cancel("bob")
local ended = play.sees(bob, "request_ended", { from = "alice" })
play.expect(ended.reason == "withdrawn", "withdrawn, not", ended.reason)

-- A user who is missing in Alice's own list is not requested from the server at all.
alice.list()
play.fails("not_listed", alice.connect, "mallory")
play.expect(alice.status().state == "logged_in", "alice still logged in")

chat.print("requests are answered: as told")
