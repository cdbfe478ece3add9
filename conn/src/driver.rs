//! The tokio driver: one task owns one [`Engine`](crate::proto::Engine), the transport, and the
//! [`Application`] on top. There is no lock around the engine; a handle on
//! another task touches only its own small cell and a ready queue.
//!
//! Spawn the [`Driver`], a future. An [`Application`] gives a connection its
//! purpose: the server's calls a service, the client's sends the requests of its
//! handles, and [`Mux`]'s moves bytes without HTTP.
//!
//! The driver works in turns, which fix the order of all calls to the application:
//!
//! 1. It handles the signals of other tasks:
//!    [`handle_ready`](Application::handle_ready),
//!    [`handle_wanted`](Application::handle_wanted),
//!    [`handle_abandoned`](Application::handle_abandoned).
//! 2. It reads once from the transport and reports all events:
//!    [`handle_event`](Application::handle_event).
//! 3. It calls [`poll_intents`](Application::poll_intents).
//! 4. It asks for output, stream by stream in the scheduler's order
//!    ([`pull`](Application::pull)), and writes it in as few calls as the
//!    transport permits. [`handle_written`](Application::handle_written) follows.
//!
//! After a turn in which nothing happened, the task sleeps.

mod application;
mod buffers;
mod cells;
mod connection_config;
mod context;
mod incoming;
mod io;
mod mailbox;
mod memory_budget;
mod notifier;
mod pieces;
mod pressure;
mod raw;
mod ready_queue;
mod stream_table;
mod streams;
mod task;
mod timer;
mod tunnel;
pub mod upgrade;
pub mod wakers;

pub use application::Application;
pub use connection_config::ConnectionConfig;
pub use context::Context;
pub use incoming::Incoming;
pub use mailbox::{Mailbox, SendError};
pub use memory_budget::{Alarm, MemoryAccount, MemoryBudget, MemoryOrder, MemoryStats, MemoryStep};
pub use notifier::Notifier;
pub use raw::{Mux, MuxConfig, MuxConnection, RawReader, RawStream, RawWriter};
pub use stream_table::StreamTable;
pub use task::Driver;
pub use tunnel::{PendingTunnel, Tunnel, TunnelBody};

pub use crate::proto::OpenOptions;
