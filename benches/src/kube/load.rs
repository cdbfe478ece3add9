//! Our client: one session that moves bytes.

use http::{HeaderMap, Uri};
use lacewing_conn::driver::{Mux, MuxConfig, OpenOptions};
use lacewing_conn::{Side, Version};
use lacewing_kube::client::{CommandRequest, ForwardRequest, Pod};
use lacewing_kube::{CommandOutcome, CommandStreams};
use tokio::io::AsyncWriteExt;

use super::exchange::{self, Direction};
use super::socket;
use crate::Error;

/// The kind of a load.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The output of a command.
    ExecStdout,
    /// The input of a command.
    ExecStdin,
    /// A connection to the port of a pod.
    Forward(Direction, u16),
    /// A stream without a protocol of Kubernetes.
    Raw(Direction),
}

const POD: Pod<'static> = Pod {
    namespace: "default",
    name: "mypod",
    container: None,
};

/// Moves bytes, and checks that all of them arrived.
///
/// # Errors
///
/// The session fails, or a byte is missing.
pub async fn run(kind: Kind, port: u16, length: u64) -> Result<(), Error> {
    let server: Uri = format!("http://127.0.0.1:{port}").parse()?;
    let connect = || socket::connect(port);
    match kind {
        Kind::ExecStdout => {
            let streams = CommandStreams::from_query("stdout=true");
            let length_text = length.to_string();
            let argv = ["head", "-c", &length_text, "/dev/zero"];
            let request = CommandRequest::exec(&server, POD, argv, streams)?;
            let mut session = request.connect(connect).await?;
            let mut stdout = session.stdout.take().ok_or("no stdout")?;
            expect(exchange::discard(&mut stdout).await?, length)?;
            succeeded(&session.outcome().await?)
        }
        Kind::ExecStdin => {
            let streams = CommandStreams::from_query("stdin=true");
            let argv = ["sh", "-c", "exec cat > /dev/null"];
            let request = CommandRequest::exec(&server, POD, argv, streams)?;
            let mut session = request.connect(connect).await?;
            let mut stdin = session.stdin.take().ok_or("no stdin")?;
            exchange::send(&mut stdin, length).await?;
            stdin.shutdown().await?;
            succeeded(&session.outcome().await?)
        }
        Kind::Forward(direction, to) => {
            let request = ForwardRequest::of_pod(&server, POD)?;
            let session = request.connect(connect).await?;
            let stream = session.open(to).await?;
            let received = exchange::ask(stream, direction, length).await?;
            expect(received, expected(direction, length))
        }
        Kind::Raw(direction) => {
            let io = connect().await?;
            let config = MuxConfig::kubernetes(Side::Client);
            let (mux, connection) = Mux::client(io, Version::Spdy31, config);
            tokio::spawn(connection);
            let mut stream = mux.open(HeaderMap::new(), OpenOptions::default()).await?;
            stream.recv_reply().await?;
            let received = exchange::ask(stream, direction, length).await?;
            mux.shutdown();
            expect(received, expected(direction, length))
        }
    }
}

fn expected(direction: Direction, length: u64) -> u64 {
    match direction {
        Direction::Down => length,
        Direction::Up => 1,
    }
}

fn expect(received: u64, expected: u64) -> Result<(), Error> {
    match received == expected {
        true => Ok(()),
        false => Err(format!("{received} bytes, and not {expected}").into()),
    }
}

fn succeeded(outcome: &CommandOutcome) -> Result<(), Error> {
    match outcome {
        CommandOutcome::Success => Ok(()),
        other => Err(format!("the command: {other:?}").into()),
    }
}
