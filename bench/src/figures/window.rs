//! The window: the time from its start to the first paint, its memory, its processor time while messages arrive, and the
//! way to the last message.

use std::fs;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use letschat_tests::desktop::Desktop;
use serde_json::json;

use crate::json_client::JsonClient;
use crate::people::Person;
use crate::process;
use crate::programs::{BenchResult, Failed};
use crate::report::{Bar, Row};
use crate::run::{self, Bench};
use crate::server::ServerProcess;
use crate::statistics::Samples;

const FIGURE: &str = "window";
const MEBIBYTE: f64 = 1_024.0 * 1_024.0;

/// The messages of a usual conversation.
const USUAL: usize = 300;

/// The interval of messages while the processor time is measured.
const INTERVAL: Duration = Duration::from_millis(10);

/// A rectangle of the screen: left, top, width and height.
type Part = (usize, usize, usize, usize);

/// A part of the window that is never black.
const PAINTED: Part = (300, 300, 50, 1);

/// A part of the button that approves a request.
const APPROVE: Part = (820, 70, 60, 1);

/// A part of the lowest messages, higher than the gap between two.
const LAST_MESSAGES: Part = (250, 540, 200, 40);

/// A click at that button.
const CLICK: [&str; 5] = ["mousemove", "853", "77", "click", "1"];

/// The settings of GTK. The blinking of the caret would keep the window busy for ten seconds.
const STILL: &str = "[Settings]\ngtk-cursor-blink=false\n";

/// The deadline of each step.
const PATIENCE: Duration = Duration::from_secs(40);

/// The time without work after which the window has drawn what has come.
const REST: Duration = Duration::from_millis(500);

/// The program on a desktop. It is killed when this is dropped.
struct Window {
    desktop: Desktop,
    child: Child,
}

impl Window {
    fn start(bench: &Bench, server: &ServerProcess, data: &std::path::Path) -> BenchResult<Window> {
        let desktop = Desktop::start();
        let mut command = Command::new(&bench.programs.window);
        let address = server.address();
        command
            .args([address.ip().to_string(), address.port().to_string()])
            .args(["--peer-port", "0", "--data"])
            .arg(data)
            // The user's own settings must not affect the measurement.
            .env_clear()
            .env("HOME", data)
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .stderr(Stdio::null());
        desktop.admit(&mut command);
        let child = command.spawn()?;
        Ok(Window { desktop, child })
    }

    fn part(&self, (left, top, width, height): Part) -> Vec<u8> {
        (top..top + height).flat_map(|top| self.desktop.row(left, top, width)).collect()
    }

    /// Waits until a part of the screen is something else than this.
    fn wait_for_change(&self, part: Part, before: &[u8]) -> BenchResult<()> {
        let until = Instant::now() + PATIENCE;
        while self.part(part) == before {
            if Instant::now() > until {
                return Err(Failed("the window does not change".into()).into());
            }
            thread::sleep(Duration::from_millis(1));
        }
        Ok(())
    }

    /// Waits until the program has nothing to do.
    fn wait_for_rest(&self) -> BenchResult<()> {
        let until = Instant::now() + PATIENCE;
        let mut before = None;
        loop {
            let spent = process::cpu_time(self.child.id())?;
            if before.replace(spent) == Some(spent) {
                return Ok(());
            }
            if Instant::now() > until {
                return Err(Failed("the window does not come to rest".into()).into());
            }
            thread::sleep(REST);
        }
    }

    fn memory(&self) -> BenchResult<f64> {
        self.wait_for_rest()?;
        Ok(process::memory(self.child.id())? as f64 / MEBIBYTE)
    }
}

