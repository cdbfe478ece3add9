//! The end of a command, in the form of each protocol version.

mod status;

use std::process::ExitStatus;

use bytes::Bytes;

pub use self::status::{StatusCollector, StatusError};
use crate::protocol::RemoteCommandProtocol;

/// The end of a command, as the server sends it on the error stream.
///
/// ```
/// use lacewing_kube::{CommandOutcome, RemoteCommandProtocol};
///
/// let sent = CommandOutcome::from_exit_code(7).encode(RemoteCommandProtocol::V4);
/// let received = CommandOutcome::decode(RemoteCommandProtocol::V4, &sent)?;
/// assert_eq!(received, CommandOutcome::Exited(7));
/// # Ok::<(), lacewing_kube::StatusError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CommandOutcome {
    /// The command ended with code 0. For `attach`: the session ended.
    Success,
    /// The command ended with another code. `Exited(0)` is sent as
    /// [`Success`](Self::Success). Clients accept no code above 255.
    Exited(u8),
    /// The command did not start, or its end is not known. The text is for the user.
    Failed(String),
}

impl CommandOutcome {
    /// The code for codes that no client accepts: those outside 0–255.
    pub const OUT_OF_RANGE: u8 = 255;

    /// Converts the exit code of a process. A code outside 0–255 becomes 255, since
    /// its lowest bits could be 0: a success.
    pub fn from_exit_code(code: i32) -> Self {
        match u8::try_from(code) {
            Ok(0) => Self::Success,
            Ok(code) => Self::Exited(code),
            Err(_) => Self::Exited(Self::OUT_OF_RANGE),
        }
    }

    /// Returns the exit code of a command that started.
    pub fn exit_code(&self) -> Option<u8> {
        match self {
            Self::Success => Some(0),
            Self::Exited(code) => Some(*code),
            Self::Failed(_) => None,
        }
    }

    /// Returns the whole content of the error stream: text for `V1` to `V3`, which is
    /// empty for a success, and JSON from `V4` on.
    pub fn encode(&self, protocol: RemoteCommandProtocol) -> Bytes {
        match protocol.has_json_status() {
            true => status::encode(self),
            false => match self {
                Self::Success | Self::Exited(0) => Bytes::new(),
                Self::Exited(code) => Bytes::from(status::exit_text(*code)),
                Self::Failed(text) => Bytes::copy_from_slice(status::failure_text(text).as_bytes()),
            },
        }
    }

    /// Parses the whole content of the error stream.
    ///
    /// `V1` to `V3` have no exit code: every text is [`Failed`](Self::Failed), and no
    /// text is [`Success`](Self::Success). A
    /// [`StatusCollector`](crate::StatusCollector) gathers the content within a limit.
    ///
    /// # Errors
    ///
    /// From `V4` on, the content is empty or incomplete: the connection was lost, or the
    /// server does not conform. This is never a success.
    pub fn decode(protocol: RemoteCommandProtocol, content: &[u8]) -> Result<Self, StatusError> {
        match protocol.has_json_status() {
            true => status::decode(content),
            false if content.is_empty() => Ok(Self::Success),
            false => Ok(Self::Failed(String::from_utf8_lossy(content).into_owned())),
        }
    }
}

/// A process that a signal ended has 128 and the signal's number, as in shells.
impl From<ExitStatus> for CommandOutcome {
    fn from(status: ExitStatus) -> Self {
        if let Some(code) = status.code() {
            return Self::from_exit_code(code);
        }
        #[cfg(unix)]
        if let Some(signal) = std::os::unix::process::ExitStatusExt::signal(&status) {
            return Self::from_exit_code(signal.saturating_add(128));
        }
        Self::Failed(format!("the command ended without an exit code: {status}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_that_no_client_accepts_are_mapped() {
        let cases = [
            (0, CommandOutcome::Success),
            (1, CommandOutcome::Exited(1)),
            (127, CommandOutcome::Exited(127)),
            (137, CommandOutcome::Exited(137)),
            (255, CommandOutcome::Exited(255)),
            (256, CommandOutcome::Exited(255)),
            (-1, CommandOutcome::Exited(255)),
            (i32::MIN, CommandOutcome::Exited(255)),
        ];
        for (code, outcome) in cases {
            assert_eq!(CommandOutcome::from_exit_code(code), outcome, "{code}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn signals_are_codes_of_shells() {
        use std::os::unix::process::ExitStatusExt;
        let killed = ExitStatus::from_raw(9);
        assert_eq!(CommandOutcome::from(killed), CommandOutcome::Exited(137));
        let exited = ExitStatus::from_raw(7 << 8);
        assert_eq!(CommandOutcome::from(exited), CommandOutcome::Exited(7));
    }

    #[test]
    fn each_version_has_its_form() {
        let exited = CommandOutcome::Exited(7);
        let failed = CommandOutcome::Failed("no such file".to_owned());
        for version in [
            RemoteCommandProtocol::V1,
            RemoteCommandProtocol::V2,
            RemoteCommandProtocol::V3,
        ] {
            assert_eq!(CommandOutcome::Success.encode(version), "");
            assert_eq!(CommandOutcome::Exited(0).encode(version), "");
            let text = "command terminated with non-zero exit code: 7";
            assert_eq!(exited.encode(version), text);
            assert_eq!(failed.encode(version), "no such file");
            // A failure without a text must not look like a success.
            let silent = CommandOutcome::Failed(String::new()).encode(version);
            assert!(!silent.is_empty());
            let parsed = CommandOutcome::decode(version, text.as_bytes());
            assert_eq!(parsed, Ok(CommandOutcome::Failed(text.to_owned())));
            assert_eq!(
                CommandOutcome::decode(version, b""),
                Ok(CommandOutcome::Success)
            );
        }
        for version in [RemoteCommandProtocol::V4, RemoteCommandProtocol::V5] {
            for outcome in [&CommandOutcome::Success, &exited, &failed] {
                let sent = outcome.encode(version);
                assert_eq!(CommandOutcome::decode(version, &sent).as_ref(), Ok(outcome));
            }
            let zero = CommandOutcome::Exited(0).encode(version);
            assert_eq!(zero, CommandOutcome::Success.encode(version));
            assert_eq!(
                CommandOutcome::decode(version, b""),
                Err(StatusError::Missing)
            );
        }
    }
}
