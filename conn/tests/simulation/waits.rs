//! Waits that must end: frames that arrive byte by byte, content that stops, data that is not read,
//! silent peers. Each has an honest peer beside it that does something similar, and survives.

mod content;
mod frames;
mod silence;
mod windows;

use std::time::Duration;

use bytes::{Buf, Bytes};
use http::StatusCode;
use lacewing_conn::{
    Reason, Side, Version,
    proto::{Config, Event, Head, Rule, StreamKey, Transmit},
};

use crate::hostile::{Peer, Victim};

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);

/// A server with the default limits, SETTINGS acknowledged.
fn server(version: Version) -> (Victim, Peer) {
    server_with(version, |_| {})
}

fn server_with(version: Version, change: impl FnOnce(&mut Config)) -> (Victim, Peer) {
    let mut config = Config::new(version, Side::Server);
    change(&mut config);
    let mut victim = Victim::with(config);
    let mut peer = Peer::new(version, Side::Client);
    peer.settings_ack();
    victim.take(&mut peer);
    victim.flush();
    (victim, peer)
}

/// Advances time for a victim. Its transport accepts all data, and its peer only answers PINGs.
fn pass(victim: &mut Victim, time: Duration) {
    let end = victim.now + time;
    let written = drain(victim);
    answer_pings(victim, &written);
    while let Some(due) = victim.engine.poll_timeout().filter(|due| *due <= end) {
        victim.now = victim.now.max(due);
        victim.engine.handle_timeout(victim.now);
        victim.poll();
        let written = drain(victim);
        answer_pings(victim, &written);
        if victim.engine.is_closed() {
            break;
        }
    }
    victim.now = end;
}

/// Writes the output, and asks no source.
fn drain(victim: &mut Victim) -> Bytes {
    victim.engine.poll_transmit(victim.now);
    let len = victim.engine.output().remaining();
    victim.engine.output().copy_to_bytes(len)
}

fn answer_pings(victim: &mut Victim, written: &[u8]) {
    let version = victim.engine.version();
    let mut answers = Vec::new();
    if version == Version::Http2 {
        for at in 0..written.len() {
            let ping = written.get(at..at + 17);
            if let Some(ping) = ping.filter(|ping| ping.starts_with(&[0, 0, 8, 6, 0, 0, 0, 0, 0])) {
                answers.extend_from_slice(ping);
                let flags = answers.len() - 17 + 4;
                answers[flags] = 1;
            }
        }
    } else {
        let two = if version == Version::Spdy2 { 2 } else { 3 };
        for at in 0..written.len() {
            let ping = written.get(at..at + 12);
            let head = [0x80, two, 0, 6, 0, 0, 0, 4];
            if let Some(ping) = ping.filter(|ping| ping.starts_with(&head)) {
                answers.extend_from_slice(ping);
            }
        }
    }
    if !answers.is_empty() {
        victim.take_bytes(&answers);
    }
}

fn closed(victim: &Victim) -> Option<Rule> {
    victim.events.iter().find_map(|event| match event {
        Event::Closed { error } => error.rule(),
        _ => None,
    })
}

/// The rules that ended streams, with the text of the last.
fn resets(victim: &Victim) -> Vec<(Rule, Reason, String)> {
    let resets = victim.events.iter().filter_map(|event| match event {
        Event::Reset { error, .. } => Some((error.rule()?, error.reason(), error.to_string())),
        _ => None,
    });
    resets.collect()
}

fn opened(victim: &Victim) -> Vec<StreamKey> {
    let opened = victim.events.iter().filter_map(|event| match event {
        Event::Opened { stream, .. } => Some(*stream),
        _ => None,
    });
    opened.collect()
}

/// Replies, with content that never ends.
fn reply_endlessly(victim: &mut Victim, stream: StreamKey) {
    let now = victim.now;
    let mut stream = victim.engine.stream(now, stream);
    stream.reply(Head::response(StatusCode::OK), false).unwrap();
    stream.offer();
}

/// Cuts the data that the windows permit, and has more.
fn pump(victim: &mut Victim) -> usize {
    let mut sent = 0;
    loop {
        match victim.engine.poll_transmit(victim.now) {
            Transmit::Pull { stream, max } => {
                let data = Bytes::from(vec![0; max.min(16_000)]);
                sent += data.len();
                let now = victim.now;
                victim
                    .engine
                    .stream(now, stream)
                    .send_data(data, false)
                    .unwrap();
            }
            Transmit::Write => {}
            Transmit::Idle => break,
        }
        let len = victim.engine.output().remaining();
        victim.engine.output().advance(len);
    }
    let len = victim.engine.output().remaining();
    victim.engine.output().advance(len);
    sent
}

/// The peer is silent, and does not even answer PINGs.
fn mute(victim: &mut Victim, time: Duration) {
    let end = victim.now + time;
    drain(victim);
    while let Some(due) = victim.engine.poll_timeout().filter(|due| *due <= end) {
        victim.now = victim.now.max(due);
        victim.engine.handle_timeout(victim.now);
        victim.poll();
        drain(victim);
        if victim.engine.is_closed() {
            break;
        }
    }
    victim.now = end;
}
