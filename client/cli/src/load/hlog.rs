//! The outcome of a run as a file of HdrHistogram's log format, version 1.3.
//!
//! Lines without a tag have the distribution of each second: response times of an open loop, or
//! service times. Lines with a tag have the whole run. All counts are in a comment, as JSON.

use std::{fs, io, path::Path, time::Duration};

use hdrhistogram::serialization::{
    V2DeflateSerializer,
    interval_log::{IntervalLogIterator, IntervalLogWriterBuilder, LogEntry, Tag},
};
use serde::{Deserialize, Serialize};

use super::{outcome::Outcome, series::Series, tally::Tally, times::Times};

/// The version of the comment.
const SCHEMA: u32 = 1;
/// The begin of the comment's line.
const COMMENT: &str = "lacewing ";
/// The largest file that is read.
const MAX_FILE: u64 = 256 << 20;

#[derive(Serialize, Deserialize)]
struct Comment<O> {
    schema: u32,
    version: String,
    outcome: O,
}

/// The distributions of whole runs, with their tags. What `--rate` measures beside the response
/// times has one.
fn tagged(tally: &mut Tally) -> [(&'static str, &mut Times); 3] {
    [
        ("service", &mut tally.service),
        ("first_byte", &mut tally.first_byte),
        ("connect", &mut tally.connections.connect),
    ]
}

/// Returns the outcome as a log.
pub(super) fn write(outcome: &Outcome) -> io::Result<Vec<u8>> {
    let comment = Comment {
        schema: SCHEMA,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        outcome,
    };
    let comment = format!("{COMMENT}{}", serde_json::to_string(&comment)?);
    let mut bytes = Vec::new();
    let mut serializer = V2DeflateSerializer::new();
    let mut log = IntervalLogWriterBuilder::new()
        .add_comment(&comment)
        .with_start_time(outcome.start)
        .with_base_time(outcome.start)
        .begin_log_with(&mut bytes, &mut serializer)?;
    let mut line = |start, length, tag, times: &Times| match times.histogram() {
        Some(histogram) => log
            .write_histogram(histogram, start, length, tag)
            .map_err(|error| io::Error::other(format!("{error:?}"))),
        None => Ok(()),
    };
    if let Some(series) = &outcome.tally.series {
        for (second, times) in series.iter() {
            let second = Duration::from_secs(second);
            line(second, Duration::from_secs(1), None, &times)?;
        }
    }
    let mut tally = outcome.tally.clone();
    for (tag, times) in tagged(&mut tally) {
        line(Duration::ZERO, outcome.elapsed, Tag::new(tag), times)?;
    }
    Ok(bytes)
}

/// Reads the outcome of a run.
pub(super) fn read(path: &Path) -> Result<Outcome, String> {
    let length = fs::metadata(path).map_err(|error| error.to_string())?.len();
    if length > MAX_FILE {
        return Err(format!("more than {MAX_FILE} bytes"));
    }
    parse(&fs::read(path).map_err(|error| error.to_string())?)
}

fn parse(bytes: &[u8]) -> Result<Outcome, String> {
    let lines = bytes.split(|byte| *byte == b'\n');
    let start = format!("#{COMMENT}");
    let comment = lines
        .filter_map(|line| line.strip_prefix(start.as_bytes()))
        .next()
        .ok_or("no log of lacewing load --hlog: it has no line #lacewing")?;
    let comment: Comment<Outcome> = serde_json::from_slice(comment)
        .map_err(|error| format!("the line #lacewing is not valid: {error}"))?;
    let version = env!("CARGO_PKG_VERSION");
    if comment.schema != SCHEMA || comment.version != version {
        return Err(format!(
            "written by version {} of lacewing, and this is {version}",
            comment.version
        ));
    }
    let mut outcome = comment.outcome;
    let (mut series, mut judged) = (Series::default(), Times::new());
    let mut tags = 0;
    for entry in IntervalLogIterator::new(bytes) {
        let entry = entry.map_err(|_| "a line is no interval; the file may be cut off")?;
        let LogEntry::Interval(interval) = entry else {
            continue;
        };
        let times = Times::decode_base64(interval.encoded_histogram())?;
        match interval.tag() {
            None => {
                series.insert(interval.start_timestamp().as_secs(), &times);
                judged.merge(&times);
            }
            Some(tag) => {
                let found = tagged(&mut outcome.tally)
                    .into_iter()
                    .find(|(name, _)| *name == tag.as_str());
                let (_, sum) = found.ok_or_else(|| format!("the tag {:?}", tag.as_str()))?;
                sum.merge(&times);
                tags += 1;
            }
        }
    }
    if tags < tagged(&mut outcome.tally).len() {
        return Err("a distribution is missing; the file is cut off".to_owned());
    }
    if outcome.open_loop.is_some() {
        outcome.tally.response = judged;
    }
    outcome.tally.series = Some(series);
    Ok(outcome)
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use http::StatusCode;

    use super::*;
    use crate::load::{outcome::OpenLoop, schedule::Arrival, segment::Segment};

    fn outcome() -> Outcome {
        let mut tally = Tally::new(true);
        for millis in 1..=3_000 {
            let (at, time) = (Duration::from_millis(millis), Duration::from_micros(millis));
            tally.count_response(Some(StatusCode::OK), time, Some(time * 2), at);
            tally.first_byte.record(time / 2);
        }
        tally.count_failure("RST_STREAM".to_owned(), Duration::from_secs(1));
        tally.sent = 3_001;
        tally.close();
        Outcome {
            headline: "a load".to_owned(),
            origin: "http://a.example".to_owned(),
            segment: Segment::WHOLE,
            security: " over TLS".to_owned(),
            end: "-n 3001".to_owned(),
            start: SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000),
            elapsed: Duration::from_secs(3),
            open_loop: Some(OpenLoop {
                rate: 1000.0,
                arrival: Arrival::Constant,
                planned: 3_001,
                dropped: 0,
            }),
            unsent: 0,
            tally,
            cpu_time: None,
            aborted: false,
            broken: Vec::new(),
            notes: Vec::new(),
        }
    }

    #[test]
    fn what_was_written_is_read() {
        let written = outcome();
        let bytes = write(&written).unwrap();
        let read = parse(&bytes).unwrap();
        assert_eq!(read.start, written.start);
        assert_eq!(read.tally.failures.total(), 1);
        assert_eq!(read.tally.seconds, written.tally.seconds);
        for percent in [50.0, 90.0, 99.0] {
            let at = |outcome: &Outcome| {
                let tally = &outcome.tally;
                [&tally.service, &tally.response, &tally.first_byte]
                    .map(|times| times.percentile(percent))
            };
            assert_eq!(at(&read), at(&written));
        }
        let seconds: Vec<_> = read.tally.series.unwrap().iter().collect();
        assert_eq!(seconds.len(), 4);
        // What other programs read: three lines of seconds and their head.
        let text = String::from_utf8(bytes).unwrap();
        assert!(text.contains("#[BaseTime: 1800000000.000 "), "{text}");
        assert!(text.contains("\n1.000,1.000,"), "{text}");
        assert!(text.contains("\nTag=first_byte,0.000,3.000,"), "{text}");
    }

    #[test]
    fn files_that_are_cut_off_or_of_others_are_refused() {
        let bytes = write(&outcome()).unwrap();
        let steps = (0..bytes.len() - 1).step_by(13);
        let end = bytes.len() - 100..bytes.len() - 1;
        for length in steps.chain(end) {
            assert!(parse(&bytes[..length]).is_err(), "{length}");
        }
        let text = String::from_utf8(bytes).unwrap();
        let other = text.replace("\"schema\":1", "\"schema\":2");
        assert!(parse(other.as_bytes()).is_err());
        let tag = text.replace("Tag=service", "Tag=other");
        assert!(parse(tag.as_bytes()).unwrap_err().contains("the tag"));
        assert!(
            parse(b"#[StartTime: 1.0]\n")
                .unwrap_err()
                .contains("no log")
        );
    }
}
