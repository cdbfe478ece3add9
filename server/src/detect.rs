//! Detection of the protocol on a cleartext connection, by its first
//! bytes.

use std::{fmt, io, time::Duration};

use bytes::BytesMut;
use tokio::{
    io::{AsyncRead, AsyncReadExt},
    time::timeout,
};

use crate::Rewind;

/// The client connection preface of HTTP/2 (RFC 9113 §3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// The start of the preface that belongs to no other protocol: `PRI * HTTP/2`.
/// No request line of HTTP/1.1 looks like this (RFC 9113 §3.4); the connection
/// reports errors behind it.
const PREFACE_ENOUGH: usize = 12;
/// The first byte of a SPDY control frame: the control bit, and the upper bits
/// of the version, which are zero in every version.
const CONTROL: u8 = 0x80;
/// The first byte of a TLS handshake record.
const TLS_HANDSHAKE: u8 = 0x16;
/// The first bytes of SSH clients (RFC 4253 §4.2); it looks like a method.
const SSH: &[u8] = b"SSH-";
/// Bytes of garbage that an error keeps to show.
const SHOWN: usize = 16;

/// The protocol of a connection, as far as its first bytes show it.
///
/// ```
/// use lacewing_server::{Detected, sniff};
///
/// assert_eq!(sniff(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), Ok(Some(Detected::Http2)));
/// assert_eq!(sniff(b"\x80\x03\x00\x01"), Ok(Some(Detected::Spdy3)));
/// assert_eq!(sniff(b"GET / HTTP/1.1\r\n"), Ok(Some(Detected::Http1)));
/// assert_eq!(sniff(b"P"), Ok(None));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Detected {
    /// The preface of HTTP/2.
    Http2,
    /// A control frame of SPDY/2.
    Spdy2,
    /// A control frame of SPDY/3 or SPDY/3.1: both have version 3 on the wire.
    Spdy3,
    /// A request line, or the beginning of one.
    Http1,
}

/// Looks at the first bytes of a connection: `None` if there are too few to
/// decide.
///
/// # Errors
///
/// [`DetectError::Garbage`] or [`DetectError::Tls`], for bytes that begin no
/// protocol.
pub fn sniff(bytes: &[u8]) -> Result<Option<Detected>, DetectError> {
    let (Some(&first), second) = (bytes.first(), bytes.get(1)) else {
        return Ok(None);
    };
    if first == CONTROL {
        return match second {
            None => Ok(None),
            Some(2) => Ok(Some(Detected::Spdy2)),
            Some(3) => Ok(Some(Detected::Spdy3)),
            Some(_) => Err(DetectError::garbage(bytes)),
        };
    }
    if first == TLS_HANDSHAKE {
        return match second {
            None => Ok(None),
            Some(3) => Err(DetectError::Tls),
            Some(_) => Err(DetectError::garbage(bytes)),
        };
    }
    let alike = bytes
        .iter()
        .zip(PREFACE)
        .take_while(|(ours, theirs)| ours == theirs)
        .count();
    if alike >= PREFACE_ENOUGH {
        return Ok(Some(Detected::Http2));
    }
    if alike == bytes.len() {
        return Ok(None);
    }
    if bytes.starts_with(SSH) {
        return Err(DetectError::garbage(bytes));
    }
    if SSH.starts_with(bytes) {
        return Ok(None);
    }
    // A method is a token (RFC 9110 §5.6.2). An empty line may precede the request line (RFC 9112
    // §2.2).
    if first.is_ascii_alphabetic() || first == b'\r' || first == b'\n' {
        Ok(Some(Detected::Http1))
    } else {
        Err(DetectError::garbage(bytes))
    }
}

