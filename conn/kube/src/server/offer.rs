//! The server's conditions for a session.

use lacewing_conn::Side;

use crate::{
    limits::KubeLimits,
    protocol::{RemoteCommandProtocol, WebSocketProtocol},
};

/// The streams of a command that the client asked for.
///
/// ```
/// use lacewing_kube::server::{CommandStreams, Terminal};
///
/// let streams = CommandStreams::from_query("command=sh&stdin=true&stdout=true&tty=true");
/// assert!(streams.stdin && streams.stdout && !streams.stderr);
/// assert_eq!(streams.terminal, Terminal::Attached);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CommandStreams {
    /// The client sends stdin.
    pub stdin: bool,
    /// The client receives stdout.
    pub stdout: bool,
    /// The client receives stderr. A terminal has none.
    pub stderr: bool,
    /// The command runs in a terminal.
    pub terminal: Terminal,
}

/// The use of a terminal by a command.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Terminal {
    /// The command has pipes.
    #[default]
    None,
    /// The command has a terminal, and the client sends its sizes.
    Attached,
}

impl CommandStreams {
    /// Reads the query of a request: `stdin`, `stdout`, `stderr` and `tty` as API servers
    /// receive them, or `input`, `output`, `error` and `tty` as kubelets do. With `tty`
    /// there is no stderr.
    pub fn from_query(query: &str) -> Self {
        let is_set = |names: [&str; 2]| {
            query
                .split('&')
                .filter_map(|pair| pair.split_once('='))
                .any(|(name, value)| {
                    names.contains(&name)
                        && matches!(value, "1" | "t" | "T" | "true" | "True" | "TRUE")
                })
        };
        let terminal = match is_set(["tty", "tty"]) {
            true => Terminal::Attached,
            false => Terminal::None,
        };
        Self {
            stdin: is_set(["stdin", "input"]),
            stdout: is_set(["stdout", "output"]),
            stderr: is_set(["stderr", "error"]) && terminal == Terminal::None,
            terminal,
        }
    }

    /// Returns `true` if the client asked for no stream at all. Servers answer that with
    /// 400.
    pub fn is_empty(self) -> bool {
        !(self.stdin || self.stdout || self.stderr)
    }
}

/// The server's conditions for `exec` and `attach`: streams, protocols and limits.
///
/// [`accept`](Self::accept) decides from a request's header fields. One offer serves
/// clients of SPDY/3.1 and, with the feature `websocket`, of WebSocket.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct CommandOffer {
    /// The streams that the client asked for.
    pub streams: CommandStreams,
    /// The protocols over SPDY/3.1. Default [`RemoteCommandProtocol::SPDY`]. An empty list
    /// refuses SPDY.
    pub spdy: Vec<RemoteCommandProtocol>,
    /// The protocols over WebSocket. Default [`WebSocketProtocol::CHANNELS`]. An empty
    /// list refuses WebSocket.
    pub websocket: Vec<WebSocketProtocol>,
    /// The bounds of the session.
    pub limits: KubeLimits,
}

impl CommandOffer {
    /// Creates an offer of every protocol.
    pub fn new(streams: CommandStreams) -> Self {
        Self {
            streams,
            spdy: RemoteCommandProtocol::SPDY.to_vec(),
            websocket: WebSocketProtocol::CHANNELS.to_vec(),
            limits: KubeLimits::new(Side::Server),
        }
    }

    /// Returns the offer after `change`.
    #[must_use]
    pub fn with(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }
}

/// The server's conditions for port-forward.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ForwardOffer {
    /// The bounds of the session.
    pub limits: KubeLimits,
}

impl ForwardOffer {
    /// Creates an offer with the default limits.
    pub fn new() -> Self {
        Self {
            limits: KubeLimits::new(Side::Server),
        }
    }

    /// Returns the offer after `change`.
    #[must_use]
    pub fn with(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }
}

impl Default for ForwardOffer {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_of_api_servers_and_kubelets() {
        let all = CommandStreams {
            stdin: true,
            stdout: true,
            stderr: true,
            terminal: Terminal::None,
        };
        let api = "container=c&stdin=true&stdout=true&stderr=true&command=tty%3Dtrue";
        assert_eq!(CommandStreams::from_query(api), all);
        let kubelet = "input=1&output=1&error=1&command=sh";
        assert_eq!(CommandStreams::from_query(kubelet), all);
        let terminal = CommandStreams::from_query("stdin=true&stdout=true&stderr=true&tty=1");
        assert_eq!(
            (terminal.terminal, terminal.stderr),
            (Terminal::Attached, false)
        );
        for none in [
            "",
            "stdin=false&stdout=0&stderr=",
            "tty=true",
            "stdin",
            "&&=",
        ] {
            assert!(CommandStreams::from_query(none).is_empty(), "{none}");
        }
    }
}
