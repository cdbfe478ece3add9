//! The streams of a command that a client asks for.

/// The streams of a command that the client asked for.
///
/// ```
/// use lacewing_kube::{CommandStreams, Terminal};
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

    /// Returns the part of a query that API servers read, such as
    /// `stdin=true&stdout=true`; empty without a stream.
    pub fn to_query(self) -> String {
        let terminal = self.terminal == Terminal::Attached;
        let names = [
            (self.stdin, "stdin=true"),
            (self.stdout, "stdout=true"),
            (self.stderr && !terminal, "stderr=true"),
            (terminal, "tty=true"),
        ];
        let asked = names.into_iter().filter(|(is_set, _)| *is_set);
        asked.map(|(_, text)| text).collect::<Vec<_>>().join("&")
    }

    /// Returns `true` if the client asked for no stream at all. Servers answer that with
    /// 400.
    pub fn is_empty(self) -> bool {
        !(self.stdin || self.stdout || self.stderr)
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

    #[test]
    fn queries_survive_the_wire() {
        for query in [
            "",
            "stdin=true&stdout=true&stderr=true",
            "stdout=true&tty=true",
        ] {
            assert_eq!(CommandStreams::from_query(query).to_query(), query);
        }
    }
}
