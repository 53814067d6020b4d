//! The sentences about files.

use letschat_core::codes::FailureCode;
use letschat_core::event::{Event, FileShown};
use letschat_core::failure::Failure;
use letschat_core::session::ListedFile;
use letschat_protocol::devices::DeviceName;
use letschat_protocol::message_id::MessageId;

use super::failure;

/// The digits of a file's id that are shown.
pub const SHOWN_DIGITS: usize = 8;

/// Returns the sentence of a failure about files, or `None` for another one.
pub(crate) fn failed(failure: &Failure) -> Option<String> {
    Some(match failure {
        Failure::NoSuchFile(_) => {
            "No file has that id. `/files` lists them; four digits of an id are enough.".into()
        }
        Failure::WhichFile(digits) => {
            format!("Several files have an id that begins with {digits}; give more digits.")
        }
        Failure::FileUnderWay(name) => {
            format!("{name} is on its way already. `/files` shows how far it is.")
        }
        Failure::OwnFile(name) => format!("{name} is offered by this device; you have it."),
        Failure::FileTooLarge { limit } => {
            format!("A file has at most {}; send it in parts.", size(*limit))
        }
        Failure::TooManyFiles { limit } => {
            format!("You offer {limit} files, which is the most. `/file cancel ID` takes one back.")
        }
        Failure::FileForEveryone => "A file goes to a person or a group, not to everyone.".into(),
        Failure::FileChanged(who) => {
            format!("The file has changed since {who} offered it. Ask {who} to send it again.")
        }
        Failure::SourceChanged => {
            "the file has changed or is gone, and is not offered any more. Send it again.".into()
        }
        Failure::TooManyReading { limit } => {
            format!("{limit} files are being read already. Wait until one of them is offered.")
        }
        Failure::FileInvalid(who) => {
            format!(
                "{who} sent other data than offered. Nothing was saved; ask {who} to send it again."
            )
        }
        Failure::FileOver(who) => {
            format!("{who} does not offer this file to you any more. Ask {who} to send it again.")
        }
        Failure::DiskFull { needed: 0, .. } => {
            "The disk is full. Make room, then `/file get ID` goes on where it stopped.".into()
        }
        Failure::DiskFull { needed, free } => format!(
            "The disk has too little room: the file needs {}, and {} are free. Make room, or choose another \
             folder by `/file get ID FOLDER`.",
            size(*needed),
            size(*free)
        ),
        Failure::File { path, why } => format!("{} can't be used: {why}.", path.display()),
        _ => return None,
    })
}

/// Returns the line of an event about a file, or `None` for another one.
pub(crate) fn event(event: &Event) -> Option<String> {
    Some(match event {
        Event::FileOffered { file, device, .. } => offered(file, device.as_ref()),
        Event::FileDone { file, path: Some(path) } => {
            format!("{} from {} is saved: {}", file.name, file.from, path.display())
        }
        Event::FileDone { file, path: None } => {
            let to = file.to.as_ref().map(ToString::to_string).unwrap_or_default();
            format!("{to} has received {}.", file.name)
        }
        Event::FileFailed { file, why, .. } => format!("{}: {}", file.name, failure(why)),
        Event::FileProgress { file, bytes, .. } => progress(file, *bytes),
        _ => return None,
    })
}

fn offered(file: &FileShown, device: Option<&DeviceName>) -> String {
    let FileShown { id, conversation, from, own, name, .. } = file;
    let (id, size) = (short_id(id), size(file.size));
    let device = device.map(|device| format!(" (from {device})")).unwrap_or_default();
    match (own, conversation.person()) {
        (true, _) => format!("you{device} → {conversation}: the file {name}, {size}, id {id}"),
        (false, Some(_)) => format!("{from} offers {name}, {size}. `/file get {id}` saves it."),
        (false, None) => {
            format!("{conversation} {from} offers {name}, {size}. `/file get {id}` saves it.")
        }
    }
}

