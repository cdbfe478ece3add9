//! Next Protocol Negotiation (draft-agl-tls-nextprotoneg-03) for contexts of
//! OpenSSL.
//!
//! NPN is the predecessor of ALPN, by which SPDY was negotiated from 2011 on. The
//! *server* advertises in clear text. The *client* selects, and sends its choice
//! encrypted, before its Finished message. TLS 1.3 has no NPN. If both sides
//! support ALPN too, OpenSSL omits NPN.
//!
//! ```
//! use lacewing_conn::npn::{self, NoOverlap, Preference};
//! use openssl::ssl::{SslContext, SslMethod};
//!
//! let mut server = SslContext::builder(SslMethod::tls_server())?;
//! npn::advertise(&mut server, ["spdy/3.1", "spdy/3", "http/1.1"])?;
//!
//! let mut client = SslContext::builder(SslMethod::tls_client())?;
//! npn::select(&mut client, ["spdy/3.1"], Preference::Server, NoOverlap::Http1)?;
//! // After the handshake, `npn::negotiated(stream.ssl())` is `spdy/3.1`.
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Why there is unsafe code here
//!
//! The `openssl` crate wraps ALPN but not NPN; the three functions of the C library that NPN needs
//! are declared in `openssl-sys` only. They receive two callbacks that borrow nothing from their
//! caller, and no pointer of ours. The context owns the lists that the callbacks read (as
//! `ex_data`, by the `openssl` crate's safe functions). They live exactly as long as anything that
//! could call back.

#![deny(clippy::undocumented_unsafe_blocks)]

use std::{
    ffi::{c_int, c_uchar, c_uint, c_void},
    fmt, ptr, slice,
    sync::OnceLock,
};

use foreign_types::ForeignTypeRef;
use openssl::{
    error::ErrorStack,
    ex_data::Index,
    ssl::{SslContext, SslContextBuilder, SslRef},
};
use openssl_sys as ffi;

/// The bytes that a server may advertise. More than that, and the ServerHello
/// with its 16 bits of length for all extensions could not be written.
const MAX_LIST: usize = 32 * 1024;
const HTTP1: &[u8] = b"http/1.1";

/// The side whose order decides when a server advertises several protocols that the client
/// supports.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Preference {
    /// The first that the server advertises and the client supports, as the
    /// draft recommends (§4).
    #[default]
    Server,
    /// The first that the client supports and the server advertises.
    Client,
}

/// The selection of a client when the server advertises nothing that it supports. It has to select
/// something (§3).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum NoOverlap {
    /// The first protocol that it supports, as the draft recommends (§4). The
    /// server may know it without having said so.
    #[default]
    FirstChoice,
    /// `http/1.1`, which every server is assumed to support.
    Http1,
}

/// Lists of protocols that NPN cannot carry, and trouble in OpenSSL.
///
/// ```
/// use lacewing_conn::npn::{self, NpnError};
/// use openssl::ssl::{SslContext, SslMethod};
///
/// let mut builder = SslContext::builder(SslMethod::tls_server())?;
/// let error = npn::advertise(&mut builder, ["spdy/3", ""]).unwrap_err();
/// assert!(matches!(error, NpnError::NameLength { length: 0 }));
/// # Ok::<(), openssl::error::ErrorStack>(())
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum NpnError {
    /// A protocol's name has no byte, or more than 255.
    NameLength {
        /// Its length in bytes.
        length: usize,
    },
    /// All names together are too long for a ServerHello.
    ListLength {
        /// The length of the list in bytes.
        length: usize,
    },
    /// A client that supports no protocol has none to select.
    NoProtocol,
    /// OpenSSL has no room for more data in its contexts.
    OpenSsl(ErrorStack),
}

