//! Runs a command in a pod, as `kubectl exec -i` does, behind `kubectl proxy` or the
//! example `api_server`.
//!
//! ```text
//! cargo run -p lacewing-kube --features client,websocket --example exec_client -- http://127.0.0.1:8001 mypod cat
//! ```
//!
//! The exit code is the command's.

use std::{error::Error, io::Write as _};

use http::Uri;
use lacewing_kube::{
    CommandOutcome, CommandStreams,
    client::{CommandReader, CommandRequest, Pod, StreamingProtocol},
};
use tokio::{
    io::{AsyncWrite, AsyncWriteExt, copy, stderr, stdin, stdout},
    net::TcpStream,
};

#[tokio::main]
async fn main() {
    let code = match run().await {
        Ok(CommandOutcome::Failed(text)) => {
            let _ = writeln!(std::io::stderr(), "{text}");
            1
        }
        Ok(outcome) => outcome.exit_code().unwrap_or(1),
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "{error}");
            1
        }
    };
    // A read of the terminal may be in progress, which would hold the runtime.
    std::process::exit(code.into())
}

async fn run() -> Result<CommandOutcome, Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [server, name, command @ ..] = arguments.as_slice() else {
        return Err("usage: exec_client SERVER POD COMMAND...".into());
    };
    let server: Uri = server.parse()?;
    let host = server.host().ok_or("the server has no host")?;
    let port = server.port_u16().unwrap_or(80);
    let pod = Pod {
        namespace: "default",
        name,
        container: None,
    };
    let streams = CommandStreams::from_query("stdin=true&stdout=true&stderr=true");
    let command = command.iter().map(String::as_str);
    let request = CommandRequest::exec(&server, pod, command, streams)?
        .with(|request| request.transport = StreamingProtocol::WebSocketFirst);

    let mut session = request.connect(|| TcpStream::connect((host, port))).await?;
    if let Some(mut input) = session.stdin.take() {
        tokio::spawn(async move {
            // The command may end first.
            if copy(&mut stdin(), &mut input).await.is_ok() {
                let _ = input.shutdown().await;
            }
        });
    }
    let out = write(session.stdout.take(), stdout());
    let err = write(session.stderr.take(), stderr());
    let (out, err, outcome) = tokio::join!(out, err, session.outcome());
    out?;
    err?;
    Ok(outcome?)
}

async fn write(
    from: Option<CommandReader>,
    mut to: impl AsyncWrite + Unpin,
) -> std::io::Result<()> {
    if let Some(mut from) = from {
        copy(&mut from, &mut to).await?;
        to.flush().await?;
    }
    Ok(())
}
