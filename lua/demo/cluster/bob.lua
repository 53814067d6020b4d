-- Bob's part of the demo of several servers: his own goes on, and so do Alice and he.

local play = require("tests/play")
local story = require("demo/story")

return {
    { "signs up, and logs in at server b", story.enters, "bob" },
    { "sees Alice, who is at server a", story.sees, "alice" },
    { "broadcasts", chat.broadcast, "Hello from server b" },
    { "hears Alice's broadcast", story.hears, "alice", "And from server a" },
    { "approves Alice's request for a chat", function()
        play.sees(chat, "request", { from = "alice" })
        chat.approve("alice")
        story.is_told("alice", "One of our servers goes down in a moment.")
        chat.say("Which one?")
    end },
    { "talks on with Alice, whose server is gone", function()
        story.is_told("alice", "Mine.")
        chat.say("I did not notice.")
    end },
    { "hears Alice's broadcast from another server", story.hears, "alice", "Still here" },
    { "broadcasts, too", chat.broadcast, "So am I" },
    { "gets Alice's message by the servers", story.is_told, "alice", "This is kept for you, whichever server is up" },
    { "leaves", story.leaves },
}
