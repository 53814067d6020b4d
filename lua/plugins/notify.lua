-- Rings the bell when a message comes and nothing has been typed for a while.
--
--   /notify 120    after two minutes
--   /notify 0      with every message
--   /notify off    never

local function seconds()
    local kept = chat.store.get("seconds")
    return kept == nil and 60 or kept
end

local function ring()
    local after = seconds()
    if after ~= "off" and chat.idle_seconds() >= after then
        chat.bell()
    end
end

chat.on("message", ring)
chat.on("chat_closed", ring)

chat.command {
    name = "notify",
    parameters = { "[seconds]" },
    summary = "Ring the bell for messages after SECONDS without a key; or off.",
    run = function(arguments)
        local given = arguments.seconds
        if given == "off" then
            chat.store.set("seconds", "off")
        elseif given then
            local number = tonumber(given)
            if not number or not (number >= 0 and number < math.huge) then
                return "SECONDS is a number, or off."
            end
            chat.store.set("seconds", number)
        end
        local after = seconds()
        return after == "off" and "The bell stays silent."
            or "The bell rings for messages after " .. after .. " s without a line typed."
    end,
}
