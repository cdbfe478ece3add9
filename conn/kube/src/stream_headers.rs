//! The header fields with which a client opens the streams of a session.

use std::fmt;

use http::{HeaderMap, HeaderName, HeaderValue};

/// The purpose of a stream: the value of its `streamType` field.
///
/// ```
/// use lacewing_kube::StreamType;
///
/// assert_eq!(StreamType::from_name("stdin"), Some(StreamType::Stdin));
/// assert_eq!(StreamType::from_name("Stdin"), None);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum StreamType {
    /// `error`: the outcome of a command, or the failure of a forward.
    Error,
    /// `stdin`.
    Stdin,
    /// `stdout`.
    Stdout,
    /// `stderr`.
    Stderr,
    /// `resize`: the sizes of the client's terminal.
    Resize,
    /// `data`: the bytes of a forwarded connection.
    Data,
}

impl StreamType {
    const ALL: [Self; 6] = [
        Self::Error,
        Self::Stdin,
        Self::Stdout,
        Self::Stderr,
        Self::Resize,
        Self::Data,
    ];

    /// Returns the value of `streamType`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Stdin => "stdin",
            Self::Stdout => "stdout",
            Self::Stderr => "stderr",
            Self::Resize => "resize",
            Self::Data => "data",
        }
    }

    /// Returns the type with this [`name`](Self::name). Case matters, as in Kubernetes.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

impl fmt::Display for StreamType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The header fields of a stream. SPDY sends their names in lower case.
///
/// ```
/// use lacewing_kube::{StreamHeaders, StreamType};
///
/// let headers = StreamHeaders::forward(StreamType::Data, 8080, "3".to_owned());
/// let sent = headers.to_map().ok_or("a request id that no field can carry")?;
/// assert_eq!(sent["streamtype"], "data");
/// assert_eq!(StreamHeaders::parse_forward(&sent)?, headers);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct StreamHeaders {
    /// `streamType`.
    pub stream_type: StreamType,
    /// `port`, of port-forward only: 1 to 65535.
    pub port: Option<u16>,
    /// `requestID`, of port-forward only: equal in the two streams of a local
    /// connection. Clients before Kubernetes 1.2 send none.
    pub request_id: Option<String>,
}

impl StreamHeaders {
    /// The name of the field with the stream's purpose.
    pub const STREAM_TYPE: HeaderName = HeaderName::from_static("streamtype");
    /// The name of the field with the port.
    pub const PORT: HeaderName = HeaderName::from_static("port");
    /// The name of the field that pairs two streams.
    pub const REQUEST_ID: HeaderName = HeaderName::from_static("requestid");

    /// Creates the fields of a stream of `exec` and `attach`.
    pub fn command(stream_type: StreamType) -> Self {
        Self {
            stream_type,
            port: None,
            request_id: None,
        }
    }

    /// Creates the fields of a stream of port-forward.
    pub fn forward(stream_type: StreamType, port: u16, request_id: String) -> Self {
        Self {
            stream_type,
            port: Some(port),
            request_id: Some(request_id),
        }
    }

    /// Parses the fields of a stream of `exec` and `attach`. It ignores `port` and
    /// `requestID`.
    ///
    /// # Errors
    ///
    /// `streamType` is missing, or has another value than `error`, `stdin`, `stdout`,
    /// `stderr` and `resize`.
    pub fn parse_command(headers: &HeaderMap) -> Result<Self, StreamHeaderError> {
        match stream_type(headers)? {
            StreamType::Data => Err(StreamHeaderError::unknown(headers)),
            kind => Ok(Self::command(kind)),
        }
    }

    /// Parses the fields of a stream of port-forward.
    ///
    /// # Errors
    ///
    /// `streamType` is missing, or neither `error` nor `data`; `port` is missing or not
    /// between 1 and 65535.
    pub fn parse_forward(headers: &HeaderMap) -> Result<Self, StreamHeaderError> {
        let stream_type = match stream_type(headers)? {
            kind @ (StreamType::Error | StreamType::Data) => kind,
            _ => return Err(StreamHeaderError::unknown(headers)),
        };
        let port = text(headers, &Self::PORT).ok_or(StreamHeaderError::Missing("port"))?;
        let bad_port = || StreamHeaderError::Port(port.to_owned());
        let digits = !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
        let number = port.parse().ok().filter(|number| digits && *number > 0);
        Ok(Self {
            stream_type,
            port: Some(number.ok_or_else(bad_port)?),
            request_id: text(headers, &Self::REQUEST_ID)
                .filter(|id| !id.is_empty())
                .map(str::to_owned),
        })
    }

