//! Many sessions over TCP: no descriptor, task, token or memory is left.

use std::{net::SocketAddr, time::Duration};

use axum::{Router, extract::Request, serve::ListenerExt};
use lacewing_kube::{
    CommandOutcome, CommandStreams,
    client::{CommandRequest, CommandSession},
    cri::{AttachRequest, CriOptions, CriServer, ExecRequest, PortForwardRequest, Runtime},
    server::{ExecSession, Forward},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

use crate::{
    ALONE, size,
    waits::{soon, tasks},
};

const QUERY: &str = "stdin=true&stdout=true";

/// Memory that a run may add, after its first part: pages that the allocator keeps.
const GROWTH: usize = 8 << 20;

/// Echoes, and exits with 7.
struct Echo;

impl Runtime for Echo {
    async fn exec(&self, _: ExecRequest, session: &mut ExecSession) -> CommandOutcome {
        let (mut stdin, mut stdout) = (session.stdin.take(), session.stdout.take());
        let copied = tokio::io::copy(stdin.as_mut().unwrap(), stdout.as_mut().unwrap()).await;
        match copied {
            Ok(_) => CommandOutcome::Exited(7),
            Err(error) => CommandOutcome::Failed(error.to_string()),
        }
    }

    async fn attach(&self, _: AttachRequest, _: &mut ExecSession) -> CommandOutcome {
        CommandOutcome::Success
    }

    async fn port_forward(&self, _: PortForwardRequest, forward: Forward) {
        forward.fail("no ports").await;
    }
}

/// A server that lets so many tokens wait at once: one that is left over is missed.
async fn serve(max_tokens: usize) -> (CriServer<Echo>, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    // Small frames would wait for acknowledgements otherwise, a tenth of a second a session.
    let listener = listener.tap_io(|io| io.set_nodelay(true).unwrap());
    let options = CriOptions::at(address).with(|options| options.max_tokens = max_tokens);
    let cri = CriServer::new(Echo, options).unwrap();
    let handler = {
        let cri = cri.clone();
        move |request: Request| std::future::ready(cri.handle(request))
    };
    tokio::spawn(async move { axum::serve(listener, Router::new().fallback(handler)).await });
    (cri, address)
}

fn url(cri: &CriServer<Echo>) -> String {
    let request = ExecRequest {
        container_id: "c1".into(),
        command: vec!["cat".into()],
        streams: CommandStreams::from_query(QUERY),
    };
    format!("{}?{QUERY}", cri.exec_url(request).unwrap())
}

async fn connect(url: &str, address: SocketAddr) -> CommandSession {
    let request = CommandRequest::new(url.parse().unwrap());
    let connect = || async {
        let io = TcpStream::connect(address).await?;
        io.set_nodelay(true)?;
        Ok(io)
    };
    soon(request.connect(connect)).await.unwrap()
}

/// Sends a line, and expects it back with the exit code.
async fn echo(mut session: CommandSession, line: &str) {
    let (mut stdin, mut stdout) = (
        session.stdin.take().unwrap(),
        session.stdout.take().unwrap(),
    );
    soon(stdin.write_all(line.as_bytes())).await.unwrap();
    soon(stdin.shutdown()).await.unwrap();
    let mut answer = String::new();
    soon(stdout.read_to_string(&mut answer)).await.unwrap();
    assert_eq!(answer, line);
    let outcome = soon(session.outcome()).await.unwrap();
    assert_eq!(outcome, CommandOutcome::Exited(7));
}

#[tokio::test]
async fn sessions_one_after_another_leave_nothing() {
    let _alone = ALONE.lock().await;
    let count = size(300, 10_000);
    let (cri, address) = serve(1).await;
    let mut first = None;
    for number in 0..count {
        let session = connect(&url(&cri), address).await;
        echo(session, &number.to_string()).await;
        if number == count / 10 {
            first = Some(settled().await);
        }
    }
    let (first, last) = (first.unwrap(), settled().await);
    assert_eq!(last.descriptors, first.descriptors);
    let growth = last.memory.saturating_sub(first.memory);
    assert!(growth < GROWTH, "{growth} bytes more");
}

#[tokio::test]
async fn sessions_at_once_leave_nothing() {
    let _alone = ALONE.lock().await;
    let count = size(100, 500);
    let (cri, address) = serve(count).await;
    let mut before: Option<Left> = None;
    for round in 0..6 {
        let urls: Vec<_> = (0..count).map(|_| url(&cri)).collect();
        let mut sessions = Vec::new();
        for url in &urls {
            sessions.push(connect(url, address).await);
        }
        // All of them are open, and each has its own line.
        let mut echoes = Vec::new();
        for (number, session) in sessions.into_iter().enumerate() {
            echoes.push(tokio::spawn(async move {
                echo(session, &format!("session {number}")).await;
            }));
        }
        for echo in echoes {
            soon(echo).await.unwrap();
        }
        let left = settled().await;
        if let Some(before) = &before {
            assert_eq!(left.descriptors, before.descriptors);
            let growth = left.memory.saturating_sub(before.memory);
            assert!(growth < GROWTH, "{growth} bytes more");
        }
        // The heap of the allocator has its shape after a few rounds.
        if round == 3 {
            before = Some(left);
        }
    }
}

/// What a process has.
#[derive(Clone, Copy, Debug)]
struct Left {
    tasks: usize,
    descriptors: usize,
    memory: usize,
}

impl Left {
    fn now() -> Self {
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        let memory = status
            .lines()
            .find_map(|line| line.strip_prefix("VmRSS:"))
            .and_then(|rest| rest.split_whitespace().next()?.parse::<usize>().ok());
        Self {
            tasks: tasks(),
            // Elsewhere than on Linux, the tasks alone are counted.
            descriptors: std::fs::read_dir("/proc/self/fd").map_or(0, Iterator::count),
            memory: memory.unwrap_or(0) << 10,
        }
    }
}

/// The task of the listener.
const LISTENER: usize = 1;

/// Waits until only the listener is left: the other tasks end on their own.
async fn settled() -> Left {
    let ended = async {
        while Left::now().tasks > LISTENER {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let in_time = tokio::time::timeout(Duration::from_secs(20), ended).await;
    assert!(in_time.is_ok(), "{:?} is left", Left::now());
    Left::now()
}
