//! The demo of `make demo-local`, and its verdict when a step fails.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use letschat_tests::programs::{Running, program};
use letschat_tests::project::root;
use tempfile::TempDir;

use crate::run::shipped;

/// The time limit of the tests, above the demo's own.
const LONGEST: Duration = Duration::from_secs(100);

/// A run of the demo, and the folder of its temporary files.
struct Demo {
    process: Running,
    folder: TempDir,
    has_ended: bool,
}

/// Makes the demo end its own processes if a test fails.
impl Drop for Demo {
    fn drop(&mut self) {
        if !self.has_ended {
            let pid = self.process.pid().to_string();
            let _ = Command::new("kill").args(["-s", "TERM", &pid]).status();
            let until = Instant::now() + LONGEST;
            while let Ok(Some(_)) = self.process.next_line(until) {}
        }
    }
}

impl Demo {
    fn start(lua: &Path) -> Demo {
        Demo::start_with(lua, &[])
    }

    fn start_with(lua: &Path, variables: &[(&str, &str)]) -> Demo {
        let folder = tempfile::tempdir().unwrap();
        // A shell can't trap a signal that was ignored at its start, as SIGINT is for background tests.
        let mut script = Command::new("env");
        script.args(["--default-signal=INT,TERM", "bash"]);
        script.arg(root().join("scripts/demo.sh")).arg("local");
        script.arg(program("letschat").parent().unwrap());
        script.env("DEMO_LUA", lua).env("TMPDIR", folder.path()).env_remove("DEMO_COLOR");
        script.envs(variables.iter().copied());
        Demo { process: Running::start(&mut script), folder, has_ended: false }
    }

    /// Waits for its end. Returns the status and the output, and checks that nothing is left behind.
    fn ends(mut self) -> (i32, String) {
        let is_verdict = |line: &str| line.starts_with("demo    ") && !line.contains(" ✓ ");
        let until = Instant::now() + LONGEST;
        while let Ok(Some(line)) = self.process.next_line(until)
            && !is_verdict(&line)
        {}
        let status = self.process.exit_code();
        self.has_ended = true;
        let left: Vec<PathBuf> =
            fs::read_dir(self.folder.path()).unwrap().map(|entry| entry.unwrap().path()).collect();
        assert_eq!(left, [] as [PathBuf; 0], "{}", self.process.transcript());
        assert_eq!(processes_with(self.folder.path()), [] as [String; 0]);
        (status, self.process.transcript())
    }
}

/// Returns the command lines that name a folder.
fn processes_with(folder: &Path) -> Vec<String> {
    let folder = folder.display().to_string();
    let processes = fs::read_dir("/proc").unwrap().map(|entry| entry.unwrap().path());
    // A process that has ended has no command line.
    let lines = processes.filter_map(|process| fs::read(process.join("cmdline")).ok());
    let lines = lines.map(|line| String::from_utf8_lossy(&line).replace('\0', " "));
    lines.filter(|line| line.contains(&folder)).collect()
}

/// Copies the scripts and replaces a text in Bob's.
fn story_with(from: &str, to: &str) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let copied = Command::new("cp").arg("-r").arg(shipped(".")).arg(folder.path()).status();
    assert!(copied.unwrap().success());
    let file = folder.path().join("demo/bob.lua");
    let text = fs::read_to_string(&file).unwrap();
    assert_eq!(text.matches(from).count(), 1, "{from:?}");
    fs::write(&file, text.replace(from, to)).unwrap();
    folder
}

#[test]
fn the_demo_goes_as_it_is_told() {
    let demo = Demo::start(&shipped("."));
    let (status, said) = demo.ends();
    assert_eq!(status, 0, "{said}");
    let steps = said.lines().filter(|line| line.contains(" ✓ ")).count();
    assert!(steps >= 50, "{said}");
    assert!(said.contains(&format!("demo    all {steps} steps went as told, in ")), "{said}");
    assert!(said.contains("alice      bob has received PROTOCOL.md."), "{said}");
    assert!(!said.contains('\x1b'), "{said}");
}

