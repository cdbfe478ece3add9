//! The JSON `Status` of Kubernetes on the error stream.

use std::fmt;

use bytes::{Bytes, BytesMut};
use serde::{Deserialize, Serialize};

use super::CommandOutcome;
use crate::protocol::RemoteCommandProtocol;

/// Gathers the content of the error stream, within a limit.
///
/// ```
/// use lacewing_kube::{CommandOutcome, RemoteCommandProtocol, StatusCollector};
///
/// let mut content = StatusCollector::new(RemoteCommandProtocol::V4, 64 << 10);
/// content.push(br#"{"status":"#);
/// content.push(br#""Success"}"#);
/// assert_eq!(content.finish()?, CommandOutcome::Success);
/// # Ok::<(), lacewing_kube::StatusError>(())
/// ```
#[derive(Debug)]
pub struct StatusCollector {
    protocol: RemoteCommandProtocol,
    content: BytesMut,
    limit: usize,
    exceeded: bool,
}

impl StatusCollector {
    /// Creates an empty collector. `limit` is in bytes:
    /// [`KubeLimits::max_status`](crate::KubeLimits::max_status).
    pub fn new(protocol: RemoteCommandProtocol, limit: usize) -> Self {
        Self {
            protocol,
            content: BytesMut::new(),
            limit,
            exceeded: false,
        }
    }

    /// Adds bytes of the error stream. Those beyond the limit are dropped.
    pub fn push(&mut self, bytes: &[u8]) {
        let room = self.limit.saturating_sub(self.content.len());
        self.exceeded |= bytes.len() > room;
        let kept = bytes.get(..room).unwrap_or(bytes);
        self.content.extend_from_slice(kept);
    }

    /// Returns `true` if nothing has arrived.
    pub fn is_empty(&self) -> bool {
        self.content.is_empty()
    }

    /// Parses the content after the end of the stream. A text (`V1` to `V3`) beyond the
    /// limit is cut.
    ///
    /// # Errors
    ///
    /// As [`CommandOutcome::decode`], and [`StatusError::TooLarge`] from `V4` on.
    pub fn finish(self) -> Result<CommandOutcome, StatusError> {
        if self.exceeded && self.protocol.has_json_status() {
            return Err(StatusError::TooLarge { limit: self.limit });
        }
        CommandOutcome::decode(self.protocol, &self.content)
    }
}

/// The reason why the content of an error stream is no outcome.
///
/// The command may have ended in any way: this is never a success.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum StatusError {
    /// The stream ended without a `Status`: the server or the connection was lost.
    Missing,
    /// The content is no complete `Status`. The text names the place.
    Malformed(String),
    /// `NonZeroExitCode` without a code between 1 and 255.
    ExitCode,
    /// The content exceeds [`KubeLimits::max_status`](crate::KubeLimits::max_status).
    TooLarge {
        /// The limit, in bytes.
        limit: usize,
    },
}

impl fmt::Display for StatusError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => f.write_str(
                "the error stream ended without a status: the outcome of the command is unknown",
            ),
            Self::Malformed(reason) => {
                write!(f, "the status on the error stream is not valid: {reason}")
            }
            Self::ExitCode => {
                f.write_str("the status reports a non-zero exit code without a code from 1 to 255")
            }
            Self::TooLarge { limit } => write!(
                f,
                "the status on the error stream exceeds `max_status`: {limit} bytes"
            ),
        }
    }
}

impl std::error::Error for StatusError {}

const SUCCESS: &str = "Success";
const FAILURE: &str = "Failure";
const NON_ZERO_EXIT_CODE: &str = "NonZeroExitCode";
const EXIT_CODE: &str = "ExitCode";
const INTERNAL_ERROR: &str = "InternalError";

/// The fields that matter here. Unknown ones are skipped.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Status<'a> {
    /// API servers send it empty; the servers of container runtimes omit it.
    #[serde(skip_deserializing)]
    metadata: Metadata,
    #[serde(default, borrow)]
    status: Option<Text<'a>>,
    #[serde(default, borrow, skip_serializing_if = "Option::is_none")]
    message: Option<Text<'a>>,
    #[serde(default, borrow, skip_serializing_if = "Option::is_none")]
    reason: Option<Text<'a>>,
    #[serde(default, borrow, skip_serializing_if = "Option::is_none")]
    details: Option<Details<'a>>,
    #[serde(skip_deserializing, skip_serializing_if = "Option::is_none")]
    code: Option<u16>,
}

