//! `letschat`: the client as a program.

use std::io;
use std::panic;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use async_io::block_on;
use letschat::config::Options;
use letschat::frontend::line::home::{self, HomeServer};
use letschat::frontend::{FirstLogin, FrontEnd, Terminal, json, line, plain, signals};
use letschat::{open_room, pages};
use letschat_commands::command::Dispatcher;
use letschat_commands::exit_status;
use letschat_commands::passwords::{Ask, Passwords};
use letschat_engine::address::ServerAddress;
use letschat_engine::{Client, client, discovery};
use letschat_flags::output;
use letschat_lua::check::{self, Fault};
use letschat_lua::script::{self, Script};

/// The time of the first run's search for servers.
const SEARCH: Duration = Duration::from_secs(2);

/// The exit status, and the text for standard error.
type Failed = (u8, String);

fn main() -> ExitCode {
    if let Some(folder) = letschat_flags::pages::wanted(std::env::args_os()) {
        return ended(write_pages(&folder));
    }
    let options = match Options::read(std::env::args_os()) {
        Ok(options) => options,
        Err(error) => return error.report("letschat"),
    };
    ended(run(options))
}

fn ended(result: Result<u8, Failed>) -> ExitCode {
    match result {
        Ok(status) => ExitCode::from(status),
        Err((status, message)) => {
            output::complain("letschat", message);
            ExitCode::from(status)
        }
    }
}

fn write_pages(folder: &Path) -> Result<u8, Failed> {
    match pages::write(folder) {
        Ok(()) => Ok(exit_status::SUCCESS),
        Err(error) => {
            Err((exit_status::FAILED, format!("{} can't be written: {error}", folder.display())))
        }
    }
}

fn run(options: Options) -> Result<u8, Failed> {
    if let Some(path) = options.check() {
        return check_script(path);
    }
    let wrong = |error: &dyn std::error::Error| (exit_status::USAGE, error.to_string());
    let failed = |error: &dyn std::error::Error| (exit_status::FAILED, error.to_string());
    if let Some(room) = options.open_room().map_err(|error| wrong(&error))? {
        return talk_in_open_room(&room, &options);
    }
    if let Some(why) = options.no_full_screen() {
        let message = format!("--full: {why}; `--plain` needs no cursor");
        return Err((exit_status::USAGE, message));
    }
    // Before the first question.
    let data = options.data_folder().map_err(|error| wrong(&error))?;
    client::make_data_folder(&data).map_err(|error| failed(&error))?;
    let Some((options, home)) = ask_for_server(options)? else {
        return Ok(exit_status::SUCCESS);
    };
    let config = options.to_config().map_err(|error| wrong(&error))?;
    let files = options.files().map_err(|error| wrong(&error))?;
    let login = options.first_login(&config).map_err(|error| wrong(&error))?;
    let script_config = config.clone();
    let history = config.data_folder.join("history");
    let client = Client::start(config).map_err(|error| failed(&error))?;
    let ended = |_| (exit_status::FAILED, "the client has ended".to_owned());
    let events = block_on(client.subscribe()).map_err(ended)?.events;

    let terminal = Arc::new(Terminal::default());
    restore_on_panic(&terminal);
    if let Some((path, arguments)) = options.script() {
        // A script may be a pipe that blocks. Signals end the process at once until it is read.
        let source = script::read(path).map_err(|error| failed(&error))?;
        let stop = signals::told_of_signals(terminal).map_err(|error| failed(&error))?;
        let script = Script {
            path: path.to_owned(),
            source,
            arguments: arguments.to_vec(),
            config: script_config,
            client,
            events,
            login: match login {
                FirstLogin::As(username) => Some(username),
                FirstLogin::None => None,
            },
            passwords: Passwords::new(options.password_file(), None),
            files,
            stop,
        };
        return script::run(script).map_err(|error| failed(&error));
    }
    signals::quit_on_signals(client.clone(), terminal.clone()).map_err(|error| failed(&error))?;
    let interactive = options.is_interactive() || options.is_line();
    let (hidden, questions) = line::HiddenQuestions::new();
    let user = match interactive {
        true if options.is_line() => Some(Arc::new(hidden) as Arc<dyn Ask>),
        true => Some(terminal.clone() as Arc<dyn Ask>),
        false => None,
    };
    let passwords = Passwords::new(options.password_file(), user);
    let dispatcher = Dispatcher::new(client, passwords);

    let setting = line::Setting {
        terminal: terminal.clone(),
        questions,
        plugins: options.plugins(),
        files,
        data,
        history,
        interface: options.interface(),
        notify: options.notifications(),
        notify_by: options.notify_by(),
        theme: options.theme(),
        welcome: login == FirstLogin::None && options.wants_welcome(),
        home,
    };
    let front_end = FrontEnd { dispatcher, events, login, interactive };
    let status = if options.is_json() {
        json::run(front_end, options.tells_own_messages())
    } else if options.is_line() {
        line::run(front_end, setting)
    } else {
        plain::run(front_end, options.has_screen_reader())
    };
    terminal.restore();
    Ok(status)
}

fn talk_in_open_room(room: &ServerAddress, options: &Options) -> Result<u8, Failed> {
    let failed = |error: &dyn std::error::Error| (exit_status::FAILED, error.to_string());
    let terminal = Arc::new(Terminal::default());
    let stop = signals::told_of_end(terminal.clone()).map_err(|error| failed(&error))?;
    let theme = options.is_line().then(|| options.theme());
    let ended = open_room::run(room, theme, &terminal, &stop);
    terminal.restore();
    ended.map_err(|error| (error.exit_status(), error.to_string()))
}

/// Restores the terminal before a panic prints its message.
fn restore_on_panic(terminal: &Arc<Terminal>) {
    let (terminal, print) = (terminal.clone(), panic::take_hook());
    panic::set_hook(Box::new(move |info| {
        // A panic of another thread leaves the front end running.
        if thread::current().name() == Some("main") {
            terminal.restore();
        }
        print(info);
    }));
}

/// Prints the reason why a script does not compile, as `FILE:LINE: MESSAGE`.
fn check_script(path: &Path) -> Result<u8, Failed> {
    let unread = |error: io::Error| format!("{} can't be read: {error}", path.display());
    let fault = check::file(path).map_err(|error| (exit_status::FAILED, unread(error)))?;
    let Some(Fault { line, message }) = fault else {
        return Ok(exit_status::SUCCESS);
    };
    output::print(&format!("{}:{line}: {message}\n", path.display()))
        .map_err(|error| (exit_status::FAILED, error.to_string()))?;
    Ok(exit_status::FAILED)
}

/// Asks for the server at the first run. Returns `None` if the user
/// quits.
fn ask_for_server(options: Options) -> Result<Option<(Options, Option<HomeServer>)>, Failed> {
    let Some(settings) = options.asks_for_server() else {
        return Ok(Some((options, None)));
    };
    let usual = ServerAddress::on_this_machine().into();
    let columns = output::Stream::Output.columns();
    let look = || discovery::find_servers(SEARCH);
    let (input, output) = (io::stdin().lock(), io::stdout().lock());
    let server = home::ask(&usual, look, input, output, columns, letschat_engine::probe)
        .map_err(|error| (exit_status::FAILED, error.to_string()))?;
    Ok(server.map(|server| {
        let options = options.with_server(server.clone());
        // The default need not be saved.
        let home = (server != usual).then_some(HomeServer { server, settings });
        (options, home)
    }))
}
