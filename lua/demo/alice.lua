-- Alice's part of the demo: she arrives first, gives the cues, sends a file, and founds a group.

local play = require("tests/play")
local story = require("demo/story")

local function sees_come(name)
    local joined = play.sees(chat, "joined")
    play.expect(table.find(joined.usernames, name), name, "to come")
end

return {
    { "is refused a name that nobody can have", play.fails, "name_invalid", chat.signup, "alice!", play.PASSWORD },
    { "signs up", chat.signup, "alice", play.PASSWORD },
    { "logs in, and watches who comes", function()
        chat.login { username = "alice", password = play.PASSWORD }
        chat.watch("on")
    end },
    { cue = "lets bob in" },
    { "sees Bob come", sees_come, "bob" },
    { "tells everybody that lunch is at noon", function()
        chat.broadcast("Lunch is at noon")
        play.sees(chat, "broadcast", { own = true })
    end },
    { cue = "lets carol in" },
    { "sees Carol come", sees_come, "carol" },
    { "turns Carol down, who asks for a chat", function()
        play.sees(chat, "request", { from = "carol" })
        chat.deny("carol")
    end },
    { "asks for a chat by Bob's address, and he approves", function()
        local here, shared = {}, {}
        for _, user in chat.list() do
            print(user.username .. "  " .. user.address .. "  " .. user.port)
            here[user.username] = user
            shared[user.address] = (shared[user.address] or 0) + 1
        end
        play.expect(here.alice and here.bob and here.carol, "alice, bob and carol in the list")
        -- The port distinguishes clients that share an address.
        local address = here.bob.address
        if shared[address] > 1 then
            address ..= ":" .. here.bob.port
        end
        print("connect " .. address)
        play.expect(chat.connect(address).with == "bob", "a chat with bob")
    end },
    { "talks with Bob", function()
        chat.say("Hi Bob! This goes straight to you, past the server.")
        story.is_told("bob", "Hello Alice!")
        story.is_told("bob", "Ramen at noon? 🍜 ラーメン?")
        chat.say("Ramen it is.")
    end },
    { "sends Bob a file, and talks on while he fetches it", function()
        story.is_told("bob", "How does it get past the server?")
        local sent = chat.file("send", "bob", "docs/PROTOCOL.md")
        chat.say("All of it is in " .. sent.name .. ", " .. sent.size .. " bytes.")
        story.is_told("bob", "I am fetching it.")
        chat.say("It is long, but you have until noon.")
        play.sees(chat, "file_done", { id = sent.message_id, to = "bob" })
    end },
    { "hears that Carol goes for soup", story.hears, "carol", "Then I will have soup" },
    { "has the same safety number as Bob", story.compares_safety_numbers_with, "bob" },
    { cue = "stops the server" },
    { "sees the server stop", story.sees_the_server_stop },
    { "talks on with Bob without a server", function()
        chat.say("Still there?")
        story.is_told("bob", "Yes, still here.")
        play.expect(chat.status().state ~= "logged_in", "no server yet")
    end },
    { cue = "starts the server again" },
    { "is back, by her key", story.comes_back },
    { "hears that the others are back", function()
        story.hears("bob", "bob is back")
        story.hears("carol", "carol is back")
        chat.broadcast("All are back")
    end },
    { "hears Carol's apology", story.hears, "carol", "Sorry about that" },
    { "can't leave while a chat is open", play.fails, "chat_open", chat.leave },
    { "ends the chat with Bob", function()
        chat.disconnect("bob")
        play.sees(chat, "chat_closed", { with = "bob", reason = "ended" })
    end },
    { "is thanked by Bob, from his laptop", story.is_told, "bob", "Thanks for the ramen!" },
    { "sees Carol leave, and writes to her", function()
        story.sees_the_end_of("carol")
        local sent = chat.send("carol", "Soup tomorrow?")
        play.expect(sent.state == "kept", "a message that the server keeps, not " .. sent.state)
    end },
    { "sees that Carol has read it", function()
        play.sees(chat, "message_state", { conversation = "carol", state = "delivered" })
    end },
    { "reads Carol's answer", story.is_told, "carol", "Gladly!" },
    { "founds #team, and lets Bob and Carol in", function()
        chat.group("create", "team")
        for _, name in { "bob", "carol" } do
            chat.group("invite", "team", name)
            play.sees(chat, "group_changed", { change = "joined", who = name })
        end
    end },
    { "talks in #team with Bob and Carol", story.talks_in_the_group },
    { "sees Bob leave, and writes in #team", function()
        story.sees_the_end_of("bob")
        local sent = chat.send("#team", "Soup at noon, then")
        play.sees(chat, "message_state", { id = sent.message_id, to = "bob", state = "kept" })
    end },
    { "hears that Bob comes along", story.is_told_in_the_group, "bob", "I will be there" },
    { "removes Bob, and talks on with Carol", function()
        chat.group("remove", "team", "bob")
        play.sees(chat, "group_changed", { change = "removed", who = "bob", by = "alice" })
        chat.send("#team", "Bob's birthday is on Friday")
        story.is_told_in_the_group("carol", "I bake a cake")
    end },
    { "writes to Bob alone", chat.send, "bob", "See you on Friday!" },
    { "leaves", story.leaves },
}
