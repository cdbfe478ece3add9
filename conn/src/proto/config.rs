//! The configuration of an engine.

use http::uri::Scheme;

use super::{Limits, SharedLimits, Side, Version, WindowPool};

/// The meaning of the streams of a connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Semantics {
    /// HTTP messages, validated by RFC 9113 §8 or the SPDY drafts §3.
    #[default]
    Http,
    /// Header fields and bytes of any meaning: no control data is asked for,
    /// and either side opens streams.
    Raw,
}

/// The first step of a graceful shutdown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ShutdownOrder {
    /// GOAWAY first: the peer learns at once that no new streams are accepted. Open streams
    /// continue behind it (RFC 9113 §6.8, the SPDY drafts' §2.6.6).
    #[default]
    GoAwayFirst,
    /// The data of our side of the open streams, up to their ends; GOAWAY
    /// follows, at the latest after [`drain_timeout`](Limits::drain_timeout).
    /// For peers that stop reading at GOAWAY (the Go spdystream family).
    DataFirst,
}

/// A client's answer to pushed streams.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ServerPush {
    /// Refuses them, and says so where the protocol has a setting for it.
    #[default]
    Refuse,
    /// Accepts up to [`max_pushed_streams`](Limits::max_pushed_streams).
    Accept,
}

/// Permits clients to open streams for other protocols, such as WebSockets, by
/// extended CONNECT (RFC 8441).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ExtendedConnect {
    /// Treats a request with `:protocol` as malformed.
    #[default]
    Off,
    /// Permits them, and says so in SETTINGS. The service has to handle CONNECT:
    /// browsers then open WebSockets by it.
    Offer,
}

/// The way in which the protocol of a connection was determined.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum VersionSource {
    /// By negotiation, or it was agreed on before.
    #[default]
    Negotiated,
    /// From first bytes that it shares with a protocol without a connection window. That window
    /// counts only once the peer shows that it uses it.
    FirstBytes,
}

/// The use of flow control.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FlowControl {
    /// Both sides obey the windows, where the protocol has them.
    #[default]
    Obeyed,
    /// The peer neither obeys our windows nor grants any: the windows of both sides
    /// are ignored. Only for peers known to be so (the Go spdystream family).
    Ignored,
}

/// The compression of header blocks where that is a choice (SPDY; HPACK needs
/// none).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum HeaderCompression {
    /// Fields, names and entries of the dictionary are matched as a whole, values never in part.
    /// Lengths therefore reveal no more than those of HPACK do: a guess at a secret pays only if
    /// it is entirely right. [Sensitive](http::HeaderValue) values are not matched at all.
    #[default]
    WholeField,
    /// No compression: no state, and the least computation.
    Stored,
    /// zlib at a level of 1 to 9. Its lengths reveal secrets, sensitive values included,
    /// to an attacker who can choose other parts of the headers (CRIME, CVE-2012-4929).
    Zlib(u8),
}

/// One setting of SETTINGS, by its number on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Setting {
    /// Its number: those of HTTP/2 (RFC 9113 §6.5.2) or of SPDY (the drafts'
    /// §2.6.4).
    pub id: u32,
    /// Its value.
    pub value: u32,
}

/// The settings that a SPDY server asks its client to keep for its next connection (the
/// drafts' §2.6.4).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PersistentSettings {
    /// Settings that were kept before are to be forgotten.
    pub forget: bool,
    /// The settings to be kept.
    pub keep: Vec<Setting>,
}

/// The configuration of an [`Engine`](super::Engine).
///
/// ```
/// use lacewing_conn::proto::{Config, Version};
/// use lacewing_conn::Side;
///
/// let mut config = Config::new(Version::Spdy31, Side::Server);
/// config.limits.max_concurrent_streams = 10;
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Config {
    /// The protocol spoken.
    pub version: Version,
    /// Our side of the connection.
    pub side: Side,
    /// The meaning of the streams.
    pub semantics: Semantics,
    /// The bounds against peers that ask for too much.
    pub limits: SharedLimits,
    /// The first step of a graceful shutdown. Default GOAWAY.
    pub shutdown_order: ShutdownOrder,
    /// A client's answer to pushed streams. Refused by default.
    pub push: ServerPush,
    /// A server's use of `:protocol` in CONNECT requests (RFC 8441). Off by default.
    pub extended_connect: ExtendedConnect,
    /// The budget that this connection's windows share with those of others
    /// when they grow. `None`, the default, is none: they grow as far as the
    /// limits let them. The driver puts the [process's](WindowPool::global)
    /// there.
    pub window_pool: Option<WindowPool>,
    /// The compression of header blocks where that is a choice.
    pub header_compression: HeaderCompression,
    /// Settings that a server asks its client to keep, where the protocol has that
    /// (SPDY). Nothing by default.
    pub persistent_settings: PersistentSettings,
    /// Settings that a client returns to the server that once asked it to keep them
    /// ([`Event::KeepSettings`](super::Event::KeepSettings)). Nothing by
    /// default.
    pub returned_settings: Vec<Setting>,
    /// The id of the first stream that this side opens, for tests of what
    /// happens when ids run out. One of the wrong parity is moved to the next.
    /// Default 1 for a client, 2 for a server.
    pub first_stream: u32,
    /// The way in which the protocol was determined. Default: negotiation.
    pub version_source: VersionSource,
    /// The use of flow control. Obeyed by default.
    pub flow_control: FlowControl,
    /// The scheme of our requests whose URI names none: those in origin form, whose authority is
    /// in the `host` field. Default `http`; behind TLS it is `https`.
    pub scheme: Scheme,
}

impl Config {
    /// The defaults for a protocol and a side.
    pub fn new(version: Version, side: Side) -> Self {
        Self {
            version,
            side,
            semantics: Semantics::Http,
            limits: Limits::new(side).into(),
            shutdown_order: ShutdownOrder::default(),
            push: ServerPush::default(),
            extended_connect: ExtendedConnect::default(),
            window_pool: None,
            header_compression: HeaderCompression::default(),
            persistent_settings: PersistentSettings::default(),
            returned_settings: Vec::new(),
            first_stream: if side == Side::Client { 1 } else { 2 },
            version_source: VersionSource::default(),
            flow_control: FlowControl::default(),
            scheme: Scheme::HTTP,
        }
    }

    /// The same, after `change`: for use where a value is wanted.
    #[must_use]
    pub fn with(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }
}

/// The part of a configuration that an engine needs after its start.
#[derive(Debug)]
pub(super) struct Kept {
    pub(super) limits: SharedLimits,
    pub(super) version: Version,
    pub(super) side: Side,
    pub(super) semantics: Semantics,
    pub(super) shutdown_order: ShutdownOrder,
    pub(super) push: ServerPush,
    pub(super) extended_connect: ExtendedConnect,
    pub(super) flow_control: FlowControl,
}

impl Kept {
    pub(super) fn of(config: &Config) -> Self {
        Self {
            limits: config.limits.clone(),
            version: config.version,
            side: config.side,
            semantics: config.semantics,
            shutdown_order: config.shutdown_order,
            push: config.push,
            extended_connect: config.extended_connect,
            flow_control: config.flow_control,
        }
    }
}
