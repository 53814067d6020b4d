//! The log for programs: an object on each line, with `time` (RFC 3339), `level`, `message` and all
//! other fields.

use std::fmt::{self, Debug};
use std::time::SystemTime;

use chrono::{DateTime, SecondsFormat, Utc};
use letschat_protocol::printable::printable_json;
use serde_json::Value;
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

/// The formatter of events as JSON lines.
pub(super) struct JsonLines;

impl<S, N> FormatEvent<S, N> for JsonLines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        _: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut said = Said::default();
        event.record(&mut said);
        let level = *event.metadata().level();
        writer.write_str(&line(level, &said.message, &said.fields))
    }
}

/// Returns a line with its end.
pub(super) fn line(
    level: tracing::Level,
    message: &str,
    fields: &[(&'static str, Value)],
) -> String {
    // chrono's own `now` panics before 1970.
    let time =
        DateTime::<Utc>::from(SystemTime::now()).to_rfc3339_opts(SecondsFormat::Micros, true);
    let first =
        [("time", time.into()), ("level", level.as_str().into()), ("message", message.into())];
    let members = first.iter().chain(fields);
    // The members keep a fixed order for people who read the log.
    let members = members.map(|(name, value)| format!("{}:{value}", Value::from(*name)));
    let object = format!("{{{}}}", members.collect::<Vec<_>>().join(","));
    printable_json(object) + "\n"
}

/// The contents of an event.
#[derive(Default)]
struct Said {
    message: String,
    fields: Vec<(&'static str, Value)>,
}

impl Said {
    fn say(&mut self, field: &Field, value: Value) {
        match (field.name(), value) {
            ("message", Value::String(message)) => self.message = message,
            (name, value) => self.fields.push((name, value)),
        }
    }
}

impl Visit for Said {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.say(field, format!("{value:?}").into());
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.say(field, value.into());
    }

    fn record_error(&mut self, field: &Field, value: &(dyn std::error::Error + 'static)) {
        self.say(field, value.to_string().into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.say(field, value.into());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.say(field, value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.say(field, value.into());
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.say(field, value.into());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io;
    use std::sync::{Arc, Mutex};

    use chrono::DateTime;
    use letschat_protocol::printable::is_printable;

    /// The output of the test's log.
    #[derive(Clone, Default)]
    struct LogBuffer(Arc<Mutex<Vec<u8>>>);

    impl io::Write for LogBuffer {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// Runs an action and returns its log line, parsed.
    fn logged(action: impl FnOnce()) -> Value {
        let paper = LogBuffer::default();
        let written = paper.clone();
        let subscriber = tracing_subscriber::fmt()
            .event_format(JsonLines)
            .with_writer(move || paper.clone())
            .finish();
        tracing::subscriber::with_default(subscriber, action);
        let text = String::from_utf8(written.0.lock().unwrap().clone()).unwrap();
        assert_eq!(text.matches('\n').count(), 1, "{text}");
        assert!(text.starts_with("{\"time\":"), "{text}");
        assert!(is_printable(text.trim_end()), "{text:?}");
        serde_json::from_str(&text).unwrap()
    }

    #[test]
    fn a_line_is_an_object_with_time_level_message_and_fields() {
        let error = io::Error::other("it broke");
        let object = logged(|| {
            tracing::warn!(count = 3, error = %error, done = false, who = "a\"b", "the {}", "end");
        });
        let time = object["time"].as_str().unwrap();
        assert!(time.ends_with('Z'), "{time}");
        let age = Utc::now() - DateTime::parse_from_rfc3339(time).unwrap().to_utc();
        assert!((0..60).contains(&age.num_seconds()), "{time}");
        for (name, value) in [
            ("level", Value::from("WARN")),
            ("message", "the end".into()),
            ("count", 3.into()),
            ("error", "it broke".into()),
            ("done", false.into()),
            ("who", "a\"b".into()),
        ] {
            assert_eq!(object[name], value, "{object}");
        }
    }

    #[test]
    fn whatever_is_said_stays_on_its_line() {
        let said = "two\nlines, and \u{1b}[2J\u{9b}2J\u{7f}\u{202e}\u{200b}";
        let object = logged(|| tracing::info!(said, "{said}"));
        assert_eq!(object["message"], said);
        assert_eq!(object["said"], said);
    }
}
