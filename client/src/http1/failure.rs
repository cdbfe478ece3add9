//! The errors of hyper, in the client's terms.

use std::{error::Error as _, io, time::Duration};

use lacewing_conn::{Error, Initiator, Limits, Reason, proto::Rule};

use crate::ClientError;

/// The error of a request.
pub(super) fn of(error: &hyper::Error, limits: &Limits) -> ClientError {
    ClientError::Connection(of_connection(error, limits))
}

/// The error of a response's body.
pub(super) fn of_body(error: &hyper::Error, limits: &Limits) -> Error {
    let ended = io_error(error).is_some_and(|io| io.kind() == io::ErrorKind::UnexpectedEof);
    if ended || error.is_incomplete_message() {
        return cut_short("body");
    }
    of_connection(error, limits)
}

/// The error of a connection.
pub(super) fn of_connection(error: &hyper::Error, limits: &Limits) -> Error {
    // hyper's `is_parse_too_large` exists for servers only.
    if error.is_parse() && error.to_string().contains("too large") {
        let text = format!(
            "the head of a response may have {} bytes and {} fields",
            limits.max_header_list_size.max(super::MIN_BUFFER),
            limits.max_header_fields
        );
        return Error::connection(Initiator::Library, Reason::EnhanceYourCalm, text)
            .with_rule(Rule::HeaderListTooLarge);
    }
    if error.is_parse_version_h2() {
        let text = "the server answered a request in HTTP/1.1 with HTTP/2";
        return Error::connection(Initiator::Library, Reason::ProtocolError, text);
    }
    if error.is_parse() {
        let text = format!("not a response of HTTP/1.1: {}", detail(error));
        return Error::connection(Initiator::Library, Reason::ProtocolError, text);
    }
    if let Some(io) = io_error(error) {
        return match io.kind() {
            io::ErrorKind::UnexpectedEof => cut_short("response"),
            kind => Error::io(io::Error::new(kind, io.to_string())),
        };
    }
    if error.is_incomplete_message() || error.is_closed() || error.is_canceled() {
        return cut_short("response");
    }
    let initiator = match error.is_body_write_aborted() || error.is_shutdown() {
        true => Initiator::Peer,
        false => Initiator::Library,
    };
    Error::connection(initiator, Reason::ProtocolError, detail(error))
}

/// The error of a message that lacks its end.
fn cut_short(what: &str) -> Error {
    let text = format!("the server closed the connection before the end of the {what}");
    Error::connection(Initiator::Peer, Reason::ProtocolError, text)
}

/// The error of a server that switches protocols, and was not asked to.
pub(super) fn switched() -> Error {
    let text = "the server switched protocols, and was not asked to";
    Error::connection(Initiator::Library, Reason::ProtocolError, text)
}

/// The error of a head that began and did not end in time.
pub(super) fn head_too_late(after: Duration) -> Error {
    let text = format!("of a response in HTTP/1.1, within {after:?}");
    Error::connection(Initiator::Library, Reason::ProtocolError, text)
        .with_rule(Rule::HeadersTimeout)
}

/// The error of a transport on which nothing passes.
pub(super) fn stalled(what: &str, after: Duration) -> Error {
    let text = format!("{what} for {after:?} (stall_timeout)");
    Error::io(io::Error::new(io::ErrorKind::TimedOut, text))
}

fn detail(error: &hyper::Error) -> String {
    match error.source() {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}

fn io_error(error: &hyper::Error) -> Option<&io::Error> {
    error.source()?.downcast_ref()
}
