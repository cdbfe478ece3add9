//! `lacewing ping`: the round trip to a server by PING frames.

use std::{
    pin::pin,
    time::{Duration, Instant},
};

use clap::Args;
use http::Uri;
use lacewing_client::{ClientError, ClientOptions, Connect as _, Connection, Origin, Version};
use serde::Serialize;
use tokio::time::{MissedTickBehavior, interval};

use crate::{console, dialling::Dialling, parse, status::Failure};

/// The text of `lacewing ping --help` after the options.
pub(crate) const HELP: &str = "\
Sends PING frames on one connection, as ping(8) sends packets. Ctrl-C ends it.
The exit code is 0 if at least one PING was answered.

Examples:
  lacewing ping -c 5 https://example.org/
  lacewing ping -k --protocol spdy/3.1 https://127.0.0.1:8443/
  lacewing ping -c 100 -i 0.01 --json http://127.0.0.1:8080/";

/// The arguments of `lacewing ping`.
#[derive(Clone, Debug, Args)]
pub(crate) struct Ping {
    /// End after this many PINGs
    #[arg(short, long, value_name = "N", value_parser = parse::at_least_one)]
    count: Option<usize>,

    /// Seconds from one PING to the next
    #[arg(short, long, value_name = "SECONDS", default_value = "1", value_parser = parse::seconds)]
    interval: Duration,

    /// Seconds to wait for the answer
    #[arg(short = 'W', long, value_name = "SECONDS", default_value = "10", value_parser = parse::some_seconds)]
    timeout: Duration,

    /// The protocol: h2, spdy/3.1, spdy/3 or spdy/2. https offers it alone by ALPN;
    /// http uses it by prior knowledge [default: https offers all; http uses h2]
    #[arg(short, long, value_name = "PROTOCOL", value_parser = parse::protocol)]
    protocol: Option<Version>,

    /// Print one JSON object at the end, and nothing before
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    dialling: Dialling,

    /// The server
    #[arg(value_name = "URL", value_parser = parse::url, help_heading = "Arguments")]
    url: Uri,
}

/// The figures of a run. Times are in milliseconds.
#[derive(Debug, Serialize)]
struct Summary {
    url: String,
    protocol: &'static str,
    connect_ms: f64,
    sent: usize,
    answered: usize,
    #[serde(flatten)]
    times: Option<Times>,
}

#[derive(Debug, PartialEq, Serialize)]
struct Times {
    min_ms: f64,
    avg_ms: f64,
    max_ms: f64,
    /// The standard deviation, as ping(8) calls it.
    mdev_ms: f64,
}

pub(crate) async fn run(ping: &Ping) -> Result<(), Failure> {
    let origin = Origin::of(&ping.url).map_err(Failure::usage)?;
    let connector = ping.dialling.multiplexed(ping.protocol)?;
    let failed = |error: &ClientError| Failure::request(&ping.url, error, ping.dialling.trust());
    let started = Instant::now();
    let connecting = tokio::time::timeout(ping.timeout, connector.connect(&origin)).await;
    let connected = connecting.map_err(|_| Failure::no_answer(&ping.url, ping.timeout))?;
    let connected = connected.map_err(|error| failed(&error))?;
    let connect_ms = milliseconds(started.elapsed());
    let address = connected.address;
    let no_pings = || Failure::usage(format!("{}: HTTP/1.1 has no PING", ping.url));
    let version = connected.version.ok_or_else(no_pings)?;
    let (connection, driver) =
        Connection::handshake(connected.io, version, ClientOptions::default());
    let driver = tokio::spawn(driver);
    if !ping.json {
        let address = address.map_or_else(String::new, |address| format!(" ({address})"));
        console::print(format_args!(
            "PING {origin}{address}, speaking {version}; connected in {connect_ms:.3} ms\n"
        ))?;
    }
    let Pings { sent, times, end } = exchange(ping, &connection).await?;
    connection.shutdown();
    drop(connection);
    // The connection says GOAWAY and closes; a server that does not is left.
    let _ = tokio::time::timeout(Duration::from_millis(500), driver).await;
    let summary = Summary {
        url: ping.url.to_string(),
        protocol: version.alpn(),
        connect_ms,
        sent,
        answered: times.len(),
        times: Times::of(&times),
    };
    print(ping, &origin, &summary)?;
    match end {
        End::Connection(error) => Err(failed(&error)),
        _ if !times.is_empty() => Ok(()),
        End::Count => Err(Failure::no_answer(&ping.url, ping.timeout)),
        End::Interrupted => Err(Failure::interrupted(&ping.url)),
    }
}

