//! The bounds against peers that ask for too much.

mod shared;

use std::time::Duration;

pub use self::shared::SharedLimits;

use super::Side;

/// Every bound of a connection, with its default and the attack it answers.
///
/// All that a connection holds together is bounded by
/// [`max_connection_bytes`](Self::max_connection_bytes). Each part is charged to a bound
/// of its own besides, as the memory that it takes:
///
/// * header lists of open streams, and long lists after the head until they are
///   read: [`max_held_headers`](Self::max_held_headers);
/// * content that the user holds: [`max_buffered_bytes`](Self::max_buffered_bytes);
/// * content that waits for a window: [`max_unsent_bytes`](Self::max_unsent_bytes);
/// * output: [`max_output_backlog`](Self::max_output_backlog) and
///   [`cut_ahead`](Self::cut_ahead), and one frame beyond;
/// * a header block that has not ended: twice
///   [`max_header_list_size`](Self::max_header_list_size). This includes one list of a new
///   stream that waits until the handlers of cancelled streams have ended;
/// * HPACK tables: six times [`header_table_size`](Self::header_table_size) and
///   [`encoder_table_size`](Self::encoder_table_size); zlib: up to 110 KiB for each
///   connection, 459 KiB with
///   [`Zlib`](super::HeaderCompression::Zlib);
/// * streams: less than 1 KiB each, of
///   [`max_concurrent_streams`](Self::max_concurrent_streams) and
///   [`max_pushed_streams`](Self::max_pushed_streams);
/// * remembered ids, priorities, settings and the text of GOAWAY: 4 KiB, bounded by
///   [`max_remembered_resets`](Self::max_remembered_resets),
///   [`max_skipped_ids`](Self::max_skipped_ids),
///   [`max_early_priorities`](Self::max_early_priorities) and
///   [`max_settings_entries`](Self::max_settings_entries).
///
/// Lists of up to 4 KiB after the head of a response are not charged once its stream is done. Our
/// own requests bound their number. [`Engine::held_bytes`](super::Engine::held_bytes) returns the
/// sum.
///
/// Made by [`Limits::new`]; every field can be read and set, and
/// [`with`](Limits::with) does so inside of an expression.
///
/// ```
/// use lacewing_conn::{Limits, Side};
///
/// let mut limits = Limits::new(Side::Server);
/// limits.max_concurrent_streams = 250;
/// assert_eq!(limits.max_header_list_size, 64 * 1024);
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Limits {
    /// Streams that the peer may have open at once; advertised in SETTINGS.
    /// Default 100. A stream counts until both sides and its handler are done
    /// (Rapid Reset, CVE-2023-44487).
    pub max_concurrent_streams: u32,
    /// Pushed streams that a client holds at once. Default 100 (push floods).
    pub max_pushed_streams: u32,
    /// The receive window that a stream starts with, in bytes. Default 1 MiB.
    pub stream_window: u32,
    /// The receive window that the connection starts with, in bytes. Default
    /// 4 MiB.
    pub connection_window: u32,
    /// The largest receive window of a stream, to which it grows where the path is long and
    /// its reader keeps up, in bytes. At or below `stream_window`: it stays as
    /// it is. Default 16 MiB.
    pub max_stream_window: u32,
    /// The largest receive window of the connection, to which it grows where the path is
    /// long and readers keep up, in bytes. At or below `connection_window`: it
    /// stays as it is. What all connections grow by is bounded by a
    /// [`WindowPool`](super::WindowPool), and each by `max_buffered_bytes`.
    /// Default 16 MiB.
    pub max_connection_window: u32,
    /// Bytes of bodies that may wait for the user, those included that the peer
    /// may still send. The connection's window is released as they arrive, as
    /// far as this allows: streams without a reader stop only themselves until
    /// then. Where a protocol has no window for the connection, no more is read
    /// from the transport. Never less than `connection_window`. Default 5.25 MiB
    /// for a server, 8 MiB for a client.
    pub max_buffered_bytes: usize,
    /// Bytes of memory that the connection takes in all: content, header lists, data
    /// that waits to be sent, output, tables, streams. The other limits bound each part;
    /// this one bounds traffic that fills several at once. Default 8 MiB for a server,
    /// 12 MiB for a client, whose content alone may be 8 MiB.
    ///
    /// Steps free memory before it is reached. From 50/64, the driver reads slowly while
    /// most of it is content. From 51/64, new streams are refused (REFUSED_STREAM). From
    /// 52/64, the costliest stream that stands still ends, then the next (RST_STREAM).
    /// At 53/64, when no stream stands still, the connection ends (ENHANCE_YOUR_CALM
    /// where the protocol has it). Errors and debug data name this limit and the bytes.
    /// The rest is for memory that the steps cannot count: read buffers that are partly
    /// used, and the state of drivers and facades.
    ///
    /// Honest traffic does not reach the first step, but for many tunnels that are full in both
    /// directions. All content, unsent data and output that the
    /// defaults permit fit below it, with 192 KiB of header lists and tables. A larger limit of
    /// another part raises this one by as much as it exceeds its default. So no setting needs to be
    /// changed twice. Data of the user beyond `max_unsent_bytes`, as of one large body in one
    /// piece, does not count.
    pub max_connection_bytes: usize,
    /// The largest frame payload that is taken, in bytes; 16,384 to 2²⁴−1.
    /// Default 16,384.
    pub max_frame_size: u32,
    /// The HPACK table that the peer may use towards us, in bytes. Default
    /// 4,096.
    pub header_table_size: u32,
    /// The largest HPACK table that we use, whatever the peer offers, in
    /// bytes. Default 4,096 (a peer that offers 4 GiB).
    pub encoder_table_size: u32,
    /// The largest decoded header list, in bytes by RFC 7541 §4.1. Default
    /// 64 KiB for a server, 256 KiB for a client (HPACK bomb, CVE-2016-6581;
    /// zlib bombs).
    pub max_header_list_size: usize,
    /// The most header fields in a list, cookie crumbs counted one by one.
    /// Default 1,000, at most 16,384 (CVE-2026-49975: thousands of tiny fields).
    pub max_header_fields: usize,
    /// Bytes of memory that the header lists of open streams may take together, as they are built:
    /// about 110 for each field beside its text. Promised requests count, and trailers until they
    /// are read. A stream beyond is refused (REFUSED_STREAM). Counts as 8 KiB for each of
    /// `max_concurrent_streams` if that is more. Default 2 MiB for a server, 6 MiB for a client.
    /// The attack is HTTP/2 Bomb (CVE-2026-49975): a byte on the wire becomes a hundred in memory,
    /// on many streams.
    pub max_held_headers: usize,
    /// The most CONTINUATION frames after one HEADERS. Default 8 (CONTINUATION
    /// flood, CVE-2024-27316). More are taken where a list of
    /// `max_header_list_size` needs them: as many as it fills at 4 KiB each.
    pub max_continuations: usize,
    /// The most entries of one SETTINGS frame. Default 32 (CVE-2026-35469).
    pub max_settings_entries: usize,
    /// Bytes that wait in the output before input is read no more. Default
    /// 64 KiB (PING and SETTINGS floods, CVE-2019-9512, CVE-2019-9515).
    pub max_output_backlog: usize,
    /// Bytes of DATA that are cut ahead of the transport. Default 256 KiB;
    /// less keeps urgent streams more urgent.
    pub cut_ahead: usize,
    /// Bytes of bodies that were pulled and wait for a window of the peer. Over it, a
    /// body is pulled only for a stream whose window takes a large piece at once.
    /// Data that others share, such as a cached file, counts little. Default 512 KiB
    /// (a hundred responses that are held by windows of 0 or 1, each with a piece of
    /// 64 KiB). What is written into tunnels and raw streams has half of it again, for all of
    /// them, and 2 KiB for each beyond that.
    pub max_unsent_bytes: usize,
    /// Streams that may end early by RST_STREAM, sent or received, at once, and
    /// per second afterwards. Default 200 and 150 (Rapid Reset, MadeYouReset
    /// CVE-2025-8671). A stream that the peer cancels after a second or more
    /// does not count: it cost what any request costs.
    pub resets: Rate,
    /// Frames that are legal and of no use. These are unknown types, PRIORITY,
    /// empty DATA, PING, answers to no PING, SETTINGS and GOAWAY. So are 1xx
    /// responses, pushes, ORIGIN, ALTSVC, and more WINDOW_UPDATEs than our DATA explains.
    /// Frames that arrive too late for their stream count too, and each stream
    /// that ends pays for `late_frames` of them. Default 10,000 at once and 330
    /// per second afterwards.
    pub glitches: Rate,
    /// Ids of streams that we reset, remembered so that what was already on
    /// the way is ignored. Default 128.
    pub max_remembered_resets: usize,
    /// Ranges of ids that the peer passed over, remembered so that they are
    /// distinguished from ids that were used (RFC 9113 §5.1.1). Default 16.
    pub max_skipped_ids: usize,
    /// Frames that may arrive too late for their stream, which each stream pays
    /// for by its end. Default 4.
    pub late_frames: u32,
    /// Priorities that were set for streams before they were opened,
    /// remembered until then (RFC 9218 §7). Default 32.
    pub max_early_priorities: usize,
    /// Time for the first frame of the peer to arrive, where both sides begin
    /// with one (RFC 9113 §3.4). Over SPDY a peer may be silent, and this is the
    /// time that its first frame takes once it has begun. Default 10 s
    /// (slowloris).
    pub preface_timeout: Duration,
    /// Time for a header block that has begun to end. Default 10 s
    /// (CONTINUATION flood by drops).
    pub headers_timeout: Duration,
    /// Time for our SETTINGS to be acknowledged, where they are. Default 10 s.
    pub settings_timeout: Duration,
    /// Time that open streams get after a shutdown began, or after the peer
    /// closed its side of the transport. Default 30 s.
    pub drain_timeout: Duration,
    /// Time that the body of a response waits for the responses to its pushes, where these share a
    /// frame with their push. A push must precede the content that refers to it (the SPDY drafts
    /// §3.3.1). Default 100 ms.
    pub max_push_delay: Duration,
    /// Time for which an upload without a reader is discarded after the complete
    /// response, before RST_STREAM; over HTTP/1.1, before the close. Zero sends it at
    /// once; clients that read and write in one loop (curl before 8) then lose the
    /// response. Default 250 ms.
    pub upload_linger: Duration,
    /// The least that a peer must move while we wait for it, in bytes a second. It is the mean over
    /// the bound that applies: `frame_timeout` for a frame that has begun, `write_stall_timeout`
    /// for the transport, `pressed_stall_timeout` for a stream. Default 256: a phone on a bad day
    /// has 2,000; an attacker that spends one a second does not get by. 0: a byte is enough.
    pub min_rate: u32,
    /// Time for a frame that has begun to end, or to bring `min_rate`. Does not
    /// run while we read nothing. Default 30 s (half a DATA frame; a HEADERS or
    /// SYN_STREAM frame that drips).
    pub frame_timeout: Duration,
    /// Time without a byte of a request's content, while the windows are open for it and the
    /// connection has nothing else to carry. For a server: content whose length is declared, and
    /// other content until the response begins. It does not apply to gRPC, CONNECT and raw streams,
    /// which may be silent as long as they like. Nor does it apply before `100 Continue` or the
    /// final response where a client expects the former, nor while our handler leaves the windows
    /// full. For a client: content of a final response after which it does not send a request's
    /// content that waited for `100 Continue`. Default 60 s (a body that stops; an echo of withheld
    /// content).
    pub body_timeout: Duration,
    /// Time in which a stream that waits for the peer moves less than `min_rate` times
    /// `pressed_stall_timeout`. It waits for a window that stays empty while we have data, or for
    /// content of declared length: of a request, and on a client of a response. The stream ends; the
    /// connection does, where it is the connection's window. Not for tunnels and raw streams.
    /// Default 10 minutes: a player that is paused keeps its window at zero, and lives.
    pub stall_timeout: Duration,
    /// The same under pressure, for tunnels too: while more than
    /// `max_stalled_streams` stand still, or [`Engine::set_pressure`] says so.
    ///
    /// Without pressure it bounds a window that *drips*, of the connection or of a stream that is
    /// no tunnel. A sweep looks at all streams every 5 s, or more often: eight times within the
    /// shortest of `body_timeout`, `stall_timeout` and this time. A window drips if two things are true.
    /// Three sweeps or more found that the peer took a piece of less than 4 KiB. And since it began to
    /// wait, the peer took less than `min_rate` times `pressed_stall_timeout`. A paused
    /// player takes nothing, then a good part of its window; small pieces again and again only keep a
    /// response alive.
    ///
    /// Servers only. Default 60 s (slow reading by windows of 0 or 1, Imperva
    /// 2016; data dribble, CVE-2019-9511).
    ///
    /// [`Engine::set_pressure`]: super::Engine::set_pressure
    pub pressed_stall_timeout: Duration,
    /// Streams of a connection that may stand still before it is under pressure.
    /// Default 25, a quarter of `max_concurrent_streams`: no browser pauses so
    /// many.
    pub max_stalled_streams: u32,
    /// Time without enough progress of the transport while bytes wait for it:
    /// neither all of them nor `min_rate` were taken. Default 30 s (slow read,
    /// CVE-2019-9517).
    pub write_stall_timeout: Duration,
    /// Time without a frame of the peer after which a PING asks whether it is
    /// still there. Default none.
    pub keep_alive_interval: Option<Duration>,
    /// The same where `keep_alive_interval` is not set, and with patience. If only an answer
    /// arrived since, the next PING follows six minutes later: gRPC's servers treat PINGs in shorter
    /// intervals as a flood. Default 30 s for a client (a server that is mute, or gone without a
    /// word), 2 minutes for a server. `None`: no PING is sent. A server's TCP listeners have it (or
    /// `keep_alive_interval`) as the time of the kernel's keep-alive too, for HTTP/1.1 and its
    /// tunnels, which have no PING.
    pub max_silence: Option<Duration>,
    /// Time for that PING to be answered before the connection is given up. It is
    /// longer where the answer waits behind data: by a second for each 1,000 bytes
    /// that were written before the PING, and since something arrived from the peer. Default 20 s.
    pub keep_alive_timeout: Duration,
    /// PINGs are sent also while no stream is open, if `keep_alive_interval` is set. Default no.
    pub keep_alive_while_idle: bool,
    /// Age at which a connection is shut down gracefully, less up to a tenth by chance. So
    /// connections that began together do not end together. Default none.
    pub max_connection_age: Option<Duration>,
    /// Time without an open stream after which the connection is shut down
    /// gracefully. Default 3 minutes for a server (nginx: 75 s, Apache: 5 s), none
    /// for a client, whose pool has its own, and for raw streams.
    pub idle_timeout: Option<Duration>,
}

