//! The report of a run as JSON. Names of oha's schema where the meaning is the same; the unit of
//! every time is in its key.

use std::{collections::BTreeMap, time::Duration};

use serde_json::{Map, Value, json};

use super::{outcome::Outcome, report::PERCENTILES, series::Series, tally::Causes, times::Times};

/// The version of the document. It grows when a key changes its meaning or goes.
const SCHEMA: u32 = 1;

/// Returns the report as a document, with a newline at its end.
pub(super) fn report(outcome: &Outcome) -> String {
    let tally = &outcome.tally;
    let mut statuses = Map::new();
    for (class, count) in tally.statuses.iter().enumerate().skip(1) {
        statuses.insert(format!("{class}xx"), json!(count));
    }
    let mut distributions: BTreeMap<u64, Times> = BTreeMap::new();
    distributions.extend(tally.series.iter().flat_map(Series::iter));
    let seconds = tally.seconds.iter().zip(0..).map(|(second, number)| {
        let times = distributions.get(&number);
        let percentile = |percent| times.and_then(|times| times.percentile(percent)).map(ms);
        json!({
            "answered": second.answered,
            "failed": second.failed,
            "p50_ms": percentile(50.0),
            "p99_ms": percentile(99.0),
            "max_ms": times.map(|times| ms(times.max())),
        })
    });
    let document = json!({
        "schema": SCHEMA,
        "command": outcome.headline,
        "startedAt": humantime::format_rfc3339_millis(outcome.start).to_string(),
        "endedBy": outcome.end,
        "protocol": tally.connections.protocol,
        "summary": {
            "successRate": 1.0 - outcome.error_rate(),
            "total_s": outcome.elapsed.as_secs_f64(),
            "requestsPerSec": outcome.rate(),
            "verdict": outcome.verdict(),
        },
        "requests": {
            "sent": tally.sent,
            "answered": tally.answered(),
            "failed": tally.failures.total(),
            "inFlightAtEnd": tally.in_flight,
            "neverSent": outcome.unsent,
            "warmUpAnswered": tally.warm_up,
            "warmUpFailed": tally.warm_up_failed,
        },
        "statusCodeDistribution": statuses,
        "errorDistribution": causes(&tally.failures),
        "repeated": causes(&tally.repeated),
        "connections": {
            "made": tally.connections.made,
            "notMade": causes(&tally.connections.failed),
            "tlsHandshakes": tally.connections.handshakes,
            "tlsResumed": tally.connections.resumed,
            "endedEarly": causes(&tally.connections.ended),
            "connectTime": times(&tally.connections.connect),
        },
        "bytes": {
            "content": tally.received,
            "responseFieldsPlain": tally.response_fields.plain,
            "responseFieldsCompressed": tally.response_fields.compressed,
            "requestFieldsPlain": tally.request_fields.plain,
            "requestFieldsCompressed": tally.request_fields.compressed,
        },
        "firstByte": times(&tally.first_byte),
        "serviceTime": times(&tally.service),
        "responseTime": outcome.open_loop.as_ref().map(|_| times(&tally.response)),
        "plan": outcome.open_loop.as_ref().map(|plan| json!({
            "requestsPerSec": plan.rate,
            "arrival": plan.arrival.name(),
            "planned": plan.planned,
            "dropped": plan.dropped,
        })),
        "shortfall": outcome.shortfall(),
        "client": outcome.cpu_time.as_ref().map(|time| json!({
            "cpu_s": time.used.as_secs_f64(),
            "busy": time.busy(),
            "threads": time.threads,
        })),
        "seconds": seconds.collect::<Vec<_>>(),
        "notes": outcome.notes,
        "segment": outcome.segment,
        "brokenThresholds": outcome.broken,
    });
    format!("{document:#}\n")
}

fn causes(causes: &Causes) -> Value {
    let causes = causes
        .iter()
        .map(|(cause, count)| (cause.to_owned(), json!(count)));
    Value::Object(causes.collect())
}

/// A percentile with fewer than ten samples above it is `null`.
fn times(times: &Times) -> Value {
    let mut percentiles = Map::new();
    for percent in PERCENTILES {
        let time = times.percentile(percent).map(ms);
        percentiles.insert(format!("p{percent}_ms"), json!(time));
    }
    json!({
        "n": times.len(),
        "min_ms": ms(times.min()),
        "mean_ms": ms(times.mean()),
        "max_ms": ms(times.max()),
        "stddev_ms": ms(times.deviation()),
        "percentiles": percentiles,
    })
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}
