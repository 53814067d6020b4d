-- Calls every command and prints the fields of the replies with their types, a line for each table:
-- COMMAND PATH FIELD:TYPE,FIELD:TYPE
-- The argument is the path of a file to send, in a folder that --files names.
local PASSWORD = "correct horse battery"

local function show(command, path, value)
    local fields = {}
    for name, inner in value do
        table.insert(fields, `{name}:{type(inner)}`)
    end
    table.sort(fields)
    print(command, path, table.concat(fields, ","))
    for name, inner in value do
        if type(inner) == "table" then
            show(command, if type(name) == "number" then `{path}[]` else `{path}.{name}`, inner)
        end
    end
end

local function call(actor, command, ...)
    show(command, "reply", actor[command](...))
end

local function enter(data)
    local actor = chat.client { data = data }
    call(actor, "status")
    return actor
end

local alice, bob, carol = enter(), enter(), enter()
for name, actor in { alice = alice, bob = bob, carol = carol } do
    call(actor, "signup", { username = name, password = PASSWORD })
    call(actor, "login", { username = name, password = PASSWORD })
end
call(alice, "help")
call(alice, "help", "say")
call(alice, "watch")
call(alice, "watch", "on")
call(alice, "block", "carol")
call(alice, "block")
call(alice, "block", "carol", { off = true })
call(alice, "list")
call(alice, "broadcast", "hello")
call(alice, "passwd", { password = PASSWORD, new_password = PASSWORD .. "!" })

-- A chat from its request to its end. It shows both sides' states before it opens and while it is open.
local function ask(caller, who)
    return chat.spawn(function()
        local ok, reply = pcall(caller.connect, who)
        if ok then
            show("connect", "reply", reply)
        end
        caller.answered = true
    end)
end
local function answered(caller)
    while not caller.answered do
        chat.sleep(0.01)
    end
    caller.answered = nil
end

ask(alice, "bob")
bob.wait("request")
call(alice, "status")
call(bob, "status")
call(bob, "approve", "alice")
answered(alice)
call(alice, "say", "hello")
call(alice, "send", "bob", "hello")
call(alice, "switch", "bob")
call(alice, "verify", "bob")
call(alice, "verify", "bob", { matches = true })
call(alice, "status")
call(alice, "detach")
call(alice, "status")
call(alice, "disconnect", "bob")
call(alice, "login", "alice")

ask(alice, "carol")
carol.wait("request")
call(carol, "deny", "alice")
answered(alice)
ask(alice, "carol")
carol.wait("request")
call(alice, "cancel", "carol")
answered(alice)

-- The history, which --history has this script keep.
call(bob, "history")
call(bob, "history", "search", "hello")
call(bob, "history", "search", { text = "never said" })
call(bob, "history", "show", "alice")
call(bob, "history", "passphrase", { password = PASSWORD })
call(bob, "history", "unlock")
call(bob, "history", "forget", "alice")
call(bob, "history", "forget")

-- A group.
call(alice, "group", "create", "team")
call(alice, "group", "invite", "team", "carol")
carol.wait("request", { kind = "group" })
call(carol, "groups")
call(carol, "approve", "#team")
alice.wait("group_changed", { change = "joined" })
call(alice, "group", "members", "team")
call(alice, "send", "#team", "hello")

-- A file for the group.
call(alice, "files")
call(alice, "file", "send", "#team", chat.arguments[1])
local offered = carol.wait("file_offered")
call(carol, "files")
call(carol, "file", "get", offered.id)
carol.wait("file_done")
call(alice, "files")
call(carol, "files")
call(carol, "file", "cancel", offered.id)
call(carol, "group", "leave", "team")

-- Bob returns with another key.
call(bob, "leave")
call(bob, "quit")
local again = enter()
again.login { username = "bob", password = PASSWORD }
call(again, "devices")
call(again, "recover", { password = PASSWORD })
assert(not pcall(alice.connect, "bob"), "a changed key is refused")
call(alice, "trust", "bob")

-- A second device of Alice.
local laptop = enter()
laptop.login { username = "alice", password = PASSWORD .. "!" }
alice.wait("device_waiting")
call(alice, "devices")
call(alice, "device", "approve", laptop.devices().code)
for _, device in alice.devices().devices do
    if not device.this then
        call(alice, "device", "remove", device.key)
    end
end
print("complete")
