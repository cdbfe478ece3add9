//! A runtime's streaming server on a Unix socket, and its log of sessions.

use std::path::PathBuf;

use axum::{Router, extract::Request};
use http::Uri;
use lacewing_kube::{
    CommandOutcome, CommandStreams, KubeError,
    client::ForwardRequest,
    cri::{
        AttachRequest, CriOptions, CriServer, ExecRequest, PortForwardRequest, Runtime, SessionEnd,
        SessionRequest,
    },
    server::{ExecSession, Forward},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{UnixListener, UnixStream},
    sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel},
};

use crate::*;

const LONG: Duration = Duration::from_secs(600);

/// Echoes, exits with 3, and logs.
struct Logged(UnboundedSender<SessionEnd>);

impl Runtime for Logged {
    async fn exec(&self, _: ExecRequest, session: &mut ExecSession) -> CommandOutcome {
        let mut stdout = session.stdout.take().unwrap();
        let mut stdin = session.stdin.take().unwrap();
        tokio::io::copy(&mut stdin, &mut stdout).await.unwrap();
        CommandOutcome::from_exit_code(3)
    }

    async fn attach(&self, _: AttachRequest, _: &mut ExecSession) -> CommandOutcome {
        panic!("a defect of the runtime")
    }

    async fn port_forward(&self, _: PortForwardRequest, forward: Forward) {
        let (mut pod, mut near) = tokio::io::duplex(64);
        pod.write_all(b"hello").await.unwrap();
        drop(pod);
        let _ = forward.into_io().relay(&mut near).await;
    }

    fn session_ended(&self, end: SessionEnd) {
        self.0.send(end).unwrap();
    }
}

/// The runtime behind a socket, which ends with the folder.
struct Served {
    cri: CriServer<Logged>,
    folder: PathBuf,
    ends: UnboundedReceiver<SessionEnd>,
}

impl Served {
    fn start(name: &str, stream_creation_timeout: Duration) -> Self {
        let folder = std::env::temp_dir().join(format!("kube-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let listener = UnixListener::bind(folder.join("socket")).unwrap();
        let (log, ends) = unbounded_channel();
        let options = CriOptions::new("http://localhost/").with(|options| {
            options.limits.stream_creation_timeout = stream_creation_timeout;
        });
        let cri = CriServer::new(Logged(log), options).unwrap();
        let handler = cri.clone();
        let app = Router::new().fallback(async move |request: Request| handler.handle(request));
        tokio::spawn(async move { axum::serve(listener, app).await });
        Self { cri, folder, ends }
    }

    async fn dial(&self) -> std::io::Result<UnixStream> {
        UnixStream::connect(self.folder.join("socket")).await
    }

    fn exec_url(&self) -> (ExecRequest, String) {
        let request = ExecRequest {
            container_id: "c1".to_owned(),
            command: vec!["cat".to_owned()],
            streams: CommandStreams::from_query("stdin=true&stdout=true"),
        };
        (request.clone(), self.cri.exec_url(request).unwrap())
    }

    fn port_forward_url(&self) -> String {
        let request = PortForwardRequest {
            pod_sandbox_id: "pod".to_owned(),
            ports: Vec::new(),
        };
        self.cri.port_forward_url(request).unwrap()
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

#[tokio::test]
async fn commands_pass_and_are_logged() {
    let mut served = Served::start("exec", LONG);
    for transport in TRANSPORTS {
        let (request, url) = served.exec_url();
        let uri: Uri = format!("{url}?stdin=true&stdout=true").parse().unwrap();
        let client = CommandRequest::new(uri).with(|request| request.transport = transport);
        let mut session = soon(client.connect(|| served.dial())).await.unwrap();
        let mut stdin = session.stdin.take().unwrap();
        let mut stdout = session.stdout.take().unwrap();
        stdin.write_all(b"input").await.unwrap();
        stdin.shutdown().await.unwrap();
        let mut text = String::new();
        soon(stdout.read_to_string(&mut text)).await.unwrap();
        assert_eq!(text, "input");
        let outcome = soon(session.outcome()).await.unwrap();
        assert_eq!(outcome, CommandOutcome::Exited(3), "{transport:?}");
        drop((stdin, stdout, session));

        let end = soon(served.ends.recv()).await.unwrap();
        assert_eq!(end.request, SessionRequest::Exec(request));
        assert_eq!(end.outcome, Some(CommandOutcome::Exited(3)));
        assert!(end.error.is_none(), "{transport:?}: {:?}", end.error);
    }
}

#[tokio::test]
async fn a_session_whose_runtime_panics_is_logged() {
    let mut served = Served::start("panic", LONG);
    let request = AttachRequest {
        container_id: "c1".to_owned(),
        streams: CommandStreams::from_query("stdout=true"),
    };
    let url = served.cri.attach_url(request.clone()).unwrap();
    let uri: Uri = format!("{url}?stdout=true").parse().unwrap();
    let client = CommandRequest::new(uri);
    let mut session = soon(client.connect(|| served.dial())).await.unwrap();
    let outcome = soon(session.outcome()).await.unwrap();
    assert!(matches!(outcome, CommandOutcome::Failed(_)), "{outcome:?}");
    let end = soon(served.ends.recv()).await.unwrap();
    assert_eq!(end.request, SessionRequest::Attach(request));
    assert_eq!(end.outcome, None);
}

#[tokio::test]
async fn forwards_pass_and_are_counted() {
    let mut served = Served::start("forward", LONG);
    let request = ForwardRequest::new(served.port_forward_url().parse().unwrap());
    let session = soon(request.connect(|| served.dial())).await.unwrap();
    for _ in 0..2 {
        let mut stream = soon(session.open(80)).await.unwrap();
        let mut text = String::new();
        soon(stream.read_to_string(&mut text)).await.unwrap();
        assert_eq!(text, "hello");
    }
    drop(session);
    let end = soon(served.ends.recv()).await.unwrap();
    assert!(matches!(end.request, SessionRequest::PortForward(_)));
    assert_eq!((end.connections, end.outcome), (2, None));
    assert!(end.error.is_none(), "{:?}", end.error);
}

/// A client that opens no streams gets no command, and the log says so.
#[tokio::test]
async fn a_session_that_does_not_start_is_logged() {
    let mut served = Served::start("silent", Duration::from_millis(50));
    let (_, url) = served.exec_url();
    let path = url.strip_prefix("http://localhost").unwrap();
    let mut silent = served.dial().await.unwrap();
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\n\
         Content-Length: 0\r\nX-Stream-Protocol-Version: v4.channel.k8s.io\r\n\r\n"
    );
    silent.write_all(head.as_bytes()).await.unwrap();
    let end = soon(served.ends.recv()).await.unwrap();
    assert_eq!((end.outcome, end.connections), (None, 0));
    assert!(
        matches!(end.error, Some(KubeError::TimedOut { .. })),
        "{:?}",
        end.error
    );
}
