//! Passwords from a file or from the user, for commands that were given none.

use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use letschat_protocol::dialogue::Secret;
use letschat_protocol::password;
use letschat_protocol::username::Username;
use smol::lock::Mutex;

use crate::arguments::{Kind, Parameter};
use crate::failure::Failure;
use crate::text;
use letschat_core::codes::FailureCode;

/// The parameter for an account's password.
pub const PASSWORD: Parameter = Parameter::optional("password", Kind::Secret);
/// The parameter for an account's new password.
pub const NEW_PASSWORD: Parameter = Parameter::optional("new_password", Kind::Secret);
/// The parameter for the repetition of the new password.
pub const REPEATED: Parameter = Parameter::optional("repeated", Kind::Secret);

/// The parameter to replace the account's session elsewhere.
pub const TAKE: Parameter =
    Parameter::optional("take", Kind::Flag).help("end the account's session elsewhere");

/// The maximum size of a password file. A larger file is not one.
const MAX_FILE_BYTES: u64 = 4 * 1024;

/// A prompt for passwords that does not show what is typed.
pub trait Ask: Send + Sync {
    /// Shows the prompt and reads a line. It blocks, so it runs on its own thread. An error of the kind
    /// `Interrupted` means that the user called it off, and `UnexpectedEof` that the input is at its end.
    fn ask(&self, prompt: &str) -> io::Result<Secret>;
}

/// The password file if one is named, else the user's answers.
#[derive(Clone, Default)]
pub struct Passwords {
    file: Option<Arc<PasswordFile>>,
    user: Option<Arc<dyn Ask>>,
}

/// The named file. A pipe such as `<(pass show chat)` can be read only once.
struct PasswordFile {
    path: PathBuf,
    /// The password, kept if the file can't be read again.
    remembered: Mutex<Option<Secret>>,
}

impl Passwords {
    /// Creates a source of passwords. Both arguments are optional.
    pub fn new(file: Option<PathBuf>, user: Option<Arc<dyn Ask>>) -> Passwords {
        let file = file.map(|path| PasswordFile { path, remembered: Mutex::default() });
        Passwords { file: file.map(Arc::new), user }
    }

    /// Returns true if there is a password file. Reading it may block forever.
    pub(crate) fn are_in_a_file(&self) -> bool {
        self.file.is_some()
    }

    /// Returns the password of a new account of this name, and its repetition; `None` without a user to ask.
    pub async fn for_signup(&self, name: &str) -> Result<Option<(Secret, Secret)>, Failure> {
        if let Some(password) = self.from_file().await? {
            return Ok(Some((password.clone(), password)));
        }
        let name = name.parse().ok();
        let new = self
            .ask_new(
                name.as_ref(),
                "Password for the new account: ",
                "The same password again: ",
                false,
            )
            .await?;
        Ok(new.map(|[password, repeated]| (password, repeated)))
    }

    /// Returns the password of an account. `None` means there is no source, or the user gave an empty one
    /// to log in by key.
    pub async fn for_login(&self) -> Result<Option<Secret>, Failure> {
        if let Some(password) = self.from_file().await? {
            return Ok(Some(password));
        }
        let password = self.ask("Password (empty: log in by this machine's key): ").await?;
        Ok(password.filter(|password| !password.0.is_empty()))
    }

    /// Returns the password of the account that is logged in, to give up its other devices. An empty answer cancels.
    pub async fn for_recovery(&self) -> Result<Option<Secret>, Failure> {
        if let Some(password) = self.from_file().await? {
            return Ok(Some(password));
        }
        let question = "All your other devices are given up, and your friends have to trust this one anew. \
                        Your password (empty: leave all as it is): ";
        match self.ask(question).await? {
            Some(password) if password.0.is_empty() => Err(cancelled()),
            password => Ok(password),
        }
    }

    /// Returns the present password, the new one and its repetition. The file supplies only the present
    /// one, since its content would be wrong after the change.
    pub async fn for_change(
        &self,
        name: Option<&Username>,
    ) -> Result<Option<[Secret; 3]>, Failure> {
        let present = match self.from_file().await? {
            Some(password) => Some(password),
            None => self.ask("Your present password: ").await?,
        };
        let new = self.new_for_change(name).await?;
        Ok(present.zip(new).map(|(present, [new, repeated])| [present, new, repeated]))
    }

