//! The record of a session that has ended.

use std::time::Duration;

use super::request::{AttachRequest, ExecRequest, PortForwardRequest};
use crate::{error::KubeError, outcome::CommandOutcome};

/// A session that has ended, as a log wants it. See [`Runtime::session_ended`].
///
/// [`Runtime::session_ended`]: super::Runtime::session_ended
#[derive(Debug)]
#[non_exhaustive]
pub struct SessionEnd {
    /// The RPC that the session belongs to.
    pub request: SessionRequest,
    /// The time since the request of the client.
    pub duration: Duration,
    /// The outcome that the runtime returned. `None` for a port-forward, for a session that did not
    /// start, and after a panic of the runtime.
    pub outcome: Option<CommandOutcome>,
    /// The local connections of the client that a port-forward has carried; otherwise 0.
    pub connections: u64,
    /// The failure of the session: it did not start, or the client did not receive its end.
    pub error: Option<KubeError>,
}

/// The RPC that a session belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SessionRequest {
    /// `Exec`.
    Exec(ExecRequest),
    /// `Attach`.
    Attach(AttachRequest),
    /// `PortForward`.
    PortForward(PortForwardRequest),
}

impl SessionRequest {
    /// The segment of the URL's path.
    pub(super) fn segment(&self) -> &'static str {
        match self {
            Self::Exec(_) => "exec",
            Self::Attach(_) => "attach",
            Self::PortForward(_) => "portforward",
        }
    }
}
