//! The error of an RPC for a URL.

use std::fmt;

/// The reason why an RPC gets no URL.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CriError {
    /// The request is not valid. The text names the field.
    InvalidArgument(&'static str),
    /// Too many URLs wait for their client. Kubelets then answer with 429.
    ResourceExhausted(TokensExhausted),
    /// The system has no random bytes for a token.
    NoRandomness,
    /// [`CriOptions::base_url`](super::CriOptions::base_url) is not absolute.
    BaseUrl(String),
}

impl CriError {
    /// Returns the code of the RPC's status: `InvalidArgument` (3), `ResourceExhausted`
    /// (8) or `Internal` (13).
    pub fn grpc_code(&self) -> i32 {
        match self {
            Self::InvalidArgument(_) => 3,
            Self::ResourceExhausted(_) => 8,
            Self::NoRandomness | Self::BaseUrl(_) => 13,
        }
    }
}

impl fmt::Display for CriError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InvalidArgument(text) => f.write_str(text),
            Self::ResourceExhausted(error) => error.fmt(f),
            Self::NoRandomness => f.write_str("the system has no random bytes for a token"),
            Self::BaseUrl(url) => write!(
                f,
                "the base URL {url:?} is not absolute: a scheme, a host and a port are required, \
                 such as http://127.0.0.1:10010"
            ),
        }
    }
}

impl std::error::Error for CriError {}

impl From<TokensExhausted> for CriError {
    fn from(error: TokensExhausted) -> Self {
        Self::ResourceExhausted(error)
    }
}

/// The store of tokens is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TokensExhausted {
    /// The limit: [`CriOptions::max_tokens`](super::CriOptions::max_tokens).
    pub limit: usize,
}

impl fmt::Display for TokensExhausted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "maximum number of in-flight requests exceeded: {} wait (`max_tokens`)",
            self.limit
        )
    }
}

impl std::error::Error for TokensExhausted {}
