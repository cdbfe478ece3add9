//! SPDY/2, SPDY/3 and SPDY/3.1: the vocabulary of their cases, the tables, and
//! the odd peer that plays them.
//!
//! * `frame`, `block`, `broken`: frames, header blocks and zlib streams, right or
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
mod book;
mod broken;
mod client;
mod expect;
mod frame;
mod monitor;
mod play;
mod probe;
mod record;
mod script;
mod server;
mod vocabulary;

pub(super) use play::play;
pub(super) use probe::probe;
pub(super) use script::Script;

use super::{Case, Target};
use crate::{Side, Version};

pub(super) fn server_cases(target: &Target) -> Vec<Case> {
    let version = target.version;
    let book = book::Book {
        version,
        target: target.clone(),
    };
    script::cases(server::rows(&book), version, Side::Server)
}

pub(super) fn client_cases(version: Version) -> Vec<Case> {
    let book = book::Book {
        version,
        target: Target::new("http", "localhost"),
    };
    script::cases(client::rows(&book), version, Side::Client)
}
