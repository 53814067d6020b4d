-- Answers messages while you are away, each user at most once in five minutes.
--
--   /away At lunch.
--   /away            shows whether you are
--   /back

local PAUSE = 300 -- seconds before the same person is answered again

local reason, told = nil, {}

chat.on("message", function(message)
    local before = told[message.from]
    if reason and (not before or chat.now() - before > PAUSE) then
        told[message.from] = chat.now()
        chat.say("(away) " .. reason, { to = message.from })
    end
end)

chat.command {
    name = "away",
    parameters = { "[reason...]" },
    summary = "Answer messages with a text while you are away.",
    run = function(arguments)
        if arguments.reason then
            reason, told = arguments.reason, {}
        end
        return reason and "You are away: " .. reason or "You are here."
    end,
}

chat.command {
    name = "back",
    summary = "Be back: answer no more by yourself.",
    run = function()
        reason = nil
        return "You are back."
    end,
}

function save()
    return { reason = reason, told = told }
end

function restore(state)
    reason, told = state.reason, state.told or {}
end
