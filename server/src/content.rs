//! The content that a response may have, by its request and its status.

use http::{HeaderMap, Method, StatusCode, header::CONTENT_LENGTH};
use http_body::Body;

/// The part of a request that matters to its response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A response to HEAD has no body, even if its head has a content-length
    /// (RFC 9110 §9.3.2).
    Head,
    /// A response to CONNECT that agrees has no content-length: what follows
    /// is a tunnel (RFC 9110 §9.3.6).
    Connect,
    Other,
}

impl Kind {
    pub(crate) fn of(method: &Method) -> Self {
        if *method == Method::HEAD {
            Self::Head
        } else if *method == Method::CONNECT {
            Self::Connect
        } else {
            Self::Other
        }
    }
}

/// The content that a response may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Content {
    /// Any, of the length that the head has.
    Permitted,
    /// The bytes of a tunnel. They are not content, whatever the status (RFC 9110 §9.3.6).
    Tunnel,
    /// None (RFC 9110 §15.3.5, §15.3.6).
    Forbidden,
    /// None. The content-length is that of the response with 200 (RFC 9110 §15.4.5, §8.6).
    NotModified,
}

impl Content {
    pub(crate) fn of_response(kind: Kind, status: StatusCode) -> Self {
        match status {
            _ if kind == Kind::Connect && status.is_success() => Self::Tunnel,
            StatusCode::NO_CONTENT | StatusCode::RESET_CONTENT => Self::Forbidden,
            StatusCode::NOT_MODIFIED => Self::NotModified,
            _ => Self::Permitted,
        }
    }

    /// Removes a content-length that the response must not have (RFC 9110 §8.6). axum sets one
    /// on every empty body.
    pub(crate) fn remove_length(self, fields: &mut HeaderMap) {
        if matches!(self, Self::Tunnel | Self::Forbidden) {
            fields.remove(CONTENT_LENGTH);
        }
    }

    /// Returns whether a body follows the head: content, or the bytes of a tunnel.
    pub(crate) fn has_body(self, kind: Kind) -> bool {
        matches!(self, Self::Permitted | Self::Tunnel) && kind != Kind::Head
    }

    /// Returns whether the server leaves out a body that the status forbids. That of a
    /// response to HEAD is no mistake.
    pub(crate) fn is_left_out<B: Body>(self, kind: Kind, body: &B) -> bool {
        let forbidden = matches!(self, Self::Forbidden | Self::NotModified);
        forbidden && kind != Kind::Head && body.size_hint().lower() > 0
    }
}