/// A token bucket: its size, and its refill each second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// The number that may arrive at once.
    pub burst: u32,
    /// The number by which the bucket refills each second.
    pub per_second: u32,
}

impl Limits {
    /// The defaults for one side of a connection.
    pub fn new(side: Side) -> Self {
        Self {
            max_concurrent_streams: 100,
            max_pushed_streams: 100,
            stream_window: 1 << 20,
            connection_window: 4 << 20,
            max_stream_window: 16 << 20,
            max_connection_window: 16 << 20,
            max_buffered_bytes: match side {
                Side::Server => 21 << 18,
                Side::Client => 8 << 20,
            },
            max_connection_bytes: match side {
                Side::Server => 8 << 20,
                Side::Client => 12 << 20,
            },
            max_frame_size: 16_384,
            header_table_size: 4_096,
            encoder_table_size: 4_096,
            max_header_list_size: match side {
                Side::Server => 64 << 10,
                Side::Client => 256 << 10,
            },
            max_header_fields: 1_000,
            max_held_headers: match side {
                Side::Server => 2 << 20,
                Side::Client => 6 << 20,
            },
            max_continuations: 8,
            max_settings_entries: 32,
            max_output_backlog: 64 << 10,
            cut_ahead: 256 << 10,
            max_unsent_bytes: 512 << 10,
            resets: Rate {
                burst: 200,
                per_second: 150,
            },
            glitches: Rate {
                burst: 10_000,
                per_second: 330,
            },
            max_remembered_resets: 128,
            max_skipped_ids: 16,
            late_frames: 4,
            max_early_priorities: 32,
            preface_timeout: Duration::from_secs(10),
            headers_timeout: Duration::from_secs(10),
            settings_timeout: Duration::from_secs(10),
            drain_timeout: Duration::from_secs(30),
            max_push_delay: Duration::from_millis(100),
            upload_linger: Duration::from_millis(250),
            min_rate: 256,
            frame_timeout: Duration::from_secs(30),
            body_timeout: Duration::from_secs(60),
            stall_timeout: Duration::from_secs(600),
            pressed_stall_timeout: Duration::from_secs(60),
            max_stalled_streams: 25,
            write_stall_timeout: Duration::from_secs(30),
            keep_alive_interval: None,
            max_silence: Some(match side {
                Side::Server => Duration::from_secs(120),
                Side::Client => Duration::from_secs(30),
            }),
            keep_alive_timeout: Duration::from_secs(20),
            keep_alive_while_idle: false,
            max_connection_age: None,
            idle_timeout: match side {
                Side::Server => Some(Duration::from_secs(180)),
                Side::Client => None,
            },
        }
    }

