//! Events: the reports of an engine to its user.

use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;

use super::{Head, Reason, Setting, StreamId, StreamKey};
use crate::Error;

/// Something that the peer did, or the end of something.
///
/// After an event with `fin`, and after [`Event::Reset`], the peer sends no
/// more on that stream. A stream's key stays valid until both sides are done.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event {
    /// The peer opened a stream: a request, on the server side.
    Opened {
        /// The new stream.
        stream: StreamKey,
        /// The request's head, valid by the rules of its protocol.
        head: Head,
        /// The peer sends nothing more on the stream.
        fin: bool,
        /// The peer takes no reply (the stream is unidirectional).
        unidirectional: bool,
        /// The stream of either side that it is associated with, on a raw
        /// connection. It was opened once, and may have ended since.
        parent: Option<StreamId>,
    },
    /// An informational (1xx) response arrived.
    Informational {
        /// Its stream.
        stream: StreamKey,
        /// The response's head.
        head: Head,
    },
    /// The reply on a stream that we opened arrived: a response, on the client
    /// side; or the response on a pushed stream.
    Reply {
        /// Its stream.
        stream: StreamKey,
        /// The response's head.
        head: Head,
        /// No body follows.
        fin: bool,
    },
    /// A piece of a body arrived. Its bytes count against the receive windows
    /// until [`StreamMut::release`](super::StreamMut::release) gives them back.
    Data {
        /// Its stream.
        stream: StreamKey,
        /// The bytes; empty if there is only `fin`.
        data: Bytes,
        /// The body ends with these bytes.
        fin: bool,
    },
    /// Header fields arrived after the head: trailers, if `fin`. A long list is
    /// charged, and keeps its stream, until
    /// [`StreamMut::release_headers`](super::StreamMut::release_headers).
    Headers {
        /// Their stream.
        stream: StreamKey,
        /// The header fields.
        fields: HeaderMap,
        /// The message ends with them.
        fin: bool,
    },
    /// The server promises a response to a request that we did not make. Its
    /// [`Reply`](Event::Reply) follows on the new stream.
    Promised {
        /// Our stream that the push belongs to.
        parent: StreamKey,
        /// The pushed stream.
        stream: StreamKey,
        /// The request that the server answers.
        head: Head,
    },
    /// The stream ended before its time. Its key is stale from now on.
    Reset {
        /// The stream that ended.
        stream: StreamKey,
        /// The side that ended it, the reason, and whether the request may be
        /// retried.
        error: Error,
    },
    /// The peer broke a rule on a stream that the user does not know: a request
    /// that is malformed or over a limit. It was reset, or answered with a
    /// status that says so.
    Refused {
        /// The stream's number; it has no key.
        id: StreamId,
        /// The rule, and what was done.
        error: Error,
    },
    /// Our send half has no use any more, while the other half continues. The peer needs no more of
    /// our body: it reset the stream after a complete response, with NO_ERROR (RFC 9113 §8.1) or,
    /// over SPDY, CANCEL. On a raw connection, any reset after the end of its own half is this.
    Stopped {
        /// The stream in question.
        stream: StreamKey,
        /// The code of the peer's RST_STREAM.
        reason: Reason,
    },
    /// The answer to a [`ping`](super::Engine::ping) arrived.
    Pong {
        /// The time from the PING to its answer.
        round_trip: Duration,
    },
    /// The peer's settings arrived or changed. The engine's methods report what
    /// they allow; [`Engine::peer_settings`](super::Engine::peer_settings) has all
    /// of them.
    PeerSettings,
    /// The server asks us to keep settings (the SPDY drafts §2.6.4). Return them on the next
    /// connection to the same origin, address and port, in
    /// [`Config::returned_settings`](super::Config).
    KeepSettings {
        /// Delete the settings that were kept before.
        forget: bool,
        /// The settings to be kept: they replace values of the same ids.
        settings: Vec<Setting>,
    },
    /// The client returns settings that we once asked it to keep.
    ReturnedSettings {
        /// The settings.
        settings: Vec<Setting>,
    },
    /// The server reports the origins for which it is authoritative on the connection
    /// (RFC 8336), in ASCII as `https://example.org`. Several of these events add up.
    Origins {
        /// The origins.
        origins: Vec<Bytes>,
    },
    /// The server advertises alternative services of an origin (RFC 7838 §4).
    AlternativeServices {
        /// The origin, in ASCII; `None`: that of the stream's request.
        origin: Option<Bytes>,
        /// The stream of the request in question.
        stream: Option<StreamKey>,
        /// A value as in the Alt-Svc header field.
        value: Bytes,
    },
    /// The peer will process no stream above `last` and accepts no new ones.
    GoAway {
        /// The last stream that it did or may process.
        last: StreamId,
        /// The code of the GOAWAY.
        reason: Reason,
        /// The same as an error, with the debug data of the frame. Streams and the connection have
        /// this error if they end by it.
        error: Error,
    },
    /// The connection is over, after an error. The [`Reset`](Event::Reset) of every stream
    /// precedes this event, which is the last.
    Closed {
        /// The side that ended it, and the reason.
        error: Error,
    },
}