impl Drop for Window {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Starts the window repeatedly, then fills a conversation. Without the program, nothing is measured.
pub(crate) fn measure(bench: &Bench) -> BenchResult<Vec<Row>> {
    if !bench.programs.window.exists() {
        let missing = bench.programs.window.display();
        run::say(format_args!("the window is left out: {missing} is missing; `make gtk` makes it"));
        return Ok(Vec::new());
    }
    let server = ServerProcess::start(bench)?;
    let data = tempfile::tempdir()?;
    let gtk = data.path().join(".config/gtk-4.0");
    fs::create_dir_all(&gtk)?;
    fs::write(gtk.join("settings.ini"), STILL)?;
    let own = bench.accounts.member(0);
    Person::live(&server, own, data.path(), async |person| person.quits().await)?;
    let mut painted = Vec::new();
    for _ in 0..bench.plan.starts {
        let begin = Instant::now();
        let window = Window::start(bench, &server, data.path())?;
        let black = vec![0; PAINTED.2 * 4];
        window.wait_for_change(PAINTED, &black)?;
        // The screen of the desktop is there before the program starts.
        painted.push(begin.elapsed());
    }
    let painted = Samples::of_times_ms(painted);
    let window = Window::start(bench, &server, data.path())?;
    window.wait_for_change(PAINTED, &vec![0; PAINTED.2 * 4])?;
    let mut talker = JsonClient::start(bench, &server)?;
    in_a_chat(&window, &mut talker, bench)?;
    say_all(&mut talker, own.username.as_str(), USUAL)?;
    let usual = window.memory()?;
    let share = share_of_a_core(&window, &mut talker, own.username.as_str(), bench)?;
    say_all(&mut talker, own.username.as_str(), bench.plan.window)?;
    let full = window.memory()?;
    let jump = jump(&window)?;
    let count = bench.plan.window;
    let judged = |what: String, measured, unit, most| {
        Row::new(FIGURE, what, measured, unit).judged(Bar::AtMost(most))
    };
    Ok(vec![
        judged("window, start to first paint: median".into(), painted.median(), "ms", 500.0)
            .with_spread(painted.least(), painted.most()),
        judged(format!("window memory (PSS), {USUAL} messages"), usual, "MiB", 80.0),
        judged(format!("window memory (PSS), {count} messages"), full, "MiB", 110.0),
        judged("window, share of a core at 100 messages a second".into(), share, "%", 80.0),
        judged("window, from a key to the last message".into(), jump, "ms", 400.0),
    ])
}

/// Opens a chat between the window, which approves by a click, and the talker.
fn in_a_chat(window: &Window, talker: &mut JsonClient, bench: &Bench) -> BenchResult<()> {
    let until = Instant::now() + PATIENCE;
    let [own, other] = [0, 1].map(|number| &bench.accounts.member(number).username);
    talker.log_in(until, other)?;
    window.wait_for_rest()?;
    let before = window.part(APPROVE);
    let asked = talker.tell("connect", &json!({"who": own.as_str()}));
    window.wait_for_change(APPROVE, &before)?;
    // Nothing happens on a click before the button is in its place.
    while !is_answered(talker, asked, Instant::now() + REST)? {
        if Instant::now() > until {
            return Err(Failed("no click approves the request".into()).into());
        }
        window.desktop.move_as(&CLICK);
    }
    // The chat is shown then.
    window.wait_for_rest()
}

/// Returns true if this command is answered until then.
fn is_answered(talker: &mut JsonClient, command: u64, until: Instant) -> BenchResult<bool> {
    while let Some((_, line)) = talker.next_line(until)? {
        if line["reply"] == "connect" && line["id"] == command {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Says so many messages, as fast as they are taken.
fn say_all(talker: &mut JsonClient, to: &str, count: usize) -> BenchResult<()> {
    let mut last = 0;
    for number in 0..count {
        let text =
            format!("message {number}: some words that somebody says to somebody else, 你好");
        last = talker.tell("say", &json!({"to": to, "text": text}));
        while talker.next_line(Instant::now())?.is_some() {}
    }
    let until = Instant::now() + PATIENCE;
    let is_last = |line: &serde_json::Value| line["id"] == last;
    talker.wait(until, "the last reply", is_last)?;
    Ok(())
}

/// Returns the share of a core, in percent, while 100 messages a second arrive.
fn share_of_a_core(
    window: &Window,
    talker: &mut JsonClient,
    to: &str,
    bench: &Bench,
) -> BenchResult<f64> {
    let (begin, before) = (Instant::now(), process::cpu_time(window.child.id())?);
    for number in 0..bench.plan.window / 20 {
        let next = Instant::now() + INTERVAL;
        let text = format!("{number}: some words that somebody says to somebody else");
        talker.tell("say", &json!({"to": to, "text": text}));
        while talker.next_line(next)?.is_some() {}
    }
    let spent = process::cpu_time(window.child.id())?.saturating_sub(before);
    Ok(spent.as_secs_f64() / begin.elapsed().as_secs_f64() * 100.0)
}

/// Returns the time from the key to the last messages, in milliseconds, from far above.
fn jump(window: &Window) -> BenchResult<f64> {
    let last = window.part(LAST_MESSAGES);
    window.desktop.press(&["ctrl+Home"]);
    window.wait_for_change(LAST_MESSAGES, &last)?;
    window.wait_for_rest()?;
    let above = window.part(LAST_MESSAGES);
    let begin = Instant::now();
    window.desktop.press(&["ctrl+End"]);
    window.wait_for_change(LAST_MESSAGES, &above)?;
    Ok(begin.elapsed().as_secs_f64() * 1_000.0)
}
