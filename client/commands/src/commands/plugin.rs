//! `plugin`: lists, loads, unloads and reloads plugins.

use crate::arguments::{Arguments, Kind, Parameter};
use crate::command::{Command, CommandFuture, Context};
use crate::extension::Extension;
use crate::failure::Failure;
use letschat_core::codes::FailureCode;
use letschat_core::session::Reply;

const ACTIONS: [&str; 4] = ["list", "load", "unload", "reload"];

const ACTION: Parameter =
    Parameter::optional("action", Kind::Keyword(&ACTIONS)).help("list, load, unload or reload");
const NAME: Parameter =
    Parameter::optional("name", Kind::Part).help("the plugin, named by its file without .lua");

pub(crate) static COMMAND: Command = Command {
    name: "plugin",
    summary: "Show the plugins; load, unload or reload one.",
    example: "plugin reload away",
    parameters: &[ACTION, NAME],
    is_quiet: true,
    ..Command::new(run)
};

fn run(context: Context, arguments: &Arguments) -> CommandFuture {
    let (action, name) = (arguments.optional(&ACTION), arguments.optional(&NAME));
    Box::pin(async move {
        let plugins = context.extension.ok_or_else(no_plugins)?;
        let message = act(&*plugins, action.as_deref().unwrap_or("list"), name.as_deref()).await?;
        Ok(Reply::Said { message })
    })
}

async fn act(plugins: &dyn Extension, action: &str, name: Option<&str>) -> Result<String, Failure> {
    plugins.ready().await;
    let done = match (action, name) {
        ("list", _) => return Ok(plugins.list()),
        (_, None) => {
            let why = format!("plugin: which one? Usage: {}", COMMAND.usage());
            return Err(Failure::new(FailureCode::BadArguments, why));
        }
        ("load", Some(name)) => plugins.load(name).await.map(|()| format!("{name} is loaded."))?,
        ("unload", Some(name)) => {
            plugins.unload(name).await.map(|()| format!("{name} is gone."))?
        }
        (_, Some(name)) => {
            plugins.reload(name).await.map(|()| format!("{name} is loaded anew."))?
        }
    };
    Ok(done)
}

fn no_plugins() -> Failure {
    Failure::new(
        FailureCode::NoPlugins,
        "There are plugins at a terminal only, and not with --no-plugins.",
    )
}
