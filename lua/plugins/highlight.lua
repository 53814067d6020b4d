-- Marks chosen words in the messages of others.
--
--   /highlight deploy      marks *deploy*
--   /highlight deploy off  no more
--   /highlight             shows them all

local words = chat.store.get("words") or {}

local function marked(text)
    for word in words do
        -- Letters match in either case; other characters match themselves.
        local pattern = string.gsub(word, "[%^%$%(%)%%%.%[%]%*%+%-%?]", "%%%0")
        pattern = string.gsub(pattern, "%a", function(letter)
            return "[" .. string.lower(letter) .. string.upper(letter) .. "]"
        end)
        text = string.gsub(text, "%f[%w]" .. pattern .. "%f[%W]", "*%0*")
    end
    return text
end

chat.filter("show", function(message)
    local text = marked(message.text)
    if text ~= message.text then
        chat.bell()
        return { text = text }
    end
    return nil
end, { priority = 10 })

chat.command {
    name = "highlight",
    parameters = { "[word]", "[off]" },
    summary = "Mark WORD wherever somebody says it; `off` ends that.",
    run = function(arguments)
        local word = arguments.word
        if arguments.off and arguments.off ~= "off" then
            return "A word is marked alone; `/highlight " .. word .. " off` ends that."
        end
        if word == "off" then
            return "`/highlight WORD off` ends WORD."
        end
        if word then
            words[word] = not arguments.off or nil
            chat.store.set("words", words)
        end
        local list = {}
        for known in words do
            table.insert(list, known)
        end
        table.sort(list)
        return #list > 0 and "Marked: " .. table.concat(list, ", ") or "No words are marked."
    end,
}
