-- Steps that several of the three actors share.

local play = require("tests/play")

local AWAY = 5 -- seconds, in which somebody writes

-- The lines that the three say in #team, in this order.
local TALK = {
    { by = "alice", text = "Where do we eat tomorrow?" },
    { by = "bob", text = "Ramen again?" },
    { by = "carol", text = "Soup!" },
}

local story = {}

-- Waits for a broadcast.
function story.hears(from, text)
    play.sees(chat, "broadcast", { from = from, text = text })
end

-- Waits for the next message, which must be this one.
function story.is_told(by, text)
    local message = play.sees(chat, "message", { from = by })
    play.expect(message.text == text, text .. ", not", message.text)
end

-- Waits for the next message in #team, which must be this one.
function story.is_told_in_the_group(by, text)
    local message = play.sees(chat, "message", { conversation = "#team" })
    local is_this = message.from == by and message.text == text
    play.expect(is_this, by .. ": " .. text .. ", not", message.from .. ": " .. message.text)
end

function story.talks_in_the_group()
    local own = chat.status().username
    for _, line in TALK do
        if line.by == own then
            chat.send("#team", line.text)
        else
            story.is_told_in_the_group(line.by, line.text)
        end
    end
end

-- Accepts Alice's invitation, and waits until all three have joined.
function story.joins_the_group()
    local request = play.sees(chat, "request", { kind = "group" })
    print(request.from .. " invites to " .. request.group)
    play.expect(request.from == "alice" and request.group == "#team", "alice's invitation to #team")
    chat.approve("#team")
    -- Carol is invited last.
    play.sees(chat, "group_changed", { change = "joined", who = "carol" })
end

-- Compares the safety number with the other user's. People read it to each other on the telephone; here it goes
-- through the chat.
function story.compares_safety_numbers_with(who)
    local number = chat.verify(who).safety_number
    print("safety number " .. number)
    chat.say("mine is " .. number, { to = who })
    story.is_told(who, "mine is " .. number)
    chat.verify { who = who, matches = true }
    play.expect(chat.verify(who).verified, who, "to be verified")
end

function story.sees_the_server_stop()
    play.sees(chat, "disconnected", { reason = "terminated" })
end

-- Waits for the automatic login, without a password.
function story.comes_back()
    play.sees(chat, "logged_in", { by = "key" })
    chat.broadcast(chat.status().username .. " is back")
end

-- Signs up and logs in.
function story.enters(name)
    chat.signup { username = name, password = play.PASSWORD }
    chat.login { username = name, password = play.PASSWORD }
end

-- Waits until somebody is in the directory.
function story.sees(name)
    play.comes(function()
        for _, user in chat.list() do
            if user.username == name then
                return true
            end
        end
        return false
    end, name .. " in the list")
end

-- Waits for the end of the server, which was killed, and for the automatic login at another one.
function story.loses_the_server()
    play.sees(chat, "disconnected", { reason = "lost" })
    play.sees(chat, "logged_in", { by = "key" })
end

-- Waits until somebody is out of the directory.
function story.sees_the_end_of(name)
    play.comes(function()
        for _, user in chat.list() do
            if user.username == name then
                return nil
            end
        end
        return true
    end, "the end of " .. name .. "'s session")
end

function story.leaves_for_a_while()
    chat.leave()
    chat.sleep(AWAY)
end

function story.leaves()
    chat.leave()
    play.sees(chat, "left_server")
end

return story