    /// The same, after `change`: for use where a value is wanted.
    ///
    /// ```
    /// use std::time::Duration;
    /// use lacewing_conn::{Limits, Side};
    ///
    /// let limits = Limits::new(Side::Server).with(|limits| {
    ///     limits.max_concurrent_streams = 250;
    ///     limits.idle_timeout = Some(Duration::from_secs(60));
    /// });
    /// assert_eq!(limits.max_concurrent_streams, 250);
    /// ```
    #[must_use]
    pub fn with(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }
}

/// What [`min_rate`](Limits::min_rate) demands, for transports that have no engine (HTTP/1.1).
///
/// ```
/// use lacewing_conn::{Limits, Side};
///
/// let limits = Limits::new(Side::Server);
/// assert_eq!(limits.least_written(), 30 * 256);
/// assert_eq!(limits.least_moved(), 60 * 256);
/// ```
impl Limits {
    /// The largest [`max_header_fields`](Self::max_header_fields); a larger value counts as this.
    /// An `http::HeaderMap` panics above 24,576 names.
    pub const MOST_HEADER_FIELDS: usize = 16_384;

    /// Bytes that a transport takes within [`write_stall_timeout`](Self::write_stall_timeout), one
    /// at least.
    pub fn least_written(&self) -> u64 {
        self.least_within(self.write_stall_timeout)
    }

