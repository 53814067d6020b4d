-- Actors and their observations, for the stories and for the demo. An actor is a client, such as
-- `chat`.

local play = {}

local PATIENCE = 30 -- seconds for anything that has to come

play.PASSWORD = "correct horse battery"

-- Fails unless the condition holds, and shows the expectation.
function play.expect(ok, ...)
    if not ok then
        error("expected " .. table.concat({ ... }, " "), 2)
    end
end

-- Returns a new client with an account, logged in.
function play.enter(name)
    local actor = chat.client { as = name }
    actor.signup { username = name, password = play.PASSWORD }
    actor.login { username = name, password = play.PASSWORD }
    return actor
end

-- Waits for an event of an actor, and returns it.
function play.sees(actor, event, fields)
    local seen = actor.wait(event, fields, { timeout = PATIENCE })
    if not seen then
        local told = (actor.name or "the client") .. " saw no " .. event
        for name, value in fields or {} do
            told ..= ", " .. name .. " " .. tostring(value)
        end
        error(told, 2)
    end
    return seen
end

-- Fails if an actor sees this event within this time.
function play.sees_nothing(actor, event, fields, seconds)
    local seen = actor.wait(event, fields, { timeout = seconds })
    if seen then
        error((actor.name or "the client") .. " saw " .. event, 2)
    end
end

-- Expects a command to fail with this code, and shows its message.
function play.fails(code, command, ...)
    local ok, failure = pcall(command, ...)
    if ok or type(failure) ~= "table" or failure.code ~= code then
        error("it did not fail with " .. code .. ", but " .. (if ok then "worked" else tostring(failure)), 2)
    end
    print(failure.message)
end

-- Waits for a condition that no event reports.
function play.comes(is_there, what)
    local until_then = chat.now() + PATIENCE
    while not is_there() do
        play.expect(chat.now() < until_then, what)
        chat.sleep(0.01)
    end
end

-- Opens a chat: one requests, the other approves, both see it.
function play.chat(caller, asked)
    chat.spawn(function()
        caller.connect(asked.name)
    end)
    play.sees(asked, "request", { from = caller.name })
    asked.approve(caller.name)
    play.sees(caller, "chat_opened", { with = asked.name })
    play.sees(asked, "chat_opened", { with = caller.name })
end

-- Sends a message from one to the other, who receives it.
function play.says(speaker, text, hearer)
    speaker.say(text, { to = hearer.name })
    play.sees(hearer, "message", { from = speaker.name, text = text })
end

return play