/// Returns an offer as its author's message.
pub fn offer(file: &FileShown) -> String {
    let (id, size) = (short_id(&file.id), size(file.size));
    match file.own {
        true => format!("the file {}, {size}, id {id}", file.name),
        false => format!("the file {}, {size}. `/file get {id}` saves it.", file.name),
    }
}

/// Returns how far a transfer is: `45 % of 2.1 MB: photo.jpg from bob`. A narrow window cuts the end.
pub fn progress(file: &FileShown, bytes: u64) -> String {
    let FileShown { from, to, name, .. } = file;
    let percent = (bytes.min(file.size) * 100).checked_div(file.size).unwrap_or(100);
    let way = match to {
        Some(to) => format!("to {to}"),
        None => format!("from {from}"),
    };
    format!("{percent} % of {}: {name} {way}", size(file.size))
}

/// Returns the lines of the offered files.
pub(crate) fn table(files: &[ListedFile]) -> String {
    if files.is_empty() {
        return "No files. `/file send WHO PATH` offers one.".into();
    }
    files.iter().map(line).collect::<Vec<_>>().join("\n")
}

fn line(file: &ListedFile) -> String {
    let ListedFile { id, name, conversation, from, own, state, bytes, to, path, code, .. } = file;
    let whose = match own {
        true => format!("to {conversation}"),
        false if conversation.person().is_some() => format!("from {from}"),
        false => format!("from {from} in {conversation}"),
    };
    let place = path.as_ref().map(|path| path.display().to_string()).unwrap_or_default();
    let state = match (*state, own, code) {
        ("failed", _, Some(code)) => format!("failed: {}", why_failed(*code)),
        ("wanted", ..) => format!("on its way, {} so far", size(bytes.unwrap_or_default())),
        ("saved", ..) => format!("saved: {place}"),
        (_, true, _) if to.is_empty() => format!("offered: {place}"),
        (_, true, _) => format!("offered, {} fetching it: {place}", to.join(", ")),
        _ => format!("`/file get {}` saves it", short_id(id)),
    };
    format!("{}  {name}  {}  {whose}  {state}", short_id(id), size(file.size))
}

/// Returns the reason for which a file failed, as a clause.
fn why_failed(code: FailureCode) -> String {
    match code {
        FailureCode::FileOver => "it is not offered any more".into(),
        FailureCode::FileChanged => "it has changed since it was offered".into(),
        FailureCode::FileInvalid => "other data came than was offered".into(),
        FailureCode::DiskFull => "the disk is full".into(),
        FailureCode::File => "its place can't be used".into(),
        FailureCode::Blocked => "you have blocked its sender".into(),
        code => code.to_string(),
    }
}

fn short_id(id: &MessageId) -> String {
    id.to_string().chars().take(SHOWN_DIGITS).collect()
}

/// Returns a size with three digits at most, in powers of 1,000.
pub fn size(bytes: u64) -> String {
    const UNITS: [&str; 4] = ["bytes", "kB", "MB", "GB"];
    let (mut unit, mut value) = (0, bytes as f64);
    while value >= 999.5 && unit + 1 < UNITS.len() {
        (unit, value) = (unit + 1, value / 1_000.0);
    }
    match unit {
        0 => format!("{bytes} bytes"),
        _ if value < 9.95 => format!("{value:.1} {}", UNITS[unit]),
        _ => format!("{value:.0} {}", UNITS[unit]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_few_digits() {
        for (bytes, expected) in [
            (0, "0 bytes"),
            (999, "999 bytes"),
            (1_000, "1.0 kB"),
            (9_949, "9.9 kB"),
            (9_950, "10 kB"),
            (999_600, "1.0 MB"),
            (2_147_483_648, "2.1 GB"),
            (64 * 1024 * 1024 * 1024, "69 GB"),
            (u64::MAX, "18446744074 GB"),
        ] {
            assert_eq!(size(bytes), expected);
        }
    }
}
