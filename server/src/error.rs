//! The errors of a server as a whole, and of one connection.

use std::{fmt, io, time::Duration};

use crate::{Address, BoxError, DetectError, Initiator, Protocol};

/// A server that cannot start.
#[derive(Debug)]
#[non_exhaustive]
pub enum StartError {
    /// The builder has no listener, so that no client could connect.
    NoListener,
    /// The list of protocols to offer is empty.
    NoProtocol,
    /// The options offer a protocol that this build does not support.
    NotBuilt {
        /// The protocol in question.
        protocol: Protocol,
    },
    /// TLS could not be set up: the fault is in the certificate, its key, or the offered protocols.
    Tls(BoxError),
    /// An address could not be listened on.
    Bind {
        /// The address in question.
        address: Address,
        /// The error of the operating system.
        source: io::Error,
    },
    /// The system started no more [threads](crate::ServerBuilder::threads).
    Threads(io::Error),
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoListener => f.write_str("no address to listen on; give one to the builder"),
            Self::NoProtocol => f.write_str("no protocol to offer; give at least one"),
            Self::NotBuilt { protocol } => {
                write!(f, "{protocol} is not built in; turn on the feature `http1`")
            }
            Self::Tls(error) => write!(f, "cannot set up TLS: {error}"),
            Self::Threads(error) => write!(
                f,
                "cannot start the server's threads: {error}; use fewer, or raise the system's limit"
            ),
            Self::Bind { address, source } => {
                write!(f, "cannot listen on {address}: {source}")?;
                match address {
                    Address::Tcp(address) => hint_for_tcp(f, address.port(), source.kind()),
                    Address::Unix(_) => hint_for_unix(f, source.kind()),
                }
            }
        }
    }
}

fn hint_for_tcp(f: &mut fmt::Formatter<'_>, port: u16, kind: io::ErrorKind) -> fmt::Result {
    match kind {
        io::ErrorKind::AddrInUse => write!(
            f,
            "; another program has port {port}: stop it, or choose another port"
        ),
        io::ErrorKind::PermissionDenied => {
            f.write_str("; ports below 1024 need privileges: choose a higher one")
        }
        io::ErrorKind::AddrNotAvailable => {
            f.write_str("; the address belongs to no interface of this machine")
        }
        _ => Ok(()),
    }
}

fn hint_for_unix(f: &mut fmt::Formatter<'_>, kind: io::ErrorKind) -> fmt::Result {
    f.write_str(match kind {
        io::ErrorKind::AddrInUse => {
            "; another program listens there, or a file that is no socket has the name: stop it, \
             or choose another path"
        }
        io::ErrorKind::PermissionDenied => "; the folder must be writable for this user",
        io::ErrorKind::NotFound => "; the folder has to exist",
        _ => "",
    })
}

impl std::error::Error for StartError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Bind { source, .. } => Some(source),
            Self::Tls(error) => Some(&**error),
            _ => None,
        }
    }
}

/// The error that ended a connection.
#[derive(Debug)]
#[non_exhaustive]
pub enum ServeError {
    /// The first bytes on a cleartext port were of no protocol.
    Detect(DetectError),
    /// The client speaks a protocol that this server does not offer.
    NotOffered {
        /// The protocol in question.
        protocol: Protocol,
    },
    /// The TLS handshake failed, for example because the client offered no
    /// protocol of ours.
    Tls(io::Error),
    /// The TLS handshake took too long.
    TlsTimeout {
        /// The time that was waited.
        after: Duration,
    },
    /// The TLS client negotiated no protocol. That stands for HTTP/1.1, which is not offered.
    NoAlpn,
    /// The maker of services failed, so there is no service for the connection
    /// ([`serve_each`](crate::Server::serve_each)).
    Service(BoxError),
    /// The connection failed while requests were served.
    Connection(lacewing_conn::Error),
    /// The HTTP/1.1 connection failed while requests were served.
    Http1(BoxError),
    /// The server had its full number of connections, and this one had no
    /// request: it made room for another.
    MadeRoom {
        /// The limit
        /// [`max_connections`](crate::ServerOptions::max_connections).
        max_connections: usize,
    },
    /// The HTTP/1.1 connection did not end in time after a shutdown began, or
    /// after the client closed its side.
    DrainTimeout {
        /// The time that was waited.
        after: Duration,
    },
}

impl ServeError {
    /// The peer closed the connection, which is normal.
    pub fn is_disconnect(&self) -> bool {
        let io = match self {
            Self::Detect(DetectError::Closed) => return true,
            Self::Detect(DetectError::Io(error)) | Self::Tls(error) => Some(error),
            // The peer closed the transport with open streams. curl does so as soon as it has all
            // the content of content-length.
            Self::Connection(error) if error.initiator() == Initiator::Peer => return true,
            Self::Connection(error) => error.io_error(),
            #[cfg(feature = "http1")]
            Self::Http1(error) if is_cut_short(&**error) => return true,
            Self::Http1(error) => io_error(&**error),
            _ => None,
        };
        io.is_some_and(|error| {
            matches!(
                error.kind(),
                io::ErrorKind::UnexpectedEof
                    | io::ErrorKind::ConnectionReset
                    | io::ErrorKind::ConnectionAborted
                    | io::ErrorKind::BrokenPipe
                    | io::ErrorKind::NotConnected
            )
        })
    }
}

