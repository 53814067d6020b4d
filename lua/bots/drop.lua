-- Collects the files of some people.
--
--   letschat --return-after-idle --as drop --files DIR --script drop.lua NAME...
--
-- It lets the people named write to it, saves each file that they offer in DIR, and tells them when that is done or
-- why it failed. Nobody else is answered.

local MOST_BYTES = 4 * 1024 ^ 3 -- of one file

-- Reasons for the sender. The client's own sentences may name folders of this machine.
local REASONS = {
    disk_full = "my disk is full",
    file_changed = "it has changed since you offered it",
    file_forbidden = "I have no folder for files",
    file_invalid = "what came is not what you offered",
    file_over = "you do not offer it any more",
}

local function usage()
    chat.print("usage: drop.lua NAME...")
    chat.exit(2)
end

local listed = {}
for _, name in chat.arguments do
    if string.sub(name, 1, 1) == "-" then
        usage()
    end
    listed[string.lower(name)] = true
end
if not next(listed) then
    usage()
end

if chat.status().state ~= "logged_in" then
    chat.login()
end
-- Another device of this account may offer files, too.
listed[chat.status().username] = nil

local function tell(name, text)
    local ok, failure = pcall(chat.send, name, text)
    if not ok then
        chat.log("warn", "nothing can be said to " .. name .. ": " .. tostring(failure))
    end
end

local function give_up(file, reason)
    chat.print(file.from .. ": " .. file.name .. " is not saved: " .. reason)
    tell(file.from, file.name .. " is not saved: " .. reason .. ".")
end

local function approve(name)
    if not listed[name] then
        return
    end
    local ok, failure = pcall(chat.approve, name)
    if not ok then
        chat.log("warn", "no messages from " .. name .. ": " .. tostring(failure))
    end
end

-- The offers that were dealt with. One that comes at the start is in the client's list, and an event as well.
local taken = {}

local function take(file)
    if not listed[file.from] or taken[file.id] then
        return
    end
    taken[file.id] = true
    if file.size > MOST_BYTES then
        give_up(file, "I take files of at most " .. MOST_BYTES / 1024 ^ 3 .. " GiB")
        -- Otherwise it is in the list again at the next start.
        pcall(chat.file, "cancel", file.id)
        return
    end
    local ok, failure = pcall(chat.file, "get", file.id)
    if not ok then
        chat.log("warn", tostring(failure))
        give_up(file, REASONS[failure.code] or failure.code)
    end
end

chat.on("request", function(request)
    if request.kind == "message" then
        approve(request.from)
    end
end)

chat.on("file_offered", take)

chat.on("file_done", function(file)
    if listed[file.from] then
        chat.print(file.from .. ": " .. file.name .. ", " .. file.size .. " bytes, is saved as " .. file.path)
        tell(file.from, file.name .. " is saved.")
    end
end)

chat.on("file_failed", function(file)
    if listed[file.from] then
        chat.log("warn", file.message)
        give_up(file, REASONS[file.code] or file.code)
    end
end)

-- What came while it was away.
for _, name in chat.status().requests do
    approve(name)
end
for _, file in chat.files() do
    if file.state == "offered" then
        take(file)
    end
end

chat.print("drop is here")