/// The PINGs of a run.
struct Pings {
    sent: usize,
    /// The times of the answers, in milliseconds.
    times: Vec<f64>,
    end: End,
}

/// The end of a run.
enum End {
    /// As many were sent as were to be sent.
    Count,
    /// Ctrl-C.
    Interrupted,
    Connection(ClientError),
}

/// Sends the PINGs.
async fn exchange(ping: &Ping, connection: &Connection) -> Result<Pings, Failure> {
    let mut interrupted = pin!(tokio::signal::ctrl_c());
    let mut ticks = interval(ping.interval.max(Duration::from_millis(1)));
    // One PING at a time: after a slow answer the next one follows at once, without a burst.
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut sent, mut times) = (0_usize, Vec::new());
    let end = loop {
        if ping.count.is_some_and(|count| sent >= count) {
            break End::Count;
        }
        // Ctrl-C is awaited before the first PING is sent.
        tokio::select! {
            biased;
            _ = &mut interrupted => break End::Interrupted,
            _ = ticks.tick() => {}
        }
        sent = sent.saturating_add(1);
        let answer = tokio::select! {
            biased;
            _ = &mut interrupted => break End::Interrupted,
            answer = connection.ping(ping.timeout) => answer,
        };
        let text = match answer {
            Ok(time) => {
                times.push(milliseconds(time));
                format!("PING {sent}: {:.3} ms", milliseconds(time))
            }
            Err(ClientError::PingTimeout { after }) => {
                format!("PING {sent}: no answer within {after:?}")
            }
            Err(error) => break End::Connection(error),
        };
        if !ping.json {
            console::print(format_args!("{text}\n"))?;
        }
    };
    Ok(Pings { sent, times, end })
}

fn print(ping: &Ping, origin: &Origin, summary: &Summary) -> Result<(), Failure> {
    if ping.json {
        let json = serde_json::to_string(summary).map_err(Failure::local)?;
        return console::print(format_args!("{json}\n"));
    }
    let Summary { sent, answered, .. } = summary;
    console::print(format_args!(
        "--- {origin} ---\n{sent} PINGs sent, {answered} answered\n"
    ))?;
    let Some(times) = &summary.times else {
        return Ok(());
    };
    let Times {
        min_ms,
        avg_ms,
        max_ms,
        mdev_ms,
    } = times;
    console::print(format_args!(
        "rtt min/avg/max/mdev = {min_ms:.3}/{avg_ms:.3}/{max_ms:.3}/{mdev_ms:.3} ms\n"
    ))
}

impl Times {
    #[allow(clippy::cast_precision_loss)]
    fn of(times: &[f64]) -> Option<Self> {
        let count = times.len() as f64;
        let min_ms = times.iter().copied().reduce(f64::min)?;
        let max_ms = times.iter().copied().reduce(f64::max)?;
        let avg_ms = times.iter().sum::<f64>() / count;
        let squares = times
            .iter()
            .map(|time| (time - avg_ms).powi(2))
            .sum::<f64>();
        Some(Self {
            min_ms,
            avg_ms,
            max_ms,
            mdev_ms: (squares / count).sqrt(),
        })
    }
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_summed_up() {
        assert_eq!(Times::of(&[]), None);
        let expected = Times {
            min_ms: 1.0,
            avg_ms: 2.0,
            max_ms: 3.0,
            mdev_ms: 1.0,
        };
        assert_eq!(Times::of(&[3.0, 1.0, 1.0, 3.0]), Some(expected));
    }
}
