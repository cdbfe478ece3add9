//! The requests of the RPCs.

use super::error::CriError;
use crate::server::{CommandStreams, Terminal};

/// The request of the RPC `Exec`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExecRequest {
    /// The container.
    pub container_id: String,
    /// The program and its arguments.
    pub command: Vec<String>,
    /// The streams that the client has.
    pub streams: CommandStreams,
}

/// The request of the RPC `Attach`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttachRequest {
    /// The container.
    pub container_id: String,
    /// The streams that the client has.
    pub streams: CommandStreams,
}

/// The request of the RPC `PortForward`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PortForwardRequest {
    /// The sandbox of the pod.
    pub pod_sandbox_id: String,
    /// The ports, for clients with WebSocket channels; see
    /// [`ForwardOffer::ports`](crate::server::ForwardOffer::ports).
    pub ports: Vec<u16>,
}

impl ExecRequest {
    pub(super) fn check(&self) -> Result<(), CriError> {
        check_command(&self.container_id, self.streams)
    }
}

impl AttachRequest {
    pub(super) fn check(&self) -> Result<(), CriError> {
        check_command(&self.container_id, self.streams)
    }
}

impl PortForwardRequest {
    pub(super) fn check(&self) -> Result<(), CriError> {
        match self.pod_sandbox_id.is_empty() {
            true => Err(CriError::InvalidArgument("missing required pod_sandbox_id")),
            false => Ok(()),
        }
    }
}

fn check_command(container_id: &str, streams: CommandStreams) -> Result<(), CriError> {
    if container_id.is_empty() {
        return Err(CriError::InvalidArgument("missing required container_id"));
    }
    if streams.terminal == Terminal::Attached && streams.stderr {
        return Err(CriError::InvalidArgument(
            "tty and stderr cannot both be true",
        ));
    }
    if streams.is_empty() {
        return Err(CriError::InvalidArgument(
            "one of stdin, stdout, or stderr must be set",
        ));
    }
    Ok(())
}