    /// Bytes that a stream moves within [`pressed_stall_timeout`](Self::pressed_stall_timeout), and
    /// within [`stall_timeout`](Self::stall_timeout), one at least.
    pub fn least_moved(&self) -> u64 {
        self.least_within(self.pressed_stall_timeout)
    }

    /// Bytes that `min_rate` makes of a time, and one at least: with none, no wait would end.
    pub(crate) fn least_within(&self, time: Duration) -> u64 {
        let bytes = time.as_millis().saturating_mul(self.min_rate.into()) / 1000;
        u64::try_from(bytes).unwrap_or(u64::MAX).max(1)
    }
}

impl Limits {
    /// The bytes of header lists that open streams may hold.
    pub(crate) fn held_headers(&self) -> usize {
        let streams = usize::try_from(self.max_concurrent_streams).unwrap_or(usize::MAX);
        self.max_held_headers.max(streams.saturating_mul(8 << 10))
    }

    /// `max_connection_bytes`, raised by what other limits permit beyond their defaults.
    pub(crate) fn connection_bytes(&self, side: Side) -> usize {
        let defaults = Self::new(side).parts();
        let raised = self.parts().into_iter().zip(defaults);
        raised
            .map(|(part, default)| part.saturating_sub(default))
            .fold(self.max_connection_bytes, usize::saturating_add)
    }

