-- What the stories have in common: actors, and what they see.

local play = {}

local PATIENCE = 20 -- seconds for anything that has to come
local PASSWORD = "correct horse battery"

play.PASSWORD = PASSWORD

-- Fails the story with what was expected.
function play.expect(ok, ...)
    if not ok then
        error("expected " .. table.concat({ ... }, " "), 2)
    end
    return ok
end

-- Somebody with a client of their own, who has an account and is logged in.
function play.enter(name, options)
    options = options or {}
    options.as = name
    local actor = chat.client(options)
    actor.signup { username = name, password = PASSWORD }
    actor.login { username = name, password = PASSWORD }
    return actor
end

-- What an actor has to see: the event, or the end of the story.
function play.sees(actor, event, fields)
    local seen = actor.wait(event, fields, { timeout = PATIENCE })
    if not seen then
        local told = {}
        for name, value in fields or {} do
            table.insert(told, name .. " " .. tostring(value))
        end
        error(actor.name .. " saw no " .. event .. " with " .. table.concat(told, ", "), 2)
    end
    return seen
end

-- What an actor must not see for as long as it takes to be sure.
function play.sees_nothing(actor, event, fields, seconds)
    local seen = actor.wait(event, fields, { timeout = seconds })
    if seen then
        error(actor.name .. " saw " .. event, 2)
    end
end

-- A command that has to fail, with this code.
function play.fails(code, command, ...)
    local ok, failure = pcall(command, ...)
    if ok then
        error("it did not fail with " .. code, 2)
    end
    local found = type(failure) == "table" and failure.code
    if found ~= code then
        error("expected " .. code .. ", not " .. tostring(found) .. ": " .. tostring(failure), 2)
    end
end

-- What is not told by an event, but comes about soon.
function play.comes(is_there, what)
    local until_then = chat.now() + PATIENCE
    while not is_there() do
        play.expect(chat.now() < until_then, what)
        chat.sleep(0.01)
    end
end

-- One asks, the other approves, both see the chat.
function play.chat(caller, asked)
    chat.spawn(function()
        caller.connect(asked.name)
    end)
    play.sees(asked, "request", { from = caller.name })
    asked.approve(caller.name)
    play.sees(caller, "chat_opened", { with = asked.name })
    play.sees(asked, "chat_opened", { with = caller.name })
end

-- One says something, and the other hears it.
function play.says(speaker, text, hearer)
    speaker.say(text, { to = hearer.name })
    play.sees(hearer, "message", { from = speaker.name, text = text })
end

return play
