//! The protocols of the streams, their names, and their negotiation.

use std::fmt;

use http::{HeaderMap, HeaderName, header};
use lacewing_conn::driver::upgrade::STREAM_PROTOCOL_VERSION;

/// A version of the remote command protocol, which `exec` and `attach` speak. The
/// order of the values is the order of the versions.
///
/// ```
/// use lacewing_kube::RemoteCommandProtocol;
///
/// let protocol = RemoteCommandProtocol::from_name("v4.channel.k8s.io");
/// assert_eq!(protocol, Some(RemoteCommandProtocol::V4));
/// assert!(protocol > Some(RemoteCommandProtocol::V3));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RemoteCommandProtocol {
    /// `channel.k8s.io`; also the protocol of clients that name none over WebSocket.
    V1,
    /// `v2.channel.k8s.io`: the client ends stdin at its end of file, and continues
    /// to read.
    V2,
    /// `v3.channel.k8s.io`: adds terminal sizes over SPDY.
    V3,
    /// `v4.channel.k8s.io`: the end of the command is a JSON `Status`, always sent.
    V4,
    /// `v5.channel.k8s.io`: a WebSocket message ends stdin. Over SPDY it is not used.
    V5,
}

impl RemoteCommandProtocol {
    /// Every version, the newest first: the order in which a client offers them.
    pub const ALL: [Self; 5] = [Self::V5, Self::V4, Self::V3, Self::V2, Self::V1];

    /// The versions that servers accept over SPDY, the newest first. Clients of Go
    /// offer `v5` there too, and expect that the server chooses `v4`.
    pub const SPDY: [Self; 4] = [Self::V4, Self::V3, Self::V2, Self::V1];

    /// Returns the name in `X-Stream-Protocol-Version` and `Sec-WebSocket-Protocol`.
    pub fn name(self) -> &'static str {
        match self {
            Self::V1 => "channel.k8s.io",
            Self::V2 => "v2.channel.k8s.io",
            Self::V3 => "v3.channel.k8s.io",
            Self::V4 => "v4.channel.k8s.io",
            Self::V5 => "v5.channel.k8s.io",
        }
    }

    /// Returns the version with this [`name`](Self::name).
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|version| version.name() == name)
    }

    /// Returns the first version of the client's `X-Stream-Protocol-Version` fields
    /// that is in `supported`. Several fields and comma-separated lists count alike.
    ///
    /// ```
    /// use http::{HeaderMap, HeaderValue};
    /// use lacewing_kube::RemoteCommandProtocol;
    ///
    /// let mut headers = HeaderMap::new();
    /// let offer = HeaderValue::from_static("v5.channel.k8s.io, v4.channel.k8s.io");
    /// headers.append("x-stream-protocol-version", offer);
    /// let chosen = RemoteCommandProtocol::negotiate(&headers, &RemoteCommandProtocol::SPDY);
    /// assert_eq!(chosen, Some(RemoteCommandProtocol::V4));
    /// ```
    pub fn negotiate(headers: &HeaderMap, supported: &[Self]) -> Option<Self> {
        list(headers, &STREAM_PROTOCOL_VERSION)
            .filter_map(Self::from_name)
            .find(|version| supported.contains(version))
    }

    /// Returns `true` if the command's end is a JSON `Status`, and not text.
    pub fn has_json_status(self) -> bool {
        self >= Self::V4
    }

    /// Returns `true` if a terminal's sizes have a stream over SPDY. Over WebSocket
    /// every version has a channel for them.
    pub fn has_resize_stream(self) -> bool {
        self >= Self::V3
    }

    /// Returns `true` if the client can end stdin and continue to read. In `V1`, the
    /// end of stdin is the end of the session for some peers.
    pub fn has_stdin_end(self) -> bool {
        self >= Self::V2
    }
}

impl fmt::Display for RemoteCommandProtocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A version of the port-forward protocol over SPDY. There is one.
///
/// ```
/// use lacewing_kube::PortForwardProtocol;
///
/// assert_eq!(PortForwardProtocol::V1.name(), "portforward.k8s.io");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum PortForwardProtocol {
    /// `portforward.k8s.io`.
    V1,
}

impl PortForwardProtocol {
    /// Every version, the newest first.
    pub const ALL: [Self; 1] = [Self::V1];