/// Makes a server advertise these protocols, its first choice first. Clients
/// without NPN do not see them. A second call replaces the list.
///
/// An empty list is advertised as such: clients then select what they like.
/// A client may also select a protocol that is not advertised (§4): check
/// [`negotiated`].
///
/// # Errors
///
/// [`NpnError`] for names that are empty or longer than 255 bytes, and for more
/// than 32 KiB of them.
pub fn advertise(
    builder: &mut SslContextBuilder,
    protocols: impl IntoIterator<Item = impl AsRef<[u8]>>,
) -> Result<(), NpnError> {
    let list = alpn_list(protocols)?;
    if list.len() > MAX_LIST {
        return Err(NpnError::ListLength { length: list.len() });
    }
    builder.set_ex_data(index(&ADVERTISED)?, Advertised(list.into()));
    // SAFETY: the builder's context is alive. The callback has the type that
    // `openssl-sys` declares for it, lives forever, and takes no argument of
    // ours: OpenSSL stores both.
    unsafe {
        ffi::SSL_CTX_set_next_protos_advertised_cb(builder.as_ptr(), on_advertise, ptr::null_mut());
    }
    Ok(())
}

/// Makes a client offer NPN, and select among these protocols, its first choice
/// first. A second call replaces them.
///
/// # Errors
///
/// [`NpnError`] for no protocol at all, and for names that are empty or longer
/// than 255 bytes.
pub fn select(
    builder: &mut SslContextBuilder,
    supported: impl IntoIterator<Item = impl AsRef<[u8]>>,
    preference: Preference,
    no_overlap: NoOverlap,
) -> Result<(), NpnError> {
    let mut names = Vec::new();
    for name in supported {
        let name = name.as_ref();
        checked_length(name)?;
        names.push(name.into());
    }
    if names.is_empty() {
        return Err(NpnError::NoProtocol);
    }
    let supported = Supported {
        names,
        preference,
        no_overlap,
    };
    builder.set_ex_data(index(&SUPPORTED)?, supported);
    // SAFETY: as in `advertise`.
    unsafe {
        ffi::SSL_CTX_set_next_proto_select_cb(builder.as_ptr(), on_select, ptr::null_mut());
    }
    Ok(())
}

/// Returns the names in the form that ALPN has them (RFC 7301 §3.1), for
/// OpenSSL's functions.
///
/// # Errors
///
/// [`NpnError::NameLength`] for a name without a byte, or with more than 255.
///
/// ```
/// let list = lacewing_conn::npn::alpn_list(["h2", "spdy/3.1"])?;
/// assert_eq!(list, b"\x02h2\x08spdy/3.1");
/// # Ok::<(), lacewing_conn::npn::NpnError>(())
/// ```
pub fn alpn_list(
    protocols: impl IntoIterator<Item = impl AsRef<[u8]>>,
) -> Result<Vec<u8>, NpnError> {
    let mut list = Vec::new();
    for name in protocols {
        let name = name.as_ref();
        list.push(checked_length(name)?);
        list.extend_from_slice(name);
    }
    Ok(list)
}

/// Returns `true` if NPN may negotiate a protocol: all but HTTP/2, which needs
/// ALPN (RFC 9113 §3.2).
pub fn may_negotiate(protocol: &str) -> bool {
    protocol != "h2"
}

/// Returns the protocol that ALPN negotiated, or else NPN.
pub fn protocol(ssl: &SslRef) -> Option<&[u8]> {
    ssl.selected_alpn_protocol().or_else(|| negotiated(ssl))
}

/// Converts the error of a handshake. A peer that went away becomes
/// [`UnexpectedEof`](std::io::ErrorKind::UnexpectedEof).
pub fn io_error(error: openssl::ssl::Error) -> std::io::Error {
    use openssl::ssl::ErrorCode;
    match error.into_io_error() {
        Ok(error) => error,
        Err(error) if matches!(error.code(), ErrorCode::SYSCALL | ErrorCode::ZERO_RETURN) => {
            std::io::Error::new(std::io::ErrorKind::UnexpectedEof, error)
        }
        Err(error) => std::io::Error::other(error),
    }
}

