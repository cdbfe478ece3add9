//! HTTP/2: the prelude of its cases, the tables, and the scripted peer that
//! plays them.
//!
//! * `frame`, `block`: frames and header blocks, right or wrong in any way.
//! * `script`, `expect`: a case as data, steps and right reactions.
//! * `server/…`, `client/…`: the tables, a file for a section or two.
//! * `play`: sends, receives and judges. `record` is what came, and a monitor
//!   of what the tested side may send.

mod block;
mod client;
mod expect;
mod frame;
mod monitor;
mod play;
mod prelude;
mod probe;
mod record;
mod script;
mod server;

pub(super) use play::play;
pub(super) use probe::probe;
pub(super) use script::Script;

use super::{Case, Target};
use crate::Side;

pub(super) fn server_cases(target: &Target) -> Vec<Case> {
    server::rows(target)
        .into_iter()
        .map(|row| row.into_case(Side::Server))
        .collect()
}

pub(super) fn client_cases() -> Vec<Case> {
    client::rows()
        .into_iter()
        .map(|row| row.into_case(Side::Client))
        .collect()
}
