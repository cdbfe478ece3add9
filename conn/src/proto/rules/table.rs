//! The rules that a peer can break. Each row has the reaction of each protocol, the rule in words,
//! and its section of the specification.

use std::fmt;

use super::{Dialect, Reaction};
use crate::proto::Reason::*;
use Reaction::{Connection, Ignore, Stream};

macro_rules! rules {
    ($($rule:ident => $http2:expr, $spdy3:expr, $spdy2:expr; $text:literal, $section:literal)*) => {
        /// A rule that the peer broke. [`Display`](fmt::Display) gives it in words,
        /// with the section of the specification.
        ///
        /// ```
        /// use lacewing_conn::proto::Rule;
        ///
        /// let text = "DATA on a stream that was never opened; RFC 9113 §5.1, drafts §2.2.2";
        /// assert_eq!(Rule::DataOnIdleStream.to_string(), text);
        /// ```
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum Rule {
            $(#[doc = concat!($text, " (", $section, ").")] $rule,)*
        }

        impl Rule {
            /// The outcome when the peer breaks it.
            pub(super) fn reaction(self, dialect: Dialect) -> Reaction {
                let [http2, spdy3, spdy2] = match self {
                    $(Self::$rule => [$http2, $spdy3, $spdy2],)*
                };
                match dialect {
                    Dialect::Http2 => http2,
                    Dialect::Spdy3 => spdy3,
                    Dialect::Spdy2 => spdy2,
                }
            }

            /// The rule in words, and the section that makes it one.
            fn describe(self) -> (&'static str, &'static str) {
                match self {
                    $(Self::$rule => ($text, $section),)*
                }
            }
        }
    };
}

// A rule's first column is HTTP/2, the second SPDY/3 and SPDY/3.1, the third
// SPDY/2. Reasons for what is not obvious:
//
// * SPDY: RST_STREAM is never answered by RST_STREAM; a WINDOW_UPDATE and header
//   fields may cross the end of their stream: ignored. GOAWAY has no code for
//   flow control, load or compression. A push that was not allowed is refused.
// * SPDY/2: an id out of order and a second reply are undefined in the draft: a
//   stream error is the milder reading. SPDY/3 added the codes above 7.
// * HTTP/2 §6.8: streams above the last id of a GOAWAY were given up. Frames on them
//   only update the compression state and the windows.
#[rustfmt::skip]
rules! {
    ForeignProtocol          => Connection(ProtocolError)   , Connection(ProtocolError) , Connection(ProtocolError) ; "bytes of another protocol", "RFC 9113 §3.4"
    AnswerInHttp1            => Connection(ProtocolError)   , Connection(ProtocolError) , Connection(ProtocolError) ; "an answer in HTTP/1.1 or HTTP/0.9", "RFC 9113 §3.3"
    Malformed                => Connection(ProtocolError)   , Connection(ProtocolError) , Connection(ProtocolError) ; "a malformed frame", "RFC 9113 §4, drafts §2.2"
    SettingsFirst            => Connection(ProtocolError)   , Connection(ProtocolError) , Connection(ProtocolError) ; "the first frame was not SETTINGS", "RFC 9113 §3.4"
    StreamIdParity           => Connection(ProtocolError)   , Connection(ProtocolError) , Connection(ProtocolError) ; "a stream id that the peer may not use", "RFC 9113 §5.1.1, drafts §2.3.2"
    StreamIdOrder            => Connection(ProtocolError)   , Connection(ProtocolError) , Stream(ProtocolError)     ; "a stream id below an earlier one", "RFC 9113 §5.1.1, drafts §2.3.2"
    DuplicateOpen            => Connection(StreamClosed)    , Stream(ProtocolError)     , Stream(ProtocolError)     ; "a stream was opened twice", "drafts §2.3.2"
    TooManyStreams           => Stream(RefusedStream)       , Stream(RefusedStream)     , Stream(RefusedStream)     ; "more streams than max_concurrent_streams allows", "RFC 9113 §5.1.2, drafts §2.6.4"
    OpenAfterGoAway          => Ignore                      , Ignore                    , Ignore                    ; "a stream after GOAWAY", "RFC 9113 §6.8, drafts §2.6.6"
    ReplyOnUnknownStream     => Connection(ProtocolError)   , Stream(InvalidStream)     , Stream(InvalidStream)     ; "a reply on a stream that is not open", "drafts §2.6.2"
    SecondReply              => Stream(ProtocolError)       , Stream(StreamInUse)       , Stream(ProtocolError)     ; "a second reply", "RFC 9113 §8.1, drafts §2.6.2"
    FrameOnReservedStream    => Connection(ProtocolError)   , Connection(ProtocolError) , Connection(ProtocolError) ; "a frame on a promised stream before its response", "RFC 9113 §5.1"
    DataOnIdleStream         => Connection(ProtocolError)   , Stream(InvalidStream)     , Stream(InvalidStream)     ; "DATA on a stream that was never opened", "RFC 9113 §5.1, drafts §2.2.2"
    RepeatedField            => Stream(ProtocolError)       , Stream(ProtocolError)     , Stream(ProtocolError)     ; "a header field of a push that is repeated", "drafts §3.3.2"
    CompressedData           => Stream(ProtocolError)       , Stream(ProtocolError)     , Stream(ProtocolError)     ; "compressed DATA, which no later draft has", "drafts §2.2.2"
    DataOnClosedStream       => Stream(StreamClosed)        , Stream(ProtocolError)     , Ignore                    ; "DATA on a stream that is closed", "RFC 9113 §5.1, drafts §2.2.2"
    DataAfterEnd             => Stream(StreamClosed)        , Stream(StreamClosed)      , Ignore                    ; "DATA after the end of the stream", "RFC 9113 §5.1, drafts §2.3.6"
    DataBeforeReply          => Stream(ProtocolError)       , Stream(ProtocolError)     , Connection(ProtocolError) ; "DATA before the reply", "RFC 9113 §8.1, drafts §2.2.2"
    HeadersOnIdleStream      => Connection(ProtocolError)   , Stream(InvalidStream)     , Stream(InvalidStream)     ; "HEADERS on a stream that was never opened", "RFC 9113 §5.1, drafts §2.6.7"
    HeadersOnClosedStream    => Connection(StreamClosed)    , Ignore                    , Ignore                    ; "HEADERS on a stream that is closed", "RFC 9113 §5.1, drafts §2.6.7"
    HeadersAfterEnd          => Stream(StreamClosed)        , Stream(StreamClosed)      , Ignore                    ; "HEADERS after the end of the stream", "RFC 9113 §5.1, drafts §2.3.6"
    TrailersWithoutEnd       => Stream(ProtocolError)       , Stream(ProtocolError)     , Stream(ProtocolError)     ; "trailers without END_STREAM", "RFC 9113 §8.1"
    ResetOnIdleStream        => Connection(ProtocolError)   , Ignore                    , Ignore                    ; "RST_STREAM on a stream that was never opened", "RFC 9113 §6.4"
    WindowUpdateOnIdleStream => Connection(ProtocolError)   , Ignore                    , Ignore                    ; "WINDOW_UPDATE on a stream that was never opened", "RFC 9113 §5.1"
    StreamWindowExceeded     => Stream(FlowControlError)    , Stream(FlowControlError)  , Stream(FlowControlError)  ; "more DATA than the stream's window held", "RFC 9113 §6.9.1, drafts §2.6.8"
    ConnectionWindowExceeded => Connection(FlowControlError), Connection(ProtocolError) , Connection(ProtocolError) ; "more DATA than the connection's window held", "RFC 9113 §6.9.1, drafts §2.6.8"
    StreamWindowOverflow     => Stream(FlowControlError)    , Stream(FlowControlError)  , Stream(FlowControlError)  ; "a stream's window above 2^31-1", "RFC 9113 §6.9.1, drafts §2.6.8"
    ConnectionWindowOverflow => Connection(FlowControlError), Connection(ProtocolError) , Connection(ProtocolError) ; "the connection's window above 2^31-1", "RFC 9113 §6.9.1, drafts §2.6.8"
    UnexpectedSettingsAck    => Connection(ProtocolError)   , Connection(ProtocolError) , Connection(ProtocolError) ; "a SETTINGS acknowledgement without SETTINGS", "RFC 9113 §6.5.3"
    PushNotAllowed           => Connection(ProtocolError)   , Stream(RefusedStream)     , Stream(RefusedStream)     ; "a push that was not allowed", "RFC 9113 §6.6"
    InvalidPromise           => Stream(ProtocolError)       , Stream(ProtocolError)     , Stream(ProtocolError)     ; "a promised request that is not a plain GET or HEAD", "RFC 9113 §8.4"
    InvalidPush              => Connection(ProtocolError)   , Connection(ProtocolError) , Stream(InvalidStream)     ; "a push without an open stream of ours", "RFC 9113 §6.6, drafts §3.3"
    UnknownParent            => Stream(ProtocolError)       , Stream(InvalidStream)     , Stream(InvalidStream)     ; "a stream associated with one that was never opened", "drafts §2.6.1, §3.3.1"
    InvalidPseudoField       => Stream(ProtocolError)       , Stream(ProtocolError)     , Stream(ProtocolError)     ; "a pseudo-header field unknown, repeated, misplaced or in the wrong message", "RFC 9113 §8.3, drafts §3.2"
    MissingPseudoField       => Stream(ProtocolError)       , Stream(ProtocolError)     , Stream(ProtocolError)     ; "a required pseudo-header field is missing", "RFC 9113 §8.3.1, drafts §3.2.1"
    PseudoFieldInTrailers    => Stream(ProtocolError)       , Stream(ProtocolError)     , Stream(ProtocolError)     ; "a pseudo-header field in trailers", "RFC 9113 §8.1"
    InvalidPseudoValue       => Stream(ProtocolError)       , Stream(ProtocolError)     , Stream(ProtocolError)     ; "a pseudo-header field's value is not valid", "RFC 9113 §8.3.1"
    InvalidFieldName         => Stream(ProtocolError)       , Stream(ProtocolError)     , Stream(ProtocolError)     ; "a field name that is not a lower-case token", "RFC 9113 §8.2.1, drafts §2.6.10"
    InvalidFieldValue        => Stream(ProtocolError)       , Stream(ProtocolError)     , Stream(ProtocolError)     ; "a field value with forbidden bytes", "RFC 9113 §8.2.1, drafts §2.6.10"
    ConnectionSpecificField  => Stream(ProtocolError)       , Stream(ProtocolError)     , Stream(ProtocolError)     ; "a connection-specific field", "RFC 9113 §8.2.2, drafts §3.2.1"
    ContradictingFields      => Stream(ProtocolError)       , Stream(ProtocolError)     , Stream(ProtocolError)     ; "fields that contradict each other", "RFC 9113 §8.3.1"
    ContentLengthMismatch    => Stream(ProtocolError)       , Stream(ProtocolError)     , Stream(ProtocolError)     ; "content-length differs from the body", "RFC 9113 §8.1.1, drafts §3.2.1"
    UnexpectedContent        => Stream(ProtocolError)       , Stream(ProtocolError)     , Stream(ProtocolError)     ; "content in a message that has none: a response to HEAD, 204, 205, 304, or TRACE", "RFC 9110 §6.4.1, §9.3.8, §15.3.6"
    UnsupportedTarget        => Stream(ProtocolError)       , Stream(ProtocolError)     , Stream(ProtocolError)     ; "a request target with bytes that a URI cannot have, or CONNECT without a port", "RFC 3986 §2, §3.3, RFC 9110 §9.3.6"
    TargetTooLong            => Stream(ProtocolError)       , Stream(ProtocolError)     , Stream(ProtocolError)     ; "a path of more than 65,534 bytes", "RFC 9110 §15.5.15"
    InvalidInformational     => Stream(ProtocolError)       , Stream(ProtocolError)     , Stream(ProtocolError)     ; "a 101 response, or an informational one that ends its stream", "RFC 9113 §8.1, §8.6"
    TooManyHeaderBytes       => Stream(RefusedStream)       , Stream(RefusedStream)     , Stream(RefusedStream)     ; "the header lists of open streams are over max_held_headers", "RFC 9113 §10.5"
    StreamOverBudget         => Stream(RefusedStream)       , Stream(RefusedStream)     , Stream(RefusedStream)     ; "a new stream while the connection, or all of the process, hold nearly all the memory that they may", "RFC 9113 §10.5"
    ConnectionOverBudget     => Connection(EnhanceYourCalm) , Connection(ProtocolError) , Connection(ProtocolError) ; "the connection holds all the memory that it may, or most of the process's budget, which is used up", "RFC 9113 §10.5"
    HeaderListTooLarge       => Stream(EnhanceYourCalm)     , Stream(FrameTooLarge)     , Stream(ProtocolError)     ; "the header list is over max_header_list_size or max_header_fields", "RFC 9113 §10.5.1"
    Compression              => Connection(CompressionError), Connection(ProtocolError) , Connection(ProtocolError) ; "a header block that does not decode", "RFC 9113 §4.3, drafts §2.6.10.1"
    TooManyLists             => Stream(EnhanceYourCalm)     , Stream(EnhanceYourCalm)   , Stream(EnhanceYourCalm)   ; "more header lists after the head than may wait for a reader", "RFC 9113 §10.5, drafts §2.6.7"
    TooManyResets            => Connection(EnhanceYourCalm) , Connection(ProtocolError) , Connection(ProtocolError) ; "more resets than limits.resets allows", "RFC 9113 §10.5"
    TooManyGlitches          => Connection(EnhanceYourCalm) , Connection(ProtocolError) , Connection(ProtocolError) ; "more useless frames than limits.glitches allows", "RFC 9113 §10.5"
    PrefaceTimeout           => Connection(ProtocolError)   , Connection(ProtocolError) , Connection(ProtocolError) ; "no frame arrived within preface_timeout", "RFC 9113 §3.4"
    HeadersTimeout           => Connection(EnhanceYourCalm) , Connection(ProtocolError) , Connection(ProtocolError) ; "a header block did not end within headers_timeout", "RFC 9113 §10.5"
    SettingsTimeout          => Connection(SettingsTimeout) , Connection(ProtocolError) , Connection(ProtocolError) ; "SETTINGS not acknowledged within settings_timeout", "RFC 9113 §6.5.3"
    KeepAliveTimeout         => Connection(InternalError)   , Connection(InternalError) , Connection(InternalError) ; "no answer to PING within keep_alive_timeout", "RFC 9113 §6.7, drafts §2.6.5"
    InvalidSettings          => Connection(ProtocolError)   , Connection(ProtocolError) , Connection(ProtocolError) ; "a setting that the peer may not send, or may not change", "RFC 9113 §6.5.2, RFC 8441 §3, RFC 9218 §2.1"
    InvalidPriorityUpdate    => Connection(ProtocolError)   , Connection(ProtocolError) , Connection(ProtocolError) ; "PRIORITY_UPDATE from a server, or for a stream that cannot exist", "RFC 9218 §7.1"
    HeadersInTunnel          => Stream(ProtocolError)       , Stream(ProtocolError)     , Stream(ProtocolError)     ; "HEADERS on a tunnel", "RFC 9113 §8.5"
    MissingCredential        => Stream(ProtocolError)       , Stream(InvalidCredentials), Stream(InvalidCredentials); "an empty slot of the certificate vector", "drafts §2.6.9"
    WriteStall               => Connection(InternalError)   , Connection(InternalError) , Connection(InternalError) ; "the transport took nothing within write_stall_timeout", "RFC 9113 §10.5"
    FrameTimeout             => Connection(EnhanceYourCalm) , Connection(ProtocolError) , Connection(ProtocolError) ; "a frame that has begun did not go on within frame_timeout", "RFC 9113 §10.5"
    BodyStall                => Stream(Cancel)              , Stream(Cancel)            , Stream(Cancel)            ; "the content of a message did not go on within body_timeout", "RFC 9113 §10.5"
    SendStall                => Stream(Cancel)              , Stream(Cancel)            , Stream(Cancel)            ; "the stream's window stayed empty for stall_timeout", "RFC 9113 §10.5"
    ConnectionStall          => Connection(EnhanceYourCalm) , Connection(ProtocolError) , Connection(ProtocolError) ; "the connection's window stayed empty for stall_timeout", "RFC 9113 §10.5"
    OverBudget               => Stream(EnhanceYourCalm)     , Stream(Cancel)            , Stream(Cancel)            ; "a stream that stood still while memory was short", "RFC 9113 §10.5"
    UnexpectedEof            => Connection(ProtocolError)   , Connection(ProtocolError) , Connection(ProtocolError) ; "the transport ended before its streams did", "RFC 9113 §9.1, drafts §2.3.7"
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (text, section) = self.describe();
        write!(f, "{text}; {section}")
    }
}
