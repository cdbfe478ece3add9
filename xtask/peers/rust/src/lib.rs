//! What the Rust peers of the interop run share.

pub mod echo;
pub mod files;
pub mod tls;
pub mod tunnels;

pub use echo::Message;

/// Whatever went wrong: these are test programs.
pub type Error = Box<dyn std::error::Error + Send + Sync>;
