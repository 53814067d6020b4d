-- What the three of the demo have in common: the steps of a part, and what has to be seen.
--
-- scripts/demo.sh reads what a part prints. A line that begins with one of these words and a colon is
-- meant for it; any other is said to whoever watches.
--
--   steps    how many steps the part has
--   begins   one of them begins
--   done     it went as told
--   failed   it did not, and why; the part ends
--   cue      what no script can do: somebody is to come, the server to stop or to start

local story = {}

local PATIENCE = 30 -- seconds for anything that has to come

story.PASSWORD = "correct horse battery"

local function perform(told, step)
    print("begins: " .. told)
    local ok, why = pcall(step)
    if not ok then
        print("failed: " .. tostring(why))
        chat.exit(1)
    end
    print("done: " .. told)
end

-- Plays a part: a list of steps, each with what it tells and what it does, and of cues between them.
-- What comes of a cue is seen by its events.
function story.play(part)
    local steps = 0
    for _, step in part do
        steps += step.cue and 0 or 1
    end
    print("steps: " .. steps)
    for _, step in part do
        if step.cue then
            print("cue: " .. step.cue)
        else
            perform(step[1], step[2])
        end
    end
    chat.quit()
end

-- Fails the step with what was expected.
function story.expect(ok, ...)
    if not ok then
        error("expected " .. table.concat({ ... }, " "), 2)
    end
    return ok
end

-- What has to be seen: the event, or the end of the story. The filter is that of `chat.wait`.
function story.sees(event, filter, what)
    local seen = chat.wait(event, filter, { timeout = PATIENCE })
    return story.expect(seen, what or event)
end

-- A command that has to fail, with this code.
function story.fails(code, command, ...)
    local ok, failure = pcall(command, ...)
    story.expect(not ok, code .. ", and it worked")
    local found = type(failure) == "table" and failure.code or "no code"
    story.expect(found == code, code .. ", not " .. found .. ": " .. tostring(failure))
    print(failure.message)
end

-- A broadcast that has to come, once.
function story.hears(from, text)
    story.sees("broadcast", { from = from, text = text }, from .. " to all: " .. text)
end

-- A message that has to come.
function story.is_told(by, text)
    local message = story.sees("message", { from = by }, "a message of " .. by)
    story.expect(message.text == text, text .. ", not " .. message.text)
end

-- A filter for `joined`: that this one came.
function story.of(name)
    return function(event)
        return table.find(event.usernames, name) ~= nil
    end
end

-- The two compare the number that stands for both of their keys. People read it to each other on the
-- telephone; here it goes through the chat.
function story.compares_safety_numbers_with(who)
    local number = chat.verify(who).safety_number
    print("safety number " .. number)
    chat.say("mine is " .. number, { to = who })
    story.is_told(who, "mine is " .. number)
    chat.verify { who = who, matches = true }
    story.expect(chat.verify(who).verified, who .. " to be verified")
end

-- The server stops, and says so.
function story.sees_the_server_stop()
    story.sees("disconnected", { reason = "terminated" }, "the server's last words")
end

-- The server is there again, and nobody types a password.
function story.comes_back()
    story.sees("logged_in", { by = "key" }, "a login by key")
    chat.broadcast(chat.status().username .. " is back")
end

-- What others say is shown to whoever watches.
chat.on("message", function(message)
    print(message.from .. ": " .. message.text)
end)
chat.on("broadcast", function(broadcast)
    if not broadcast.own then
        print(broadcast.from .. " to all: " .. broadcast.text)
    end
end)
for _, event in { "disconnected", "retrying" } do
    chat.on(event, function(told)
        print(told.message)
    end)
end

return story
