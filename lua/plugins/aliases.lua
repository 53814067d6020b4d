-- Short names for frequent texts.
--
--   /alias brb Be right back.
--   brb                      (in a chat: says "Be right back.")
--   /alias brb -             forgets it
--   /alias                   shows them all

local function all()
    return chat.store.get("aliases") or {}
end

chat.filter("send", function(message)
    local text = all()[message.text]
    return text and { text = text } or nil
end, { priority = -10 })

chat.command {
    name = "alias",
    parameters = { "[word]", "[text...]" },
    summary = "Send TEXT whenever WORD is all that is typed; - forgets it.",
    run = function(arguments)
        local aliases = all()
        if not arguments.word then
            local lines = {}
            for word, text in aliases do
                table.insert(lines, word .. ": " .. text)
            end
            table.sort(lines)
            return #lines > 0 and table.concat(lines, "\n") or "There are no aliases."
        end
        if not arguments.text then
            return aliases[arguments.word] or "There is no such alias."
        end
        aliases[arguments.word] = arguments.text ~= "-" and arguments.text or nil
        chat.store.set("aliases", aliases)
        return aliases[arguments.word] and arguments.word .. " is: " .. arguments.text
            or arguments.word .. " is forgotten."
    end,
}
