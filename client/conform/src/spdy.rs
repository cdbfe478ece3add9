//! SPDY/2, SPDY/3 and SPDY/3.1: their cases, and what the scripted peer needs to
//! play them.
//!
//! * `server/…`, `client/…`: the tables, a file for a section or two, in the
//!   words of `prelude`, for a `dialect`: a version with a server's resources.
//! * `frame`, `block`, `malformed`: frames, header blocks and zlib streams,
//!   right or wrong in any way.
//! * `protocol`: types, and how errors are judged. `session`: the codec, with a
//!   `monitor` of the rules for what the tested side sends.
//!
//! Sections are those of SPDY/3 (draft-mbelshe-httpbis-spdy-00), which are
//! SPDY/3.1's as well; the page of SPDY/2 has no numbers, and its cases have
//! those of the same matter in SPDY/3.

mod block;
mod client;
mod describe;
mod dialect;
mod frame;
mod malformed;
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