    /// Returns the name in `X-Stream-Protocol-Version`.
    pub fn name(self) -> &'static str {
        match self {
            Self::V1 => "portforward.k8s.io",
        }
    }

    /// Returns the version with this [`name`](Self::name).
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|version| version.name() == name)
    }

    /// Returns the first version of the client's `X-Stream-Protocol-Version` fields
    /// that is known.
    pub fn negotiate(headers: &HeaderMap) -> Option<Self> {
        list(headers, &STREAM_PROTOCOL_VERSION).find_map(Self::from_name)
    }
}

impl fmt::Display for PortForwardProtocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The coding of channel messages over WebSocket.
///
/// ```
/// use lacewing_kube::{ChannelEncoding, WebSocketProtocol};
///
/// let protocol = WebSocketProtocol::from_name("v4.base64.channel.k8s.io");
/// let Some(WebSocketProtocol::Channels { encoding, .. }) = protocol else {
///     panic!("not the protocol of channels");
/// };
/// assert_eq!(encoding, ChannelEncoding::Base64);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ChannelEncoding {
    /// Binary messages. The first byte is the channel's number.
    Binary,
    /// Text messages. The first character is the channel's number as a digit; the rest
    /// is base64 (RFC 4648 §4).
    Base64,
}

/// A subprotocol of WebSocket (`Sec-WebSocket-Protocol`, RFC 6455 §1.9).
///
/// ```
/// use lacewing_kube::WebSocketProtocol;
///
/// let protocol = WebSocketProtocol::from_name("SPDY/3.1+portforward.k8s.io");
/// assert_eq!(protocol, Some(WebSocketProtocol::PortForwardTunnel));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum WebSocketProtocol {
    /// Messages that begin with the number of a channel: `exec` and `attach`, and port-forward
    /// of old clients.
    Channels {
        /// The version: `V1`, `V4` or `V5`. The others exist only over SPDY.
        version: RemoteCommandProtocol,
        /// The coding of the messages. `V5` is always binary.
        encoding: ChannelEncoding,
    },
    /// `SPDY/3.1+portforward.k8s.io`: SPDY/3.1 inside binary messages.
    PortForwardTunnel,
}

impl WebSocketProtocol {
    /// The protocols of `exec` and `attach`, the best first.
    pub const CHANNELS: [Self; 5] = [
        Self::channels(RemoteCommandProtocol::V5, ChannelEncoding::Binary),
        Self::channels(RemoteCommandProtocol::V4, ChannelEncoding::Binary),
        Self::channels(RemoteCommandProtocol::V4, ChannelEncoding::Base64),
        Self::channels(RemoteCommandProtocol::V1, ChannelEncoding::Binary),
        Self::channels(RemoteCommandProtocol::V1, ChannelEncoding::Base64),
    ];

    /// The protocols of port-forward, the best first: SPDY/3.1 inside messages, and for old
    /// clients two channels for each port.
    pub const FORWARD: [Self; 4] = [
        Self::PortForwardTunnel,
        Self::channels(RemoteCommandProtocol::V4, ChannelEncoding::Binary),
        Self::channels(RemoteCommandProtocol::V4, ChannelEncoding::Base64),
        Self::UNNAMED,
    ];

    /// The protocol of a client that names none: `V1` in binary messages. The response
    /// names none either.
    pub const UNNAMED: Self = Self::channels(RemoteCommandProtocol::V1, ChannelEncoding::Binary);

    /// `v5.channel.k8s.io`, the protocol that clients ask for.
    #[cfg(all(feature = "client", feature = "websocket"))]
    pub(crate) const V5: Self = Self::channels(RemoteCommandProtocol::V5, ChannelEncoding::Binary);

    const fn channels(version: RemoteCommandProtocol, encoding: ChannelEncoding) -> Self {
        Self::Channels { version, encoding }
    }

