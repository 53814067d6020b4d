//! The picture, at every size and with whatever people say.

use letschat_core::conversation::{ConversationId, Via};
use letschat_core::event::{Event, KeyState};
use letschat_core::session::Typing;
use letschat_core::view::{ChatState, LinkState, SessionState};
use letschat_protocol::message_id::MessageId;
use proptest::prelude::*;

use super::super::bindings::KeyBindings;
use super::super::model::Note;
use super::super::overlay::{Choices, Found, Overlay};
use super::*;
use crate::frontend::line::theme::{ColorChoice, Theme, ThemeName};
use crate::line_editor::Key;
use letschat_settings::notify::NotifyOf;

const ROOMY: (u16, u16) = (100, 16);

fn person(name: &str) -> ConversationId {
    ConversationId::Person(name.parse().unwrap())
}

fn message(with: &str, number: u64, own: bool, text: &str) -> Event {
    Event::Message {
        from: if own { "alice" } else { with }.parse().unwrap(),
        number: Some(number),
        text: text.into(),
        time_ms: number * 1_000,
        sent_ms: number * 1_000,
        conversation: person(with),
        id: MessageId::of_broadcast(1, number),
        own,
        device: None,
        via: Via::Direct,
    }
}

/// Returns alice's view, with a chat with bob.
fn view() -> View {
    let mut view = View::default();
    let bob: letschat_protocol::username::Username = "bob".parse().unwrap();
    view.apply(&Event::State(Box::new(SessionState {
        link: LinkState::LoggedIn,
        username: Some("alice".parse().unwrap()),
        typing: Typing::Chat(bob.clone()),
        chats: [(bob.clone(), ChatState::Open)].into(),
        requests: ["carol".parse().unwrap()].into(),
        ..SessionState::default()
    })));
    view.apply(&Event::People(["alice", "bob", "carol"].map(|name| name.parse().unwrap()).into()));
    view.apply(&Event::Request {
        from: "carol".parse().unwrap(),
        kind: RequestKind::Chat,
        group: None,
        address: Some("10.0.0.3".into()),
        fingerprint: "ab".repeat(32),
        key: KeyState::New,
        time_ms: 1,
    });
    view
}

/// Draws at this size. Returns the rows.
fn drawn(
    view: &View,
    model: &mut Model,
    input: &Input,
    (width, height): (u16, u16),
) -> Vec<String> {
    let mut buffer = Buffer::empty(Rect { x: 0, y: 0, width, height });
    let notify = Notify { of: NotifyOf::All, shows_text: false, words: Vec::new() };
    let palette = Palette::new(Theme::new(ThemeName::Both, ColorChoice::Always, false));
    let bindings = Bindings::new(&KeyBindings::default());
    let (bindings, notify) = (&bindings, &notify);
    let status = "alice, at the server";
    let mut picture = Picture { view, model, input, status, palette, bindings, notify };
    let cursor = picture.draw(&mut buffer);
    assert!(cursor.x < width.max(1) && cursor.y < height.max(1), "{cursor:?}");
    let rows = buffer.content().chunks(usize::from(width).max(1));
    let rows = rows.map(|row| row.iter().map(|cell| cell.symbol()).collect::<String>());
    rows.map(|row| row.trim_end().to_owned()).collect()
}

fn shows(rows: &[String], text: &str) -> bool {
    rows.iter().any(|row| row.contains(text))
}

#[test]
fn everything_has_its_place() {
    let (mut view, mut model) = (view(), Model::default());
    view.apply(&message("bob", 1, false, "hello, alice"));
    view.apply(&message("dave", 2, false, "are you there?"));
    model.show(Some(person("bob")), &view);
    let input =
        Input { prompt: "→ bob> ".into(), text: "typed".into(), cursor: 5, ..Input::default() };
    let rows = drawn(&view, &mut model, &input, ROOMY);
    for text in ["letschat", "dave               1", "bob: hello, alice", "3 here", "1970-01-0"] {
        assert!(shows(&rows, text), "{text}: {rows:#?}");
    }
    assert!(!shows(&rows, "are you there?"));
    let [.., request, status, line] = &rows[..] else { panic!() };
    assert!(request.starts_with("alt+y approves, alt+n denies: carol asks for a chat"));
    assert_eq!((status.as_str(), line.as_str()), ("alice, at the server", "→ bob> typed"));
}

#[test]
fn new_messages_begin_below_a_line() {
    let (mut view, mut model) = (view(), Model::default());
    view.apply(&message("bob", 1, false, "read"));
    model.show(Some(person("bob")), &view);
    model.show(None, &view);
    view.apply(&message("bob", 2, false, "unread"));
    model.show(Some(person("bob")), &view);
    let rows = drawn(&view, &mut model, &Input::default(), ROOMY);
    let place = |text: &str| rows.iter().position(|row| row.contains(text)).unwrap();
    assert!(place("bob: read") < place("- new -") && place("- new -") < place("bob: unread"));
}

