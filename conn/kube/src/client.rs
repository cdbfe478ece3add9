//! The client's side: what kubectl does, from a connected transport to a typed session.
//!
//! [`CommandRequest`] asks for `exec` and `attach`, [`ForwardRequest`] for port-forward.
//! Both connect by a closure, which opens a transport to the API server: TCP, or TLS with
//! the ALPN protocol `http/1.1` or none. A client that tries WebSocket first may call it
//! twice.

mod command_io;
mod connect;
#[cfg(feature = "cp")]
mod copy;
mod error;
mod forward;
mod life;
mod link;
mod raw;
mod refusal;
mod request;
mod session;
mod upgrade;
#[cfg(feature = "websocket")]
mod websocket;

pub use command_io::{CommandReader, CommandStdin, TerminalResizer};
#[cfg(feature = "cp")]
pub use copy::{CopyError, CopyRequest, CopySummary};
pub use error::ConnectError;
pub use forward::{ForwardStream, PortForwardSession};
pub use refusal::Refusal;
pub use request::{CommandRequest, ForwardRequest, Pod, StreamingProtocol};
pub use session::CommandSession;
