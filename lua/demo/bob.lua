-- Bob's part of the demo: he talks with Alice, also while there is no server.

local story = require("story")

story.play {
    { "is refused Alice's name", function()
        story.fails("name_taken", chat.signup, { username = "alice", password = story.PASSWORD })
    end },
    { "signs up", function()
        chat.signup { username = "bob", password = story.PASSWORD }
    end },
    { "is refused with a wrong password", function()
        story.fails("wrong_password", chat.login, { username = "bob", password = "wrong horse battery" })
    end },
    { "logs in with the right one", function()
        chat.login { username = "bob", password = story.PASSWORD }
    end },
    { "hears Alice's broadcast", function()
        story.hears("alice", "Lunch is at noon")
    end },
    { "sees who asks for a chat, and approves", function()
        local request = story.sees("request", nil, "somebody to ask")
        print(request.from .. " at " .. request.address .. " asks, with a " .. request.key .. " key")
        story.expect(request.from == "alice" and request.key == "new", "alice with a new key")
        story.expect(#chat.status().chats == 0, "no chat before he approves")
        chat.approve("alice")
        story.sees("chat_opened", { with = "alice" }, "the chat to open")
    end },
    { "talks with Alice", function()
        story.is_told("alice", "Hi Bob! This goes straight to you, past the server.")
        chat.say("Hello Alice!")
        chat.say("Ramen at noon? 🍜 ラーメン?")
        story.is_told("alice", "Ramen it is.")
    end },
    { "hears that Carol goes for soup", function()
        story.hears("carol", "Then I will have soup")
    end },
    { "has the same safety number as Alice", function()
        story.compares_safety_numbers_with("alice")
    end },
    { "sees the server stop", story.sees_the_server_stop },
    { "talks on with Alice without a server", function()
        story.is_told("alice", "Still there?")
        chat.say("Yes, still here.")
    end },
    { "is back, by his key", story.comes_back },
    { "hears that the others are back", function()
        story.hears("alice", "alice is back")
        story.hears("carol", "carol is back")
    end },
    { "hears Carol's apology", function()
        story.hears("carol", "Sorry about that")
    end },
    { "sees Alice end the chat", function()
        story.sees("chat_closed", { with = "alice", reason = "peer_ended" }, "alice to end the chat")
        story.fails("no_chat", chat.say, "Still there?")
    end },
    { "leaves", function()
        chat.leave()
        story.sees("left_server")
    end },
}