/// The client left in the middle of a request.
#[cfg(feature = "http1")]
fn is_cut_short(error: &(dyn std::error::Error + 'static)) -> bool {
    let error = error.downcast_ref::<hyper::Error>();
    error.is_some_and(hyper::Error::is_incomplete_message)
}

/// The error of the transport that lies below.
fn io_error<'a>(error: &'a (dyn std::error::Error + 'static)) -> Option<&'a io::Error> {
    let below = std::iter::successors(Some(error), |error| error.source());
    below.filter_map(|error| error.downcast_ref()).next()
}

impl fmt::Display for ServeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Detect(error) => error.fmt(f),
            Self::NotOffered { protocol } => {
                write!(f, "the client speaks {protocol}, which is not offered here")
            }
            Self::Tls(error) => {
                write!(f, "TLS handshake failed: {error}")?;
                if is_no_tls(error) {
                    f.write_str(
                        "; the client does not speak TLS: its URL should begin with https:, or \
                         name the cleartext port",
                    )?;
                }
                Ok(())
            }
            Self::TlsTimeout { after } => {
                write!(f, "TLS handshake not done after {} s", after.as_secs_f32())
            }
            Self::NoAlpn => f.write_str(
                "the TLS client negotiated no protocol (ALPN), and http/1.1 is not offered here",
            ),
            Self::Service(error) => write!(f, "no service for the connection: {error}"),
            Self::Connection(error) => error.fmt(f),
            Self::Http1(error) => {
                write!(f, "HTTP/1.1: {error}")?;
                match error.source() {
                    Some(source) => write!(f, ": {source}"),
                    None => Ok(()),
                }
            }
            Self::MadeRoom { max_connections } => write!(
                f,
                "idle, and made room for another connection (limit max_connections, \
                 {max_connections}, or the descriptors of the system)"
            ),
            Self::DrainTimeout { after } => {
                write!(
                    f,
                    "HTTP/1.1: requests not answered {} s after the shutdown began or the client \
                     closed its side (limit drain_timeout)",
                    after.as_secs_f32()
                )
            }
        }
    }
}

/// Text at the place of a record: its type, version or length.
#[cfg(feature = "tls")]
fn is_no_tls(error: &io::Error) -> bool {
    use rustls::{Error as Tls, InvalidMessage};
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref());
    matches!(
        inner,
        Some(Tls::InvalidMessage(
            InvalidMessage::InvalidContentType
                | InvalidMessage::UnknownProtocolVersion
                | InvalidMessage::MessageTooLarge
        ))
    )
}

#[cfg(not(feature = "tls"))]
fn is_no_tls(_: &io::Error) -> bool {
    false
}

impl std::error::Error for ServeError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Detect(error) => Some(error),
            Self::Tls(error) => Some(error),
            Self::Connection(error) => Some(error),
            Self::Http1(error) | Self::Service(error) => Some(&**error),
            _ => None,
        }
    }
}

impl From<DetectError> for ServeError {
    fn from(error: DetectError) -> Self {
        Self::Detect(error)
    }
}

impl From<lacewing_conn::Error> for ServeError {
    fn from(error: lacewing_conn::Error) -> Self {
        Self::Connection(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Reason;

    #[test]
    fn a_port_in_use_is_named_with_the_remedy() {
        let error = StartError::Bind {
            address: std::net::SocketAddr::from(([127, 0, 0, 1], 8443)).into(),
            source: io::ErrorKind::AddrInUse.into(),
        };
        let text = error.to_string();
        assert!(
            text.contains("127.0.0.1:8443") && text.contains("choose another port"),
            "{text}"
        );
    }

    #[test]
    fn a_disconnect_differs_from_a_broken_rule() {
        let gone = lacewing_conn::Error::io(io::ErrorKind::ConnectionReset.into());
        assert!(ServeError::from(gone).is_disconnect());
        let closed = lacewing_conn::Error::reset(Initiator::Peer, Reason::ProtocolError);
        assert!(ServeError::from(closed).is_disconnect());
        let broken = lacewing_conn::Error::reset(Initiator::Library, Reason::ProtocolError);
        assert!(!ServeError::from(broken).is_disconnect());
        assert!(!ServeError::NoAlpn.is_disconnect());
        let below = StartError::Bind {
            address: std::net::SocketAddr::from(([127, 0, 0, 1], 8443)).into(),
            source: io::ErrorKind::ConnectionReset.into(),
        };
        assert!(ServeError::Http1(below.into()).is_disconnect());
        assert!(!ServeError::Http1("a parser's error".into()).is_disconnect());
    }
}