type Text<'a> = std::borrow::Cow<'a, str>;

#[derive(Debug, Default, Serialize)]
struct Metadata {}

#[derive(Debug, Default, Serialize, Deserialize)]
struct Details<'a> {
    #[serde(default, borrow)]
    causes: Option<Vec<Cause<'a>>>,
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct Cause<'a> {
    #[serde(default, borrow)]
    reason: Option<Text<'a>>,
    #[serde(default, borrow)]
    message: Option<Text<'a>>,
}

/// The text that Kubernetes' servers send for an exit code.
pub(super) fn exit_text(code: u8) -> String {
    format!("command terminated with non-zero exit code: {code}")
}

/// The text of a failure. An empty one would look like a success in `V1` to `V3`.
pub(super) fn failure_text(text: &str) -> &str {
    match text.is_empty() {
        true => "internal error",
        false => text,
    }
}

pub(super) fn encode(outcome: &CommandOutcome) -> Bytes {
    let status = match outcome {
        CommandOutcome::Success | CommandOutcome::Exited(0) => Status {
            status: Some(SUCCESS.into()),
            ..Status::default()
        },
        CommandOutcome::Exited(code) => Status {
            status: Some(FAILURE.into()),
            message: Some(exit_text(*code).into()),
            reason: Some(NON_ZERO_EXIT_CODE.into()),
            details: Some(Details {
                causes: Some(vec![Cause {
                    reason: Some(EXIT_CODE.into()),
                    message: Some(code.to_string().into()),
                }]),
            }),
            ..Status::default()
        },
        CommandOutcome::Failed(text) => Status {
            status: Some(FAILURE.into()),
            message: Some(failure_text(text).into()),
            reason: Some(INTERNAL_ERROR.into()),
            code: Some(500),
            ..Status::default()
        },
    };
    // Strings and numbers always have a JSON form.
    serde_json::to_vec(&status).map_or_else(|_| Bytes::new(), Bytes::from)
}

pub(super) fn decode(content: &[u8]) -> Result<CommandOutcome, StatusError> {
    if content.iter().all(u8::is_ascii_whitespace) {
        return Err(StatusError::Missing);
    }
    let status: Status<'_> = serde_json::from_slice(content)
        .map_err(|error| StatusError::Malformed(error.to_string()))?;
    match status.status.as_deref() {
        Some(SUCCESS) => Ok(CommandOutcome::Success),
        Some(FAILURE) => failure(status),
        other => Err(StatusError::Malformed(format!(
            "`status` is {:?}, neither Success nor Failure",
            other.unwrap_or_default()
        ))),
    }
}

