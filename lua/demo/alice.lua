-- Alice's part of the demo: she is the first to come, and gives the cues.

local story = require("story")

story.play {
    { "is refused a name that nobody can have", function()
        story.fails("name_invalid", chat.signup, { username = "alice!", password = story.PASSWORD })
    end },
    { "signs up", function()
        chat.signup { username = "alice", password = story.PASSWORD }
    end },
    { "logs in, and watches who comes", function()
        chat.login { username = "alice", password = story.PASSWORD }
        chat.watch("on")
    end },
    { cue = "bob comes" },
    { "sees Bob come", function()
        story.sees("joined", story.of("bob"), "bob to come")
    end },
    { "tells everybody that lunch is at noon", function()
        chat.broadcast("Lunch is at noon")
        story.sees("broadcast", { own = true }, "her own broadcast")
    end },
    { cue = "carol comes" },
    { "sees Carol come", function()
        story.sees("joined", story.of("carol"), "carol to come")
    end },
    { "turns Carol down, who asks for a chat", function()
        story.sees("request", { from = "carol" }, "carol to ask")
        chat.deny("carol")
    end },
    { "asks for a chat by Bob's address, and he approves", function()
        local here, shared = {}, {}
        for _, user in chat.list() do
            print(user.username .. "  " .. user.address .. "  " .. user.port)
            here[user.username] = user
            shared[user.address] = (shared[user.address] or 0) + 1
        end
        story.expect(here.alice and here.bob and here.carol, "alice, bob and carol in the list")
        -- Where several have one address the port tells them apart.
        local address = here.bob.address
        if shared[address] > 1 then
            address ..= ":" .. here.bob.port
        end
        print("connect " .. address)
        story.expect(chat.connect(address).with == "bob", "a chat with bob")
    end },
    { "talks with Bob", function()
        chat.say("Hi Bob! This goes straight to you, past the server.")
        story.is_told("bob", "Hello Alice!")
        story.is_told("bob", "Ramen at noon? 🍜 ラーメン?")
        chat.say("Ramen it is.")
    end },
    { "hears that Carol goes for soup", function()
        story.hears("carol", "Then I will have soup")
    end },
    { "has the same safety number as Bob", function()
        story.compares_safety_numbers_with("bob")
    end },
    { cue = "the server stops" },
    { "sees the server stop", story.sees_the_server_stop },
    { "talks on with Bob without a server", function()
        chat.say("Still there?")
        story.is_told("bob", "Yes, still here.")
        story.expect(chat.status().state ~= "logged_in", "no server yet")
    end },
    { cue = "the server starts again" },
    { "is back, by her key", story.comes_back },
    { "hears that the others are back", function()
        story.hears("bob", "bob is back")
        story.hears("carol", "carol is back")
        chat.broadcast("All are back")
    end },
    { "hears Carol's apology", function()
        story.hears("carol", "Sorry about that")
    end },
    { "can't leave while a chat is open", function()
        story.fails("chat_open", chat.leave)
    end },
    { "ends the chat with Bob", function()
        chat.disconnect("bob")
        story.sees("chat_closed", { with = "bob", reason = "ended" }, "the chat to end")
    end },
    { "leaves", function()
        chat.leave()
        story.sees("left_server")
    end },
}
