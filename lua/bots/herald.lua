-- Broadcasts a text again and again.
--
--   letschat --as herald --script herald.lua SECONDS TEXT... [--times N]
--
-- With --times it ends after so many broadcasts.

local words, times, period = {}, nil, nil
local index = 1
while index <= #chat.arguments do
    local word = chat.arguments[index]
    if word == "--times" then
        index += 1
        times = tonumber(chat.arguments[index])
    elseif not period then
        period = tonumber(word)
    else
        table.insert(words, word)
    end
    index += 1
end

local text = table.concat(words, " ")
if not period or text == "" then
    chat.print("usage: herald.lua SECONDS TEXT... [--times N]")
    chat.exit(2)
end

if chat.status().state ~= "logged_in" then
    chat.login()
end

local sent = 0
local function announce()
    local ok, failure = pcall(chat.broadcast, text)
    if not ok then
        -- The server may be away for a moment, or want broadcasts to come more slowly.
        chat.log("warn", tostring(failure))
        return
    end
    sent += 1
    chat.print("broadcast " .. sent .. ": " .. text)
    if sent == times then
        chat.exit(0)
    end
end

announce()
chat.every(period, announce)
