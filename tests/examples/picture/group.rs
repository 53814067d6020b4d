//! Alice founds a group, invites two people, and removes one of them. The other leaves.

use letschat_tests::person::{Person, Window};
use letschat_tests::server::TestServer;
use vt100::Screen;

use crate::online;

const ALICES: Window = Window { rows: 21, columns: 100 };
const BOBS: Window = Window { rows: 15, columns: 100 };
const CAROLS: Window = Window { rows: 16, columns: 100 };

/// Returns the final screens of Alice, Bob and Carol.
pub(crate) fn play() -> [(String, Screen); 3] {
    let server = TestServer::start(&[]);
    let clients = online::sign_up(&server, ["alice", "bob", "carol"]);
    let [alice, bob, carol] = clients.map(online::leave);
    let alice = online::log_in(&server, "alice", alice, ALICES);
    let bob = online::log_in(&server, "bob", bob, BOBS);
    let carol = online::log_in(&server, "carol", carol, CAROLS);
    alice.types("group create team");
    alice.sees("#team is founded.");
    invites(&alice, &bob, &[&alice, &bob]);
    invites(&alice, &carol, &[&alice, &bob, &carol]);
    they_talk(&alice, &bob, &carol);
    removes(&alice, &bob, &carol);
    online::windows([&alice, &bob, &carol])
}

/// Invites somebody, who approves. All members see it.
fn invites(alice: &Person, invited: &Person, members: &[&Person]) {
    alice.is_prompted("letschat> ");
    alice.types(&format!("group invite team {}", invited.name));
    invited.sees("alice invites you to #team.");
    invited.is_prompted("letschat> ");
    invited.types("approve");
    for member in members {
        member.sees(&format!("#team: {} has joined.", invited.name));
        member.is_prompted("letschat> ");
    }
}

fn they_talk(alice: &Person, bob: &Person, carol: &Person) {
    alice.types("switch #team");
    alice.is_prompted("→ #team> ");
    alice.types("lunch at noon?");
    all_see(&[bob, carol], "#team alice: lunch at noon?");
    for (speaker, text, others) in
        [(bob, "gladly", [alice, carol]), (carol, "me too", [alice, bob])]
    {
        speaker.is_prompted("letschat> ");
        speaker.types(&format!("send #team {text}"));
        speaker.sees(&format!("you → #team: {text}"));
        all_see(&others, &format!("#team {}: {text}", speaker.name));
    }
}

/// Removes Bob, who gets nothing that is said in the group afterwards, not even word of the removal.
fn removes(alice: &Person, bob: &Person, carol: &Person) {
    alice.is_prompted("→ #team> ");
    alice.types("/group remove team bob");
    all_see(&[alice, carol], "#team: alice has removed bob.");
    alice.is_prompted("→ #team> ");
    alice.types("a cake for Bob?");
    carol.sees("#team alice: a cake for Bob?");
    alice.is_prompted("→ #team> ");
    // This arrives after anything that Alice has sent before.
    alice.types("/send bob see you at noon");
    alice.sees("you → bob: see you at noon");
    bob.sees("alice: see you at noon");
    assert!(!bob.screen().contains("cake"), "{}", bob.screen());
    carol.is_prompted("letschat> ");
    carol.types("group leave team");
    alice.sees("#team: carol has left.");
    alice.is_prompted("→ #team> ");
    bob.is_prompted("letschat> ");
    carol.is_prompted("letschat> ");
}

fn all_see(people: &[&Person], words: &str) {
    people.iter().for_each(|person| person.sees(words));
}
