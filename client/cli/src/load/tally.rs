//! The counts of a thread, and of the whole run.

use std::{collections::BTreeMap, time::Duration};

use http::StatusCode;
use lacewing_conn::proto::{ConnectionStats, HeaderBytes};
use serde::{Deserialize, Serialize};

use super::{series::Series, times::Times};

/// Different causes that are counted apart; further ones are counted together.
const MAX_CAUSES: usize = 64;
/// Seconds that are counted apart, a day; all later ones are counted in the last.
const MAX_SECONDS: usize = 86_400;

/// What happened. Requests of the warm-up are in its two counts only.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Tally {
    /// Requests sent, repetitions not counted.
    pub(super) sent: u64,
    /// Complete responses of the warm-up.
    pub(super) warm_up: u64,
    /// Requests of the warm-up that failed.
    pub(super) warm_up_failed: u64,
    /// Complete responses, by the hundreds of their status; the first number is of raw streams.
    pub(super) statuses: [u64; 6],
    /// Requests without a complete response, by cause.
    pub(super) failures: Causes,
    /// Requests that were sent again, by cause.
    pub(super) repeated: Causes,
    /// Requests that were open at the end.
    pub(super) in_flight: u64,
    /// From the send of a request to the last byte of its response.
    #[serde(skip)]
    pub(super) service: Times,
    /// Of an open loop: from the time at which a request was due to the last byte of its response.
    #[serde(skip)]
    pub(super) response: Times,
    /// From the send of a request to its response's head.
    #[serde(skip)]
    pub(super) first_byte: Times,
    /// The outcomes by the second in which they came, from the end of the warm-up.
    pub(super) seconds: Vec<Second>,
    /// The distributions of those seconds: response times of an open loop, or service times.
    #[serde(skip)]
    pub(super) series: Option<Series>,
    pub(super) connections: Connections,
    /// Bytes of content received.
    pub(super) received: u64,
    #[serde(with = "fields")]
    pub(super) request_fields: HeaderBytes,
    #[serde(with = "fields")]
    pub(super) response_fields: HeaderBytes,
}

/// The outcomes of a second.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Second {
    /// Complete responses.
    pub(super) answered: u64,
    /// Requests without a complete response, and responses with a status of 400 or above.
    pub(super) failed: u64,
}

/// The connections of a run.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Connections {
    pub(super) made: u64,
    /// Attempts that failed, by cause.
    pub(super) failed: Causes,
    /// Connections that ended before the plan did, by cause.
    pub(super) ended: Causes,
    /// The protocol's name in ALPN.
    pub(super) protocol: Option<String>,
    /// TLS handshakes of the connections that were made, as far as they are known.
    #[serde(default)]
    pub(super) handshakes: u64,
    /// Those that resumed an earlier session.
    #[serde(default)]
    pub(super) resumed: u64,
    /// From the first step of an attempt to the agreement on a protocol.
    #[serde(skip)]
    pub(super) connect: Times,
}

/// Counts by cause.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Causes(BTreeMap<String, u64>);

impl Tally {
    pub(super) fn new(with_series: bool) -> Self {
        Self {
            series: with_series.then(Series::default),
            ..Self::default()
        }
    }

    /// Counts a complete response. `status`: `None` for a raw stream. `response`: the time since the request was due, in an open
    /// loop. `at`: the time since the end of the warm-up.
    pub(super) fn count_response(
        &mut self,
        status: Option<StatusCode>,
        service: Duration,
        response: Option<Duration>,
        at: Duration,
    ) {
        let class = status.map_or(0, |status| usize::from(status.as_u16() / 100));
        if let Some(count) = self.statuses.get_mut(class.min(5)) {
            *count += 1;
        }
        self.service.record(service);
        if let Some(response) = response {
            self.response.record(response);
        }
        if let Some(series) = &mut self.series {
            series.record(at, response.unwrap_or(service));
        }
        self.count_second(at, 1, u64::from(class >= 4));
    }

    /// Counts a request without a complete response.
    pub(super) fn count_failure(&mut self, cause: String, at: Duration) {
        self.failures.count(cause);
        self.count_second(at, 0, 1);
    }

    fn count_second(&mut self, at: Duration, answered: u64, failed: u64) {
        let index = usize::try_from(at.as_secs()).unwrap_or(MAX_SECONDS);
        let index = index.min(MAX_SECONDS - 1);
        if index >= self.seconds.len() {
            self.seconds.resize(index + 1, Second::default());
        }
        if let Some(second) = self.seconds.get_mut(index) {
            add(&mut second.answered, answered);
            add(&mut second.failed, failed);
        }
    }