/// Reads from `io` until the protocol is known. The returned [`Rewind`] yields
/// these bytes again.
///
/// ```
/// use std::time::Duration;
///
/// use lacewing_server::{Detected, detect};
/// use tokio::io::AsyncReadExt;
///
/// # let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
/// # runtime.block_on(async {
/// let client = &b"GET / HTTP/1.1\r\n\r\n"[..];
/// let (detected, mut io) = detect(client, Duration::from_secs(10)).await?;
/// assert_eq!(detected, Detected::Http1);
/// let mut all = Vec::new();
/// io.read_to_end(&mut all).await?;
/// assert_eq!(all, client);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// # Errors
///
/// [`DetectError::TimedOut`] when the client did not send enough bytes before
/// `deadline` has passed, and the others of [`DetectError`].
pub async fn detect<T>(mut io: T, deadline: Duration) -> Result<(Detected, Rewind<T>), DetectError>
where
    T: AsyncRead + Unpin,
{
    let mut bytes = BytesMut::new();
    match timeout(deadline, read_enough(&mut io, &mut bytes)).await {
        Ok(Ok(detected)) => Ok((detected, Rewind::new(io, bytes.freeze()))),
        Ok(Err(error)) => Err(error),
        Err(_) => Err(DetectError::TimedOut {
            after: deadline,
            bytes: bytes.len(),
        }),
    }
}

async fn read_enough<T>(io: &mut T, bytes: &mut BytesMut) -> Result<Detected, DetectError>
where
    T: AsyncRead + Unpin,
{
    loop {
        // Room for the preface and SETTINGS, or for most request heads, so
        // that one read is enough for both.
        bytes.reserve(512);
        match io.read_buf(bytes).await {
            Ok(0) if bytes.is_empty() => return Err(DetectError::Closed),
            Ok(0) => return Err(DetectError::garbage(bytes)),
            Ok(_) => {}
            Err(error) => return Err(DetectError::Io(error)),
        }
        if let Some(detected) = sniff(bytes)? {
            return Ok(detected);
        }
    }
}

/// The error of a connection whose protocol was not detected.
///
/// ```
/// use lacewing_server::{DetectError, sniff};
///
/// // The error names TLS on a cleartext port.
/// assert_eq!(sniff(&[0x16, 0x03, 0x01]), Err(DetectError::Tls));
/// assert!(matches!(sniff(&[0xff]), Err(DetectError::Garbage { .. })));
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub enum DetectError {
    /// The first bytes belong to no known protocol.
    Garbage {
        /// The first of them, at most 16.
        bytes: Vec<u8>,
    },
    /// The client speaks TLS on a port without TLS.
    Tls,
    /// Too few bytes arrived in time.
    TimedOut {
        /// The time that was waited.
        after: Duration,
        /// The bytes that arrived.
        bytes: usize,
    },
    /// The client closed the connection without having sent a byte.
    Closed,
    /// Reading failed.
    Io(io::Error),
}

impl DetectError {
    fn garbage(bytes: &[u8]) -> Self {
        Self::Garbage {
            bytes: bytes.iter().copied().take(SHOWN).collect(),
        }
    }
}

impl PartialEq for DetectError {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Garbage { bytes: a }, Self::Garbage { bytes: b }) => a == b,
            (Self::TimedOut { after: a, bytes: m }, Self::TimedOut { after: b, bytes: n }) => {
                a == b && m == n
            }
            (Self::Io(a), Self::Io(b)) => a.kind() == b.kind(),
            (Self::Tls, Self::Tls) | (Self::Closed, Self::Closed) => true,
            _ => false,
        }
    }
}

impl fmt::Display for DetectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Garbage { bytes } => {
                write!(
                    f,
                    "the first bytes belong to no known protocol: \"{}\"",
                    bytes.escape_ascii()
                )?;
                if bytes.starts_with(SSH) {
                    f.write_str("; the client speaks SSH; give it the port of an SSH server")?;
                }
                Ok(())
            }
            Self::Tls => f.write_str(
                "the client speaks TLS on a cleartext port; use a URL with http:, or the port with TLS",
            ),
            Self::TimedOut { after, bytes } => write!(
                f,
                "the client sent {bytes} bytes within {} s (preface_timeout); these are too few to detect the protocol",
                after.as_secs_f32()
            ),
            Self::Closed => f.write_str("the client closed the connection before it sent a byte"),
            Self::Io(error) => write!(f, "reading the first bytes failed: {error}"),
        }
    }
}

