-- Actors and what they see, for the stories and for the demo. An actor is a client, such as `chat`.

local play = {}

local PATIENCE = 30 -- seconds for anything that has to come

play.PASSWORD = "correct horse battery"

-- Fails unless it is so, and shows what was expected.
function play.expect(ok, ...)
    if not ok then
        error("expected " .. table.concat({ ... }, " "), 2)
    end
end

-- Somebody with a client of their own, who has an account and is logged in.
function play.enter(name)
    local actor = chat.client { as = name }
    actor.signup { username = name, password = play.PASSWORD }
    actor.login { username = name, password = play.PASSWORD }
    return actor
end

-- Waits for an event that an actor has to see, and returns it.
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

-- What an actor must not see for as long as it takes to be sure.
function play.sees_nothing(actor, event, fields, seconds)
    local seen = actor.wait(event, fields, { timeout = seconds })
    if seen then
        error(actor.name .. " saw " .. event, 2)
    end
end

-- Expects that a command fails with this code, and shows why.
function play.fails(code, command, ...)
    local ok, failure = pcall(command, ...)
    if ok or type(failure) ~= "table" or failure.code ~= code then
        error("it did not fail with " .. code .. ", but " .. (if ok then "worked" else tostring(failure)), 2)
    end
    print(failure.message)
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