    /// Returns the name in `Sec-WebSocket-Protocol`.
    pub fn name(self) -> &'static str {
        use ChannelEncoding::{Base64, Binary};
        match self {
            Self::Channels { version, encoding } => match (version, encoding) {
                (RemoteCommandProtocol::V1, Base64) => "base64.channel.k8s.io",
                (RemoteCommandProtocol::V4, Base64) => "v4.base64.channel.k8s.io",
                (version, Binary | Base64) => version.name(),
            },
            Self::PortForwardTunnel => "SPDY/3.1+portforward.k8s.io",
        }
    }

    /// Returns the protocol with this [`name`](Self::name).
    pub fn from_name(name: &str) -> Option<Self> {
        Self::CHANNELS
            .into_iter()
            .chain([Self::PortForwardTunnel])
            .find(|protocol| protocol.name() == name)
    }

    /// Returns the first protocol of the client's `Sec-WebSocket-Protocol` fields that
    /// is in `supported`. [`offers_none`](Self::offers_none) distinguishes a client without a
    /// common protocol from one that names none.
    pub fn negotiate(headers: &HeaderMap, supported: &[Self]) -> Option<Self> {
        list(headers, &header::SEC_WEBSOCKET_PROTOCOL)
            .filter_map(Self::from_name)
            .find(|protocol| supported.contains(protocol))
    }

    /// Returns `true` if the client names no protocol at all: that stands for
    /// [`UNNAMED`](Self::UNNAMED).
    pub fn offers_none(headers: &HeaderMap) -> bool {
        list(headers, &header::SEC_WEBSOCKET_PROTOCOL)
            .next()
            .is_none()
    }
}

impl fmt::Display for WebSocketProtocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Returns the elements of a list field, over all of its lines (RFC 9110 §5.6.1).
pub(crate) fn list<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a str> {
    headers
        .get_all(name)
        .into_iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(str::trim)
        .filter(|element| !element.is_empty())
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn headers(name: HeaderName, lines: &[&'static str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(name.clone(), HeaderValue::from_static(line));
        }
        headers
    }

    #[test]
    fn the_clients_order_decides_over_lines_and_lists() {
        let offers: [&[&str]; 3] = [
            &[
                "v9.channel.k8s.io",
                "v3.channel.k8s.io",
                "v4.channel.k8s.io",
            ],
            &["v9.channel.k8s.io,v3.channel.k8s.io , v4.channel.k8s.io"],
            &["v5.channel.k8s.io", " v3.channel.k8s.io,v4.channel.k8s.io"],
        ];
        for offer in offers {
            let headers = headers(STREAM_PROTOCOL_VERSION, offer);
            let chosen = RemoteCommandProtocol::negotiate(&headers, &RemoteCommandProtocol::SPDY);
            assert_eq!(chosen, Some(RemoteCommandProtocol::V3), "{offer:?}");
        }
        let none = headers(STREAM_PROTOCOL_VERSION, &["V4.channel.k8s.io", ""]);
        assert_eq!(
            RemoteCommandProtocol::negotiate(&none, &RemoteCommandProtocol::ALL),
            None
        );
        let forward = headers(STREAM_PROTOCOL_VERSION, &["x, portforward.k8s.io"]);
        assert_eq!(
            PortForwardProtocol::negotiate(&forward),
            Some(PortForwardProtocol::V1)
        );
    }

    #[test]
    fn names_and_protocols_are_one_to_one() {
        for version in RemoteCommandProtocol::ALL {
            assert_eq!(
                RemoteCommandProtocol::from_name(version.name()),
                Some(version)
            );
        }
        let names: Vec<_> = WebSocketProtocol::CHANNELS
            .map(WebSocketProtocol::name)
            .into();
        assert_eq!(
            names,
            [
                "v5.channel.k8s.io",
                "v4.channel.k8s.io",
                "v4.base64.channel.k8s.io",
                "channel.k8s.io",
                "base64.channel.k8s.io"
            ]
        );
        for name in names {
            assert_eq!(
                WebSocketProtocol::from_name(name).map(WebSocketProtocol::name),
                Some(name)
            );
        }
        assert_eq!(WebSocketProtocol::from_name("v3.channel.k8s.io"), None);
    }

    #[test]
    fn a_websocket_without_a_name_differs_from_one_with_a_foreign_name() {
        assert!(WebSocketProtocol::offers_none(&HeaderMap::new()));
        let foreign = headers(header::SEC_WEBSOCKET_PROTOCOL, &["chat"]);
        assert!(!WebSocketProtocol::offers_none(&foreign));
        assert_eq!(
            WebSocketProtocol::negotiate(&foreign, &WebSocketProtocol::CHANNELS),
            None
        );
        // kube-rs offers both in one line.
        let both = headers(
            header::SEC_WEBSOCKET_PROTOCOL,
            &["v5.channel.k8s.io, v4.channel.k8s.io"],
        );
        let chosen = WebSocketProtocol::negotiate(&both, &WebSocketProtocol::CHANNELS);
        assert_eq!(
            chosen.map(WebSocketProtocol::name),
            Some("v5.channel.k8s.io")
        );
    }
}
