//! The checks of critest's "Streaming", with our client in the place of Go's: a runtime that runs
//! processes, behind the URLs of its streaming server.

#[path = "../../examples/api_server/terminal.rs"]
mod terminal;

use http::Uri;
use lacewing_kube::{
    CommandOutcome, CommandStreams, Terminal,
    client::{CommandRequest, CommandSession, ForwardRequest},
    cri::{AttachRequest, CriOptions, CriServer, ExecRequest, PortForwardRequest, Runtime},
    server::{ExecSession, Forward},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    process::Command,
    time::sleep,
};

use crate::{server::Server, *};

const DRAIN: Duration = Duration::from_secs(2);

/// Runs commands on this machine. The main process of its container is a shell.
struct Processes;

impl Runtime for Processes {
    async fn exec(&self, request: ExecRequest, session: &mut ExecSession) -> CommandOutcome {
        let ran = match request.streams.terminal {
            Terminal::Attached => terminal::run(session, &request.command, DRAIN).await,
            Terminal::None => {
                let mut command = Command::new(&request.command[0]);
                command.args(&request.command[1..]);
                session.run(command, DRAIN).await
            }
        };
        ran.unwrap_or_else(|error| CommandOutcome::Failed(error.to_string()))
    }

    async fn attach(&self, _: AttachRequest, session: &mut ExecSession) -> CommandOutcome {
        let ran = session.run(Command::new("sh"), DRAIN).await;
        ran.unwrap_or_else(|error| CommandOutcome::Failed(error.to_string()))
    }

    async fn port_forward(&self, _: PortForwardRequest, forward: Forward) {
        match TcpStream::connect(("127.0.0.1", forward.port())).await {
            Ok(mut pod) => drop(forward.into_io().relay(&mut pod).await),
            Err(error) => forward.fail(&error.to_string()).await,
        }
    }
}

/// The runtime, and the server of its URLs.
fn runtime() -> (CriServer<Processes>, Server) {
    let options = CriOptions::at("127.0.0.1:1".parse().unwrap());
    let cri = CriServer::new(Processes, options).unwrap();
    let handler = cri.clone();
    (cri, Server::new(move |request| handler.handle(request)))
}

/// Checks the URL as critest does, and adds the query for our client.
fn uri(url: &str, query: &str) -> Uri {
    let uri: Uri = format!("{url}?{query}").parse().unwrap();
    assert_eq!(
        (uri.scheme_str(), uri.authority().map(|host| host.as_str())),
        (Some("http"), Some("127.0.0.1:1"))
    );
    uri
}

async fn exec(transport: StreamingProtocol, query: &str) -> CommandSession {
    let (cri, server) = runtime();
    let url = cri.exec_url(ExecRequest {
        container_id: "c1".to_owned(),
        command: vec!["echo".to_owned(), "hello".to_owned()],
        streams: CommandStreams::from_query(query),
    });
    let request = CommandRequest::new(uri(&url.unwrap(), query))
        .with(|request| request.transport = transport);
    soon(request.connect(|| server.dial())).await.unwrap()
}

#[tokio::test]
async fn exec_without_terminal_and_stdin() {
    for transport in TRANSPORTS {
        let mut session = exec(transport, "stdout=true&stderr=true").await;
        let (mut out, mut err) = (String::new(), String::new());
        let mut stdout = session.stdout.take().unwrap();
        let mut stderr = session.stderr.take().unwrap();
        let read = async {
            tokio::try_join!(
                stdout.read_to_string(&mut out),
                stderr.read_to_string(&mut err)
            )
        };
        soon(read).await.unwrap();
        let outcome = soon(session.outcome()).await.unwrap();
        assert_eq!((out.as_str(), err.as_str()), ("hello\n", ""));
        assert_eq!(outcome, CommandOutcome::Success, "{transport:?}");
    }
}

