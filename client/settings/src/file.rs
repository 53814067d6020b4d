//! Changes of the settings file. Its comments and its other settings stay as they are.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Write as _};
use std::path::Path;

use letschat_engine::address::{ServerAddress, ServiceAddress};
use letschat_flags::files;
use toml_edit::{DocumentMut, Item, Value, value};

const HEAD: &str = "# Settings of letschat; `letschat --help` has the names.\n";

/// Creates the file with a server in it.
///
/// # Errors
///
/// The file can't be written, or is there: `AlreadyExists`.
pub fn begin(path: &Path, server: &ServiceAddress) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    let mut file = File::create_new(path)?;
    file.write_all(HEAD.as_bytes())?;
    writeln!(file, "server = \"{}\"", service_with_key(server))
}

/// Changes settings of the file, which is created if it is missing. `None` removes a setting.
///
/// # Errors
///
/// The file can't be read or written, or is not TOML. A device such as `/dev/null` is no file.
pub fn change(path: &Path, settings: &[(&str, Option<Value>)]) -> io::Result<()> {
    files::refuse_irregular(path)?;
    let (head, text) = match fs::read_to_string(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => (HEAD, String::new()),
        text => ("", text?),
    };
    let mut document: DocumentMut = text.parse().map_err(io::Error::other)?;
    for (key, setting) in settings {
        match setting {
            Some(setting) => match document.get_mut(key).and_then(Item::as_value_mut) {
                // Keep the comment behind it.
                Some(old) => {
                    let decor = old.decor().clone();
                    *old = setting.clone();
                    *old.decor_mut() = decor;
                }
                None => drop(document.insert(key, value(setting.clone()))),
            },
            None => drop(document.remove(key)),
        }
    }
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    // A link stays one. The old file stays whole until the new one is, which has its permissions.
    let path = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let new = path.with_extension("toml.new");
    fs::write(&new, format!("{head}{document}"))?;
    if let Ok(old) = fs::metadata(&path) {
        fs::set_permissions(&new, old.permissions())?;
    }
    fs::rename(&new, path)
}

/// Formats the address of a service, with the fingerprint that it may have.
pub fn service_with_key(service: &ServiceAddress) -> String {
    let servers: Vec<String> = service.servers().iter().map(with_key).collect();
    servers.join(",")
}

/// Formats an address as the user writes it, with the fingerprint that it may have.
pub fn with_key(server: &ServerAddress) -> String {
    let fingerprint = server.fingerprint.map(|key| format!("#{key}")).unwrap_or_default();
    format!("{server}{fingerprint}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn change_keeps_comments_and_other_settings() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("letschat/settings.toml");
        change(&path, &[("history", Some(true.into())), ("tries", None)]).unwrap();
        let written = fs::read_to_string(&path).unwrap();
        assert_eq!(written, format!("{HEAD}history = true\n"));
        let text = "# mine\nhistory = true # all of it\ntheme = \"dark\"\n";
        fs::write(&path, text).unwrap();
        change(&path, &[("history", Some(false.into())), ("theme", None)]).unwrap();
        let written = fs::read_to_string(&path).unwrap();
        assert_eq!(written, "# mine\nhistory = false # all of it\n");
    }

    #[test]
    fn device_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("settings.toml");
        // Otherwise a user with all rights would replace the device itself.
        std::os::unix::fs::symlink("/dev/null", &path).unwrap();
        assert!(change(&path, &[("history", Some(true.into()))]).is_err());
        assert!(path.is_symlink());
        assert!(!fs::metadata("/dev/null").unwrap().is_file());
    }

    #[test]
    fn file_that_is_not_toml_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("settings.toml");
        fs::write(&path, "history =\n").unwrap();
        assert!(change(&path, &[("history", Some(true.into()))]).is_err());
        assert_eq!(fs::read_to_string(&path).unwrap(), "history =\n");
    }
}
