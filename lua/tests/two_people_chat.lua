-- Alice asks Bob for a chat. It opens only after he approves, delivers any text in order, and ends
-- for both when one of them ends it.

local play = require("play")
local alice, bob = play.enter("alice"), play.enter("bob")

-- Alice lists the users.
local here = {}
for _, user in alice.list() do
    here[user.username] = user
end
play.expect(here.alice and here.bob, "alice and bob in the list")
play.expect(here.bob.port == bob.status().port, "bob's port in the list")

-- She asks, and Bob sees the request before anything opens.
local reply
chat.spawn(function()
    reply = alice.connect("bob")
end)
local request = play.sees(bob, "request", { from = "alice" })
play.expect(request.key == "new", "a key that bob has not seen")
play.expect(#bob.status().chats == 0, "no chat before bob approves")
bob.approve("alice")
play.sees(alice, "chat_opened", { with = "bob" })
play.sees(bob, "chat_opened", { with = "alice" })
play.comes(function()
    return reply
end, "an answer to alice")
play.expect(reply.with == "bob", "bob, not", reply.with)

-- They talk; the order is kept.
for number = 1, 20 do
    alice.say("line " .. number)
end
for number = 1, 20 do
    local message = play.sees(bob, "message", { from = "alice" })
    play.expect(message.text == "line " .. number, "line " .. number .. ", not", message.text)
end
play.says(bob, "two\nlines, and a ☕", alice)

-- Bob hangs up.
bob.disconnect()
play.expect(play.sees(alice, "chat_closed", { with = "bob" }).reason == "peer_ended", "bob's end")

-- The conversation stays, and goes on through the server.
local sent = alice.say("still there?")
play.expect(sent.via == "server" and sent.to == "bob", "a message through the server")
play.expect(play.sees(bob, "message", { from = "alice" }).text == "still there?", "the message")

chat.print("two people chat: as told")
