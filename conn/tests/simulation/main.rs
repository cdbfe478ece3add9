//! The simulation: two engines, virtual time, every segmentation of the bytes between them. Every
//! behaviour runs on all four protocols.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    missing_docs
)]

mod behaviour;
mod blanks;
mod capacity;
mod charges;
mod content;
mod control;
mod credit;
mod extensions;
mod faults;
mod foreign;
mod go_away;
mod half_close;
mod held_headers;
mod held_pushes;
mod hostile;
mod life;
mod lifecycle;
mod limits;
mod mapping;
mod matrix;
mod memory;
mod monitor;
mod outgoing;
mod pair;
mod pushes;
mod random;
mod repetition;
mod seeds;
mod settings;
mod spares;
mod stream_stats;
mod unidirectional;
mod upload_linger;
mod violations;
mod waits;
mod windows;