    /// Asks for the new password of a change and its repetition.
    pub(crate) async fn new_for_change(
        &self,
        name: Option<&Username>,
    ) -> Result<Option<[Secret; 2]>, Failure> {
        self.ask_new(name, "The new password: ", "The new password again: ", false).await
    }

    /// Asks for the passphrase of the history.
    pub(crate) async fn for_history(&self) -> Result<Option<Secret>, Failure> {
        self.ask("Passphrase of the history: ").await
    }

    /// Asks for a new passphrase of the history and its repetition. An empty one, which is not repeated, removes it.
    pub(crate) async fn new_for_history(
        &self,
        name: Option<&Username>,
    ) -> Result<Option<[Secret; 2]>, Failure> {
        let question = "New passphrase of the history (empty: none): ";
        self.ask_new(name, question, "The same passphrase again: ", true).await
    }

    /// Asks for a new password and its repetition. Each answer is checked at once; a wrong one is asked for again.
    async fn ask_new(
        &self,
        name: Option<&Username>,
        question: &str,
        again: &str,
        may_be_empty: bool,
    ) -> Result<Option<[Secret; 2]>, Failure> {
        let word = if may_be_empty { "passphrase" } else { "password" };
        let mut prompt = question.to_owned();
        loop {
            let Some(new) = self.ask(&prompt).await? else { return Ok(None) };
            if may_be_empty && new.0.is_empty() {
                return Ok(Some([new.clone(), new]));
            }
            if let Some(Err(weak)) = name.map(|name| password::check(&new.0, name)) {
                let weak = text::sentence(&weak.to_string()).replace("password", word);
                prompt = format!("{weak} {question}");
                continue;
            }
            let Some(repeated) = self.ask(again).await? else { return Ok(None) };
            if password::are_same(&new.0, &repeated.0) {
                return Ok(Some([new, repeated]));
            }
            prompt = format!("The two {word}s differ. {question}");
        }
    }

    /// Returns the first line of the password file, if one is named. A thread reads it, since a FIFO may
    /// block.
    pub async fn from_file(&self) -> Result<Option<Secret>, Failure> {
        let Some(file) = &self.file else {
            return Ok(None);
        };
        file.password().await.map(Some).map_err(|error| {
            let message = format!("No password can be read from {}: {error}.", file.path.display());
            Failure::new(FailureCode::PasswordFile, message)
        })
    }

    async fn ask(&self, prompt: &str) -> Result<Option<Secret>, Failure> {
        let Some(user) = self.user.clone() else {
            return Ok(None);
        };
        let prompt = prompt.to_owned();
        smol::unblock(move || user.ask(&prompt)).await.map(Some).map_err(|error| {
            let (code, why) = match error.kind() {
                io::ErrorKind::Interrupted => return cancelled(),
                io::ErrorKind::UnexpectedEof => {
                    (FailureCode::NoPassword, "No password was given, so nothing was done.".into())
                }
                _ => (FailureCode::NoPassword, format!("No password could be read: {error}.")),
            };
            Failure::new(code, why)
        })
    }
}

fn cancelled() -> Failure {
    Failure::new(FailureCode::Cancelled, "Cancelled; nothing was changed.")
}

impl PasswordFile {
    async fn password(&self) -> io::Result<Secret> {
        // Held while the file is read: two readers would split the content of a pipe.
        let mut remembered = self.remembered.lock().await;
        if let Some(password) = &*remembered {
            return Ok(password.clone());
        }
        let path = self.path.clone();
        let (password, is_regular) = smol::unblock(move || first_line(&path)).await?;
        if !is_regular {
            *remembered = Some(password.clone());
        }
        Ok(password)
    }
}

