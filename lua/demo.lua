-- Plays a part of the demo, as in `letschat --script lua/demo.lua alice`.
--
-- scripts/demo.sh acts on lines of these forms, and shows all others:
--
--   begins: STEP   a step begins
--   done           it went as told
--   failed: WHY    it did not, and the part is over
--   cue: WHAT      a thing that no script can do, in the words that demo.sh has for it
--   end            the last step is done

chat.on("message", function(message)
    local group = if string.sub(message.conversation, 1, 1) == "#" then message.conversation .. " " else ""
    print(group .. message.from .. ": " .. message.text)
end)
chat.on("broadcast", function(broadcast)
    if not broadcast.own then
        print(broadcast.from .. " to all: " .. broadcast.text)
    end
end)
for _, event in { "disconnected", "retrying", "group_changed", "file_offered", "file_done", "file_failed" } do
    chat.on(event, function(told)
        print(told.message)
    end)
end

-- A part is a list of cues and of steps. A step is a name, a function and its arguments.
for _, step in require("demo/" .. chat.arguments[1]) do
    if step.cue then
        print("cue: " .. step.cue)
        continue
    end
    print("begins: " .. step[1])
    local ok, why = pcall(table.unpack(step, 2))
    if not ok then
        print("failed: " .. tostring(why))
        chat.exit(1)
    end
    print("done")
end
print("end")
chat.quit()
