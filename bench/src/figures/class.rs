//! A message to all other clients of a class without its server, until the last of them displays it. The first message
//! of a client finds no links open, and later ones use the same links.

use std::time::{Duration, Instant};

use async_channel::{Receiver, Sender, unbounded};
use async_executor::{LocalExecutor, Task};
use async_io::{Timer, block_on};
use letschat_core::conversation::Via;
use letschat_core::event::Event;
use letschat_core::session::Request;
use letschat_engine::client::Classroom;
use letschat_engine::events::{Events, Told};
use letschat_engine::{Client, Config};
use tempfile::TempDir;

use crate::letters;
use crate::people::{config, in_time};
use crate::programs::BenchResult;
use crate::report::{Bar, Row};
use crate::run::Bench;
use crate::server::ServerProcess;
use crate::statistics::Samples;

const FIGURE: &str = "class";

/// The pause before each message. Meanwhile the clients record and acknowledge the last one.
const PAUSE: Duration = Duration::from_millis(300);

/// The progress of a client.
enum Progress {
    /// It knows all others.
    Complete,
    /// The server has ended.
    Alone,
    /// It displays a message of another client.
    Displayed(Instant),
}

/// Measures a class. Each of its clients sends two messages.
pub(crate) fn measure(bench: &Bench) -> BenchResult<Vec<Row>> {
    let size = bench.plan.class;
    let mut server = ServerProcess::start_class(bench)?;
    let folders =
        (0..size).map(|_| Ok(tempfile::tempdir()?)).collect::<BenchResult<Vec<TempDir>>>()?;
    let executor = LocalExecutor::new();
    let (progress, told) = unbounded();
    let (first, later) = block_on(executor.run(in_time(async {
        let mut clients = Vec::new();
        let mut reading = Vec::new();
        for (id, folder) in (1..=size).zip(&folders) {
            let (client, task) = join(&server, id, size, folder, &executor, &progress).await?;
            clients.push(client);
            reading.push(task);
        }
        // The last one learns of all others at its login, and each of the others of the last one.
        wait(&told, size, |one| matches!(one, Progress::Complete)).await?;
        server.stop()?;
        wait(&told, size, |one| matches!(one, Progress::Alone)).await?;
        let (mut first, mut later) = (Vec::new(), Vec::new());
        for times in [&mut first, &mut later] {
            for client in &clients {
                times.push(say(client, size - 1, &told).await?);
            }
        }
        Ok((first, later))
    })))?;
    let row = |what, times| {
        Row::median_of(FIGURE, what, &Samples::of_times_ms(times), "ms").with_clients(size)
    };
    Ok(vec![
        row("a message to a class without its server, links not open: median", first)
            .judged(Bar::AtMost(250.0)),
        row("the same with links open: median", later).judged(Bar::AtMost(60.0)),
    ])
}

/// Starts a client of the class, and a task that reads its events.
async fn join(
    server: &ServerProcess,
    id: usize,
    size: usize,
    folder: &TempDir,
    executor: &LocalExecutor<'static>,
    progress: &Sender<Progress>,
) -> BenchResult<(Client, Task<()>)> {
    let classroom = Some(Classroom { server_port: 0 });
    let config = Config { tries: None, classroom, ..config(server, folder.path().to_owned())? };
    let client = Client::start(config)?;
    let events = client.subscribe().await?.events;
    let task = executor.spawn(read(events, size + 1 - id, progress.clone()));
    let (username, password, take) = (Some(id.to_string()), None, false);
    client.request(Request::Login { username, password, take }).await?;
    Ok((client, task))
}

/// Displays everything at once. Counts this client and those that come after it.
async fn read(events: Events, mut expected: usize, progress: Sender<Progress>) {
    while let Ok(Told { event, receipt }) = events.recv().await {
        receipt.confirm();
        let news = match event {
            Event::Initiated { .. } => {
                expected -= 1;
                (expected == 0).then_some(Progress::Complete)
            }
            Event::Disconnected { .. } => Some(Progress::Alone),
            Event::Message { own: false, via: Via::Peer, .. } => {
                Some(Progress::Displayed(Instant::now()))
            }
            _ => None,
        };
        if let Some(news) = news
            && progress.send(news).await.is_err()
        {
            return;
        }
    }
}

async fn wait(
    told: &Receiver<Progress>,
    count: usize,
    is_it: impl Fn(&Progress) -> bool,
) -> BenchResult<()> {
    let mut seen = 0;
    while seen < count {
        seen += usize::from(is_it(&told.recv().await?));
    }
    Ok(())
}

/// Says something to everyone. Returns the time until the last of the others displays it.
async fn say(client: &Client, others: usize, told: &Receiver<Progress>) -> BenchResult<Duration> {
    Timer::after(PAUSE).await;
    let begin = Instant::now();
    // Answered once the message is on disk.
    client.request(Request::Say { to: None, text: letters::text() }).await?;
    let mut last = begin;
    for _ in 0..others {
        if let Progress::Displayed(at) = told.recv().await? {
            last = last.max(at);
        }
    }
    Ok(last.duration_since(begin))
}
