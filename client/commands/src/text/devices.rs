//! The sentences about devices.

use letschat_core::event::{DeviceChange, Event};
use letschat_core::failure::Failure;
use letschat_core::notice::Notice;
use letschat_core::session::{OwnDevice, Reply, WaitingDevice};

use super::short_key;

/// Returns the sentence of a notice about devices, or `None` for another one.
pub(crate) fn noticed(notice: &Notice) -> Option<String> {
    Some(match notice {
        Notice::DeviceUnlisted(code) => format!(
            "This device is new to your account, and your friends do not trust it yet. Type this on a device \
             that you use already: `/device approve {code}`. If you have no other any more: `/recover`"
        ),
        Notice::DeviceListed => "This device is one of your account's now.".into(),
        Notice::DeviceListReplaced => "Your account has another list of devices, without this one. If you began it \
             yourself, by `/recover` on another device: `/trust` and your own name joins it. Otherwise somebody \
             knows your password: change it."
            .into(),
        Notice::DeviceConsentInvalid => "A device wants to be one of yours, but it saw another list of your devices. \
             The server shows you and that device different ones; do not trust this server."
            .into(),
        Notice::DeviceListInvalid(who) => format!(
            "The server's list of {who}'s devices is not signed by {who}; do not trust this server."
        ),
        Notice::DeviceListOld(who) => format!(
            "The server shows an older list of {who}'s devices than it did; do not trust this server. The newer \
             one still holds."
        ),
        Notice::DeviceListWithheld(who) => format!(
            "{who} has a newer list of devices than the server shows you; do not trust this server."
        ),
        Notice::DeviceListsDiffer(who) => format!(
            "{who} has another list of devices than the one that the server showed you; do not trust this server."
        ),
        _ => return None,
    })
}

/// Returns the sentence of a failure about devices, or `None` for another one.
pub(crate) fn failed(failure: &Failure) -> Option<String> {
    Some(match failure {
        Failure::DeviceUnlisted => "This device is not one of your account's yet; `/devices` shows its code, which \
             you approve on another one."
            .into(),
        Failure::NotADeviceCode => {
            "A code has 16 letters and digits, such as ABCD-EFGH-IJKL-MNOP; the new device shows it.".into()
        }
        Failure::NoDeviceWaits => "No device with that code waits for approval. Start letschat there and log in; \
             `/devices` shows its code."
            .into(),
        Failure::NoSuchDevice(word) => {
            format!("No device of yours is named {word}; `/devices` shows names and keys.")
        }
        Failure::WhichDevice(word) => {
            format!("Several devices of yours are named {word}; give more of the key, as `/devices` shows it.")
        }
        Failure::DeviceChangeUnderWay => {
            "Another change of your devices is under way; try again.".into()
        }
        Failure::ListInvalid(why) => format!("The list of your devices can't be changed so: {why}."),
        _ => return None,
    })
}

/// Returns the sentence of a reply about devices, or `None` for another one.
pub(crate) fn replied(reply: &Reply) -> Option<String> {
    Some(match reply {
        Reply::DeviceAdded { name, key } => {
            format!("{name}, key {}, is one of your devices now.", short_key(key))
        }
        Reply::DeviceRemoved { name, key } => {
            format!("{name}, key {}, is removed: it reads nothing new.", short_key(key))
        }
        _ => return None,
    })
}

/// Returns the lines of `devices`.
pub(crate) fn table(
    devices: &[OwnDevice],
    waiting: &[WaitingDevice],
    code: Option<&str>,
) -> String {
    let mut lines: Vec<String> = devices
        .iter()
        .map(|device| {
            let OwnDevice { name, key, used, this } = device;
            let this = if *this { ", this one" } else { "" };
            let used = used.as_ref().map(|used| format!(", used {used}")).unwrap_or_default();
            format!("{name}, key {}{used}{this}", short_key(key))
        })
        .collect();
    lines.extend(waiting.iter().map(|WaitingDevice { name, key, address }| {
        format!("{name} at {address}, key {}, waits: `/device approve CODE`", short_key(key))
    }));
    if let Some(code) = code {
        lines.push(format!(
            "This device is not listed yet. On one that is: `/device approve {code}`"
        ));
    }
    match lines.is_empty() {
        true => "This server keeps no list of your devices.".into(),
        false => lines.join("\n"),
    }
}

/// Returns the line of an event about devices, or `None` for another one.
pub(crate) fn event(event: &Event) -> Option<String> {
    Some(match event {
        Event::DeviceWaiting { key, address, name } => format!(
            "A device named {name} at {address} wants to be one of yours, key {}. If it is: `/device approve` \
             and the code that it shows. If not, somebody knows your password: `/passwd` changes it.",
            short_key(key)
        ),
        Event::DeviceChanged { key, name, change: DeviceChange::Added, by } => format!(
            "{name}, key {}, is one of your devices now. {} has approved it.",
            short_key(key),
            short_key(by)
        ),
        Event::DeviceChanged { key, name, change: DeviceChange::Removed, by } => format!(
            "Your device {name}, key {}, is removed. {} did that.",
            short_key(key),
            short_key(by)
        ),
        _ => return None,
    })
}
