//! `--check`: compiles a script without running it.

use std::io;
use std::path::Path;

use mlua::Lua;

use super::failure::error_text;
use super::{modules, vm};

/// An error that Luau's compiler found in a script. It stops at the first one.
#[derive(Debug, PartialEq, Eq)]
pub struct Fault {
    /// The line number, from 1.
    pub line: usize,
    /// The compiler's message.
    pub message: String,
}

/// Compiles a file.
///
/// # Errors
///
/// The file can't be read.
pub fn file(path: &Path) -> io::Result<Option<Fault>> {
    Ok(source(&modules::read_script(path)?))
}

/// Compiles source text.
pub fn source(source: &str) -> Option<Fault> {
    let error = vm::compile(&Lua::new(), "check", source).err()?;
    Some(fault(&error_text(&error)))
}

/// Parses the compiler's message, `check:LINE: MESSAGE`.
fn fault(message: &str) -> Fault {
    let rest = message.strip_prefix("check:").unwrap_or(message);
    let parts = rest.split_once(": ").and_then(|(line, what)| Some((line.parse().ok()?, what)));
    let (line, message) = parts.unwrap_or((1, rest));
    Fault { line, message: message.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn script_that_compiles_has_no_fault() {
        let text = "--!strict\nlocal n: number? = if chat then 1 else nil\nn += 1\n\
            for _, user in chat.list() do print(`{user.username}`) end";
        assert_eq!(source(text), None);
        assert_eq!(source(""), None);
    }

    #[test]
    fn fault_names_the_line_and_what_is_wrong() {
        for (text, line, part) in [
            ("print(", 1, "Expected"),
            ("local a = 1\nlocal b = = 2\n", 2, "Expected"),
            ("print('x'", 1, "to close '('"),
            ("return 1\nreturn 2", 2, "Expected <eof>"),
            ("break", 1, "loop"),
            ("\u{1b}LJ", 1, ""),
        ] {
            let fault = source(text).unwrap();
            assert_eq!(fault.line, line, "{text:?}: {fault:?}");
            assert!(fault.message.contains(part), "{text:?}: {fault:?}");
        }
    }
}