impl std::error::Error for DetectError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Io(error) => Some(error),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BEGINNINGS: [(&[u8], Detected); 7] = [
        (PREFACE, Detected::Http2),
        (b"\x80\x02\x00\x01", Detected::Spdy2),
        (b"\x80\x03\x00\x04", Detected::Spdy3),
        (b"GET / HTTP/1.1\r\n", Detected::Http1),
        (b"PRIVMSG / HTTP/1.1\r\n", Detected::Http1),
        (b"PROPFIND / HTTP/1.1\r\n", Detected::Http1),
        (b"\r\nPOST / HTTP/1.0\r\n", Detected::Http1),
    ];

    /// The segmentation of the bytes must not change the result.
    #[test]
    fn every_prefix_says_the_same_or_waits() {
        for (bytes, expected) in BEGINNINGS {
            for len in 0..=bytes.len() {
                let prefix = bytes.get(..len).unwrap();
                assert!(
                    matches!(sniff(prefix), Ok(None) | Ok(Some(_))),
                    "{prefix:?}"
                );
                if let Ok(Some(detected)) = sniff(prefix) {
                    assert_eq!(detected, expected, "{prefix:?}");
                }
            }
            assert_eq!(sniff(bytes), Ok(Some(expected)));
        }
    }

    #[test]
    fn every_first_pair_of_bytes_has_an_answer() {
        for first in 0..=u8::MAX {
            for second in 0..=u8::MAX {
                let result = sniff(&[first, second]);
                match (first, second) {
                    (0x80, 2) => assert_eq!(result, Ok(Some(Detected::Spdy2))),
                    (0x80, 3) => assert_eq!(result, Ok(Some(Detected::Spdy3))),
                    (0x16, 3) => assert_eq!(result, Err(DetectError::Tls)),
                    (b'P', b'R') | (b'S', b'S') => assert_eq!(result, Ok(None)),
                    (b'A'..=b'Z' | b'a'..=b'z' | b'\r' | b'\n', _) => {
                        assert_eq!(result, Ok(Some(Detected::Http1)));
                    }
                    _ => assert!(matches!(result, Err(DetectError::Garbage { .. }))),
                }
            }
        }
    }

    #[test]
    fn clients_of_ssh_and_tls_are_named_in_the_error() {
        let ssh = sniff(b"SSH-2.0-OpenSSH_9.6\r\n").unwrap_err().to_string();
        assert!(ssh.contains("speaks SSH"), "{ssh}");
        assert_eq!(sniff(b"SSH"), Ok(None));
        assert_eq!(sniff(b"SSHA / HTTP/1.1"), Ok(Some(Detected::Http1)));
        let tls = sniff(b"\x16\x03\x01\x02").unwrap_err().to_string();
        assert!(tls.contains("speaks TLS"), "{tls}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_says_too_little_is_not_waited_for_forever() {
        let (mut client, server) = tokio::io::duplex(64);
        tokio::io::AsyncWriteExt::write_all(&mut client, b"PRI * ")
            .await
            .unwrap();
        let after = Duration::from_secs(10);
        let error = detect(server, after).await.map(|_| ()).unwrap_err();
        assert_eq!(error, DetectError::TimedOut { after, bytes: 6 });
    }

    #[tokio::test]
    async fn a_disconnect_differs_from_garbage() {
        let forever = Duration::from_secs(3600);
        let closed = detect(&b""[..], forever).await.map(|_| ()).unwrap_err();
        assert_eq!(closed, DetectError::Closed);
        let cut = detect(&b"PRI"[..], forever).await.map(|_| ()).unwrap_err();
        assert_eq!(
            cut,
            DetectError::Garbage {
                bytes: b"PRI".to_vec()
            }
        );
    }
}