    /// Returns the header list; `None` if no header field can carry the request id.
    pub fn to_map(&self) -> Option<HeaderMap> {
        let mut headers = HeaderMap::new();
        let stream_type = HeaderValue::from_static(self.stream_type.name());
        headers.insert(Self::STREAM_TYPE, stream_type);
        if let Some(port) = self.port {
            headers.insert(Self::PORT, HeaderValue::from(port));
        }
        if let Some(id) = &self.request_id {
            headers.insert(Self::REQUEST_ID, HeaderValue::from_str(id).ok()?);
        }
        Some(headers)
    }
}

/// The reason why a stream's header fields are refused.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum StreamHeaderError {
    /// The field with this name is missing.
    Missing(&'static str),
    /// `streamType` has this unknown value.
    StreamType(String),
    /// `port` has this value, which is no port.
    Port(String),
}

impl StreamHeaderError {
    fn unknown(headers: &HeaderMap) -> Self {
        let value = text(headers, &StreamHeaders::STREAM_TYPE);
        Self::StreamType(value.unwrap_or_default().to_owned())
    }
}

impl fmt::Display for StreamHeaderError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing(name) => write!(f, "the stream's {name:?} header field is required"),
            Self::StreamType(value) => write!(f, "invalid stream type {value:?}"),
            Self::Port(value) => write!(f, "{value:?} is no port: it must be from 1 to 65535"),
        }
    }
}

impl std::error::Error for StreamHeaderError {}

fn stream_type(headers: &HeaderMap) -> Result<StreamType, StreamHeaderError> {
    let value = text(headers, &StreamHeaders::STREAM_TYPE);
    let value = value.ok_or(StreamHeaderError::Missing("streamType"))?;
    StreamType::from_name(value).ok_or_else(|| StreamHeaderError::unknown(headers))
}

/// Returns a field's first value, if it is text.
fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(fields: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(*name, HeaderValue::from_static(value));
        }
        headers
    }

    #[test]
    fn fields_survive_the_wire() {
        for kind in ["error", "stdin", "stdout", "stderr", "resize"] {
            let sent = headers(&[("streamtype", kind)]);
            let parsed = StreamHeaders::parse_command(&sent).unwrap();
            assert_eq!(parsed.stream_type.name(), kind);
            assert_eq!(parsed.to_map(), Some(sent));
        }
        let sent = headers(&[
            ("streamtype", "error"),
            ("port", "65535"),
            ("requestid", "0"),
        ]);
        let parsed = StreamHeaders::parse_forward(&sent).unwrap();
        assert_eq!(
            (parsed.port, parsed.request_id.as_deref()),
            (Some(65535), Some("0"))
        );
        assert_eq!(parsed.to_map(), Some(sent));
        let old = headers(&[("streamtype", "data"), ("port", "1")]);
        assert_eq!(StreamHeaders::parse_forward(&old).unwrap().request_id, None);
    }

    #[test]
    fn wrong_fields_are_named() {
        let missing = StreamHeaders::parse_command(&HeaderMap::new());
        assert_eq!(missing, Err(StreamHeaderError::Missing("streamType")));
        for kind in ["data", "STDIN", "", "stdin "] {
            let refused = StreamHeaders::parse_command(&headers(&[("streamtype", kind)]));
            assert_eq!(refused, Err(StreamHeaderError::StreamType(kind.to_owned())));
        }
        let stdin = headers(&[("streamtype", "stdin"), ("port", "1")]);
        let refused = StreamHeaders::parse_forward(&stdin);
        assert_eq!(refused, Err(StreamHeaderError::StreamType("stdin".into())));
        let refused = StreamHeaders::parse_forward(&headers(&[("streamtype", "data")]));
        assert_eq!(refused, Err(StreamHeaderError::Missing("port")));
        for port in [
            "",
            "0",
            "65536",
            "x",
            "+80",
            "-1",
            "80 ",
            "99999999999999999999",
        ] {
            let refused =
                StreamHeaders::parse_forward(&headers(&[("streamtype", "data"), ("port", port)]));
            assert_eq!(refused, Err(StreamHeaderError::Port(port.to_owned())));
        }
        let unsendable = StreamHeaders::forward(StreamType::Data, 1, "\n".into());
        assert_eq!(unsendable.to_map(), None);
    }
}
