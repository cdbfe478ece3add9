//! HTTP/2: its cases, and the scripted peer's side of the protocol.
//!
//! * `server/…`, `client/…`: the tables of cases, by section. `prelude` has the
//!   names that they use.
//! * `frame`, `block`: frames and header blocks to send, valid or malformed.
//! * `protocol`: the types, and the judgement of errors.
//! * `session`: the codec. `monitor`: the rules for the frames of the tested
//!   side.

mod block;
mod client;
mod describe;
mod frame;
mod monitor;
mod prelude;
mod probe;
mod protocol;
mod record;
mod script;
mod server;
mod session;

use lacewing_frames::{Side, Version};

pub(super) use probe::probe;

use crate::{case::Case, target::Target};

pub(super) fn server_cases(target: &Target) -> Vec<Case> {
    cases(server::rows(target), Side::Server)
}

pub(super) fn client_cases() -> Vec<Case> {
    cases(client::rows(), Side::Client)
}

fn cases(rows: Vec<script::Row>, tested: Side) -> Vec<Case> {
    let case = |row: script::Row| {
        let id = row.place.clone();
        row.into_case(id, Version::Http2, tested)
    };
    rows.into_iter().map(case).collect()
}
