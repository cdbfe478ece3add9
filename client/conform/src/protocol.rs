//! The types in which protocols differ: frames, codes, settings, PINGs.

use std::fmt::{Debug, Display};

use lacewing_frames::Version;

/// A protocol that has cases.
pub(crate) trait Protocol: Copy + Debug + Send + Sync + 'static {
    /// A frame to send.
    type Frame: Clone + Debug + Send + Sync;
    /// A decoded frame.
    type Message: Send;
    /// An error code of RST_STREAM.
    type Code: Copy + PartialEq + Debug + Display + Send + Sync;
    /// The reason in GOAWAY.
    type GoAway: Copy + PartialEq + Debug + Display + Send + Sync;
    /// The entries of one SETTINGS frame.
    type Settings: Debug + Send + Sync;
    /// The contents by which a PING and its answer match.
    type Ping: Copy + PartialEq + Debug + Send + Sync;
    /// A step that only this protocol has.
    type Step: Clone + Debug + Send + Sync;
    /// The start of a case's connection.
    type Setup: Clone + Debug + Default + Send + Sync;

    /// The code of the stream error for a malformed message.
    const MALFORMED: Self::Code;
    /// The flag that ends a stream.
    const END_OF_STREAM: &str;
    /// The name of a stream error in reports.
    const STREAM_ERROR: &str;

    /// The specification of the case with this id, such as `RFC 9113` or `SPDY/3.1`.
    fn specification(version: Version, id: &str) -> &'static str;

    /// The answer to a PING, as reports name it.
    fn ping_answer(ping: Self::Ping) -> String;
}
