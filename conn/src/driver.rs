//! The tokio driver: one task owns one [`Engine`](crate::proto::Engine), the transport, and the
//! [`Application`] on top. There is no lock around the engine; a handle on
//! another task touches only its own small cell and a ready queue.
//!
//! [`Driver`] is the future to be spawned. What a connection is *for* is an
//! [`Application`]: the server's (requests to a service), the client's
//! (requests from handles), or [`Mux`]'s (streams of bytes, no HTTP).
//!
//! The order of a turn, and thereby of all calls to the application:
//!
//! 1. what became ready on other tasks: [`handle_ready`](Application::handle_ready),
//!    [`handle_abandoned`](Application::handle_abandoned);
//! 2. one read from the transport, and all events it brings:
//!    [`handle_event`](Application::handle_event);
//! 3. [`poll_intents`](Application::poll_intents);
//! 4. output is cut, stream by stream in the scheduler's order:
//!    [`pull`](Application::pull); and written, in as few calls as the
//!    transport allows.
//!
//! A turn in which nothing happened ends with a sleep.

mod application;
mod buffers;
mod cells;
mod connection_config;
mod context;
mod incoming;
mod io;
mod mailbox;
mod notifier;
mod pieces;
mod raw;
mod ready_queue;
mod stream_table;
mod streams;
mod task;
mod tunnel;
pub mod upgrade;
pub mod wakers;

pub use application::Application;
pub use connection_config::ConnectionConfig;
pub use context::Context;
pub use incoming::Incoming;
pub use mailbox::{Mailbox, SendError};
pub use notifier::Notifier;
pub use raw::{Mux, MuxConfig, MuxConnection, RawReader, RawStream, RawWriter};
pub use stream_table::StreamTable;
pub use task::Driver;
pub use tunnel::{PendingTunnel, Tunnel, TunnelBody};

pub use crate::proto::OpenOptions;