    /// Adds the statistics of a connection that has ended.
    pub(super) fn add_connection(&mut self, stats: &ConnectionStats) {
        self.received += stats.data_received;
        add_fields(&mut self.request_fields, stats.headers_sent);
        add_fields(&mut self.response_fields, stats.headers_received);
    }

    /// Ends the second that is being recorded.
    pub(super) fn close(&mut self) {
        if let Some(series) = &mut self.series {
            series.close();
        }
    }

    /// Adds counts whose seconds began `later` seconds later.
    pub(super) fn merge(&mut self, other: &Self, later: u64) {
        add(&mut self.sent, other.sent);
        add(&mut self.warm_up, other.warm_up);
        add(&mut self.warm_up_failed, other.warm_up_failed);
        for (sum, count) in self.statuses.iter_mut().zip(other.statuses) {
            add(sum, count);
        }
        self.failures.merge(&other.failures);
        self.repeated.merge(&other.repeated);
        add(&mut self.in_flight, other.in_flight);
        self.service.merge(&other.service);
        self.response.merge(&other.response);
        self.first_byte.merge(&other.first_byte);
        for (second, counts) in other.seconds.iter().enumerate() {
            let at = (second as u64).saturating_add(later);
            self.count_second(Duration::from_secs(at), counts.answered, counts.failed);
        }
        if let (Some(sum), Some(other)) = (&mut self.series, &other.series) {
            sum.merge(other, later);
        }
        self.connections.merge(&other.connections);
        add(&mut self.received, other.received);
        add_fields(&mut self.request_fields, other.request_fields);
        add_fields(&mut self.response_fields, other.response_fields);
    }

    /// Complete responses.
    pub(super) fn answered(&self) -> u64 {
        self.statuses.iter().sum()
    }

    /// Complete responses with a status below 400.
    pub(super) fn succeeded(&self) -> u64 {
        self.statuses.iter().take(4).sum()
    }
}

impl Connections {
    fn merge(&mut self, other: &Self) {
        add(&mut self.made, other.made);
        self.failed.merge(&other.failed);
        self.ended.merge(&other.ended);
        add(&mut self.handshakes, other.handshakes);
        add(&mut self.resumed, other.resumed);
        self.connect.merge(&other.connect);
        if self.protocol.is_none() {
            self.protocol.clone_from(&other.protocol);
        }
    }
}

impl Causes {
    pub(super) fn count(&mut self, cause: String) {
        self.add(cause, 1);
    }

    pub(super) fn total(&self) -> u64 {
        self.0.values().sum()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, u64)> {
        self.0.iter().map(|(cause, count)| (cause.as_str(), *count))
    }

    fn add(&mut self, cause: String, count: u64) {
        let known = self.0.len() < MAX_CAUSES || self.0.contains_key(&cause);
        let cause = if known {
            cause
        } else {
            "other causes".to_owned()
        };
        add(self.0.entry(cause).or_default(), count);
    }

    fn merge(&mut self, other: &Self) {
        for (cause, count) in other.iter() {
            self.add(cause.to_owned(), count);
        }
    }
}

fn add_fields(sum: &mut HeaderBytes, more: HeaderBytes) {
    add(&mut sum.plain, more.plain);
    add(&mut sum.compressed, more.compressed);
}

/// The counts of a file may be any.
fn add(sum: &mut u64, more: u64) {
    *sum = sum.saturating_add(more);
}

/// The bytes of header fields in JSON: plain, compressed.
mod fields {
    use lacewing_conn::proto::HeaderBytes;
    use serde::{Deserialize as _, Deserializer, Serialize as _, Serializer};

    pub(super) fn serialize<S: Serializer>(
        bytes: &HeaderBytes,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        [bytes.plain, bytes.compressed].serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<HeaderBytes, D::Error> {
        let [plain, compressed] = <[u64; 2]>::deserialize(deserializer)?;
        let mut bytes = HeaderBytes::default();
        (bytes.plain, bytes.compressed) = (plain, compressed);
        Ok(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn causes_are_bounded_and_none_is_lost() {
        let mut causes = Causes::default();
        for i in 0..200 {
            causes.count(format!("cause {i}"));
        }
        assert_eq!(causes.iter().count(), MAX_CAUSES + 1);
        assert_eq!(causes.total(), 200);
    }
}
