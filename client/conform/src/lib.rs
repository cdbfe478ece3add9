//! A conformance suite: scripted peers that test a server or a client.
//!
//! Every case says *send these frames or bytes, expect this reaction*, and is
//! named by the section of the specification that it proves: `6.5.2/3` is the
//! third case of RFC 9113 §6.5.2, `7541/6.3/1` the first of RFC 7541 §6.3.
//! SPDY's cases are named by the section of SPDY/3: `2.6.4/3`; a rule that
//! holds in several versions has one id in all of them.
//! A case has a connection of its own, on any transport: a socket, TLS, or a
//! pipe in memory with an implementation under test at its other end.
//!
//! * [`server_cases`] are for a server under test: the suite is its odd client.
//!   [`Target::probe`] finds out first what the server can show; cases that
//!   need more are skipped, with the reason.
//! * [`client_cases`] are for a client under test, which does nothing but make
//!   requests: the suite is its odd server.
//!
//! Whatever a case is about, the frames of the tested side are checked
//! throughout: its windows, frame sizes, header blocks, fields and ids.
//!
//! ```
//! use lacewing_conform::{Conditions, Filter, Report, Target, run, server_cases};
//! use lacewing_server::{RequestBody, ServerOptions, Version, serve_connection, service_fn};
//!
//! // A server under test, in memory: a connection of its own for each case.
//! async fn connect() -> std::io::Result<tokio::io::DuplexStream> {
//!     let (ours, theirs) = tokio::io::duplex(64 * 1024);
//!     let service = service_fn(|_: http::Request<RequestBody>| async {
//!         Ok::<_, std::convert::Infallible>(http::Response::new(String::from("hello")))
//!     });
//!     tokio::spawn(serve_connection(theirs, Version::Http2, ServerOptions::default(), service));
//!     Ok(ours)
//! }
//!
//! # let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
//! # runtime.block_on(async {
//! let conditions = Conditions::default();
//! let mut target = Target::new("http", "localhost");
//! target.probe(connect().await?, &conditions).await;
//!
//! let mut cases = server_cases(&target);
//! cases.retain(|case| Filter::new("6.7").admits(case));
//! let mut report = Report::new("PING on our own server");
//! for case in &cases {
//!     report.add(case, run(case, connect().await?, &target, &conditions).await);
//! }
//! assert!(report.is_success(), "{report}");
//! # Ok::<(), std::io::Error>(())
//! # }).unwrap();
//! # Ok::<(), std::io::Error>(())
//! ```

#![forbid(unsafe_code)]

mod case;
mod conditions;
mod expect;
mod frame_log;
mod http2;
mod link;
mod outcome;
mod player;
mod probe;
mod protocol;
mod record;
mod report;
mod run;
mod script;
mod spdy;
mod stream_id;
mod target;
mod transcript;
mod verdict;
mod windows;

pub use case::{Case, Filter, Need, Requirement};
pub use conditions::{Conditions, Segmentation, Strictness};
pub use frame_log::FrameLog;
pub use outcome::{Failure, Outcome};
pub use report::Report;
pub use run::run;
pub use target::{Abilities, Target};

pub use lacewing_conn::{Side, Version};

/// The cases for a server under test, of the target's version.
///
/// ```
/// use lacewing_conform::{Target, Version, server_cases};
///
/// assert!(server_cases(&Target::new("http", "localhost")).len() > 330);
/// let spdy = Target::new("http", "localhost").version(Version::Spdy31);
/// assert!(server_cases(&spdy).len() > 100);
/// ```
pub fn server_cases(target: &Target) -> Vec<Case> {
    match target.version {
        Version::Http2 => http2::server_cases(target),
        Version::Spdy2 | Version::Spdy3 | Version::Spdy31 => spdy::server_cases(target),
    }
}

/// The cases for a client under test, which makes requests on every connection
/// that it opens.
///
/// ```
/// use lacewing_conform::{Version, client_cases};
///
/// assert!(client_cases(Version::Http2).len() > 180);
/// assert!(client_cases(Version::Spdy2).len() > 40);
/// ```
pub fn client_cases(version: Version) -> Vec<Case> {
    match version {
        Version::Http2 => http2::client_cases(),
        Version::Spdy2 | Version::Spdy3 | Version::Spdy31 => spdy::client_cases(version),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    #[test]
    fn no_two_cases_play_the_same() {
        let mut doubles = Vec::new();
        for version in Version::ALL {
            let target = Target::new("http", "localhost").version(version);
            for cases in [server_cases(&target), client_cases(version)] {
                let mut played = HashMap::new();
                for case in &cases {
                    let script = format!("{:?}", case.script);
                    if let Some(other) = played.insert(script, case.id()) {
                        doubles.push(format!("{version}: {other} and {}", case.id()));
                    }
                }
            }
        }
        assert!(doubles.is_empty(), "{doubles:#?}");
    }
}
