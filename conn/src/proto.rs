//! The sans-I/O engine: one connection of any of the four protocols.
//!
//! An [`Engine`] does no I/O and reads no clock; time and randomness are
//! parameters. Its methods come in three families, named by direction:
//!
//! * `handle_*`: input. Bytes are read by [`Engine::poll_event`], the end of
//!   the input by [`Engine::handle_eof`], time by [`Engine::handle_timeout`].
//! * plain verbs: the user's calls. [`open`](Engine::open),
//!   [`shutdown`](Engine::shutdown), [`ping`](Engine::ping), …; and those that
//!   need one stream on [`Engine::stream`]: [`reply`](StreamMut::reply),
//!   [`send_data`](StreamMut::send_data), [`release`](StreamMut::release),
//!   [`reset`](StreamMut::reset), …
//! * `poll_*`: output. [`poll_event`](Engine::poll_event),
//!   [`poll_transmit`](Engine::poll_transmit),
//!   [`poll_timeout`](Engine::poll_timeout).
//!
//! A driver repeats these steps:
//!
//! 1. It reads input and polls events until there are none.
//! 2. It calls `poll_transmit` until that returns [`Transmit::Idle`], or the
//!    [`Output`] is full.
//! 3. It writes the output.
//! 4. It sleeps until there is input, room in the socket, a timeout, or a call
//!    of the user.
//!
//! The differences between the protocols live in two places only: `wire`,
//! which maps frames to neutral messages and back, and `rules`, a table of
//! capabilities. Nothing else in this module knows which protocol it speaks.

mod added_fields;
mod authority;
mod charges;
mod config;
mod content;
mod engine;
mod event;
pub mod fields;
mod flow;
mod head;
mod ids;
mod limits;
mod memory;
mod output;
mod peer;
mod priority;
mod rare_queue;
mod reason;
mod rules;
mod scheduler;
mod shutdown;
mod stream_id;
mod streams;
mod timers;
mod usage_error;
mod violation;
mod window_pool;
mod wire;

pub use added_fields::AddedFields;
pub use config::{
    Config, ExtendedConnect, FlowControl, HeaderCompression, PersistentSettings, Semantics,
    ServerPush, Setting, ShutdownOrder, VersionSource,
};
pub use engine::{
    AlternativeFor, ConnectionStats, Engine, MemorySteps, OpenOptions, Pressure, Resets, Spares,
    Stalls, StreamMut, StreamStall, StreamStats, Transmit,
};
pub use event::Event;
pub use head::{ConnectProtocol, Control, Head};
pub use lacewing_frames::{Side, UnknownVersion, Version};
pub use limits::{Limits, Rate, SharedLimits};
pub use output::Output;
pub use priority::Priority;
pub use reason::Reason;
#[cfg(feature = "tokio")]
pub(crate) use rules::Rules;
pub use rules::{Capabilities, PushScope, Rule};
pub use stream_id::{Direction, StreamId, StreamKey};
pub use usage_error::{OpenError, UsageError};
pub(crate) use violation::{Broken, Outcome, Violation};
pub use window_pool::WindowPool;
pub use wire::HeaderBytes;
