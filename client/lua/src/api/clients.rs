//! `chat.client`: further clients of one script, in the same process.

use std::cell::RefCell;
use std::path::PathBuf;
use std::rc::Rc;

use async_io::block_on;
use mlua::{Lua, Table};
use tempfile::TempDir;

use super::{FunctionTable, has_only, lua_failed, of_client};
use crate::copied::Text;
use crate::failure::{LuaResult, misuse, too_many};
use crate::host::Host;
use crate::limits::MAX_CLIENTS;
use crate::queue;
use crate::script_client::ScriptClient;
use letschat_commands::command::Dispatcher;
use letschat_commands::failure::Failure;
use letschat_commands::file_access::FileAccess;
use letschat_commands::passwords::Passwords;
use letschat_core::codes::FailureCode;
use letschat_core::session::Request;
use letschat_engine::client::{Client, Config};

/// The clients that a script has started, and their folders.
pub(crate) struct ScriptClients {
    /// The config of the script's own client. It supplies the defaults of the others.
    config: Config,
    files: FileAccess,
    members: RefCell<Vec<(Client, Option<TempDir>)>>,
}

impl ScriptClients {
    pub(crate) fn new(config: Config, files: FileAccess) -> Rc<ScriptClients> {
        Rc::new(ScriptClients { config, files, members: RefCell::default() })
    }

    /// Ends all clients and removes their temporary folders.
    pub(crate) async fn dismiss(&self) {
        let members = self.members.take();
        for (client, _) in &members {
            // An error means that the client has already ended.
            let _ = client.request(Request::Quit).await;
            client.finished().await;
        }
    }

    fn start(&self, lua: &Lua, host: &Rc<Host>, options: Option<Table>) -> LuaResult<Table> {
        if self.members.borrow().len() >= MAX_CLIENTS {
            return Err(too_many("clients", MAX_CLIENTS));
        }
        let options = options.map_or_else(|| lua.create_table(), Ok).map_err(lua_failed)?;
        has_only(&options, "A client", &["as", "data", "server"])?;
        let text = |name: &str| {
            let text: Option<Text> = options.raw_get(name).map_err(lua_failed)?;
            Ok::<_, Failure>(text.map(|text| text.0))
        };
        let mut config = Config { peer_port: 0, ..self.config.clone() };
        if let Some(server) = text("server")? {
            config.server = server.parse().map_err(|error| misuse(format!("server: {error}")))?;
        }
        let failed =
            |error: &dyn std::error::Error| Failure::new(FailureCode::Client, error.to_string());
        let folder = match text("data")? {
            Some(folder) => {
                config.data_folder = PathBuf::from(folder);
                None
            }
            None => {
                let folder = tempfile::tempdir().map_err(|error| failed(&error))?;
                config.data_folder = folder.path().join("data");
                Some(folder)
            }
        };
        let client = Client::start(config).map_err(|error| failed(&error))?;
        let subscription = block_on(client.subscribe()).map_err(Failure::from)?;
        self.members.borrow_mut().push((client.clone(), folder));
        let dispatcher = Dispatcher::new(client, Passwords::new(None, None));
        let dispatcher = dispatcher.with_files(self.files.clone());
        let script_client = ScriptClient::new(lua, host.clone(), dispatcher);
        queue::pump(&script_client, subscription.events);
        let functions = of_client(lua, host, &script_client).map_err(lua_failed)?;
        functions.table.raw_set("name", text("as")?).map_err(lua_failed)?;
        Ok(functions.table)
    }
}

pub(crate) fn add(
    functions: &FunctionTable<'_>,
    host: &Rc<Host>,
    clients: &Rc<ScriptClients>,
) -> mlua::Result<()> {
    let (host, clients) = (host.clone(), clients.clone());
    functions.add("client", move |lua, options: Option<Table>| clients.start(lua, &host, options))
}
