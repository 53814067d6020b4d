use super::*;
use letschat_core::conversation::LinkPath;
use serde_json::json;

fn bob() -> Username {
    "bob".parse().unwrap()
}

fn login_ended(why: Failure, told: bool) -> Event {
    let code = why.code();
    Event::Error { code, trouble: Trouble::LoginEnded { why, told, username: Some(bob()) } }
}

#[test]
fn servers_words_become_a_sentence() {
    let said = Failure::refused(FailureCode::Banned, "that account is banned");
    assert_eq!(failure(&said), "That account is banned.");
    let several = Failure::Refused {
        code: FailureCode::Ambiguous,
        said: "several clients are there".into(),
        choices: vec!["alice".into(), "bob".into()],
    };
    assert_eq!(failure(&several), "Several clients are there. There are: alice; bob.");
}

#[test]
fn lost_answer_is_told_with_its_reason() {
    let lost = Failure::Unanswered(Box::new(Failure::Cancelled(Cancel::LeftServer)));
    assert_eq!(lost.code(), FailureCode::Cancelled);
    assert_eq!(failure(&lost), "You left the server. The answer did not come.");
}

#[test]
fn nobody_is_told_by_what_was_asked() {
    let named = Failure::Nobody { among: Among::Asking, named: true };
    assert_eq!(failure(&named), "Nobody asks you for anything by that name.");
    let none = Failure::Nobody { among: Among::Called, named: false };
    assert_eq!(failure(&none), "Nobody is being asked for a chat.");
}

#[test]
fn ended_login_tells_its_reason_once() {
    let idle = || Failure::LinkEnded(LinkEnd::Closed(Closing::Kicked));
    let known = message(&login_ended(idle(), true)).unwrap();
    assert_eq!(known, "`/login bob` tries again.");
    let new = message(&login_ended(idle(), false)).unwrap();
    assert_eq!(new, format!("{} {known}", Closing::Kicked.sentence()));
    let refused = message(&login_ended(Failure::KeyRefused(Some(bob())), false)).unwrap();
    assert!(refused.ends_with("`/login bob` asks for the password."), "{refused}");
}

#[test]
fn programs_see_the_sentence_of_a_reply() {
    let line = |reply: Reply| serde_json::to_string(&ReplyWithMessage::from(&reply)).unwrap();
    let trusted = Reply::Trusted { with: "bob".into(), fingerprint: "5fed".into() };
    let message = "bob is trusted with the new key 5fed; `/verify bob` compares it.";
    let fields = r#""with":"bob","fingerprint":"5fed"}"#;
    assert_eq!(line(trusted), format!(r#"{{"message":{},{fields}"#, json!(message)));
    let signed_up = line(Reply::SignedUp { username: "bob".into() });
    let message = "The account is made; `/login bob` comes next.";
    assert_eq!(signed_up, json!({"message": message}).to_string());
    assert_eq!(line(Reply::Done {}), "{}");
}

#[test]
fn programs_see_the_sentence_of_an_event() {
    let why = Some(Failure::LinkEnded(LinkEnd::NoServer));
    let event = Event::Retrying { reason: LinkEnd::NoServer, attempt: 1, in_ms: 1_001, why };
    let message = "No server answers there. Trying again in 2 s; `/cancel` stops that.";
    let line = serde_json::to_string(&WithMessage::from(&event)).unwrap();
    let head = r#"{"event":"retrying","reason":"no_server","attempt":1,"in_ms":1001,"message":"#;
    assert_eq!(line, format!("{head}{}}}", json!(message)));
    let plain = Event::ChatResumed { with: bob(), link: LinkPath::Direct };
    let line = serde_json::to_string(&WithMessage::from(&plain)).unwrap();
    assert_eq!(line, r#"{"event":"chat_resumed","with":"bob","link":"direct"}"#);
}
