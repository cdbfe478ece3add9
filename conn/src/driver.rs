//! The tokio driver: one task owns one [`Engine`](crate::proto::Engine), the transport, and the
//! [`Application`](facade::Application) on top. There is no lock around the engine; a handle on
//! another task touches only its own small cell and a ready queue.
//!
//! * [`Mux`] opens and accepts streams of bytes, without HTTP.
//! * The crates `lacewing-server` and `lacewing-client` speak HTTP. They share
//!   [`ConnectionConfig`], and the body [`Incoming`].
//! * [`facade`] has the tools for other purposes. You implement
//!   [`Application`](facade::Application), which decides what the streams carry, and spawn the
//!   future [`Driver`](facade::Driver).
//!
//! The driver works in turns, which fix the order of all calls to the application:
//!
//! 1. It handles the signals of other tasks:
//!    [`handle_ready`](facade::Application::handle_ready),
//!    [`handle_wanted`](facade::Application::handle_wanted),
//!    [`handle_abandoned`](facade::Application::handle_abandoned).
//! 2. It reads once from the transport and reports all events:
//!    [`handle_event`](facade::Application::handle_event).
//! 3. It calls [`poll_sources`](facade::Application::poll_sources).
//! 4. It asks for output, stream by stream in the scheduler's order
//!    ([`pull`](facade::Application::pull)), and writes it in as few calls as the
//!    transport permits. [`handle_written`](facade::Application::handle_written) follows.
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
mod piece_reader;
mod pieces;
mod pressure;
mod raw;
mod ready_queue;
pub mod spares;
mod stats_timer;
mod stream_table;
mod streams;
mod task;
mod timer;
mod tunnel;
pub mod upgrade;
mod wakers;
mod window_pool;
mod write_room;

pub use connection_config::ConnectionConfig;
pub use incoming::Incoming;
pub use memory_budget::{Alarm, MemoryBudget, MemoryStats, MemoryStep};
pub use raw::{Mux, MuxConfig, MuxConnection, RawReader, RawStream, RawWriter};
pub use tunnel::{Tunnel, TunnelBody};

pub use crate::proto::OpenOptions;

/// The tools of those who build a facade on the driver, as `lacewing-server` and
/// `lacewing-client` do. Users of these crates, and of [`Mux`], need none of them.
///
/// Implement [`Application`](facade::Application) and spawn its
/// [`Driver`](facade::Driver). A [`StreamTable`](facade::StreamTable) keeps what
/// belongs to streams. A [`Mailbox`](facade::Mailbox) takes messages from handles on
/// other tasks. The functions in [`wakers`](facade::wakers) keep and wake wakers.
pub mod facade {
    pub use super::{
        application::Application,
        context::Context,
        mailbox::{Mailbox, SendError},
        memory_budget::{MemoryAccount, MemoryOrder, MemoryReport},
        notifier::Notifier,
        piece_reader::PieceReader,
        stats_timer::StatsTimer,
        stream_table::StreamTable,
        task::Driver,
        tunnel::PendingTunnel,
    };

    /// Wakers that are kept for later, the same way in every cell that tasks share.
    ///
    /// Keep a waker while the cell's lock is held; take it out, release the lock, and wake it
    /// then: a waker may run any code.
    pub mod wakers {
        pub use super::super::wakers::{register, register_new, register_shared, wake};
    }
}
