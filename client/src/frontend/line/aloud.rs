//! What plugins say, above the prompt.

use std::thread;

use async_io::block_on;
use futures_lite::future::zip;
use letschat_protocol::rows::moved_in;

use super::BELL;
use super::editor::Screen;
use super::theme::{Kind, Theme};
use crate::lua::Said;
use crate::lua::plugins::{Heard, Plugins};

/// Loads the plugins and shows what they say, on a thread of its own: neither holds up the prompt.
pub(super) fn speak(plugins: &Plugins, heard: Heard, screen: Screen, theme: Theme) {
    let plugins = plugins.clone();
    let speaking = async move {
        while let Ok((plugin, said)) = heard.recv().await {
            let Some(text) = shown(&plugin, said, theme) else { continue };
            if screen.show(text).await.is_err() {
                return;
            }
        }
    };
    // Without a thread there are no plugins. The thread lasts as long as the process.
    let _ = thread::Builder::new()
        .name("plugins".into())
        .spawn(move || block_on(zip(plugins.load_all(), speaking)));
}

fn shown(plugin: &str, said: Said, theme: Theme) -> Option<String> {
    Some(match said {
        Said::Text(text) => {
            format!("{} {}", theme.paint(Kind::Hint, &format!("{plugin}:")), moved_in(&text))
        }
        Said::Log("warn" | "error", text) | Said::Error(text) => {
            theme.paint(Kind::Warning, &moved_in(&format!("plugin {plugin}: {text}")))
        }
        Said::Log("info", text) => theme.paint(Kind::Hint, &moved_in(&format!("{plugin}: {text}"))),
        Said::Log(..) => return None,
        Said::Bell => BELL.into(),
    })
}
