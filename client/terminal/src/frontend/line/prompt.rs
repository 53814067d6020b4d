//! The text of the prompt: the target of the line, and the state of the links.

use letschat_commands::render;
use letschat_core::session::Typing;
use letschat_core::view::{ChatState, LinkState, SessionState};

use super::prompt_state::Attempt;

/// Returns the prompt: `→ bob> ` for a line to a chat, `letschat> ` for a command, with a mark if a link is
/// down. No message begins with an arrow, so the prompt can't be read as a speaker.
pub(in crate::frontend) fn prompt(
    session: &SessionState,
    target: &Typing,
    attempt: Attempt,
) -> String {
    let conversation = target.conversation();
    let name = conversation.map_or("letschat".to_owned(), |target| format!("→ {target}"));
    let target = target.chat();
    let mark = match (target.map(|target| session.chats.get(target)), session.link) {
        (None, LinkState::Waiting) if attempt.number > 0 => {
            let Attempt { number, at_ms } = attempt;
            return format!("{name} · attempt {number} at {}> ", render::time_of_day(at_ms));
        }
        (Some(None), LinkState::LoggedIn) => " · no chat",
        (Some(Some(ChatState::Interrupted)), _) => " · reconnecting",
        (_, LinkState::LoggedIn) => "",
        (_, LinkState::Connected) => " · not logged in",
        (_, LinkState::Waiting) => " · reconnecting",
        (_, LinkState::Connecting) => " · connecting",
        (_, LinkState::Offline) => " · offline",
    };
    format!("{name}{mark}> ")
}

/// Says that a line keeps its target although the current conversation has changed.
pub(in crate::frontend) fn place(target: &Typing) -> String {
    match target.conversation() {
        Some(name) => format!("This line still goes to {name}."),
        None => "This line is still a command.".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use letschat_protocol::username::Username;

    fn shown(link: LinkState, chats: &[&str], target: Option<&str>) -> String {
        let name = |name: &str| name.parse::<Username>().unwrap();
        let chats = chats.iter().map(|chat| (name(chat), ChatState::Open)).collect();
        let session = SessionState { link, chats, ..SessionState::default() };
        let target = target.map_or(Typing::Commands, |target| Typing::Chat(name(target)));
        prompt(&session, &target, Attempt { number: 3, at_ms: 0 })
    }

    #[test]
    fn it_says_where_a_line_goes_and_what_is_amiss() {
        assert_eq!(shown(LinkState::LoggedIn, &[], None), "letschat> ");
        let attempt = shown(LinkState::Waiting, &[], None);
        assert_eq!(attempt, format!("letschat · attempt 3 at {}> ", render::time_of_day(0)));
        assert_eq!(shown(LinkState::Waiting, &["bob"], Some("bob")), "→ bob · reconnecting> ");
        assert_eq!(shown(LinkState::Offline, &[], None), "letschat · offline> ");
        assert_eq!(shown(LinkState::LoggedIn, &["bob"], Some("bob")), "→ bob> ");
        assert_eq!(shown(LinkState::LoggedIn, &["bob"], None), "letschat> ");
        assert_eq!(shown(LinkState::Offline, &["bob"], Some("bob")), "→ bob · offline> ");
        assert_eq!(shown(LinkState::LoggedIn, &[], Some("bob")), "→ bob · no chat> ");
        assert_eq!(shown(LinkState::Waiting, &[], Some("bob")), "→ bob · reconnecting> ");
    }
}
