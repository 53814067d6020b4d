//! The files that `make install`, `make install-gtk` and `make uninstall` install and remove.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use letschat_tests::programs::program;
use letschat_tests::project;

/// Runs the script with PREFIX /opt/chat below this root.
fn script(root: &Path, arguments: &[&str]) {
    let mut script = Command::new("scripts/install.sh");
    script.args(arguments).current_dir(project::root());
    script.env("DESTDIR", root).env("PREFIX", "/opt/chat");
    let output = script.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

fn install(root: &Path) {
    let programs = program("letschat");
    let folder = programs.parent().unwrap().to_str().unwrap();
    script(root, &[folder, "letschat", "letschat-server", "letschat-gtk"]);
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
    let entry = text("share/applications/net.letschat.Gtk.desktop");
    assert!(entry.contains("\nExec=/opt/chat/bin/letschat-gtk\n"), "{entry}");
    assert!(text("share/icons/hicolor/scalable/apps/net.letschat.Gtk.svg").contains("<svg"));
    assert!(text("share/man/man1/letschat-gtk.1").contains(".SH OPTIONS"));
}

#[test]
fn uninstall_leaves_only_the_files_of_others() {
    let root = tempfile::tempdir().unwrap();
    install(root.path());
    let prefix = root.path().join("opt/chat");
    let others = ["bin/letschat-not", "share/man/man1/lets.1", "share/doc/letschat/my-notes"];
    for path in others {
        fs::write(prefix.join(path), "").unwrap();
    }
    script(root.path(), &["--remove"]);
    let left = files(&prefix);
    let mut expected = others.map(|path| prefix.join(path)).to_vec();
    expected.sort();
    assert_eq!(left, expected);
}

/// Returns all files below a folder, in order.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.push(path);
        }
    }
    found.sort();
    found
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
