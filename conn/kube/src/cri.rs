//! The streaming server of a container runtime, as the kubelet's CRI expects it.
//!
//! The runtime answers the RPCs `Exec`, `Attach` and `PortForward` with a URL. It contains a
//! one-time token, and the kubelet, or `crictl`, connects to it. [`CriServer`] makes the URLs,
//! serves them over SPDY/3.1 and WebSocket, and calls a [`Runtime`].

mod error;
mod options;
mod request;
mod runtime;
mod server;
mod session_end;
mod token;

pub use error::{CriError, TokensExhausted};
pub use options::CriOptions;
pub use request::{AttachRequest, ExecRequest, PortForwardRequest};
pub use runtime::Runtime;
pub use server::CriServer;
pub use session_end::{SessionEnd, SessionRequest};
pub use token::TokenStore;
