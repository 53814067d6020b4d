//! A sample settings file that lists every setting, commented out. Tests compare it with the flags,
//! so that it stays up to date.
//!
//! A line `#places = 50` is a setting with its default. If the default can't be written down, the
//! line shows an example. Lines that begin with `# ` are prose.

use std::fmt::Debug;
use std::path::Path;

use clap::{Command, Parser};

use super::reading::SettingsFile;
use super::{
    FlagsError, SettingsPlace, effective, flags, keys, switches_can_be_put_off, with_defaults,
};

/// Checks a sample against the flags of a program. It must list every setting in the order of the
/// help, and no other. All values must be valid, and the defaults must change nothing.
///
/// # Errors
///
/// Returns the first fault, in words for the sample's maintainer.
pub fn check<P: Parser + Debug>(sample: &str, place: &SettingsPlace<'_>) -> Result<(), String> {
    let command = switches_can_be_put_off(P::command(), place);
    let settings: Vec<(&str, &str)> = sample.lines().filter_map(setting).collect();
    let told: Vec<&str> = settings.iter().map(|(key, _)| *key).collect();
    let real = keys(&command, place);
    if told != real {
        return Err(format!("the sample has {told:?}, and the settings are {real:?}"));
    }

    let all = settings.iter().map(|(_, line)| *line);
    read::<P>(&command, place, all).map_err(|error| error.to_string())?;

    let has_default = |key: &str| {
        command
            .get_arguments()
            .any(|arg| arg.get_long() == Some(key) && !arg.get_default_values().is_empty())
    };
    let defaults = settings.iter().filter(|(key, _)| has_default(key)).map(|(_, line)| *line);
    let with_sample = read::<P>(&command, place, defaults).map_err(|error| error.to_string())?;
    let without = read::<P>(&command, place, []).map_err(|error| error.to_string())?;
    let [with_sample, without] = [with_sample, without].map(|flags| format!("{flags:?}"));
    match with_sample == without {
        true => Ok(()),
        false => Err(format!("with the sample {with_sample}, without it {without}")),
    }
}

/// Returns the key and the line of a setting that is commented out.
fn setting(line: &str) -> Option<(&str, &str)> {
    let line = line.strip_prefix('#').filter(|line| !line.starts_with([' ', '#']))?;
    Some((line.split_once('=')?.0.trim(), line))
}

fn read<'l, P: Parser>(
    command: &Command,
    place: &SettingsPlace<'_>,
    lines: impl IntoIterator<Item = &'l str>,
) -> Result<P, FlagsError> {
    let text = lines.into_iter().collect::<Vec<_>>().join("\n");
    let file = SettingsFile::new(Path::new("the sample"), text);
    let no_arguments = [command.get_name().to_owned()];
    let said = command.clone().try_get_matches_from(&no_arguments)?;
    let values = effective(command, place, &said, &file)?;
    flags(&with_defaults(command.clone(), &values).try_get_matches_from(&no_arguments)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::number;

    #[derive(Debug, Parser)]
    #[command(name = "kettle")]
    struct Kettle {
        #[arg(long, default_value_t = 2, value_parser = number::<u16>(1..=9))]
        cups: u16,
        #[arg(long = "for")]
        guest: Option<String>,
        #[arg(long, conflicts_with = "guest")]
        keep_warm: bool,
    }

    const SAMPLE: &str = "\
# How many.
#cups = 2

# For whom; without this, whoever comes.
#for = \"the queen\"

# Whether it is = kept warm.
#keep-warm = false
";

    fn fault(from: &str, to: &str) -> String {
        assert!(SAMPLE.contains(from), "{from}");
        let place = SettingsPlace::default();
        check::<Kettle>(&SAMPLE.replace(from, to), &place).unwrap_err()
    }

    #[test]
    fn a_sample_is_what_the_flags_are() {
        assert_eq!(check::<Kettle>(SAMPLE, &SettingsPlace::default()), Ok(()));
    }

    #[test]
    fn what_a_sample_has_wrong_is_found_out() {
        assert!(fault("#cups = 2\n", "").contains("the settings are"));
        assert!(fault("#cups = 2\n", "#cups = 2\n#milk = 1\n").contains("milk"));
        assert!(fault("#cups = 2\n", "#cups = 3\n").starts_with("with the sample"));
        assert!(fault("#keep-warm = false", "#keep-warm = true").contains("combined with `for`"));
        assert!(fault("#cups = 2\n", "#cups = 10\n").contains("must be a number from 1 to 9"));
        assert!(fault("\"the queen\"", "nobody").contains("is not TOML"));
    }
}
