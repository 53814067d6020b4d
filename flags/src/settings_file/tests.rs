//! Tests with an example program that has one flag of each kind.

use std::fs;

use clap::error::ErrorKind;
use clap::{CommandFactory as _, Subcommand, ValueEnum};
use tempfile::TempDir;

use super::*;
use crate::number;

/// A variable that every process has.
const ALWAYS_SET: &str = "PATH";

#[derive(Debug, Parser)]
#[command(name = "kettle", version)]
struct Kettle {
    /// The file.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    place: Option<String>,
    #[arg(long, default_value_t = 2, value_parser = number::<u16>(1..=9))]
    cups: u16,
    #[arg(long, env = ALWAYS_SET, hide_env_values = true, default_value = "tin")]
    metal: String,
    #[arg(long, value_enum, default_value_t)]
    lid: Lid,
    #[arg(long = "for")]
    guest: Option<String>,
    #[arg(long)]
    keep_warm: bool,
    #[arg(long, conflicts_with = "silent")]
    whistle: bool,
    #[arg(long)]
    silent: bool,
    #[arg(long)]
    dry_run: bool,
    #[arg(short)]
    verbose: bool,
    /// Also for the subcommands.
    #[arg(long, global = true)]
    data: Option<PathBuf>,
    #[command(subcommand)]
    task: Option<Task>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
enum Lid {
    #[default]
    Open,
    Shut,
}

#[derive(Debug, Subcommand)]
enum Task {
    Descale {
        #[arg(long)]
        twice: bool,
    },
}

const NEVER: &[&str] = &["dry-run"];

/// A folder with a settings file.
struct File {
    folder: TempDir,
}

impl File {
    fn with(text: impl AsRef<[u8]>) -> File {
        let file = File { folder: tempfile::tempdir().unwrap() };
        fs::write(file.path(), text).unwrap();
        file
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("settings.toml")
    }