#[test]
fn a_step_of_the_demo_that_goes_otherwise_is_named() {
    let story = story_with("Yes, still here.", "No.");
    let (status, said) = Demo::start(story.path()).ends();
    assert_eq!(status, 1, "{said}");
    let step = "alice      ✗ talks on with Bob without a server: ";
    let line = said.lines().find(|line| line.starts_with(step)).expect(&said);
    assert!(line.ends_with("expected Yes, still here., not No."), "{line}");
    let verdict = "and then one did not: alice talks on with Bob without a server";
    assert!(said.contains(verdict), "{said}");
}

#[test]
fn whoever_leaves_the_demo_before_their_last_step_is_missed() {
    let story = story_with("story.leaves }", "chat.exit, 0 }");
    let (status, said) = Demo::start(story.path()).ends();
    assert_eq!(status, 1, "{said}");
    let step = "bob        ✗ leaves: ended with status 0";
    assert!(said.contains(step), "{said}");
}

#[test]
fn an_error_in_a_part_of_the_demo_is_told() {
    let story = story_with("return {", "error('no idea')\nreturn {");
    let (status, said) = Demo::start(story.path()).ends();
    assert_eq!(status, 1, "{said}");
    assert!(said.contains("bob.lua:8: no idea"), "{said}");
    assert!(said.contains("bob        ✗ comes: ended with status 1"), "{said}");
}

#[test]
fn a_demo_that_is_interrupted_leaves_nothing_running() {
    let story = story_with("return {", "chat.sleep(600)\nreturn {");
    for signal in ["INT", "TERM"] {
        let mut demo = Demo::start(story.path());
        demo.process.wait_line("word of bob", |line| line.ends_with("✓ lets bob in"));
        demo.process.signal(signal);
        let (status, said) = demo.ends();
        assert_eq!(status, 130, "{said}");
        assert!(said.contains("demo    the story was broken off"), "{said}");
    }
}

#[test]
fn a_client_that_hangs_is_ended_by_the_time_limit() {
    let story = story_with("return {", "chat.sleep(600)\nreturn {");
    let (status, said) = Demo::start_with(story.path(), &[("DEMO_SECONDS", "10")]).ends();
    assert_eq!(status, 1, "{said}");
    assert!(said.contains("bob        ✗ comes: not done when time was up"), "{said}");
    assert!(said.contains("; 10 s were not enough for the others"), "{said}");
}

#[test]
fn the_images_are_built_with_the_right_rust_and_of_all_packages() {
    let read = |path: &str| fs::read_to_string(root().join(path)).unwrap();
    let (manifest, recipe) = (read("Cargo.toml"), read("Dockerfile"));
    let version = manifest.split("rust-version = \"").nth(1).unwrap().split('"').next().unwrap();
    let image = format!("rust:{version}-slim-bookworm");
    assert!(recipe.contains(&format!("FROM {image} AS builder")), "{version}");
    assert!(read("scripts/stand-in-images.sh").contains(&image), "{version}");

    let members = manifest.split("members = [").nth(1).unwrap().split(']').next().unwrap();
    let members: Vec<&str> = members.split('"').skip(1).step_by(2).collect();
    assert!(members.len() >= 5, "{members:?}");
    let sent = read(".dockerignore");
    for member in members {
        let copied = format!("COPY {member}/Cargo.toml {member}/\n");
        assert!(recipe.contains(&copied), "the Dockerfile lacks {copied:?}");
        assert!(is_sent(&sent, &format!("{member}/Cargo.toml")), ".dockerignore lacks {member}");
    }
    // Alice sends it to Bob.
    assert!(recipe.contains("COPY docs/PROTOCOL.md /usr/local/share/letschat/docs/\n"));
    assert!(is_sent(&sent, "docs/PROTOCOL.md"), ".dockerignore lacks the file that Alice sends");
}

/// Returns true if a .dockerignore does not exclude the path: the last matching rule decides.
fn is_sent(rules: &str, path: &str) -> bool {
    let below = |folder: &str| format!("{path}/").starts_with(&format!("{folder}/"));
    let fits = |rule: &str| match rule.strip_prefix("**/") {
        Some(name) => path.split('/').any(|part| part == name),
        None => rule == "*" || below(rule),
    };
    let last = rules.lines().rfind(|rule| fits(rule.trim_start_matches('!')));
    last.is_none_or(|rule| rule.starts_with('!'))
}