#[test]
fn scrolling_ends_at_the_first_row() {
    let (mut view, mut model) = (view(), Model::default());
    for number in 0..50 {
        view.apply(&message("bob", number, false, &format!("line {number}.")));
    }
    model.show(Some(person("bob")), &view);
    model.scroll = 1_000;
    let rows = drawn(&view, &mut model, &Input::default(), ROOMY);
    assert!(shows(&rows, "line 0.") && !shows(&rows, "line 49."), "{rows:#?}");
    model.scroll -= 1;
    assert!(!shows(&drawn(&view, &mut model, &Input::default(), ROOMY), "1970-01-0"));
    model.scroll = 0;
    assert!(shows(&drawn(&view, &mut model, &Input::default(), ROOMY), "line 49."));
}

#[test]
fn scrolled_text_stays_where_it_is_when_messages_come() {
    let (mut view, mut model) = (view(), Model::default());
    let say = |view: &mut View, number| {
        view.apply(&message("bob", number, false, &format!("line {number}.")));
    };
    (0..50).for_each(|number| say(&mut view, number));
    model.show(Some(person("bob")), &view);
    drawn(&view, &mut model, &Input::default(), ROOMY);
    model.note_seen(&view);
    model.scroll = 20;
    let before = drawn(&view, &mut model, &Input::default(), ROOMY);
    (50..57).for_each(|number| say(&mut view, number));
    let after = drawn(&view, &mut model, &Input::default(), ROOMY);
    assert_eq!(before[2..], after[2..]);
    assert!(shows(&after, "bob, 27 rows above the end, 7 new"), "{after:#?}");
}

#[test]
fn found_message_is_scrolled_to() {
    let (mut view, mut model) = (view(), Model::default());
    for number in 0..100 {
        view.apply(&message("bob", number, false, &format!("line {number}.")));
    }
    let hits = model.hits("line 30.", &view);
    model.show(Some(person("bob")), &view);
    model.reveal = Some(hits[0].id);
    let rows = drawn(&view, &mut model, &Input::default(), ROOMY);
    assert!(shows(&rows, "line 30.") && !shows(&rows, "line 99."), "{rows:#?}");
}

#[test]
fn list_of_conversations_shows_the_present_one_and_takes_clicks() {
    let (mut view, mut model) = (view(), Model::default());
    for number in 0..60 {
        view.apply(&message(&format!("user{number}"), number, false, "hello"));
    }
    model.show(Some(person("user3")), &view);
    let rows = drawn(&view, &mut model, &Input::default(), ROOMY);
    let at = rows.iter().position(|row| row.starts_with("user3 ")).unwrap();
    assert_eq!(model.list[at], Some(person("user3")));
    assert!(model.list.len() < ROOMY.1.into(), "rows below the list are not in it");
    drawn(&view, &mut model, &Input::default(), (40, 16));
    assert!(model.list.is_empty(), "a narrow window has no list");
}

#[test]
fn long_question_is_shown_to_its_end() {
    let (view, mut model) = (view(), Model::default());
    let prompt = format!("{} Your password: ", "All your other devices are given up. ".repeat(4));
    let input = Input { prompt, ..Input::default() };
    let rows = drawn(&view, &mut model, &input, (60, 16)).concat();
    assert!(rows.contains("Your password:"), "{rows}");
}

#[test]
fn states_of_keys_are_beside_the_names() {
    let (mut view, mut model) = (view(), Model::default());
    let keys = [("bob", KeyState::Verified), ("carol", KeyState::Changed)];
    let keys = keys.map(|(name, state)| (name.parse().unwrap(), state)).into();
    let team: letschat_protocol::groups::GroupName = "#team".parse().unwrap();
    let members = ["alice", "bob", "dave"].map(|name| name.parse().unwrap()).to_vec();
    let groups = [(team.clone(), members)].into();
    let contacts = letschat_core::view::Contacts { keys, groups, ..Default::default() };
    view.apply(&Event::Contacts(Box::new(contacts)));
    let end_of = |rows: &[String], name: &str| {
        let row =
            rows.iter().find_map(|row| row.split("| ").last().filter(|row| row.starts_with(name)));
        row.map(|row| row.trim_start_matches(name).trim().to_owned())
    };
    let rows = drawn(&view, &mut model, &Input::default(), ROOMY);
    let states = ["alice", "bob", "carol"].map(|name| end_of(&rows, name));
    assert_eq!(states, ["", "\u{2713}", "!"].map(|state| Some(state.to_owned())));
    model.show(Some(ConversationId::Group(team)), &view);
    let rows = drawn(&view, &mut model, &Input::default(), ROOMY);
    assert!(shows(&rows, "3 members"), "{rows:#?}");
    assert_eq!(end_of(&rows, "dave"), Some("?".into()));
}

