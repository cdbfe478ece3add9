//! SPDY/2, SPDY/3 and SPDY/3.1: their cases, and the scripted peer's side of the
//! protocols.
//!
//! * `server/…`, `client/…`: the tables of cases, by section, for a `dialect`: a
//!   version with a server's resources. `prelude` has the names that they use.
//! * `frame`, `block`, `malformed`: frames, header blocks and zlib streams to
//!   send, valid or malformed.
//! * `protocol`: the types, and the judgement of errors.
//! * `session`: the codec. `monitor`: the rules for the frames of the tested
//!   side.
//!
//! Sections are those of SPDY/3 (draft-mbelshe-httpbis-spdy-00) and SPDY/3.1. The
//! specification of SPDY/2 has no section numbers: its cases use the SPDY/3
//! section on the same subject.

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

use lacewing_frames::{Side, Version};

pub(super) use probe::probe;
use protocol::SessionWindow;

use crate::{case::Case, target::Target};

pub(super) fn server_cases(target: &Target) -> Vec<Case> {
    let version = target.version;
    let dialect = dialect::Dialect {
        version,
        target: target.clone(),
    };
    let session_window = match target.scheme.as_str() {
        "https" => SessionWindow::Known,
        _ => SessionWindow::ShownByCredit,
    };
    let rows = server::rows(&dialect).into_iter();
    let rows = rows.map(|row| row.session_window(session_window)).collect();
    script::cases(rows, version, Side::Server)
}

pub(super) fn client_cases(version: Version) -> Vec<Case> {
    let dialect = dialect::Dialect {
        version,
        target: Target::new("http", "localhost"),
    };
    script::cases(client::rows(&dialect), version, Side::Client)
}
