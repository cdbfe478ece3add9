//! The server's side: from an HTTP/1.1 request to a typed session.

mod bare_request;
#[cfg(feature = "process")]
mod bulk_pipe;
mod command_io;
mod exec_session;
mod forward;
mod handshake;
#[cfg(feature = "websocket")]
mod legacy_forward;
mod link;
#[cfg(all(feature = "netns", target_os = "linux"))]
mod network_namespace;
mod offer;
mod pairing;
mod pending;
mod port_forward;
#[cfg(feature = "process")]
mod process;
mod query_ports;
mod raw_command;
mod raw_ending;
mod rejection;
mod terminal_sizes;
#[cfg(feature = "websocket")]
mod websocket_command;
#[cfg(feature = "websocket")]
mod websocket_ending;

pub use bare_request::BareRequest;
pub use command_io::{CommandInput, CommandOutput};
pub use exec_session::ExecSession;
pub use forward::{Forward, ForwardIo};
#[cfg(all(feature = "netns", target_os = "linux"))]
pub use network_namespace::NetworkNamespace;
pub use offer::{CommandOffer, CommandStreams, ForwardOffer, Terminal};
pub use pending::{PendingCommand, PendingForward};
pub use port_forward::PortForwardSession;
pub use rejection::Rejection;
pub use terminal_sizes::TerminalSizes;