#[test]
fn warning_of_another_conversation_marks_it() {
    let (mut view, mut model) = (view(), Model::default());
    view.apply(&message("bob", 1, true, "hello"));
    model.note(Note {
        time_ms: 2,
        kind: Kind::Warning,
        text: "The chat with bob has ended.".into(),
        conversation: Some(person("bob")),
    });
    let rows = drawn(&view, &mut model, &Input::default(), ROOMY);
    assert!(shows(&rows, "bob                !"), "{rows:#?}");
    assert_eq!(model.next_unread(&view), Some(person("bob")));
    model.show(Some(person("bob")), &view);
    assert!(!shows(&drawn(&view, &mut model, &Input::default(), ROOMY), "bob                !"));
}

#[test]
fn way_of_a_message_is_told_when_it_changes() {
    let (mut view, mut model) = (view(), Model::default());
    for (number, via) in [(1, Via::Direct), (2, Via::Direct), (3, Via::Server)] {
        let Event::Message { from, text, conversation, id, .. } =
            message("bob", number, false, &format!("text {number}"))
        else {
            return;
        };
        view.apply(&Event::Message {
            from,
            number: None,
            text,
            time_ms: number,
            sent_ms: number,
            conversation,
            id,
            own: false,
            device: None,
            via,
        });
    }
    model.show(Some(person("bob")), &view);
    let rows = drawn(&view, &mut model, &Input::default(), ROOMY);
    assert!(shows(&rows, "text 1 (direct)") && shows(&rows, "text 3 (by the server)"), "{rows:#?}");
    assert!(!shows(&rows, "text 2 (direct)"));
}

#[test]
fn messages_of_the_history_are_not_unread() {
    let (mut view, mut model) = (view(), Model::default());
    let old = letschat_core::history::HistoryMessage::of(&message("dave", 1, false, "long ago"));
    view.apply(&Event::History(old.into_iter().collect()));
    assert_eq!(model.unread(&person("dave"), &view), 0);
    view.apply(&message("dave", 2, false, "now"));
    assert_eq!(model.unread(&person("dave"), &view), 1);
    model.show(Some(person("dave")), &view);
    let rows = drawn(&view, &mut model, &Input::default(), ROOMY);
    assert!(shows(&rows, "long ago") && shows(&rows, "now"), "{rows:#?}");
}

#[test]
fn file_is_shown_with_the_way_to_get_it() {
    let (mut view, mut model) = (view(), Model::default());
    let id = MessageId::of_broadcast(1, 7);
    view.apply(&Event::FileOffered {
        file: Box::new(letschat_core::event::FileShown {
            id,
            conversation: person("bob"),
            from: "bob".parse().unwrap(),
            own: false,
            to: None,
            name: letschat_protocol::files::name::FileName::reduced("photo.jpg"),
            size: 2_000,
        }),
        time_ms: 1,
        sent_ms: 1,
        device: None,
        via: Via::Direct,
    });
    model.show(Some(person("bob")), &view);
    let rows = drawn(&view, &mut model, &Input::default(), ROOMY);
    assert!(shows(&rows, "bob: the file photo.jpg, 2.0 kB. `/file get "), "{rows:#?}");
}

proptest! {
    /// No size and no text breaks the picture or puts a control character into it.
    #[test]
    fn any_window_shows_anything(
        size in (1_u16..300, 1_u16..100),
        texts in prop::collection::vec("(\\PC|[a-z \n\t]|\u{202e}|\u{200d}|👩|日|é|א|\u{301}|\u{7}){0,80}", 1..6),
        typed in "([a-z]|日|👩|\n){0,60}",
        scroll in 0_usize..100,
        overlay in 0_usize..4,
        is_bare in any::<bool>(),
    ) {
        let (mut view, mut model) = (view(), Model::default());
        for (number, text) in texts.iter().enumerate() {
            view.apply(&message("bob", number as u64, number % 2 == 0, text));
            model.note(Note {
                time_ms: number as u64,
                kind: Kind::Server,
                text: text.clone(),
                conversation: Some(person("bob")),
            });
        }
        model.show(Some(person("bob")), &view);
        model.scroll = scroll;
        model.is_bare = is_bare;
        model.overlay = match overlay {
            0 => Overlay::None,
            1 => Overlay::Help(3),
            2 => {
                let mut choices = Choices::of(model.jumps("b", &view));
                choices.press(&Key::Down);
                Overlay::Jump(choices)
            }
            _ => {
                let hits = model.hits(&texts[0], &view).into_iter().map(Found::Message);
                let mut choices = Choices::of(hits.chain([Found::History]).collect());
                choices.letters.clone_from(&texts[0]);
                Overlay::Search(choices)
            }
        };
        let cursor = typed.char_indices().map(|(at, _)| at).nth(typed.chars().count() / 2);
        let input = Input {
            prompt: texts[0].clone(),
            cursor: cursor.unwrap_or(typed.len()),
            text: typed,
            hint: texts[0].clone(),
            list: texts.clone(),
        };
        for row in drawn(&view, &mut model, &input, size) {
            let is_hostile = |letter: char| letter.is_control() || letter == '\u{202e}';
            prop_assert!(!row.contains(is_hostile), "{row:?}");
        }
    }
}
