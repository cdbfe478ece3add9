//! Metrics in Prometheus' text format, version 0.0.4.

use std::{
    fmt::{Display, Write as _},
    sync::atomic::Ordering,
};

use super::registry::{BUCKETS, Registry, Value};

/// What the metrics mean.
const HELP: [(&str, &str); 23] = [
    (
        "lacewing_server_bytes_total",
        "Bytes of content, counted every 10 s.",
    ),
    ("lacewing_server_connections", "Open connections."),
    (
        "lacewing_server_connections_total",
        "Connections whose protocol was known.",
    ),
    (
        "lacewing_server_failures_total",
        "Requests that failed or were refused.",
    ),
    (
        "lacewing_server_memory_steps_total",
        "Steps against a lack of memory.",
    ),
    (
        "lacewing_server_requests_total",
        "Requests with a response.",
    ),
    (
        "lacewing_server_resets_total",
        "Streams that ended by a reset.",
    ),
    (
        "lacewing_server_response_seconds",
        "Time from a request to the head of its response.",
    ),
    (
        "lacewing_server_stalls_total",
        "Waits of data that was ready, counted every 10 s.",
    ),
    ("lacewing_server_streams", "Open streams and requests."),
    (
        "lacewingd_accept_failures_total",
        "Connections that could not be accepted.",
    ),
    (
        "lacewingd_accept_pauses_total",
        "Pauses of accepting, at --max-connections.",
    ),
    ("lacewingd_build_info", "The version."),
    (
        "lacewingd_config_last_load_successful",
        "1 if the last reading of the options was.",
    ),
    ("lacewingd_config_loads_total", "Readings of the options."),
    (
        "lacewingd_connections_closed_total",
        "Connections that ended, by whom and with which GOAWAY code.",
    ),
    (
        "lacewingd_connections_rejected_total",
        "Connections that ended before their protocol was known.",
    ),
    (
        "lacewingd_dials_total",
        "Attempts to dial a gateway, by outcome.",
    ),
    (
        "lacewingd_log_left_out_lines_total",
        "Lines of the log that were not written.",
    ),
    (
        "lacewingd_tunnel_connections",
        "Diallers that are connected to a tunnel.",
    ),
    (
        "lacewingd_upstream_failures_total",
        "Failures of upstreams and of requests to them.",
    ),
    (
        "lacewingd_upstream_requests",
        "Open requests of an upstream.",
    ),
    (
        "lacewingd_upstream_up",
        "1 if an upstream gets requests, 0 if it is left out.",
    ),
];

/// The text of a page.
#[derive(Debug, Default)]
pub(super) struct Page {
    text: String,
    /// The metric of the last line.
    name: String,
}

impl Page {
    /// The page of all series of a registry.
    pub(super) fn of(registry: &Registry) -> Self {
        let mut page = Self::default();
        for (key, value) in registry.series() {
            let labels: Vec<_> = key
                .labels()
                .map(|label| (label.key(), label.value()))
                .collect();
            match value {
                Value::Counter(count) => {
                    page.add(
                        "counter",
                        key.name(),
                        &labels,
                        count.load(Ordering::Relaxed),
                    );
                }
                Value::Gauge(bits) => {
                    let value = f64::from_bits(bits.load(Ordering::Relaxed));
                    page.add("gauge", key.name(), &labels, value);
                }
                Value::Histogram(counts) => {
                    page.begin("histogram", key.name());
                    let (up_to, total, sum) = counts.cumulative();
                    for (bound, count) in BUCKETS.iter().zip(up_to) {
                        let bound = bound.to_string();
                        page.line("_bucket", &with(&labels, ("le", &bound)), count);
                    }
                    page.line("_bucket", &with(&labels, ("le", "+Inf")), total);
                    page.line("_sum", &labels, sum);
                    page.line("_count", &labels, total);
                }
            }
        }
        page
    }

    /// Adds a line. The lines of a metric follow each other.
    pub(super) fn add(
        &mut self,
        kind: &str,
        name: &str,
        labels: &[(&str, &str)],
        value: impl Display,
    ) {
        self.begin(kind, name);
        self.line("", labels, value);
    }

    pub(super) fn into_text(self) -> String {
        self.text
    }

    fn begin(&mut self, kind: &str, name: &str) {
        if self.name == name {
            return;
        }
        self.name = name.to_owned();
        // A text takes every write.
        if let Some((_, help)) = HELP.iter().find(|(known, _)| *known == name) {
            let _ = writeln!(self.text, "# HELP {name} {help}");
        }
        let _ = writeln!(self.text, "# TYPE {name} {kind}");
    }

    fn line(&mut self, suffix: &str, labels: &[(&str, &str)], value: impl Display) {
        let _ = write!(self.text, "{}{suffix}", self.name);
        for (index, (name, value)) in labels.iter().enumerate() {
            let before = if index == 0 { "{" } else { "," };
            let value = value
                .replace('\\', "\\\\")
                .replace('"', "\\\"")
                .replace('\n', "\\n");
            let _ = write!(self.text, "{before}{name}=\"{value}\"");
        }
        let end = if labels.is_empty() { "" } else { "}" };
        let _ = writeln!(self.text, "{end} {value}");
    }
}

fn with<'a>(labels: &[(&'a str, &'a str)], more: (&'a str, &'a str)) -> Vec<(&'a str, &'a str)> {
    labels.iter().copied().chain([more]).collect()
}

#[cfg(test)]
mod tests {
    use metrics::{counter, gauge, histogram};

    use super::*;

    #[test]
    fn lines_are_those_of_the_format() {
        let registry = Registry::default();
        metrics::with_local_recorder(&registry, || {
            counter!("lacewing_server_requests_total", "protocol" => "h2", "status" => "2xx")
                .increment(3);
            counter!("lacewing_server_requests_total", "protocol" => "a\"b\\c\nd", "status" => "2xx")
                .increment(1);
            gauge!("lacewing_server_streams").set(2.5);
            histogram!("lacewing_server_response_seconds", "protocol" => "h2").record(0.06);
        });
        let text = Page::of(&registry).into_text();
        for expected in [
            "# HELP lacewing_server_requests_total Requests with a response.\n\
             # TYPE lacewing_server_requests_total counter\n\
             lacewing_server_requests_total{protocol=\"a\\\"b\\\\c\\nd\",status=\"2xx\"} 1\n\
             lacewing_server_requests_total{protocol=\"h2\",status=\"2xx\"} 3\n",
            "# TYPE lacewing_server_response_seconds histogram\n\
             lacewing_server_response_seconds_bucket{protocol=\"h2\",le=\"0.005\"} 0\n",
            "_bucket{protocol=\"h2\",le=\"0.05\"} 0\n",
            "_bucket{protocol=\"h2\",le=\"0.075\"} 1\n",
            "_bucket{protocol=\"h2\",le=\"+Inf\"} 1\n\
             lacewing_server_response_seconds_sum{protocol=\"h2\"} 0.06\n\
             lacewing_server_response_seconds_count{protocol=\"h2\"} 1\n",
            "# TYPE lacewing_server_streams gauge\nlacewing_server_streams 2.5\n",
        ] {
            assert!(text.contains(expected), "{text}\n{expected}");
        }
    }
}
