-- A broadcast reaches every user once, including its sender. Users who log in later get the ones
-- they missed.

local play = require("play")
local alice, bob = play.enter("alice"), play.enter("bob")

alice.broadcast("lunch?")
play.sees(bob, "broadcast", { from = "alice", text = "lunch?", own = false })
play.sees(alice, "broadcast", { text = "lunch?", own = true })

-- Carol comes later.
local carol = play.enter("carol")
play.sees(carol, "broadcast", { from = "alice", text = "lunch?" })

-- Each of them once.
bob.broadcast("in ten minutes")
for _, actor in { alice, bob, carol } do
    play.sees(actor, "broadcast", { from = "bob" })
    play.sees_nothing(actor, "broadcast", nil, 0.3)
end

-- A user does not see the broadcasts of a blocked user.
carol.block("bob")
bob.broadcast("now")
play.sees(alice, "broadcast", { text = "now" })
play.sees_nothing(carol, "broadcast", { text = "now" }, 0.3)

chat.print("broadcasts reach everybody: as told")
