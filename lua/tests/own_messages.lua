-- A client's own messages are events as well, but no script answers itself by accident.

local play = require("play")
local alice, bob = play.enter("alice"), play.enter("bob")
play.chat(alice, bob)

local answers, seen = 0, 0
local answering = bob.on("message", function(message)
    answers += 1
    bob.say("you said " .. message.text, { to = message.from })
end)
local counting = alice.on("message", function(message)
    if message.own then
        seen += 1
    end
end, { own = true })

local sent = alice.say("hello", { to = "bob" })
play.expect(sent.state == "sent" and sent.via == "direct", "a message on its way")
local own = play.sees(alice, "message", { own = true })
play.expect(own.id == sent.message_id and own.conversation == "bob", "the own message")
local state = play.sees(alice, "message_state", { id = sent.message_id })
play.expect(state.state == "delivered", "delivered, not", state.state)

-- Without the option for own messages, only the other's answer is found.
play.expect(play.sees(alice, "message", {}).text == "you said hello", "the answer")
play.sees_nothing(alice, "message", {}, 0.3)
play.expect(answers == 1 and seen == 1, "one answer and one own message")
answering:remove()
counting:remove()
print("own messages: as told")
