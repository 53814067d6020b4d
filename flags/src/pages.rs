//! Man pages and shell completions, generated from the same declaration as `--help`.
//!
//! The layout follows the Filesystem Hierarchy Standard and the shells, so that the folder can be a
//! prefix's `share`:
//!
//! | what | where |
//! |---|---|
//! | man pages, one more for each subcommand | `man/man1/PROGRAM.1` |
//! | bash | `bash-completion/completions/PROGRAM` |
//! | zsh | `zsh/site-functions/_PROGRAM` |
//! | fish | `fish/vendor_completions.d/PROGRAM.fish` |

use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use clap::Command;
use clap_complete::{Shell, generate};
use clap_mangen::Man;
use roff::{Roff, bold, roman};

/// The option that generates the pages. It is for packagers and in no help text, so it is not
/// declared with the flags.
const GENERATE_PAGES: &str = "--generate-pages";

/// Returns the target folder if the command line asks for pages and nothing else.
pub fn wanted(arguments: impl IntoIterator<Item = OsString>) -> Option<PathBuf> {
    let mut words = arguments.into_iter().skip(1);
    match (words.next(), words.next(), words.next()) {
        (Some(flag), Some(folder), None) if flag == GENERATE_PAGES => Some(folder.into()),
        _ => None,
    }
}

/// A part of a program's man page that `--help` does not have.
#[derive(Debug, Clone)]
pub struct Section {
    /// The section's heading, in capitals.
    pub title: &'static str,
    /// Pairs of a term and its explanation.
    pub entries: Vec<(String, String)>,
}

/// Writes all pages of a program below a folder, creating it if it is missing.
///
/// # Errors
///
/// Fails if the folder can't be written.
pub fn write(command: &Command, sections: &[Section], folder: &Path) -> io::Result<()> {
    let man = folder.join("man/man1");
    fs::create_dir_all(&man)?;
    // This also makes a page for each subcommand. The program's own page is then replaced by one
    // with its sections.
    clap_mangen::generate_to(command.clone(), &man)?;
    let name = command.get_name();
    fs::write(man.join(format!("{name}.1")), man_page(command, sections)?)?;
    for (shell, place, file) in [
        (Shell::Bash, "bash-completion/completions", name.to_owned()),
        (Shell::Zsh, "zsh/site-functions", format!("_{name}")),
        (Shell::Fish, "fish/vendor_completions.d", format!("{name}.fish")),
    ] {
        let place = folder.join(place);
        fs::create_dir_all(&place)?;
        let mut completion = Vec::new();
        generate(shell, &mut command.clone(), name, &mut completion);
        let completion = String::from_utf8_lossy(&completion);
        fs::write(place.join(file), with_one_name(&completion, name))?;
    }
    Ok(())
}

/// Replaces the second name in the bash script. The script names a program with a hyphen in two
/// ways, so its subcommands are not found (seen with clap_complete 4.6.11). Other scripts stay
/// unchanged.
fn with_one_name(script: &str, name: &str) -> String {
    script.replace(&name.replace('-', "__subcmd__"), &name.replace('-', "__"))
}

fn man_page(command: &Command, sections: &[Section]) -> io::Result<Vec<u8>> {
    let man = Man::new(command.clone()).manual("Let's Chat");
    let mut page = Vec::new();
    man.render_title(&mut page)?;
    man.render_name_section(&mut page)?;
    man.render_synopsis_section(&mut page)?;
    man.render_description_section(&mut page)?;
    man.render_options_section(&mut page)?;
    if command.has_subcommands() {
        man.render_subcommands_section(&mut page)?;
    }
    for section in sections {
        render(section).to_writer(&mut page)?;
    }
    if command.get_after_help().is_some() || command.get_after_long_help().is_some() {
        let mut notes = Vec::new();
        man.render_extra_section(&mut notes)?;
        let notes = String::from_utf8_lossy(&notes).replace(".SH EXTRA", ".SH NOTES");
        page.extend_from_slice(notes.as_bytes());
    }
    Ok(page)
}

fn render(section: &Section) -> Roff {
    let mut roff = Roff::new();
    roff.control("SH", [section.title]);
    for (term, text) in &section.entries {
        roff.control("TP", []);
        roff.text([bold(term.clone())]);
        roff.text([roman(text.clone())]);
    }
    roff
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Arg;

    fn pages() -> (tempfile::TempDir, impl Fn(&str) -> String) {
        let folder = tempfile::tempdir().unwrap();
        let command = Command::new("knit")
            .about("Knits.")
            .after_help("Exit status: 0.")
            .arg(Arg::new("needles").long("needles").help("How many"))
            .arg(Arg::new("secret").long("secret").hide(true))
            .subcommand(Command::new("purl").about("The other way round."));
        let entries = vec![("k2tog".to_owned(), "Two at once. 'Twice'.".to_owned())];
        write(&command, &[Section { title: "STITCHES", entries }], folder.path()).unwrap();
        let root = folder.path().to_owned();
        (folder, move |path| fs::read_to_string(root.join(path)).unwrap())
    }

    #[test]
    fn man_page_has_flags_sections_and_the_text_after_the_help() {
        let (_folder, page) = pages();
        let page = page("man/man1/knit.1");
        let heading = |title: &str| page.find(&format!(".SH {title}")).unwrap();
        assert!(page.contains("needles") && !page.contains("secret"), "{page}");
        assert!(heading("OPTIONS") < heading("STITCHES") && heading("STITCHES") < heading("NOTES"));
        assert!(page.contains("k2tog") && page.contains("Exit status: 0."), "{page}");
    }

    #[test]
    fn pages_are_wanted_by_two_words_alone() {
        let wanted = |line: &str| wanted(line.split(' ').map(OsString::from));
        assert_eq!(wanted("knit --generate-pages share"), Some("share".into()));
        for other in ["knit", "knit --generate-pages", "knit --generate-pages a b", "knit a b"] {
            assert_eq!(wanted(other), None, "{other}");
        }
    }

    #[test]
    fn subcommands_have_pages_of_their_own() {
        let (_folder, page) = pages();
        assert!(page("man/man1/knit-purl.1").contains("The other way round."));
    }

    #[test]
    fn every_shell_completes_the_flags() {
        let (_folder, page) = pages();
        for path in [
            "bash-completion/completions/knit",
            "zsh/site-functions/_knit",
            "fish/vendor_completions.d/knit.fish",
        ] {
            assert!(page(path).contains("needles"), "{path}");
        }
    }
}
