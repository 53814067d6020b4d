-- Greets arriving users by a broadcast, each at most once an hour.
--
--   letschat --as greeter --script greeter.lua [TEXT...]
--
-- NAME in the text stands for the user who arrived.

local PAUSE = 3600 -- seconds before somebody is welcomed again

for _, word in chat.arguments do
    if string.sub(word, 1, 2) == "--" then
        chat.print("usage: greeter.lua [TEXT...]")
        chat.exit(2)
    end
end

local text = table.concat(chat.arguments, " ")
if text == "" then
    text = "Welcome, NAME!"
end

if chat.status().state ~= "logged_in" then
    chat.login()
end
chat.watch("on")

local welcomed = {}

chat.on("joined", function(joined)
    -- For a crowd only the number is known, and nobody is greeted.
    for _, name in joined.usernames do
        local before = welcomed[name]
        if not before or chat.now() - before > PAUSE then
            welcomed[name] = chat.now()
            local welcome = string.gsub(text, "NAME", (string.gsub(name, "%%", "%%%%")))
            local ok, failure = pcall(chat.broadcast, welcome)
            if not ok then
                chat.log("warn", tostring(failure))
            end
        end
    end
end)

chat.print("greeter is here")
