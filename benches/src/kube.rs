//! Kubernetes' exec and port-forward, and raw streams, as a load: the same in Go is
//! `xtask/peers/go/kubernetes`.

mod exchange;
mod load;
mod server;
mod socket;

pub use self::exchange::{Direction, serve_pod};
pub use self::load::{Kind, run};
pub use self::server::{serve, serve_raw};
pub use self::socket::listen;
