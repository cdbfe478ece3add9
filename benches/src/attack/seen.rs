//! The victim's frames, as far as a verdict needs them.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use bytes::{Bytes, BytesMut};
use lacewing_frames::http2::{self, HeaderField, Sensitivity};
use lacewing_frames::spdy;

use super::dialect::Dialect;

/// A GOAWAY of the victim.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct GoAway {
    pub(crate) code: String,
    pub(crate) debug: String,
    pub(crate) last: u32,
}

/// Everything that the victim has sent so far.
#[derive(Debug)]
pub(crate) struct Seen {
    pub(crate) go_aways: Vec<GoAway>,
    pub(crate) resets: BTreeMap<u32, String>,
    pub(crate) statuses: BTreeMap<u32, String>,
    pub(crate) ended: BTreeSet<u32>,
    /// Streams that the victim opened: a client's requests.
    pub(crate) requests: Vec<u32>,
    /// Bytes of every kind.
    pub(crate) received: u64,
    /// Bytes of DATA.
    pub(crate) data: u64,
    pub(crate) pings: u64,
    /// Frames of every kind.
    pub(crate) frames: u64,
    /// Credit to send DATA: the connection's, and each stream's.
    pub(crate) connection_credit: i64,
    stream_credit: BTreeMap<u32, i64>,
    initial_credit: i64,
    /// The first GOAWAY, RST_STREAM or status of 400 and more.
    pub(crate) first_reaction: Option<Instant>,
    pub(crate) closed: Option<Instant>,
    /// Bytes that the attacker could not decode.
    pub(crate) undecodable: Option<String>,
    /// Frames that an honest peer would answer with, ready to be sent.
    pub(crate) answers: BytesMut,
    pub(crate) http1: Vec<u8>,
}

impl Seen {
    pub(crate) fn new(dialect: Dialect) -> Seen {
        let initial = match dialect {
            Dialect::Http2 => 65_535,
            Dialect::Spdy31 | Dialect::Spdy3 => 65_536,
            Dialect::Spdy2 | Dialect::Http1 => i64::MAX / 4,
        };
        let connection_credit = match dialect {
            Dialect::Http2 | Dialect::Spdy31 => initial,
            _ => i64::MAX / 4,
        };
        Seen {
            go_aways: Vec::new(),
            resets: BTreeMap::new(),
            statuses: BTreeMap::new(),
            ended: BTreeSet::new(),
            requests: Vec::new(),
            received: 0,
            data: 0,
            pings: 0,
            frames: 0,
            connection_credit,
            stream_credit: BTreeMap::new(),
            initial_credit: initial,
            first_reaction: None,
            closed: None,
            undecodable: None,
            answers: BytesMut::new(),
            http1: Vec::new(),
        }
    }

    /// Bytes of DATA that may be sent on a stream now.
    pub(crate) fn credit(&self, id: u32) -> i64 {
        let stream = self.stream_credit.get(&id).copied().unwrap_or(0);
        (stream + self.initial_credit).min(self.connection_credit)
    }

    pub(crate) fn debit(&mut self, id: u32, len: usize) {
        let len = i64::try_from(len).unwrap_or(0);
        *self.stream_credit.entry(id).or_default() -= len;
        self.connection_credit -= len;
    }

    /// Returns whether the stream is over, one way or the other.
    pub(crate) fn is_over(&self, id: u32) -> bool {
        self.resets.contains_key(&id) || self.ended.contains(&id)
    }

    fn reacted(&mut self) {
        self.first_reaction.get_or_insert_with(Instant::now);
    }

    fn status(&mut self, id: u32, status: &[u8], fin: bool) {
        let status = String::from_utf8_lossy(status.get(..3).unwrap_or(status)).into_owned();
        if status.starts_with(['4', '5']) {
            self.reacted();
        }
        self.statuses.insert(id, status);
        if fin {
            self.ended.insert(id);
        }
    }

    fn go_away(&mut self, code: String, debug: &[u8], last: u32) {
        self.reacted();
        if self.go_aways.len() < 8 {
            let debug = String::from_utf8_lossy(debug).into_owned();
            self.go_aways.push(GoAway { code, debug, last });
        }
    }

    fn reset(&mut self, id: u32, code: String) {
        self.reacted();
        self.resets.insert(id, code);
    }
}

/// The attacker's side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    Client,
    Server,
}

/// The answers of an attacker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Manners {
    /// Acknowledges SETTINGS and PING, and gives credit back for each DATA frame.
    Polite,
    /// Acknowledges SETTINGS and PING, and gives no credit.
    Stingy,
    /// Acknowledges SETTINGS alone.
    Acknowledging,
    /// Answers nothing.
    Mute,
}

impl Manners {
    fn answers_pings(self) -> bool {
        matches!(self, Manners::Polite | Manners::Stingy)
    }
}

