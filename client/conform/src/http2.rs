//! HTTP/2: its cases, and what the scripted peer needs to play them.
//!
//! * `server/…`, `client/…`: the tables, a file for a section or two, in the
//!   words of `prelude`.
//! * `frame`, `block`: frames and header blocks, right or wrong in any way.
//! * `protocol`: types, and how errors are judged. `session`: the codec, with a
//!   `monitor` of the rules for what the tested side sends.

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

use lacewing_conn::{Side, Version};

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
