//! Plugins: which there are, and more or fewer of them; and the way to the commands that they add.

use letschat_protocol::rows::moved_in;

use crate::arguments::{Arguments, Kind, Parameter};
use crate::command::{Allowed, Asks, Command, CommandFuture, Context};
use crate::lua::plugins::Plugins;
use crate::session::{Failure, Reply};

/// What can be done. No choice, which would make the usage longer than any other.
pub(crate) const ACTIONS: [&str; 4] = ["list", "load", "unload", "reload"];

const ACTION: Parameter = Parameter::optional("action", Kind::Word);
const NAME: Parameter = Parameter::optional("name", Kind::Word);

pub(crate) static COMMAND: Command = Command {
    name: "plugin",
    aliases: &[],
    summary: "Show the plugins; load, unload or reload one.",
    example: "plugin reload away",
    parameters: &[ACTION, NAME],
    allowed: Allowed::Always,
    asks: Asks::Nothing,
    run,
};

fn run(context: Context, arguments: &Arguments) -> CommandFuture {
    let (action, name) = (arguments.optional(&ACTION), arguments.optional(&NAME));
    Box::pin(async move {
        let plugins = context.plugins.ok_or_else(no_plugins)?;
        let message = act(&plugins, action.as_deref().unwrap_or("list"), name.as_deref()).await?;
        Ok(Reply::Said { message })
    })
}

async fn act(plugins: &Plugins, action: &str, name: Option<&str>) -> Result<String, Failure> {
    plugins.ready().await;
    let done = match (action, name) {
        ("list", _) => return Ok(plugins.list()),
        (action, _) if !ACTIONS.contains(&action) => {
            let why = format!("plugin: action must be {}.", ACTIONS.join(" or "));
            return Err(Failure::new("bad_arguments", why));
        }
        (_, None) => {
            let why = format!("plugin: which one? Usage: {}", COMMAND.usage());
            return Err(Failure::new("bad_arguments", why));
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
    Failure::new("no_plugins", "There are plugins at a terminal only, and not with --no-plugins.")
}

pub(crate) const CALLED: Parameter = Parameter::required("called", Kind::Word);
pub(crate) const LINE: Parameter = Parameter::optional("line", Kind::Text);

/// What a typed command of a plugin becomes. It stands in no table: plugins come and go.
pub(crate) static ADDED: Command = Command {
    name: "plugin",
    aliases: &[],
    summary: "Run a command that a plugin has added.",
    example: "",
    parameters: &[CALLED, LINE],
    allowed: Allowed::Always,
    asks: Asks::Nothing,
    run: run_added,
};

fn run_added(context: Context, arguments: &Arguments) -> CommandFuture {
    let (called, line) = (arguments.required(&CALLED), arguments.optional(&LINE));
    Box::pin(async move {
        let plugins = context.plugins.ok_or_else(no_plugins)?;
        let said = plugins.run(&called, &line.unwrap_or_default()).await?;
        Ok(said.map_or(Reply::Done {}, |message| Reply::Said { message: moved_in(&message) }))
    })
}
