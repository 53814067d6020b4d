//! The sentences about groups.

use letschat_core::event::{Event, GroupChange};
use letschat_core::failure::Failure;
use letschat_core::session::{Group, GroupMember};
use letschat_protocol::username::Username;

/// Returns the sentence of a failure about groups, or `None` for another one.
pub(crate) fn failed(failure: &Failure) -> Option<String> {
    Some(match failure {
        Failure::NoSuchGroup(name) => {
            format!("You are in no group called {name}; `/groups` lists yours.")
        }
        Failure::NotAGroupName => {
            "A group's name has 1 to 32 of the characters a-z, 0-9, `_`, `-` and `.`.".into()
        }
        Failure::TooManyGroups { limit } => {
            format!("You are in {limit} groups, which is the most. `/group leave NAME` leaves one.")
        }
        Failure::NotTheOwner { group, owner } => {
            format!("Only {owner}, the owner of {group}, can change it.")
        }
        Failure::NotAMember { group, who } => {
            format!("{who} has not joined {group}; `/group members {group}` lists who has.")
        }
        Failure::MemberAlready { group, who } => format!("{who} is in {group} or invited already."),
        Failure::GroupFull { limit } => {
            format!("A group has at most {limit} members. `/group remove NAME WHO` makes room.")
        }
        Failure::GivenTooOften { limit } => {
            format!(
                "A group can be given away {limit} times. `/group create NAME` founds another one."
            )
        }
        Failure::OwnerStays(group) => {
            format!(
                "{group} is yours. `/group give {group} WHO` gives it to another member first; `/group remove {group} \
                 WHO` takes an invitation back."
            )
        }
        Failure::NoGroupsThere(who) => {
            format!(
                "{who} can't be invited: there is no such account, it has no client that knows groups, or the server \
                 can't be asked now."
            )
        }
        Failure::NotJoinedYet(group) => {
            format!(
                "You are not in {group} yet: its owner's client has to hear of it first. Nothing was sent."
            )
        }
        Failure::NobodyJoined(group) => format!("Nobody else has joined {group} yet."),
        _ => return None,
    })
}

/// Returns the line of an event about groups, or `None` for another one.
pub(crate) fn event(event: &Event) -> Option<String> {
    let Event::GroupChanged { group, change, who, by, .. } = event else {
        return None;
    };
    Some(match change {
        GroupChange::Created => {
            format!("{group} is founded. `/group invite {group} WHO` invites somebody.")
        }
        GroupChange::Invited => format!("{group}: {by} has invited {who}."),
        GroupChange::Joined => format!("{group}: {who} has joined."),
        GroupChange::Left => format!("{group}: {who} has left."),
        GroupChange::Removed => format!("{group}: {by} has removed {who}."),
        GroupChange::Given => format!("{group}: {who} is the owner now; {by} was."),
    })
}

/// Returns the lines of a group, or of several.
pub(crate) fn table(groups: &[Group]) -> String {
    if groups.is_empty() {
        return "You are in no group. `/group create NAME` founds one.".into();
    }
    let line = |group: &Group| {
        let Group { group, owner, joined, members } = group;
        let invited = if *joined { "" } else { ", you are invited" };
        let member = |member: &GroupMember| match member.state {
            "invited" => format!("{} (invited)", member.name),
            _ => member.name.clone(),
        };
        let members: Vec<String> = members.iter().map(member).collect();
        format!("{group}, of {owner}{invited}: {}", members.join(", "))
    };
    groups.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// Returns the line of an invitation.
pub(crate) fn invitation(from: &Username, group: &str, key: &str) -> String {
    format!(
        "{from} invites you to {group}. Key {key}. `/approve {group}` joins; or `/deny {group}`?"
    )
}
