//! The text format of Prometheus, version 0.0.4:
//! <https://prometheus.io/docs/instrumenting/exposition_formats/>.
//!
//! Labels are words of the program itself: no names, no addresses.

use std::collections::BTreeMap;
use std::fmt::{Display, Write as _};

use super::Report;
use crate::hub::{Counts, Metrics};
use crate::store::service::{BUCKETS_US, Histogram};

/// The beginning of all names.
const PREFIX: &str = "letschat_";

const COUNTER: &str = "counter";
const GAUGE: &str = "gauge";

/// Returns the text.
pub(super) fn render(report: &Report) -> String {
    let mut text = Text::default();
    text.state(report);
    text.people(&report.hub);
    text.messages(&report.hub);
    text.relays(report);
    text.store(report);
    text.0
}

#[derive(Default)]
struct Text(String);

impl Text {
    fn state(&mut self, report: &Report) {
        let Metrics { version, up_ms, occupancy, sessions, servers, .. } = &report.hub;
        self.family("build_info", GAUGE, "The version of the program.");
        self.sample("build_info", &[("version", version)], 1);
        self.one("uptime_seconds", GAUGE, "Time since the start.", *up_ms as f64 / 1_000.0);
        self.one("sessions", GAUGE, "Sessions at this server.", sessions);
        self.one("places", GAUGE, "The most sessions, of all servers together.", occupancy.places);
        let help = "Sessions that take places, of all servers together.";
        self.one("places_taken", GAUGE, help, occupancy.taken);
        let help = "Connections that are not logged in.";
        self.one("connections_before_login", GAUGE, help, occupancy.before_login);
        if let Some(servers) = servers {
            self.one("cluster_other_servers", GAUGE, "Other servers that are there.", servers);
        }
        if let Some(is_heard) = report.is_bell_heard {
            self.one("cluster_bell_up", GAUGE, "1 while the bell is heard.", u8::from(is_heard));
        }
        self.family("queue_length", GAUGE, "Length of the queues to the hub and to the database.");
        self.sample("queue_length", &[("queue", "events")], report.waiting_events);
        self.sample("queue_length", &[("queue", "store")], report.waiting_requests);
    }

    fn people(&mut self, Metrics { tally, counts, .. }: &Metrics) {
        let Counts { refused_logins, ended, .. } = counts;
        self.one("connections_total", COUNTER, "Accepted connections.", tally.connections);
        self.one("sign_ups_total", COUNTER, "Created accounts.", tally.sign_ups);
        let help = "Connections that found no place.";
        self.one("turned_away_total", COUNTER, help, tally.turned_away);
        self.family("logins_total", COUNTER, "Logins that were accepted, or refused by this code.");
        self.sample("logins_total", &[("result", "accepted")], tally.logins_accepted);
        self.by_word("logins_total", "result", refused_logins);
        self.family("connections_ended_total", COUNTER, "Connections that ended, by the reason.");
        self.by_word("connections_ended_total", "reason", ended);
    }

    fn messages(&mut self, hub: &Metrics) {
        let Metrics { tally, counts, mailbox, broadcasts_kept, .. } = hub;
        self.one("broadcasts_total", COUNTER, "Broadcasts of this server.", tally.broadcasts);
        let help = "Broadcasts that are kept for those who come.";
        self.one("broadcasts_kept", GAUGE, help, broadcasts_kept);
        let help =
            "Broadcasts sent over TCP since a client asked for them, each once for each client.";
        self.one("broadcasts_replayed_total", COUNTER, help, counts.replayed);
        self.one("datagrams_sent_total", COUNTER, "Datagrams sent.", tally.datagrams_sent);
        let help = "Genuine datagrams received.";
        self.one("datagrams_received_total", COUNTER, help, tally.datagrams_heard);
        self.family("envelopes_total", COUNTER, "Posted envelopes, once for each outcome.");
        self.by_word("envelopes_total", "outcome", &counts.envelopes);
        let help = "Envelopes that devices have acknowledged.";
        self.one("envelopes_acknowledged_total", COUNTER, help, tally.envelopes_delivered);
        if let Some(usage) = mailbox {
            let help = "Envelopes that wait for devices, in the database.";
            self.one("mailbox_envelopes", GAUGE, help, usage.deliveries);
            self.one(
                "mailbox_bytes",
                GAUGE,
                "Bytes of the envelopes that wait for devices, in the database.",
                usage.bytes,
            );
        }
    }

