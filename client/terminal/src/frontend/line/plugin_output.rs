//! The output of plugins, above the prompt.

use std::thread;

use async_io::block_on;
use futures_lite::future::zip;
use letschat_protocol::rows::moved_in;

use super::BELL;
use super::handles::Screen;
use super::theme::Theme;
use letschat_commands::appearance::Kind;
use letschat_lua::Said;
use letschat_lua::plugins::{Heard, Plugins};

/// The mark before further lines of a plugin's text, so that none looks like a
/// message.
const GOES_ON: &str = "  | ";

/// Loads the plugins and shows their output, on a thread of its own, so that neither delays the prompt.
pub(super) fn speak(plugins: &Plugins, heard: Heard, screen: Screen, theme: Theme) {
    let plugins = plugins.clone();
    let speaking = async move {
        while let Ok((plugin, said)) = heard.recv().await {
            let shown = match said {
                Said::Log("debug", _) => continue,
                Said::Bell => screen.show(BELL).await,
                Said::Text(text) => {
                    let name = format!("{} ", theme.paint(Kind::Hint, &format!("{plugin}:")));
                    let (first, next) = (said_by(&name, &text), said_by(GOES_ON, &text));
                    screen.show_from(plugin, first, next).await
                }
                Said::Log("info", text) => {
                    let hint = |beginning| theme.paint(Kind::Hint, &said_by(beginning, &text));
                    let (first, next) = (hint(&format!("{plugin}: ")), hint(GOES_ON));
                    screen.show_from(plugin, first, next).await
                }
                Said::Log(_, text) | Said::Error(text) => {
                    screen
                        .show(theme.paint(Kind::Warning, &moved_in(&warning(&plugin, &text))))
                        .await
                }
            };
            if shown.is_err() {
                return;
            }
        }
    };
    // If no thread starts, there are no plugins. The thread ends with the process.
    let _ = thread::Builder::new()
        .name("plugins".into())
        .spawn(move || block_on(zip(plugins.load_all(), speaking)));
}

/// Returns a text with this beginning and marked further lines.
fn said_by(beginning: &str, text: &str) -> String {
    format!("{beginning}{}", text.replace('\n', &format!("\n{GOES_ON}")))
}

/// Returns a warning with its plugin's name, unless the text begins with it.
fn warning(plugin: &str, text: &str) -> String {
    if text.starts_with(&format!("{plugin}.lua:")) {
        format!("plugin {text}")
    } else if text.starts_with(&format!("The plugin {plugin} ")) {
        text.to_owned()
    } else {
        format!("plugin {plugin}: {text}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_said_once() {
        assert_eq!(said_by("dice: ", "one\ntwo"), "dice: one\n  | two");
        assert_eq!(said_by(GOES_ON, "three"), "  | three");
        assert_eq!(warning("dice", "dice.lua:3: no"), "plugin dice.lua:3: no");
        let unloaded = "The plugin dice is not loaded: dice.lua:3: no";
        assert_eq!(warning("dice", unloaded), unloaded);
        assert_eq!(warning("dice", "it is late"), "plugin dice: it is late");
    }
}