    /// Parses the arguments with this file in the default place.
    fn parse(&self, arguments: &[&str]) -> Result<Kettle, FlagsError> {
        parse_at(&[self.path()], arguments).map(|parsed| parsed.flags)
    }
}

fn parse_at(defaults: &[PathBuf], arguments: &[&str]) -> Result<Parsed<Kettle>, FlagsError> {
    let place = SettingsPlace { defaults: defaults.to_vec(), never: NEVER, others: &[] };
    parse(&place, ["kettle"].iter().chain(arguments).map(OsString::from))
}

/// Returns the error for a file with this text, without its path.
fn complaint(text: impl AsRef<[u8]>) -> String {
    let file = File::with(text);
    let error = file.parse(&[]).unwrap_err();
    assert!(!matches!(error, FlagsError::CommandLine(_)), "{error}");
    let sentence = error.to_string();
    let path = file.path().display().to_string();
    assert!(sentence.contains(&path) && !sentence.contains('\n'), "{sentence}");
    sentence.replace(&path, "FILE")
}

#[test]
fn the_file_is_under_the_command_line_and_over_the_defaults() {
    let file = File::with("cups = 7\nlid = 'shut'\nfor = \"the queen\"\nkeep-warm = true");
    let kettle = file.parse(&[]).unwrap();
    assert_eq!((kettle.cups, kettle.lid, kettle.keep_warm), (7, Lid::Shut, true));
    assert_eq!(kettle.guest.as_deref(), Some("the queen"));
    let kettle = file.parse(&["--cups", "3", "--lid=open", "--for", "alice"]).unwrap();
    assert_eq!((kettle.cups, kettle.lid, kettle.guest.as_deref()), (3, Lid::Open, Some("alice")));
    let kettle = File::with("").parse(&[]).unwrap();
    assert_eq!((kettle.cups, kettle.lid, kettle.keep_warm), (2, Lid::Open, false));
}

#[test]
fn byte_order_marks_before_the_file_say_nothing() {
    assert_eq!(File::with("\u{feff}cups = 7").parse(&[]).unwrap().cups, 7);
    assert_eq!(File::with("\u{feff}\u{feff}cups = 7").parse(&[]).unwrap().cups, 7);
}

#[test]
fn the_file_is_under_the_environment() {
    let kettle = File::with("metal = 'copper'").parse(&[]).unwrap();
    assert_eq!(kettle.metal, std::env::var(ALWAYS_SET).unwrap());
}

#[test]
fn command_line_switches_off_what_the_file_switched_on() {
    let file = File::with("keep-warm = true");
    assert!(!file.parse(&["--keep-warm=false"]).unwrap().keep_warm);
    assert!(File::with("keep-warm = false").parse(&["--keep-warm"]).unwrap().keep_warm);
    let kettle = file.parse(&["--keep-warm", "kitchen"]).unwrap();
    assert_eq!((kettle.keep_warm, kettle.place.as_deref()), (true, Some("kitchen")));
}

#[test]
fn what_conflicts_with_the_command_line_gives_way_to_it() {
    for (text, flag) in [("whistle = true", "--silent"), ("silent = true", "--whistle")] {
        let kettle = File::with(text).parse(&[flag]).unwrap();
        assert_eq!((kettle.silent, kettle.whistle), (flag == "--silent", flag == "--whistle"));
    }
    assert!(File::with("whistle = true\nsilent = false").parse(&[]).unwrap().whistle);
}

#[test]
fn a_file_that_was_named_is_read_instead_of_the_default_one() {
    let (default, named) = (File::with("cups = 3"), File::with("cups = 4"));
    let path = named.path();
    let defaults = [default.path()];
    let parsed = parse_at(&defaults, &["--config", path.to_str().unwrap()]).unwrap();
    assert_eq!((parsed.flags.cups, parsed.file), (4, Some(path)));
    let parsed = parse_at(&defaults, &[]).unwrap();
    assert_eq!((parsed.flags.cups, parsed.file), (3, Some(default.path())));
}

#[test]
fn a_default_file_may_be_missing_and_a_named_one_not() {
    let file = File::with("cups = 3");
    let missing = file.folder.path().join("missing.toml");
    let below_a_file = file.path().join("settings.toml");
    let parsed = parse_at(&[missing.clone(), below_a_file], &[]).unwrap();
    assert_eq!((parsed.flags.cups, parsed.file), (2, None));
    assert_eq!(parse_at(&[missing.clone(), file.path()], &[]).unwrap().flags.cups, 3);
    let error = parse_at(&[file.path()], &["--config", missing.to_str().unwrap()]).unwrap_err();
    let sentence = error.to_string();
    assert!(sentence.contains("missing.toml") && sentence.contains("No such file"), "{sentence}");
}

#[test]
fn a_default_file_that_is_there_has_to_be_readable() {
    let folder = tempfile::tempdir().unwrap();
    let error = parse_at(&[folder.path().to_owned()], &[]).unwrap_err();
    assert!(matches!(error, FlagsError::Unreadable { .. }), "{error:?}");
    assert!(complaint(b"cups = \xff").starts_with("can't read the settings file FILE: "));
    let long = "# a very long story\n".repeat(20_000);
    assert!(complaint(long).ends_with("it is too large to be one"));
}

#[test]
fn what_is_not_toml_is_told_with_its_line() {
    let sentence = complaint("cups = 3\n\nmetal = copper\n");
    assert!(sentence.starts_with("the settings file FILE is not TOML at line 3: "), "{sentence}");
    let sentence = complaint("cups = 3\ncups = 4\n");
    assert!(sentence.starts_with("the settings file FILE is not TOML at line 2: "), "{sentence}");
}

#[test]
fn a_wrong_value_is_told_with_its_key() {
    for (text, told) in [
        ("cups = 10", "`cups`: must be a number from 1 to 9"),
        ("cups = 'many'", "`cups`: must be a number from 1 to 9"),
        ("cups = [1]", "`cups`: expected a text, a number, true or false"),
        ("for = 2020-01-01", "`for`: expected a text, a number, true or false"),
        ("[cups]\nsize = 1", "`cups`: expected a text, a number, true or false"),
        ("lid = 'ajar'", "`lid`: expected one of open, shut"),
        ("keep-warm = 'maybe'", "`keep-warm`: expected true or false, yes or no, 1 or 0"),
        ("silent = true\nwhistle = true", "`whistle`: it can't be combined with `silent`"),
        ("keep_warm = true", "`keep_warm`: it is written `keep-warm`"),
        (
            "milk = 1",
            "`milk`: there is no such setting; `--help` shows them all, with dashes before",
        ),
        (
            "\"\\u001b\" = 1",
            "`\\u{1b}`: there is no such setting; `--help` shows them all, with dashes before",
        ),
    ] {
        assert_eq!(complaint(text), format!("the settings file FILE, at {told}"), "{text}");
    }
    assert!(complaint("data = ''").contains("`data`: a value is required"));
}

#[test]
fn some_things_are_said_on_the_command_line_only() {
    for key in ["dry-run", "config"] {
        let sentence = complaint(format!("{key} = true"));
        assert!(sentence.ends_with("this is said on the command line only"), "{sentence}");
    }
    for key in ["help", "version", "place", "verbose", "twice"] {
        let sentence = complaint(format!("{key} = true"));
        assert!(sentence.contains("there is no such setting"), "{sentence}");
    }
    assert!(File::with("").parse(&["--dry-run=false"]).is_err());
    let place = SettingsPlace { defaults: vec![], never: NEVER, others: &[] };
    assert_eq!(
        keys(&Kettle::command(), &place),
        ["cups", "metal", "lid", "for", "keep-warm", "whistle", "silent", "data"]
    );
}

#[test]
fn settings_of_other_programs_are_not_read() {
    let file = File::with("cups = 5\ncolor = 'any'");
    let arguments = || ["kettle"].map(OsString::from);
    let place = |others| SettingsPlace { defaults: vec![file.path()], never: NEVER, others };
    assert!(parse::<Kettle>(&place(&[]), arguments()).is_err());
    assert_eq!(parse::<Kettle>(&place(&["color"]), arguments()).unwrap().flags.cups, 5);
}

#[test]
fn subcommands_see_the_file_too() {
    let file = File::with("data = '/from/file'\ncups = 5");
    let kettle = file.parse(&["descale", "--twice"]).unwrap();
    assert_eq!((kettle.cups, kettle.data), (5, Some("/from/file".into())));
    assert!(matches!(kettle.task, Some(Task::Descale { twice: true })));
    for arguments in [&["descale", "--data", "/said"][..], &["--data", "/said", "descale"]] {
        assert_eq!(file.parse(arguments).unwrap().data, Some("/said".into()), "{arguments:?}");
    }
}

#[test]
fn wrong_usage_and_help_come_before_the_file() {
    let broken = File::with("?");
    for (arguments, kind) in [
        (&["--help"][..], ErrorKind::DisplayHelp),
        (&["--version"], ErrorKind::DisplayVersion),
        (&["--cups", "10"], ErrorKind::ValueValidation),
        (&["--no-such-flag"], ErrorKind::UnknownArgument),
        (&["--silent", "--whistle"], ErrorKind::ArgumentConflict),
    ] {
        match broken.parse(arguments) {
            Err(FlagsError::CommandLine(error)) => assert_eq!(error.kind(), kind),
            other => panic!("{arguments:?}: {other:?}"),
        }
    }
}

#[test]
fn help_shows_the_flags_as_they_were_declared() {
    let said = |result: Result<Kettle, FlagsError>| result.unwrap_err().to_string();
    let ours = said(File::with("keep-warm = true").parse(&["--help"]));
    let plain = Kettle::command().try_get_matches_from(["kettle", "--help"]).unwrap_err();
    assert_eq!(ours, plain.to_string());
}
