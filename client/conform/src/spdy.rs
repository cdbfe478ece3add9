//! SPDY/2, SPDY/3 and SPDY/3.1: the prelude of their cases, the tables, and
//! the scripted peer that plays them.
//!
//! * `frame`, `block`, `malformed`: frames, header blocks and zlib streams, right or
//!   wrong in any way.
//! * `script`, `expect`: a case as data, steps and right reactions.
//! * `server/…`, `client/…`: the tables, a file for a section or two.
//! * `play`: sends, receives and judges. `record` is what came, and a monitor
//!   of what the tested side may send.
//!
//! Sections are those of SPDY/3 (draft-mbelshe-httpbis-spdy-00), which are
//! SPDY/3.1's as well; the page of SPDY/2 has no numbers, and its cases have
//! those of the same matter in SPDY/3.

mod block;
mod client;
mod dialect;
mod expect;
mod frame;
mod malformed;
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
use crate::{Side, Version};

pub(super) fn server_cases(target: &Target) -> Vec<Case> {
    let version = target.version;
    let dialect = dialect::Dialect {
        version,
        target: target.clone(),
    };
    script::cases(server::rows(&dialect), version, Side::Server)
}

pub(super) fn client_cases(version: Version) -> Vec<Case> {
    let dialect = dialect::Dialect {
        version,
        target: Target::new("http", "localhost"),
    };
    script::cases(client::rows(&dialect), version, Side::Client)
}
