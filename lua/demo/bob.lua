-- Bob's part of the demo: he talks with Alice, also without a server, gets a file, adds his laptop, and is in a group.

local play = require("tests/play")
local story = require("demo/story")

local laptop -- his second device

return {
    { "is refused Alice's name", play.fails, "name_taken", chat.signup, "alice", play.PASSWORD },
    { "signs up", chat.signup, "bob", play.PASSWORD },
    { "is refused with a wrong password", function()
        play.fails("wrong_password", chat.login, { username = "bob", password = "wrong horse battery" })
    end },
    { "logs in with the right one", chat.login, { username = "bob", password = play.PASSWORD } },
    { "hears Alice's broadcast", story.hears, "alice", "Lunch is at noon" },
    { "sees who asks for a chat, and approves", function()
        local request = play.sees(chat, "request")
        print(request.from .. " at " .. request.address .. " asks, with a " .. request.key .. " key")
        play.expect(request.from == "alice" and request.key == "new", "alice with a new key")
        play.expect(#chat.status().chats == 0, "no chat before he approves")
        chat.approve("alice")
        play.sees(chat, "chat_opened", { with = "alice" })
    end },
    { "talks with Alice", function()
        story.is_told("alice", "Hi Bob! This goes straight to you, past the server.")
        chat.say("Hello Alice!")
        chat.say("Ramen at noon? 🍜 ラーメン?")
        story.is_told("alice", "Ramen it is.")
    end },
    { "gets a file from Alice, and talks on meanwhile", function()
        chat.say("How does it get past the server?")
        local offered = play.sees(chat, "file_offered", { from = "alice" })
        story.is_told("alice", "All of it is in PROTOCOL.md, " .. offered.size .. " bytes.")
        play.expect(offered.name == "PROTOCOL.md", "PROTOCOL.md, not", offered.name)
        chat.file("get", offered.id)
        chat.say("I am fetching it.")
        story.is_told("alice", "It is long, but you have until noon.")
        local saved = play.sees(chat, "file_done", { id = offered.id })
        play.expect(string.match(saved.path, "/PROTOCOL%.md$"), "it to have its name, not", saved.path)
    end },
    { "hears that Carol goes for soup", story.hears, "carol", "Then I will have soup" },
    { "has the same safety number as Alice", story.compares_safety_numbers_with, "alice" },
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
    { "hears Carol's apology", story.hears, "carol", "Sorry about that" },
    { "sees Alice end the chat", function()
        play.sees(chat, "chat_closed", { with = "alice", reason = "peer_ended" })
    end },
    { "adds his laptop, by the code that it shows", function()
        laptop = chat.client { as = "bob's laptop" }
        laptop.login { username = "bob", password = play.PASSWORD }
        local waiting = play.sees(chat, "device_waiting")
        print(waiting.name .. " at " .. waiting.address .. " wants to be one of his devices")
        local code = laptop.devices().code
        print("his laptop shows " .. code)
        chat.device("approve", code)
        play.sees(laptop, "notice", { code = "device_listed" })
    end },
    { "thanks Alice from there, and sees it here too", function()
        local sent = laptop.send("alice", "Thanks for the ramen!")
        play.expect(sent.via == "server", "a message through the server")
        local copy = play.sees(chat, "message", { id = sent.message_id, own = true })
        print("from " .. copy.device .. ": " .. copy.text)
        play.sees(laptop, "message_state", { id = sent.message_id, state = "delivered" })
        laptop.quit()
    end },
    { "is invited to #team, and joins", story.joins_the_group },
    { "talks in #team with Alice and Carol", story.talks_in_the_group },
    { "leaves for a while", story.leaves_for_a_while },
    { "is back, and reads what was said meanwhile", function()
        chat.login("bob")
        story.is_told_in_the_group("alice", "Soup at noon, then")
        chat.send("#team", "I will be there")
    end },
    { "sees nothing of what the others say after his removal", function()
        -- Alice writes to him alone when they have said it.
        story.is_told("alice", "See you on Friday!")
        play.sees_nothing(chat, "message", { conversation = "#team" }, 0.3)
    end },
    { "leaves", story.leaves },
}
