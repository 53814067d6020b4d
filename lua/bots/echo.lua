-- Approves every request for a chat, and sends back every message.
--
--   letschat --return-after-idle --as echo --script echo.lua
--
-- Without --as it logs in as the only account of this machine. The server drops an idle client after an hour;
-- --return-after-idle logs it in again.

if #chat.arguments > 0 then
    chat.print("usage: echo.lua")
    chat.exit(2)
end

if chat.status().state ~= "logged_in" then
    chat.login()
end

chat.on("request", function(request)
    local ok, failure = pcall(chat.approve, request.from)
    if not ok then
        chat.log("warn", "no chat with " .. request.from .. ": " .. tostring(failure))
    end
end)

chat.on("chat_opened", function(opened)
    chat.log("info", "chat with " .. opened.with)
end)

-- Peers that can't be answered. Each is logged once, until an answer succeeds again.
local unanswered = {}

chat.on("message", function(message)
    -- The chat may be over by now, or the other side may not be reading.
    local ok, failure = pcall(chat.say, message.text, { to = message.from })
    if not ok and not unanswered[message.from] then
        chat.log("warn", "no echo to " .. message.from .. ": " .. tostring(failure))
    end
    unanswered[message.from] = not ok or nil
end)

chat.on("chat_closed", function(closed)
    unanswered[closed.with] = nil
end)

chat.print("echo is here as " .. chat.status().username)
