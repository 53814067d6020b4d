-- Carol's part of the demo: she comes late, is turned down, and pays for asking after nobody.

local story = require("story")

story.play {
    { "signs up and logs in", function()
        chat.signup { username = "carol", password = story.PASSWORD }
        chat.login { username = "carol", password = story.PASSWORD }
    end },
    { "is told what Alice said to all before she came", function()
        story.hears("alice", "Lunch is at noon")
    end },
    { "asks Alice for a chat, and is turned down", function()
        story.fails("denied", chat.connect, "alice")
    end },
    { "tells everybody that she goes for soup", function()
        chat.broadcast("Then I will have soup")
    end },
    { "sees the server stop", story.sees_the_server_stop },
    { "is back, by her key", story.comes_back },
    { "hears that the others are back", function()
        story.hears("alice", "alice is back")
        story.hears("bob", "bob is back")
        story.hears("alice", "All are back")
    end },
    { "is warned that nobody is called Mallory", function()
        story.fails("not_listed", chat.connect, "mallory")
    end },
    { "asks for Mallory all the same, and the server closes the connection", function()
        story.fails("nobody", chat.connect, { who = "mallory", force = true })
        story.sees("disconnected", { reason = "penalty" }, "the penalty")
        story.expect(chat.status().state == "offline", "nothing to bring her back by itself")
    end },
    { "comes again, by her key, and says sorry", function()
        local mine = chat.login("carol")
        story.expect(mine.username == "carol", "carol to be logged in")
        chat.broadcast("Sorry about that")
    end },
    { "leaves", function()
        chat.leave()
        story.sees("left_server")
    end },
}