/// The protocol that the client selected by NPN. The server need not have advertised
/// it. `None` before the handshake, without NPN, and where ALPN took
/// precedence.
pub fn negotiated(ssl: &SslRef) -> Option<&[u8]> {
    let mut data: *const c_uchar = ptr::null();
    let mut length: c_uint = 0;
    // SAFETY: `ssl` is alive; OpenSSL writes to the two places and keeps
    // neither.
    unsafe { ffi::SSL_get0_next_proto_negotiated(ssl.as_ptr(), &mut data, &mut length) };
    let length = usize::try_from(length).ok()?;
    if data.is_null() || length == 0 {
        return None;
    }
    // SAFETY: OpenSSL gave a pointer to that many bytes of its own. It changes
    // or frees them in a handshake or with the `Ssl`; both need what the
    // borrow of `ssl` excludes.
    Some(unsafe { slice::from_raw_parts(data, length) })
}

/// The protocols that a server advertises, as in the extension: names behind their lengths.
struct Advertised(Box<[u8]>);

/// The protocols that a client supports, and its rules to select one.
struct Supported {
    /// At least one.
    names: Vec<Box<[u8]>>,
    preference: Preference,
    no_overlap: NoOverlap,
}

/// The place of the data in a context.
type Place<T> = OnceLock<Index<SslContext, T>>;

static ADVERTISED: Place<Advertised> = OnceLock::new();
static SUPPORTED: Place<Supported> = OnceLock::new();

fn index<T: Send + Sync + 'static>(place: &Place<T>) -> Result<Index<SslContext, T>, NpnError> {
    if let Some(index) = place.get() {
        return Ok(*index);
    }
    let new = SslContext::new_ex_index().map_err(NpnError::OpenSsl)?;
    // If two threads get here at once, the index of one of them stays unused.
    Ok(*place.get_or_init(|| new))
}

fn checked_length(name: &[u8]) -> Result<u8, NpnError> {
    match u8::try_from(name.len()) {
        Ok(length) if length > 0 => Ok(length),
        _ => Err(NpnError::NameLength { length: name.len() }),
    }
}

impl Supported {
    /// The answer to a server's list (§4). The list comes from the wire;
    /// OpenSSL has checked it, but nothing here depends on that.
    fn choose(&self, advertised: &[u8]) -> &[u8] {
        let common = match self.preference {
            Preference::Server => Names(advertised).find_map(|theirs| self.find(theirs)),
            Preference::Client => self
                .names
                .iter()
                .map(|ours| &**ours)
                .find(|ours| Names(advertised).any(|theirs| theirs == *ours)),
        };
        common.unwrap_or_else(|| match (self.no_overlap, self.names.first()) {
            (NoOverlap::FirstChoice, Some(first)) => first,
            _ => HTTP1,
        })
    }

    fn find(&self, name: &[u8]) -> Option<&[u8]> {
        let mut names = self.names.iter().map(|ours| &**ours);
        names.find(|ours| *ours == name)
    }
}

/// The names in a list of the wire, until it ends or breaks off.
struct Names<'a>(&'a [u8]);

impl<'a> Iterator for Names<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let (length, rest) = self.0.split_first()?;
        let (name, rest) = rest.split_at_checked(usize::from(*length))?;
        self.0 = rest;
        Some(name)
    }
}

// The callbacks. Nothing in them panics; if something did, `extern "C"` would
// end the process rather than unwind into C.

/// Gives OpenSSL the list of the server's context.
extern "C" fn on_advertise(
    ssl: *mut ffi::SSL,
    out: *mut *const c_uchar,
    length: *mut c_uint,
    _: *mut c_void,
) -> c_int {
    // SAFETY: OpenSSL calls with a connection that is alive during the call,
    // and the reference does not outlive it.
    let ssl = unsafe { SslRef::from_ptr(ssl) };
    let place = ADVERTISED.get();
    let Some(Advertised(list)) = place.and_then(|index| ssl.ssl_context().ex_data(*index)) else {
        return ffi::SSL_TLSEXT_ERR_NOACK;
    };
    let Ok(list_length) = c_uint::try_from(list.len()) else {
        return ffi::SSL_TLSEXT_ERR_NOACK;
    };
    // SAFETY: both places are OpenSSL's, valid for this call. It copies the
    // list into the ServerHello before it does anything else, and the list is
    // the context's, which the connection holds.
    unsafe {
        *out = list.as_ptr();
        *length = list_length;
    }
    ffi::SSL_TLSEXT_ERR_OK
}