/// Bytes to what was seen.
pub(crate) enum Reader {
    Http2(Box<http2::Decoder<Vec<(HeaderField, Sensitivity)>>>),
    /// With the parity of the victim's PINGs: those are answered.
    Spdy(Box<spdy::Decoder<Vec<(Bytes, Bytes)>>>, Dialect, u32),
    Http1,
}

impl Reader {
    pub(crate) fn new(dialect: Dialect, role: Role) -> Reader {
        match dialect.spdy() {
            Some(version) => {
                let limits = spdy::DecoderLimits::default()
                    .with(|limits| limits.max_frame_size = spdy::FrameHead::MAX_LENGTH);
                let parity = u32::from(role == Role::Server);
                Reader::Spdy(
                    Box::new(spdy::Decoder::new(version, limits)),
                    dialect,
                    parity,
                )
            }
            None if dialect == Dialect::Http2 => {
                let limits = http2::DecoderLimits::default().with_max_header_list_size(1 << 20);
                Reader::Http2(Box::new(http2::Decoder::new(limits)))
            }
            None => Reader::Http1,
        }
    }

    /// Takes every whole frame out of `input`.
    pub(crate) fn read(&mut self, input: &mut BytesMut, seen: &mut Seen, manners: Manners) {
        match self {
            Reader::Http2(decoder) => loop {
                match decoder.decode(input) {
                    Ok(Some(message)) => http2_message(message, seen, manners),
                    Ok(None) => break,
                    Err(error) => {
                        seen.undecodable = Some(error.to_string());
                        input.clear();
                        break;
                    }
                }
            },
            Reader::Spdy(decoder, dialect, parity) => loop {
                match decoder.decode(input) {
                    Ok(Some(message)) => spdy_message(message, *dialect, *parity, seen, manners),
                    Ok(None) => break,
                    Err(error) => {
                        seen.undecodable = Some(error.to_string());
                        input.clear();
                        break;
                    }
                }
            },
            Reader::Http1 => {
                seen.data += input.len() as u64;
                if seen.http1.len() < 1 << 16 {
                    seen.http1.extend_from_slice(input);
                    http1_statuses(seen);
                }
                input.clear();
            }
        }
    }
}

type Http2Message = http2::Message<Vec<(HeaderField, Sensitivity)>>;

fn http2_message(message: Http2Message, seen: &mut Seen, manners: Manners) {
    use http2::Message as M;
    seen.frames += 1;
    let encoder = http2::Encoder::new;
    match message {
        M::Data {
            stream_id,
            fin,
            payload,
            flow_controlled_len,
        } => {
            seen.data += payload.len() as u64;
            if fin {
                seen.ended.insert(stream_id);
            }
            if manners == Manners::Polite && flow_controlled_len > 0 {
                encoder().window_update(&mut seen.answers, 0, flow_controlled_len);
                if !fin {
                    encoder().window_update(&mut seen.answers, stream_id, flow_controlled_len);
                }
            }
        }
        M::Headers {
            stream_id,
            fin,
            list,
            ..
        } => {
            let list = list.unwrap_or_else(|bad| bad.fields);
            let status = list.iter().find(|(field, _)| field.name() == b":status");
            match status {
                Some((field, _)) => seen.status(stream_id, field.value(), fin),
                None if list.iter().any(|(field, _)| field.name() == b":method") => {
                    seen.requests.push(stream_id);
                }
                None if fin => {
                    seen.ended.insert(stream_id);
                }
                None => {}
            }
        }
        M::RstStream { stream_id, code } => seen.reset(stream_id, code.to_string()),
        M::Settings(settings) => {
            if let Some(size) = settings.value(http2::SettingId::INITIAL_WINDOW_SIZE) {
                seen.initial_credit = i64::from(size);
            }
            if manners != Manners::Mute {
                encoder().settings_ack(&mut seen.answers);
            }
        }
        M::Ping { payload } => {
            seen.pings += 1;
            if manners.answers_pings() {
                encoder().ping_ack(&mut seen.answers, payload);
            }
        }
        M::GoAway {
            last_stream_id,
            code,
            debug_data,
        } => seen.go_away(code.to_string(), &debug_data, last_stream_id),
        M::WindowUpdate {
            stream_id,
            increment,
        } => credit(seen, stream_id, increment),
        _ => {}
    }
}

fn credit(seen: &mut Seen, stream_id: u32, delta: u32) {
    if stream_id == 0 {
        seen.connection_credit += i64::from(delta);
    } else {
        *seen.stream_credit.entry(stream_id).or_default() += i64::from(delta);
    }
}