#[tokio::test]
async fn exec_with_terminal_and_with_or_without_stdin() {
    for transport in TRANSPORTS {
        for query in ["stdin=true&stdout=true&tty=true", "stdout=true&tty=true"] {
            let mut session = exec(transport, query).await;
            assert!(session.stderr.is_none());
            let mut out = [0; 7];
            let mut stdout = session.stdout.take().unwrap();
            soon(stdout.read_exact(&mut out)).await.unwrap();
            // critest ends stdin once it has the output.
            if let Some(mut stdin) = session.stdin.take() {
                // The session may be over.
                let _ = stdin.shutdown().await;
            }
            let mut rest = Vec::new();
            soon(stdout.read_to_end(&mut rest)).await.unwrap();
            let outcome = soon(session.outcome()).await.unwrap();
            assert_eq!((&out, rest.as_slice()), (b"hello\r\n", &b""[..]));
            assert_eq!(outcome, CommandOutcome::Success, "{transport:?}");
        }
    }
}

#[tokio::test]
async fn attach() {
    for transport in TRANSPORTS {
        let (cri, server) = runtime();
        let query = "stdin=true&stdout=true&stderr=true";
        let url = cri.attach_url(AttachRequest {
            container_id: "c1".to_owned(),
            streams: CommandStreams::from_query(query),
        });
        let request = CommandRequest::new(uri(&url.unwrap(), query))
            .with(|request| request.transport = transport);
        let mut session = soon(request.connect(|| server.dial())).await.unwrap();
        let mut stdin = session.stdin.take().unwrap();
        let mut stdout = session.stdout.take().unwrap();
        let mut stderr = session.stderr.take().unwrap();
        soon(stdin.write_all(b"echo hello\n")).await.unwrap();
        let mut out = vec![0; 6];
        soon(stdout.read_exact(&mut out)).await.unwrap();
        // Nothing else comes while stdin is open.
        tokio::select! {
            more = stdout.read_u8() => panic!("{more:?}"),
            () = sleep(Duration::from_millis(200)) => {}
        }
        soon(stdin.shutdown()).await.unwrap();
        let read = async {
            tokio::try_join!(stdout.read_to_end(&mut out), async {
                let mut err = Vec::new();
                stderr.read_to_end(&mut err).await?;
                Ok(err)
            })
        };
        let (_, err) = soon(read).await.unwrap();
        let outcome = soon(session.outcome()).await.unwrap();
        assert_eq!(
            (out.as_slice(), err.as_slice()),
            (&b"hello\n"[..], &b""[..])
        );
        assert_eq!(outcome, CommandOutcome::Success, "{transport:?}");
    }
}

/// A web server behind the port, which answers over several connections of one session.
#[tokio::test]
async fn port_forward() {
    const PAGE: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\nWelcome";
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let pod = tokio::spawn(async move {
        loop {
            let (mut connection, _) = listener.accept().await.unwrap();
            let mut head = [0; 18];
            connection.read_exact(&mut head).await.unwrap();
            assert_eq!(&head, b"GET / HTTP/1.1\r\n\r\n");
            connection.write_all(PAGE).await.unwrap();
        }
    });
    for transport in TRANSPORTS {
        let (cri, server) = runtime();
        let url = cri.port_forward_url(PortForwardRequest {
            pod_sandbox_id: "p1".to_owned(),
            ports: Vec::new(),
        });
        let request = ForwardRequest::new(uri(&url.unwrap(), ""))
            .with(|request| request.transport = transport);
        let session = soon(request.connect(|| server.dial())).await.unwrap();
        for _ in 0..3 {
            let mut stream = soon(session.open(port)).await.unwrap();
            soon(stream.write_all(b"GET / HTTP/1.1\r\n\r\n"))
                .await
                .unwrap();
            let mut page = Vec::new();
            soon(stream.read_to_end(&mut page)).await.unwrap();
            assert_eq!(page, PAGE, "{transport:?}");
        }
        soon(session.close()).await;
    }
    pod.abort();
}
