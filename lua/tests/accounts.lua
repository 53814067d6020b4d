-- Names and passwords: which are refused, and why.

local play = require("play")
local alice = chat.client { as = "alice" }

play.fails("password_weak", alice.signup, { username = "alice", password = "short" })
play.fails("bad_arguments", alice.signup, "alice", { pasword = "correct horse battery" })
alice.signup { username = "alice", password = play.PASSWORD }
play.fails("name_taken", alice.signup, { username = "alice", password = play.PASSWORD })
play.fails("not_logged_in", alice.list)
play.fails("wrong_password", alice.login, { username = "alice", password = "wrong horse battery" })
alice.login { username = "alice", password = play.PASSWORD }
play.expect(alice.status().username == "alice", "alice logged in")

-- From now on her key is enough.
alice.leave()
alice.login("alice")
play.sees(alice, "logged_in", { by = "key" })

chat.print("accounts: as told")