/// Returns the password, and true if the file can be read again.
fn first_line(path: &Path) -> io::Result<(Secret, bool)> {
    let file = File::open(path)?;
    let is_regular = file.metadata()?.is_file();
    let mut text = String::new();
    BufReader::new(file.take(MAX_FILE_BYTES)).read_line(&mut text)?;
    match password::of_file(&text) {
        "" => Err(io::Error::new(io::ErrorKind::InvalidData, "its first line is empty")),
        password => Ok((Secret(password.to_owned()), is_regular)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_lite::future::block_on;
    use std::io::Write as _;
    use std::os::fd::AsRawFd as _;

    struct Answers(&'static str);

    impl Ask for Answers {
        fn ask(&self, _: &str) -> io::Result<Secret> {
            Ok(Secret(self.0.into()))
        }
    }

    /// Gives one answer after the other, and notes the questions.
    struct Script(std::sync::Mutex<(Vec<&'static str>, Vec<String>)>);

    impl Ask for Script {
        fn ask(&self, prompt: &str) -> io::Result<Secret> {
            let mut script = self.0.lock().unwrap();
            script.1.push(prompt.to_owned());
            Ok(Secret(script.0.remove(0).into()))
        }
    }

    fn passwords(file: Option<&str>, user: Option<&'static str>) -> (Passwords, tempfile::TempDir) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("password");
        let file = file.map(|content| {
            std::fs::write(&path, content).unwrap();
            path
        });
        let user = user.map(|answer| Arc::new(Answers(answer)) as Arc<dyn Ask>);
        (Passwords::new(file, user), folder)
    }

    #[test]
    fn the_file_comes_first_and_only_its_first_line_counts() {
        let (passwords, _folder) = passwords(Some("from file \r\nmore"), Some("typed"));
        let password = Secret("from file ".into());
        assert_eq!(block_on(passwords.for_login()), Ok(Some(password.clone())));
        assert_eq!(block_on(passwords.for_signup("alice")), Ok(Some((password.clone(), password))));
    }

    #[test]
    fn byte_order_marks_are_no_part_of_the_password() {
        let (passwords, _folder) = passwords(Some("\u{feff}\u{feff}from file\r\n"), None);
        assert_eq!(block_on(passwords.for_login()), Ok(Some(Secret("from file".into()))));
    }

    #[test]
    fn file_that_changes_is_read_again() {
        let (passwords, folder) = passwords(Some("old one"), None);
        assert_eq!(block_on(passwords.for_login()), Ok(Some(Secret("old one".into()))));
        std::fs::write(folder.path().join("password"), "new one").unwrap();
        assert_eq!(block_on(passwords.for_login()), Ok(Some(Secret("new one".into()))));
    }

    #[test]
    fn what_a_pipe_gave_once_is_remembered() {
        let (reader, mut writer) = io::pipe().unwrap();
        writer.write_all(b"from a pipe\n").unwrap();
        // The writer is still open: the end of the line must suffice.
        let path = format!("/proc/self/fd/{}", reader.as_raw_fd());
        let passwords = Passwords::new(Some(path.into()), None);
        for _ in 0..2 {
            assert_eq!(block_on(passwords.for_login()), Ok(Some(Secret("from a pipe".into()))));
        }
    }

    #[test]
    fn a_user_may_choose_the_key_by_an_empty_answer() {
        let (typed, _folder) = passwords(None, Some("typed"));
        assert_eq!(block_on(typed.for_login()), Ok(Some(Secret("typed".into()))));
        let (empty, _folder) = passwords(None, Some(""));
        assert_eq!(block_on(empty.for_login()), Ok(None));
    }

    #[test]
    fn wrong_answer_is_asked_for_again_alone() {
        let good = "correct horse";
        let answers = vec!["short", good, "correct hose", good, good];
        let script = Arc::new(Script(std::sync::Mutex::new((answers, Vec::new()))));
        let passwords = Passwords::new(None, Some(script.clone()));
        let given = block_on(passwords.for_signup("alice")).unwrap().unwrap();
        assert_eq!(given, (Secret(good.into()), Secret(good.into())));
        let asked = &script.0.lock().unwrap().1;
        assert_eq!(
            *asked,
            [
                "Password for the new account: ",
                "A password has at least 8 characters. Password for the new account: ",
                "The same password again: ",
                "The two passwords differ. Password for the new account: ",
                "The same password again: ",
            ]
        );
    }

    #[test]
    fn where_there_is_none_nothing_is_asked() {
        let (nowhere, _folder) = passwords(None, None);
        assert_eq!(block_on(nowhere.for_login()), Ok(None));
        assert_eq!(block_on(nowhere.for_signup("alice")), Ok(None));
        let (broken, _folder) = passwords(Some("\n"), None);
        assert_eq!(block_on(broken.for_login()).unwrap_err().code, FailureCode::PasswordFile);
    }
}
