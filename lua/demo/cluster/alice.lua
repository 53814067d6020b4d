-- Alice's part of the demo of several servers: she is at one, which is killed, and goes on at another.

local play = require("tests/play")
local story = require("demo/story")

return {
    { "signs up, and logs in at server a", story.enters, "alice" },
    { cue = "lets bob in" },
    { "sees Bob, who is at server b", story.sees, "bob" },
    { "hears Bob's broadcast", story.hears, "bob", "Hello from server b" },
    { "broadcasts, too", chat.broadcast, "And from server a" },
    { "asks for a chat, and Bob approves", function()
        play.expect(chat.connect("bob").with == "bob", "a chat with bob")
        chat.say("One of our servers goes down in a moment.")
        story.is_told("bob", "Which one?")
    end },
    { cue = "kills a" },
    { "talks on with Bob", function()
        chat.say("Mine.")
        story.is_told("bob", "I did not notice.")
    end },
    { "loses server a, and is at another", story.loses_the_server },
    { "sees Bob there", story.sees, "bob" },
    { "broadcasts from there", chat.broadcast, "Still here" },
    { "hears Bob's broadcast, also there", story.hears, "bob", "So am I" },
    { "writes to Bob by the servers", function()
        chat.disconnect("bob")
        chat.send("bob", "This is kept for you, whichever server is up")
        play.sees(chat, "message_state", { conversation = "bob", state = "delivered" })
    end },
    { "leaves", story.leaves },
}
