//! The files that `make install` installs.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use letschat_tests::programs::program;
use letschat_tests::project;

fn install(root: &Path) {
    let programs = program("letschat");
    let mut script = Command::new("scripts/install.sh");
    script.arg(programs.parent().unwrap()).current_dir(project::root());
    script.env("DESTDIR", root).env("PREFIX", "/opt/chat");
    let output = script.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn all_files_are_installed_below_the_prefix() {
    let root = tempfile::tempdir().unwrap();
    install(root.path());
    let prefix = root.path().join("opt/chat");
    let text = |path: &str| fs::read_to_string(prefix.join(path)).unwrap();

    for name in ["letschat", "letschat-server"] {
        let path = prefix.join("bin").join(name);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o755);
        let version = Command::new(path).arg("--version").output().unwrap();
        assert!(String::from_utf8(version.stdout).unwrap().starts_with(name));
        assert!(text(&format!("share/man/man1/{name}.1")).contains(".SH OPTIONS"), "{name}");
        assert!(text(&format!("share/zsh/site-functions/_{name}")).starts_with("#compdef"));
        assert!(text(&format!("share/fish/vendor_completions.d/{name}.fish")).contains(name));
        assert!(text(&format!("share/doc/{name}/settings.sample.toml")).starts_with("# Settings"));
    }
    assert!(text("share/man/man1/letschat-server-account-ban.1").contains("Ban an account"));
    let unit = text("lib/systemd/system/letschat-server.service");
    assert!(unit.contains("\nExecStart=/opt/chat/bin/letschat-server\n"), "{unit}");
    assert!(text("lib/systemd/system/letschat-server.socket").contains("ListenFIFO="));
}

#[test]
fn bash_completes_flags_and_subcommands() {
    let root = tempfile::tempdir().unwrap();
    install(root.path());
    let completions = root.path().join("opt/chat/share/bash-completion/completions");
    for (typed, expected) in [
        ("letschat --detach", "--detach-on-chat"),
        ("letschat-server --retention", "--retention-seconds"),
        ("letschat-server account reset", "reset-password"),
    ] {
        let words: Vec<&str> = typed.split(' ').collect();
        let (name, last) = (words[0], words.len() - 1);
        let script = format!(
            "source {}/{name}; COMP_WORDS=({typed}); COMP_CWORD={last}
             complete=$(complete -p {name} | sed 's|.*-F \\([^ ]*\\).*|\\1|')
             $complete {name} \"${{COMP_WORDS[COMP_CWORD]}}\" x; printf '%s\\n' \"${{COMPREPLY[@]}}\"",
            completions.display()
        );
        let output = Command::new("bash").args(["--norc", "-c", &script]).output().unwrap();
        let replies = String::from_utf8(output.stdout).unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(replies.lines().any(|reply| reply == expected), "{typed}: {replies} {errors}");
    }
}