/// Answers a server's list with the choice of the client's context.
extern "C" fn on_select(
    ssl: *mut ffi::SSL,
    out: *mut *mut c_uchar,
    length: *mut c_uchar,
    list: *const c_uchar,
    list_length: c_uint,
    _: *mut c_void,
) -> c_int {
    // SAFETY: as in `on_advertise`.
    let ssl = unsafe { SslRef::from_ptr(ssl) };
    let place = SUPPORTED.get();
    let Some(supported) = place.and_then(|index| ssl.ssl_context().ex_data(*index)) else {
        return ffi::SSL_TLSEXT_ERR_NOACK;
    };
    let advertised = match usize::try_from(list_length) {
        // SAFETY: OpenSSL says that so many bytes of the ServerHello are there;
        // they stay during the call. An empty list may be anywhere.
        Ok(list_length) if list_length > 0 && !list.is_null() => unsafe {
            slice::from_raw_parts(list, list_length)
        },
        _ => &[],
    };
    let chosen = supported.choose(advertised);
    let Ok(chosen_length) = c_uchar::try_from(chosen.len()) else {
        return ffi::SSL_TLSEXT_ERR_NOACK;
    };
    // SAFETY: both places are OpenSSL's, valid for this call. It copies the name at once, and does
    // not write to it in spite of the pointer's type. The name is static, or belongs to the
    // context, which the connection holds.
    unsafe {
        *out = chosen.as_ptr().cast_mut();
        *length = chosen_length;
    }
    ffi::SSL_TLSEXT_ERR_OK
}

impl fmt::Display for NpnError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NameLength { length } => write!(
                f,
                "a protocol's name has {length} bytes; NPN carries 1 to 255"
            ),
            Self::ListLength { length } => write!(
                f,
                "the names of all protocols have {length} bytes; a server can advertise {MAX_LIST}"
            ),
            Self::NoProtocol => f.write_str("no protocol to select; give at least one"),
            Self::OpenSsl(error) => write!(f, "OpenSSL: {error}"),
        }
    }
}

impl std::error::Error for NpnError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::OpenSsl(error) => Some(error),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn supported(names: &[&str], preference: Preference, no_overlap: NoOverlap) -> Supported {
        Supported {
            names: names.iter().map(|name| name.as_bytes().into()).collect(),
            preference,
            no_overlap,
        }
    }

    #[test]
    fn a_list_that_breaks_off_ends_before_its_last_name() {
        for (list, names) in [
            (&b""[..], &[][..]),
            (b"\x06spdy/2\x06spdy/3", &["spdy/2", "spdy/3"]),
            (b"\x06spdy/2\x06spdy", &["spdy/2"]),
            (b"\x06spdy/2\xff", &["spdy/2"]),
            (b"\0\x06spdy/3", &["", "spdy/3"]),
        ] {
            let found: Vec<_> = Names(list).collect();
            assert_eq!(
                found,
                names.iter().map(|n| n.as_bytes()).collect::<Vec<_>>()
            );
        }
    }

    #[test]
    fn a_protocol_is_selected_for_any_list_of_the_server() {
        let first = supported(
            &["spdy/3.1", "spdy/2"],
            Preference::Server,
            NoOverlap::FirstChoice,
        );
        assert_eq!(first.choose(b""), b"spdy/3.1");
        assert_eq!(first.choose(b"\x06spdy/2\xffspdy/3.1"), b"spdy/2");
        // A name is not found inside of another.
        assert_eq!(first.choose(b"\x0aspdy/2spdy/2\x08spdy/3.1"), b"spdy/3.1");
        let http1 = supported(&["spdy/3"], Preference::Client, NoOverlap::Http1);
        assert_eq!(http1.choose(b"\x08spdy/3.1"), b"http/1.1");
        assert_eq!(http1.choose(b"\x01"), b"http/1.1");
    }
}