    fn relays(&mut self, report: &Report) {
        self.one("relays", GAUGE, "Pairs of clients that are relayed.", report.hub.relays);
        let help = "Bytes that relays have passed on.";
        self.one("relayed_bytes_total", COUNTER, help, report.relayed_bytes);
    }

    fn store(&mut self, report: &Report) {
        let is_up = u8::from(report.hub.mailbox.is_some());
        self.one("store_up", GAUGE, "1 if the database answers.", is_up);
        let failures = report.hub.tally.store_failures;
        self.one(
            "store_failures_total",
            COUNTER,
            "Requests at which the database failed.",
            failures,
        );
        let name = "store_step_seconds";
        self.family(name, "histogram", "Time of steps of requests to the database, by the step.");
        for (step, histogram) in &report.latencies {
            self.histogram(name, step, histogram);
        }
    }

    fn histogram(&mut self, name: &str, step: &str, histogram: &Histogram) {
        let (bucket, mut count) = (format!("{name}_bucket"), 0);
        for (bound_us, more) in BUCKETS_US.iter().zip(histogram.buckets) {
            count += more;
            let bound = (*bound_us as f64 / 1e6).to_string();
            self.sample(&bucket, &[("step", step), ("le", &bound)], count);
        }
        self.sample(&bucket, &[("step", step), ("le", "+Inf")], histogram.count);
        let sum = histogram.sum_us as f64 / 1e6;
        self.sample(&format!("{name}_sum"), &[("step", step)], sum);
        self.sample(&format!("{name}_count"), &[("step", step)], histogram.count);
    }

    fn by_word(&mut self, name: &str, label: &str, counts: &BTreeMap<&'static str, u64>) {
        for (word, count) in counts {
            self.sample(name, &[(label, word)], count);
        }
    }

    fn one(&mut self, name: &str, kind: &str, help: &str, value: impl Display) {
        self.family(name, kind, help);
        self.sample(name, &[], value);
    }

    fn family(&mut self, name: &str, kind: &str, help: &str) {
        // Writing to a string can't fail, here and below.
        let _ = writeln!(self.0, "# HELP {PREFIX}{name} {help}\n# TYPE {PREFIX}{name} {kind}");
    }

    fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: impl Display) {
        let labels: Vec<String> =
            labels.iter().map(|(label, word)| format!("{label}=\"{word}\"")).collect();
        let labels = match labels.is_empty() {
            true => String::new(),
            false => format!("{{{}}}", labels.join(",")),
        };
        let _ = writeln!(self.0, "{PREFIX}{name}{labels} {value}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn histogram_is_cumulative() {
        let mut histogram = Histogram { count: 4, sum_us: 3_000_501, ..Histogram::default() };
        histogram.buckets[0] = 2;
        histogram.buckets[2] = 1;
        let mut text = Text::default();
        text.histogram("step_seconds", "a step", &histogram);
        let lines: Vec<&str> = text.0.lines().collect();
        assert_eq!(lines.len(), BUCKETS_US.len() + 3);
        for (line, expected) in [
            (0, r#"letschat_step_seconds_bucket{step="a step",le="0.00025"} 2"#),
            (1, r#"letschat_step_seconds_bucket{step="a step",le="0.0005"} 2"#),
            (2, r#"letschat_step_seconds_bucket{step="a step",le="0.001"} 3"#),
            (11, r#"letschat_step_seconds_bucket{step="a step",le="2.5"} 3"#),
            (12, r#"letschat_step_seconds_bucket{step="a step",le="+Inf"} 4"#),
            (13, r#"letschat_step_seconds_sum{step="a step"} 3.000501"#),
            (14, r#"letschat_step_seconds_count{step="a step"} 4"#),
        ] {
            assert_eq!(lines[line], expected);
        }
    }

    #[test]
    fn family_is_told_before_its_samples() {
        let mut text = Text::default();
        text.by_word("ends_total", "reason", &BTreeMap::from([("quit", 3)]));
        text.one("up", GAUGE, "1 if it is.", 1);
        assert_eq!(
            text.0,
            "letschat_ends_total{reason=\"quit\"} 3\n# HELP letschat_up 1 if it is.\n# TYPE letschat_up gauge\nletschat_up 1\n"
        );
    }
}
