//! The heads of messages, parsed, in words common to all protocols.

use std::borrow::Cow;

use http::{
    HeaderMap, Method, StatusCode, Uri,
    header::{CONTENT_LENGTH, HOST},
};

use super::authority::is_authority;

/// The head of a message: control data and header fields.
#[derive(Clone, Debug, Default)]
pub struct Head {
    /// The pseudo-header fields, or what takes their place.
    pub control: Control,
    /// The header fields. A field that the peer marked as never indexed, and
    /// one that must not be indexed on the way out, is
    /// [sensitive](http::HeaderValue::is_sensitive).
    pub fields: HeaderMap,
}

/// The control data of a message (RFC 9110 §6.2): what HTTP/1.1 has in its
/// start line.
#[derive(Clone, Debug, Default)]
pub enum Control {
    /// No control data: trailers, or a stream of a connection that carries no
    /// HTTP.
    #[default]
    None,
    /// A request.
    Request {
        /// The request's method.
        method: Method,
        /// Scheme, authority and path as far as the peer gave them; the
        /// authority alone in a CONNECT request.
        ///
        /// A [`Uri`] has no place for some authorities, such as the percent-encoded path of a Unix
        /// socket that gRPC stacks send. Such an authority is in the `host` field, and the URI is a
        /// path alone. A received request has one `host` field at most, and it never says anything
        /// else than the URI. Of a request that is sent, the `host` field counts where the URI has
        /// no authority.
        uri: Uri,
        /// The `:protocol` of an extended CONNECT (RFC 8441 §4).
        protocol: Option<ConnectProtocol>,
    },
    /// A response.
    Response {
        /// The status code.
        status: StatusCode,
    },
}

/// The `:protocol` of an extended CONNECT request (RFC 8441 §4), for example
/// `websocket`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ConnectProtocol(Cow<'static, str>);

impl ConnectProtocol {
    /// A protocol name known at compile time.
    pub const fn from_static(name: &'static str) -> Self {
        Self(Cow::Borrowed(name))
    }

    /// The name; `None` unless it is a token (RFC 9110 §5.6.2).
    pub fn from_bytes(name: &[u8]) -> Option<Self> {
        let method = http::Method::from_bytes(name).ok()?;
        Some(Self(Cow::Owned(method.as_str().to_owned())))
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Head {
    /// The head of a request with no header fields yet.
    pub fn request(method: Method, uri: Uri) -> Self {
        let control = Control::Request {
            method,
            uri,
            protocol: None,
        };
        Self {
            control,
            fields: HeaderMap::new(),
        }
    }

    /// The head of a response with no header fields yet.
    pub fn response(status: StatusCode) -> Self {
        Self {
            control: Control::Response { status },
            fields: HeaderMap::new(),
        }
    }

    /// Header fields alone: trailers, or a stream without HTTP.
    pub fn fields(fields: HeaderMap) -> Self {
        Self {
            control: Control::None,
            fields,
        }
    }

    pub(crate) fn is_request(&self) -> bool {
        matches!(self.control, Control::Request { .. })
    }

    /// It is a request of this method.
    pub(crate) fn is_method(&self, wanted: &Method) -> bool {
        matches!(&self.control, Control::Request { method, .. } if method == wanted)
    }

    /// A server may promise it: it is safe, cacheable, without a body, and with an
    /// authority (RFC 9113 §8.4).
    pub(crate) fn is_pushable(&self) -> bool {
        let Control::Request { method, uri, .. } = &self.control else {
            return false;
        };
        let lengths = self.fields.get_all(CONTENT_LENGTH);
        (*method == Method::GET || *method == Method::HEAD)
            && authority(uri, &self.fields).is_some()
            && lengths.iter().all(|length| length.as_bytes() == b"0")
    }

    /// A request that names the server it is for.
    pub(crate) fn has_authority(&self) -> bool {
        match &self.control {
            Control::Request { uri, .. } => authority(uri, &self.fields).is_some(),
            _ => false,
        }
    }

    /// Unless its URI says it, the `host` field of a request is an authority, or
    /// empty; and CONNECT names a port (RFC 9110 §9.3.6).
    pub(crate) fn has_valid_host(&self) -> bool {
        match &self.control {
            Control::Request {
                method,
                uri,
                protocol: None,
            } if *method == Method::CONNECT => uri.port_u16().is_some(),
            Control::Request { uri, .. } if uri.authority().is_none() => {
                authority(uri, &self.fields).is_none_or(is_authority)
            }
            _ => true,
        }
    }

    /// A CONNECT request with `:protocol` (RFC 8441).
    pub(crate) fn is_extended_connect(&self) -> bool {
        let protocol = match &self.control {
            Control::Request { protocol, .. } => protocol.as_ref(),
            _ => None,
        };
        protocol.is_some()
    }

    /// The status code, of a response.
    pub fn status(&self) -> Option<StatusCode> {
        match self.control {
            Control::Response { status } => Some(status),
            _ => None,
        }
    }
}

/// The authority of a request's target: the URI's, or what the `host` field says
/// where the URI has none. User information is left out (RFC 9113 §8.3.1).
pub(crate) fn authority<'a>(uri: &'a Uri, fields: &'a HeaderMap) -> Option<&'a [u8]> {
    match uri.authority() {
        Some(authority) => {
            let text = authority.as_str().as_bytes();
            // Nearly always there is none, and a short text.
            if text.iter().all(|byte| *byte != b'@') {
                return Some(text);
            }
            text.rsplit(|byte| *byte == b'@').next()
        }
        None => {
            let host = fields.get(HOST)?.as_bytes();
            (!host.is_empty()).then_some(host)
        }
    }
}
