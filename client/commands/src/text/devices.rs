//! The sentences about devices.

use chrono::{DateTime, Local};
use letschat_core::event::{DeviceChange, Event, fingerprint};
use letschat_core::failure::Failure;
use letschat_core::notice::Notice;
use letschat_core::session::{OwnDevice, Reply, WaitingDevice};
use letschat_protocol::devices::{Device, DeviceName};

use super::short_key;

fn names(devices: &[DeviceName]) -> String {
    devices.iter().map(DeviceName::as_str).collect::<Vec<_>>().join(", ")
}

/// Returns the sentence of a notice about devices, or `None` for another one.
pub(crate) fn noticed(notice: &Notice) -> Option<String> {
    Some(match notice {
        Notice::DeviceUnlisted(code) => format!(
            "This device is new to your account, and your friends do not trust it yet. Type this on a device \
             that you use already: `/device approve {code}`. If you have no other any more: `/recover`"
        ),
        Notice::DeviceListed(others) if others.is_empty() => {
            "This device is listed as your account's only one now.".into()
        }
        Notice::DeviceListed(others) => format!(
            "This device is listed as one of your account's now, beside {}. If you have not approved it there, do \
             not trust this server.",
            names(others)
        ),
        Notice::DeviceListReplaced { own, devices } => {
            let shown = |device: &Device| {
                format!("{}, key {}", device.name, short_key(&fingerprint(&device.key)))
            };
            let devices: Vec<String> = devices.iter().map(shown).collect();
            format!(
                "Your account has another list of devices than this one knows: {}. Compare the keys with `/devices` \
                 there. If they are yours, `/trust {own}` asks them to add this device. Otherwise somebody knows \
                 your password, or the server made the list up.",
                devices.join("; ")
            )
        }
        Notice::DeviceConsentInvalid => {
            "A device wants to be one of yours, but it saw another list of your devices. \
             The server shows you and that device different ones; do not trust this server."
                .into()
        }
        Notice::DeviceListInvalid(who) => format!(
            "The server's list of {who}'s devices is not signed by {who}; do not trust this server."
        ),
        Notice::DeviceListOld(who) => format!(
            "The server shows an older list of {who}'s devices than it did; do not trust this server. The newer \
             one still holds."
        ),
        Notice::DeviceListWithheld(who) => format!(
            "{who} names a newer list of devices than the server shows you: one of the two is not honest."
        ),
        Notice::DeviceListsDiffer(who) => format!(
            "{who} names another list of devices than the server showed you: one of the two is not honest."
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
        Failure::OnlyDevice => {
            "This is your only device, and an account keeps at least one. Add another one first.".into()
        }
        Failure::OwnListOutdated(own) => format!(
            "Your account has another list of devices, as `/devices` shows it. `/trust {own}` asks them to add this \
             one; an approval there lists it."
        ),
        Failure::OwnListNotShown => {
            "The server has shown another list meanwhile. Look at it above before you trust it.".into()
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
        Reply::DevicesRecovered {} => {
            "This is your account's only device now. Your friends are told that your key \
             has changed, and have to `/trust` you again."
                .into()
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
            let used = used.as_ref().and_then(|used| DateTime::parse_from_rfc3339(used).ok());
            let used = used.map(|used| used.with_timezone(&Local).format(", used %Y-%m-%d %H:%M"));
            let used = used.map(|used| used.to_string()).unwrap_or_default();
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
        Event::DeviceWaiting { key, address, name: None } => format!(
            "A device at {address} has logged in to your account without being one of yours, key {}. If you do not \
             know it, somebody knows your password: `/passwd` changes it.",
            short_key(key)
        ),
        Event::DeviceWaiting { key, address, name: Some(name) } => format!(
            "A device named {name} at {address} wants to be one of yours, key {}. If it is: `/device approve` \
             and the code that it shows. If not, somebody knows your password: `/passwd` changes it.",
            short_key(key)
        ),
        Event::DeviceChanged { key, name, change: DeviceChange::Added, by_name, .. } => {
            format!(
                "{name}, key {}, is one of your devices now; {by_name} has approved it.",
                short_key(key)
            )
        }
        Event::DeviceChanged { key, name, change: DeviceChange::Removed, by_name, .. } => {
            format!("Your device {name}, key {}, is removed; {by_name} did that.", short_key(key))
        }
        _ => return None,
    })
}
