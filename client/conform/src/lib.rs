//! A conformance suite for HTTP/2 and SPDY: a scripted peer tests a server or a
//! client.
//!
//! Each case sends frames or bytes and expects a reaction. Its id is the section
//! that it tests, and a number: `6.5.2/3` is the third case of RFC 9113 §6.5.2,
//! `7541/6.3/1` the first of RFC 7541 §6.3. SPDY's cases use the sections of
//! SPDY/3: `2.6.4/3`. A rule of several versions has one id in all of them.
//!
//! Each case runs on a connection of its own, on any transport: a socket, TLS, or
//! a pipe in memory. The implementation under test is at its other end.
//!
//! * [`server_cases`] test a server: the scripted peer is its client.
//!   [`Target::probe`] finds out the server's abilities first. The run skips cases
//!   that need more, and reports the reason.
//! * [`client_cases`] test a client: the scripted peer is its server. The client
//!   only has to make requests.
//!
//! In every case the suite also checks the other frames of the tested side: their
//! windows, sizes, header blocks, fields and stream ids.
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
mod describe;
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

pub use lacewing_frames::{Side, Version};

/// The cases for a server under test, in the target's protocol.
pub fn server_cases(target: &Target) -> Vec<Case> {
    match target.version {
        Version::Http2 => http2::server_cases(target),
        Version::Spdy2 | Version::Spdy3 | Version::Spdy31 => spdy::server_cases(target),
    }
}

/// The cases for a client under test. The client makes requests on every
/// connection that it opens.
///
/// ```
/// use lacewing_conform::{Version, client_cases};
///
/// for case in client_cases(Version::Http2) {
///     println!("{} {}", case.id(), case.title());
/// }
/// ```
pub fn client_cases(version: Version) -> Vec<Case> {
    match version {
        Version::Http2 => http2::client_cases(),
        Version::Spdy2 | Version::Spdy3 | Version::Spdy31 => spdy::client_cases(version),
    }
}

/// The README's example is a test.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct ReadmeDoctests;

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
