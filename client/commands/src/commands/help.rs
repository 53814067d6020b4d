//! `help`: lists the commands, from the table.

use crate::arguments::{Arguments, Kind, Parameter};
use crate::command::{self, Command, CommandFuture, Context, Role};
use crate::commands::TABLE;
use crate::extension::AddedCommand;
use crate::failure::Failure;
use letschat_core::session::Reply;

const COMMAND_NAME: Parameter =
    Parameter::optional("command", Kind::Command).help("a command, to see its parameters");

pub(crate) static COMMAND: Command = Command {
    name: "help",
    aliases: &["?"],
    summary: "Show all commands, or one of them in detail.",
    example: "help connect",
    parameters: &[COMMAND_NAME],
    role: Some(Role::Help),
    ..Command::new(run)
};

fn run(context: Context, arguments: &Arguments) -> CommandFuture {
    let added = context.extension.map(|extension| extension.commands()).unwrap_or_default();
    let result = help(arguments.optional(&COMMAND_NAME).as_deref(), &added);
    Box::pin(async move { result })
}

fn help(name: Option<&str>, added: &[AddedCommand]) -> Result<Reply, Failure> {
    let message = match name {
        None => overview(added),
        Some(name) => {
            let name = name.strip_prefix('/').unwrap_or(name);
            match added.iter().find(|command| command.name.eq_ignore_ascii_case(name)) {
                Some(command) => format!("{}\n{}", command.usage(), command.summary),
                None => detail(command::find(name).map_err(|rejection| rejection.failure)?),
            }
        }
    };
    Ok(Reply::Said { message })
}

fn overview(added: &[AddedCommand]) -> String {
    let own = TABLE.iter().map(|command| (command.usage(), command.summary));
    let added = added.iter().map(|command| (command.usage(), command.summary.as_str()));
    let commands: Vec<(String, &str)> = own.chain(added).collect();
    let width = commands.iter().map(|(usage, _)| usage.len()).max().unwrap_or(0);
    let lines = commands.iter().map(|(usage, summary)| format!("{usage:width$}  {summary}\n"));
    let mut text: String = lines.collect();
    text.push_str(
        "In a chat, plain text goes to the other side, and commands begin with a /.\n\
         After the other side ends it, text still goes to them, through the server.\n\
         At the prompt Ctrl+C clears the line or ends the chat, Ctrl+X leaves the server.\n\
         Ctrl+D on an empty line quits.\n\
         `help COMMAND` explains one command.",
    );
    text
}

fn detail(command: &Command) -> String {
    let Command { summary, example, aliases, note, .. } = command;
    let mut text = format!("{}\n{summary}", command.usage());
    for parameter in command.parameters.iter().filter(|parameter| parameter.is_typed()) {
        text.push_str(&format!("\n  {} – {}", parameter.shown(), parameter.help));
    }
    text.push_str(&format!("\nExample: {example}"));
    if !note.is_empty() {
        text.push_str(&format!("\n{note}"));
    }
    if !aliases.is_empty() {
        text.push_str(&format!("\nAlso: {}", aliases.join(", ")));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(name: Option<&str>) -> String {
        match help(name, &[]).unwrap() {
            Reply::Said { message } => message,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_overview_has_every_command_and_fits_a_terminal() {
        let overview = text(None);
        for command in TABLE {
            assert!(overview.contains(&command.usage()), "{}", command.name);
            assert!(overview.contains(command.summary), "{}", command.name);
        }
        for line in overview.lines() {
            assert!(line.len() <= 100, "{line}");
        }
    }

    #[test]
    fn each_command_is_explained() {
        for command in TABLE {
            assert!(text(Some(command.name)).contains(command.example), "{}", command.name);
        }
        assert_eq!(text(Some("/exit")), text(Some("quit")));
        assert_eq!(help(Some("nonsense"), &[]).unwrap_err().code.name(), "unknown_command");
    }
}