fn spdy_message(
    message: spdy::Message<Vec<(Bytes, Bytes)>>,
    dialect: Dialect,
    parity: u32,
    seen: &mut Seen,
    manners: Manners,
) {
    use spdy::Message as M;
    seen.frames += 1;
    let version = dialect.spdy().unwrap_or(spdy::WireVersion::V3);
    let encoder = || spdy::Encoder::new(version, spdy::Compression::Stored);
    match message {
        M::Data {
            stream_id,
            payload,
            fin,
            ..
        } => {
            seen.data += payload.len() as u64;
            if fin {
                seen.ended.insert(stream_id);
            }
            let len = u32::try_from(payload.len()).unwrap_or(0);
            if manners == Manners::Polite && len > 0 && dialect != Dialect::Spdy2 {
                if dialect == Dialect::Spdy31 {
                    encoder().window_update(&mut seen.answers, 0, len);
                }
                if !fin {
                    encoder().window_update(&mut seen.answers, stream_id, len);
                }
            }
        }
        M::SynStream { stream_id, .. } => seen.requests.push(stream_id),
        M::SynReply {
            stream_id,
            fin,
            block,
        } => {
            let status = block.fields().iter().find(|(name, _)| {
                let name: &[u8] = name;
                name == b":status" || name == b"status"
            });
            match status {
                Some((_, value)) => seen.status(stream_id, value, fin),
                None => seen.status(stream_id, b"???", fin),
            }
        }
        M::Headers {
            stream_id,
            fin: true,
            ..
        } => {
            seen.ended.insert(stream_id);
        }
        M::RstStream(frame) => seen.reset(frame.stream_id, frame.code.to_string()),
        M::Settings(settings) => {
            if let Some(size) = settings.value(spdy::SettingId::INITIAL_WINDOW_SIZE) {
                seen.initial_credit = i64::from(size);
            }
        }
        M::Ping(ping) => {
            seen.pings += 1;
            if manners.answers_pings() && ping.id % 2 == parity {
                encoder().ping(&mut seen.answers, ping.id);
            }
        }
        M::GoAway(frame) => {
            let code = frame
                .status
                .map_or_else(|| "GOAWAY".to_owned(), |status| status.to_string());
            seen.go_away(code, b"", frame.last_good_stream_id);
        }
        M::WindowUpdate(frame) => credit(seen, frame.stream_id, frame.delta),
        _ => {}
    }
}

/// Numbers the responses of a connection from 1.
fn http1_statuses(seen: &mut Seen) {
    let text = String::from_utf8_lossy(&seen.http1).into_owned();
    let statuses: Vec<String> = text
        .match_indices("HTTP/1.1 ")
        .filter_map(|(at, found)| text.get(at + found.len()..at + found.len() + 3))
        .map(str::to_owned)
        .collect();
    for (number, status) in (1_u32..).zip(statuses) {
        if !seen.statuses.contains_key(&number) {
            seen.status(number, status.as_bytes(), true);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn responses_of_http1_are_counted() {
        let mut seen = Seen::new(Dialect::Http1);
        let mut input = BytesMut::from(&b"HTTP/1.1 200 OK\r\n\r\nHTTP/1.1 408 R\r\n\r\n"[..]);
        Reader::new(Dialect::Http1, Role::Client).read(&mut input, &mut seen, Manners::Mute);
        let statuses: Vec<&str> = seen.statuses.values().map(String::as_str).collect();
        assert_eq!(statuses, ["200", "408"]);
        assert!(seen.first_reaction.is_some());
    }

    #[test]
    fn settings_are_acknowledged_and_pings_are_not() {
        let mut wire = BytesMut::new();
        let encoder = http2::Encoder::new;
        encoder().settings(&mut wire, &[]);
        encoder().ping(&mut wire, [0; 8]);
        for (manners, kinds) in [
            (Manners::Acknowledging, &[http2::Kind::SETTINGS][..]),
            (Manners::Mute, &[]),
            (Manners::Stingy, &[http2::Kind::SETTINGS, http2::Kind::PING]),
        ] {
            let mut seen = Seen::new(Dialect::Http2);
            Reader::new(Dialect::Http2, Role::Server).read(&mut wire.clone(), &mut seen, manners);
            let mut answered = Vec::new();
            while let Some(head) = http2::FrameHead::parse(&seen.answers) {
                answered.push(head.kind);
                let _ = seen.answers.split_to(9 + head.length as usize);
            }
            assert_eq!(answered, kinds);
        }
    }

    #[test]
    fn credit_is_the_lesser_of_both_windows() {
        let mut seen = Seen::new(Dialect::Http2);
        let mut wire = BytesMut::new();
        let encoder = http2::Encoder::new();
        encoder.window_update(&mut wire, 1, 100);
        Reader::new(Dialect::Http2, Role::Client).read(&mut wire, &mut seen, Manners::Mute);
        assert_eq!(seen.credit(1), 65_535);
        encoder.window_update(&mut wire, 0, 40);
        Reader::new(Dialect::Http2, Role::Client).read(&mut wire, &mut seen, Manners::Mute);
        seen.debit(1, 35);
        assert_eq!((seen.credit(1), seen.credit(3)), (65_540, 65_535));
    }
}
