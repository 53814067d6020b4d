//! What stands before the line: where it goes, and what is amiss.

use std::borrow::Cow;

use letschat_protocol::username::Username;
use nu_ansi_term::Color;
use reedline::{
    Prompt, PromptEditMode, PromptHistorySearch, PromptHistorySearchStatus as SearchStatus,
};

use super::theme::{Kind, Theme};
use letschat_core::session::Typing;
use letschat_core::view::{ChatState, LinkState, SessionState};

/// A prompt: `bob> ` in a chat, `letschat> ` elsewhere, with a mark if something is amiss.
pub(crate) struct LinePrompt {
    text: String,
    color: Color,
}

impl LinePrompt {
    /// The prompt of a line that goes to a chat, nowhere, or is a command.
    pub(super) fn new(session: &SessionState, target: &Typing, theme: Theme) -> LinePrompt {
        let target = target.chat();
        let name = target.map_or("letschat", Username::as_str);
        let mark = match (target.map(|target| session.chats.get(target)), session.link) {
            (Some(None), _) => " (over)",
            (Some(Some(ChatState::Interrupted)), _) => " (interrupted)",
            (_, LinkState::LoggedIn) => "",
            (_, LinkState::Connected) => " (not logged in)",
            (_, LinkState::Waiting) => " (waiting)",
            (_, LinkState::Connecting) => " (connecting)",
            (_, LinkState::Offline) => " (offline)",
        };
        LinePrompt::question(format!("{name}{mark}> "), theme)
    }

    /// Any text as a prompt.
    pub(crate) fn question(text: String, theme: Theme) -> LinePrompt {
        let color = theme.style(Kind::Prompt).foreground.unwrap_or(Color::Default);
        LinePrompt { text, color }
    }

    /// Nothing at all.
    pub(super) fn blank() -> LinePrompt {
        LinePrompt { text: String::new(), color: Color::Default }
    }
}

impl Prompt for LinePrompt {
    fn render_prompt_left(&self) -> Cow<'_, str> {
        Cow::Borrowed(&self.text)
    }

    fn render_prompt_right(&self) -> Cow<'_, str> {
        Cow::Borrowed("")
    }

    fn render_prompt_indicator(&self, _: PromptEditMode) -> Cow<'_, str> {
        Cow::Borrowed("")
    }

    fn render_prompt_multiline_indicator(&self) -> Cow<'_, str> {
        Cow::Borrowed("| ")
    }

    fn render_prompt_history_search_indicator(&self, search: PromptHistorySearch) -> Cow<'_, str> {
        let failing = match search.status {
            SearchStatus::Passing => "",
            SearchStatus::Failing => "no ",
        };
        Cow::Owned(format!("({failing}earlier line with `{}`) ", search.term))
    }

    fn get_prompt_color(&self) -> Color {
        self.color
    }

    fn get_prompt_multiline_color(&self) -> Color {
        self.color
    }
}

#[cfg(test)]
mod tests {
    use super::super::theme::{ColorChoice, ThemeName};
    use super::*;

    fn shown(link: LinkState, chats: &[&str], target: Option<&str>) -> String {
        let name = |name: &str| name.parse::<Username>().unwrap();
        let chats = chats.iter().map(|chat| (name(chat), ChatState::Open)).collect();
        let session = SessionState { link, chats, ..SessionState::default() };
        let theme = Theme::new(ThemeName::Plain, ColorChoice::Never, true);
        let target = target.map_or(Typing::Commands, |target| Typing::Chat(name(target)));
        LinePrompt::new(&session, &target, theme).text
    }

    #[test]
    fn it_says_where_a_line_goes_and_what_is_amiss() {
        assert_eq!(shown(LinkState::LoggedIn, &[], None), "letschat> ");
        assert_eq!(shown(LinkState::Waiting, &[], None), "letschat (waiting)> ");
        assert_eq!(shown(LinkState::Offline, &[], None), "letschat (offline)> ");
        assert_eq!(shown(LinkState::LoggedIn, &["bob"], Some("bob")), "bob> ");
        assert_eq!(shown(LinkState::LoggedIn, &["bob"], None), "letschat> ");
        assert_eq!(shown(LinkState::Offline, &["bob"], Some("bob")), "bob (offline)> ");
        assert_eq!(shown(LinkState::LoggedIn, &[], Some("bob")), "bob (over)> ");
    }
}
