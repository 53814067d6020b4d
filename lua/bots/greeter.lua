-- Welcomes by a broadcast those who come, each once in a while.
--
--   letschat --as greeter --script greeter.lua [TEXT...]
--
-- NAME in the text stands for who came.

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
    -- Of a crowd only the number is told, and nobody is welcomed.
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