    /// The parts of a connection's memory, by the limit of each.
    fn parts(&self) -> [usize; 9] {
        let size = |bytes: u32| usize::try_from(bytes).unwrap_or(usize::MAX);
        let streams = self
            .max_concurrent_streams
            .saturating_add(self.max_pushed_streams);
        let tables = self
            .header_table_size
            .saturating_add(self.encoder_table_size);
        [
            self.max_buffered_bytes.max(size(self.connection_window)),
            self.held_headers(),
            self.max_unsent_bytes,
            self.max_output_backlog,
            self.cut_ahead,
            size(self.max_frame_size),
            self.max_header_list_size.saturating_mul(2),
            size(tables).saturating_mul(6),
            size(streams).saturating_mul(1 << 10),
        ]
    }

    /// Moves what no frame could say, and what no map of fields holds, to the nearest possible
    /// value.
    pub(crate) fn clamp(&mut self) {
        self.max_frame_size = self.max_frame_size.clamp(16_384, (1 << 24) - 1);
        self.stream_window = self.stream_window.clamp(1, 0x7fff_ffff);
        self.connection_window = self.connection_window.min(0x7fff_ffff);
        self.max_stream_window = self.max_stream_window.min(0x7fff_ffff);
        self.max_connection_window = self.max_connection_window.min(0x7fff_ffff);
        self.cut_ahead = self.cut_ahead.max(1);
        self.max_header_fields = self.max_header_fields.min(Self::MOST_HEADER_FIELDS);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_that_is_raised_raises_the_whole_as_much() {
        for side in [Side::Client, Side::Server] {
            let limits = Limits::new(side);
            let default = limits.max_connection_bytes;
            assert_eq!(limits.connection_bytes(side), default);
            let raise = |change: fn(&mut Limits)| {
                let limits = limits.clone().with(change);
                limits.connection_bytes(side) - default
            };
            assert_eq!(raise(|limits| limits.max_unsent_bytes += 5 << 20), 5 << 20);
            assert_eq!(
                raise(|limits| limits.max_buffered_bytes += 9 << 20),
                9 << 20
            );
            assert_eq!(raise(|limits| limits.max_connection_bytes += 7), 7);
            assert_eq!(raise(|limits| limits.max_buffered_bytes = 0), 0);
            assert!(raise(|limits| limits.connection_window = 64 << 20) >= 56 << 20);
            assert!(raise(|limits| limits.max_concurrent_streams = 10_000) >= 70 << 20);
        }
    }
}
