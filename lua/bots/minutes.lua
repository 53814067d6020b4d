-- Keeps the minutes of groups on request.
--
--   letschat --return-after-idle --as minutes --script minutes.lua
--
-- It joins each group that its user is invited to. `!minutes` in a group begins the minutes, and `!minutes` again
-- ends them: the group then gets all that was said in between, with the time and the author of each line. They are
-- kept in memory alone.

local REQUEST = "!minutes"
local MOST_LINES = 2000
local MOST_BYTES = 12000 -- in one message, which has room for 16 KiB

if #chat.arguments > 0 then
    chat.print("usage: minutes.lua")
    chat.exit(2)
end

if chat.status().state ~= "logged_in" then
    chat.login()
end

-- The minutes that are being kept, by group.
local kept = {}

local function say(group, text)
    local ok, failure = pcall(chat.send, group, text)
    if not ok then
        chat.log("warn", "nothing can be said in " .. group .. ": " .. tostring(failure))
    end
end

local function join(group)
    local ok, failure = pcall(chat.approve, group)
    if not ok then
        chat.log("warn", "not in " .. group .. ": " .. tostring(failure))
    end
end

local function send_minutes(group, lines)
    local text = "Minutes:"
    for _, line in lines do
        if #text + #line + 1 > MOST_BYTES then
            say(group, text)
            text = "Minutes, continued:"
        end
        text = text .. "\n" .. line
    end
    say(group, text)
end

chat.on("request", function(request)
    if request.group then
        join(request.group)
    end
end)

chat.on("message", function(message)
    local group = message.conversation
    if string.sub(group, 1, 1) ~= "#" then
        return
    end
    local lines = kept[group]
    if message.text == REQUEST and lines then
        kept[group] = nil
        send_minutes(group, lines)
    elseif message.text == REQUEST then
        kept[group] = {}
        say(group, "I am keeping the minutes. " .. REQUEST .. " again ends them.")
    elseif lines and #lines < MOST_LINES then
        local text = string.gsub(message.text, "\n", " ")
        local line = string.sub(message.sent, 12, 16) .. " " .. message.from .. ": " .. text
        lines[#lines + 1] = string.sub(line, 1, MOST_BYTES - 100)
    end
end)

for _, group in chat.groups() do
    if not group.joined then
        join(group.group)
    end
end

chat.print("minutes is here")