fn failure(status: Status<'_>) -> Result<CommandOutcome, StatusError> {
    if status.reason.as_deref() == Some(NON_ZERO_EXIT_CODE) {
        let causes = status.details.and_then(|details| details.causes);
        let causes = causes.unwrap_or_default();
        let cause = causes
            .iter()
            .find(|cause| cause.reason.as_deref() == Some(EXIT_CODE));
        let code = cause.and_then(|cause| cause.message.as_deref()?.parse().ok());
        return match code {
            None | Some(0) => Err(StatusError::ExitCode),
            Some(code) => Ok(CommandOutcome::Exited(code)),
        };
    }
    let text = status.message.filter(|message| !message.is_empty());
    let text = text.or(status.reason).unwrap_or_default();
    Ok(CommandOutcome::Failed(failure_text(&text).to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_on_the_wire_are_those_of_kubernetes() {
        assert_eq!(
            encode(&CommandOutcome::Success),
            r#"{"metadata":{},"status":"Success"}"#
        );
        assert_eq!(
            encode(&CommandOutcome::Exited(7)),
            r#"{"metadata":{},"status":"Failure","message":"command terminated with non-zero exit code: 7","reason":"NonZeroExitCode","details":{"causes":[{"reason":"ExitCode","message":"7"}]}}"#
        );
        assert_eq!(
            encode(&CommandOutcome::Failed("no \"sh\"".into())),
            r#"{"metadata":{},"status":"Failure","message":"no \"sh\"","reason":"InternalError","code":500}"#
        );
    }

    #[test]
    fn forms_of_every_server_are_accepted() {
        let success = [
            r#"{"status":"Success"}"#,
            r#"{"kind":"Status","apiVersion":"v1","metadata":{"a":[1]},"status":"Success","details":null}"#,
            " {\"metadata\":{},\n\"status\":\"Success\"}\n",
        ];
        for text in success {
            assert_eq!(
                decode(text.as_bytes()),
                Ok(CommandOutcome::Success),
                "{text}"
            );
        }
        let exited = [
            r#"{"status":"Failure","reason":"NonZeroExitCode","details":{"causes":[{"reason":"ExitCode","message":"137"}]}}"#,
            r#"{"status":"Failure","message":"m","reason":"NonZeroExitCode","details":{"name":"x","causes":[{"reason":"Other","message":"1"},{"message":null},{"reason":"ExitCode","message":"137","field":""}]},"code":200}"#,
        ];
        for text in exited {
            assert_eq!(
                decode(text.as_bytes()),
                Ok(CommandOutcome::Exited(137)),
                "{text}"
            );
        }
        let failed = [
            (
                r#"{"status":"Failure","message":"a \u00e9","reason":"InternalError","code":500}"#,
                "a é",
            ),
            (r#"{"status":"Failure","reason":"NotFound"}"#, "NotFound"),
            (r#"{"status":"Failure"}"#, "internal error"),
        ];
        for (text, message) in failed {
            let outcome = CommandOutcome::Failed(message.to_owned());
            assert_eq!(decode(text.as_bytes()), Ok(outcome), "{text}");
        }
    }

    #[test]
    fn no_part_of_a_status_is_a_success() {
        let whole = br#"{"metadata":{},"status":"Success"}"#;
        for len in 0..whole.len() {
            assert!(decode(&whole[..len]).is_err(), "{len} bytes");
        }
        assert_eq!(decode(b""), Err(StatusError::Missing));
        assert_eq!(decode(b" \n"), Err(StatusError::Missing));
        for text in [
            "{}",
            "[]",
            "null",
            "true",
            r#"{"status":7}"#,
            r#"{"status":"success"}"#,
            "\0",
        ] {
            assert!(
                matches!(decode(text.as_bytes()), Err(StatusError::Malformed(_))),
                "{text}"
            );
        }
    }

    #[test]
    fn exit_codes_must_be_codes() {
        for causes in [
            "null",
            "[]",
            r#"[{"reason":"Other","message":"1"}]"#,
            r#"[{"reason":"ExitCode"}]"#,
            r#"[{"reason":"ExitCode","message":"256"}]"#,
            r#"[{"reason":"ExitCode","message":"-1"}]"#,
            r#"[{"reason":"ExitCode","message":"0"}]"#,
            r#"[{"reason":"ExitCode","message":"one"}]"#,
        ] {
            let text = format!(
                r#"{{"status":"Failure","reason":"NonZeroExitCode","details":{{"causes":{causes}}}}}"#
            );
            assert_eq!(
                decode(text.as_bytes()),
                Err(StatusError::ExitCode),
                "{text}"
            );
        }
        let none = br#"{"status":"Failure","reason":"NonZeroExitCode"}"#;
        assert_eq!(decode(none), Err(StatusError::ExitCode));
    }

    #[test]
    fn the_collector_keeps_to_its_limit() {
        let status = encode(&CommandOutcome::Success);
        for step in 1..=status.len() {
            let mut content = StatusCollector::new(RemoteCommandProtocol::V5, status.len());
            status.chunks(step).for_each(|chunk| content.push(chunk));
            assert_eq!(content.finish(), Ok(CommandOutcome::Success), "{step}");
        }
        let mut content = StatusCollector::new(RemoteCommandProtocol::V4, status.len() - 1);
        content.push(&status);
        let limit = status.len() - 1;
        assert_eq!(content.finish(), Err(StatusError::TooLarge { limit }));
        // A text is still of use when it is cut.
        let mut content = StatusCollector::new(RemoteCommandProtocol::V3, 4);
        (0..1000).for_each(|_| content.push(b"abc"));
        assert_eq!(content.finish(), Ok(CommandOutcome::Failed("abca".into())));
    }
}
