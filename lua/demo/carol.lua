-- Carol's part of the demo: she arrives late, is denied, is penalised for a wrong request, and joins a group.

local play = require("tests/play")
local story = require("demo/story")

return {
    { "signs up and logs in", function()
        chat.signup("carol", play.PASSWORD)
        chat.login { username = "carol", password = play.PASSWORD }
    end },
    { "is told what Alice said to all before she came", story.hears, "alice", "Lunch is at noon" },
    { "asks Alice for a chat, and is turned down", play.fails, "denied", chat.connect, "alice" },
    { "tells everybody that she goes for soup", chat.broadcast, "Then I will have soup" },
    { "sees the server stop", story.sees_the_server_stop },
    { "is back, by her key", story.comes_back },
    { "hears that the others are back", function()
        story.hears("alice", "alice is back")
        story.hears("bob", "bob is back")
        story.hears("alice", "All are back")
    end },
    { "is warned that nobody is called Mallory", play.fails, "not_listed", chat.connect, "mallory" },
    { "asks for Mallory all the same, and the server closes the connection", function()
        play.fails("nobody", chat.connect, { who = "mallory", force = true })
        play.sees(chat, "disconnected", { reason = "penalty" })
        play.expect(chat.status().state == "offline", "nothing to bring her back by itself")
    end },
    { "comes again, by her key, and says sorry", function()
        local mine = chat.login("carol")
        play.expect(mine.username == "carol", "carol to be logged in")
        chat.broadcast("Sorry about that")
    end },
    { "leaves for a while", story.leaves_for_a_while },
    { "is back, and approves who has written to her meanwhile", function()
        chat.login("carol")
        local request = play.sees(chat, "request", { kind = "message" })
        print(request.from .. " has written, with a " .. request.key .. " key")
        chat.approve("alice")
        story.is_told("alice", "Soup tomorrow?")
    end },
    { "answers her", function()
        local sent = chat.send("alice", "Gladly!")
        play.expect(sent.state == "sent", "an answer that is on its way, not " .. sent.state)
    end },
    { "is invited to #team, and joins", story.joins_the_group },
    { "talks in #team with Alice and Bob", story.talks_in_the_group },
    { "hears what Alice says while Bob is away", story.is_told_in_the_group, "alice", "Soup at noon, then" },
    { "hears that Bob comes along", story.is_told_in_the_group, "bob", "I will be there" },
    { "sees Alice remove Bob, and talks on with her", function()
        play.sees(chat, "group_changed", { change = "removed", who = "bob", by = "alice" })
        story.is_told_in_the_group("alice", "Bob's birthday is on Friday")
        chat.send("#team", "I bake a cake")
    end },
    { "sees Alice leave, who has read it by then", story.sees_the_end_of, "alice" },
    { "leaves", story.leaves },
}
