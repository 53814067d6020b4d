use super::*;
use std::collections::HashSet;

#[test]
fn no_word_means_two_failures() {
    let names: HashSet<&str> = FailureCode::ALL.iter().map(|code| code.name()).collect();
    assert_eq!(names.len(), FailureCode::ALL.len());
}

#[test]
fn servers_refusals_keep_their_words() {
    // No session gets these.
    let of_meetings = [Code::NoRelay, Code::TokenInvalid];
    let refusals = Code::ALL.iter().filter(|code| code.number() >= 400);
    for code in refusals.filter(|code| !of_meetings.contains(code)) {
        assert_eq!(FailureCode::from(*code).name(), code.name());
    }
}

#[test]
fn answers_that_are_no_refusals_are_malformed() {
    for code in Code::ALL.iter().filter(|code| code.number() < 400) {
        assert_eq!(FailureCode::from(*code), FailureCode::Malformed, "{code:?}");
    }
}

#[test]
fn reasons_of_a_lost_link_keep_their_words() {
    for end in LinkEnd::all() {
        assert_eq!(FailureCode::from(end).name(), end.name());
    }
}
