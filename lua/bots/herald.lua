-- Broadcasts a text repeatedly.
--
--   letschat --as herald --script herald.lua SECONDS TEXT... [--times N]
--
-- With --times it ends after that many broadcasts.

local YEAR = 365 * 24 * 3600 -- the longest that a timer waits, in seconds

local function usage()
    chat.print("usage: herald.lua SECONDS TEXT... [--times N]")
    chat.exit(2)
end

local words, times, period = {}, nil, nil
local index = 1
while index <= #chat.arguments do
    local word = chat.arguments[index]
    if word == "--times" then
        index += 1
        times = tonumber(chat.arguments[index] or "")
        if not times or times < 1 or times % 1 ~= 0 then
            usage()
        end
    elseif string.sub(word, 1, 2) == "--" then
        usage()
    elseif not period then
        period = tonumber(word)
        -- NaN is neither less nor greater.
        if not period or not (period > 0 and period <= YEAR) then
            usage()
        end
    else
        table.insert(words, word)
    end
    index += 1
end

local text = table.concat(words, " ")
if text == "" then
    usage()
end

if chat.status().state ~= "logged_in" then
    chat.login()
end

local sent = 0
local function announce()
    local ok, failure = pcall(chat.broadcast, text)
    if not ok then
        -- The server may be away for a moment, or limit the rate of broadcasts.
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
