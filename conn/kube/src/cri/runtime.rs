//! The interface of a container runtime.

use std::future::Future;

use super::{
    request::{AttachRequest, ExecRequest, PortForwardRequest},
    session_end::SessionEnd,
};
use crate::{
    outcome::CommandOutcome,
    server::{ExecSession, Forward},
};

/// The part of a container runtime that its streaming server calls.
///
/// Each call runs on a task of its own. When the client is gone, the session's
/// [`cancellation`](ExecSession::cancellation) reports it, and the call should return soon.
///
/// Calls run at the same time, also several of [`attach`](Self::attach) for one container:
/// each has a session of its own. The runtime decides who gets the output. Send every piece
/// to all sessions, and give each a bounded queue: then a slow client delays neither the
/// process nor the others.
pub trait Runtime: Send + Sync + 'static {
    /// Runs a command in a container, with the session's streams. Returns its outcome,
    /// which the server then sends behind the output.
    fn exec(
        &self,
        request: ExecRequest,
        session: &mut ExecSession,
    ) -> impl Future<Output = CommandOutcome> + Send;

    /// Connects the session's streams to the main process of a container, until it ends or
    /// the client is gone. Kubernetes reports [`Success`](CommandOutcome::Success) at the end,
    /// whatever the exit code.
    fn attach(
        &self,
        request: AttachRequest,
        session: &mut ExecSession,
    ) -> impl Future<Output = CommandOutcome> + Send;

    /// Connects one local connection of the client to a port of a pod. The server drops the
    /// future when the client is gone.
    fn port_forward(
        &self,
        request: PortForwardRequest,
        forward: Forward,
    ) -> impl Future<Output = ()> + Send;

    /// Reports the end of each session, also of one that did not start: for the log. By default
    /// nothing. Requests that [`CriServer::handle`](super::CriServer::handle) refuses have no
    /// session: their response says why.
    fn session_ended(&self, end: SessionEnd) {
        let _ = end;
    }
}
