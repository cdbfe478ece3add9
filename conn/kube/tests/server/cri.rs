//! The streaming server of a container runtime, over TCP and axum.

use std::net::SocketAddr;

use axum::{Router, extract::Request as AxumRequest};
use lacewing_kube::{
    CommandOutcome,
    cri::{AttachRequest, CriOptions, CriServer, ExecRequest, PortForwardRequest, Runtime},
    server::Forward,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

use crate::*;

/// Echoes; `exec` prints its command first, and exits with 3.
struct Echo;

impl Runtime for Echo {
    async fn exec(&self, request: ExecRequest, session: &mut ExecSession) -> CommandOutcome {
        let mut stdout = session.stdout.take().unwrap();
        let line = format!("{}: {}\n", request.container_id, request.command.join(" "));
        stdout.write_all(line.as_bytes()).await.unwrap();
        if let Some(mut stdin) = session.stdin.take() {
            tokio::io::copy(&mut stdin, &mut stdout).await.unwrap();
        }
        CommandOutcome::from_exit_code(3)
    }

    async fn attach(&self, _: AttachRequest, session: &mut ExecSession) -> CommandOutcome {
        session.cancellation().cancelled().await;
        CommandOutcome::Success
    }

    async fn port_forward(&self, request: PortForwardRequest, forward: Forward) {
        let text = format!("{}:{}", request.pod_sandbox_id, forward.port());
        forward.fail(&text).await;
    }
}

async fn serve(change: impl FnOnce(&mut CriOptions)) -> (CriServer<Echo>, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let cri = CriServer::new(Echo, CriOptions::at(address).with(change)).unwrap();
    let handler = {
        let cri = cri.clone();
        move |request: AxumRequest| std::future::ready(cri.handle(request))
    };
    tokio::spawn(async move { axum::serve(listener, Router::new().fallback(handler)).await });
    (cri, address)
}

fn exec(streams: &str) -> ExecRequest {
    ExecRequest {
        container_id: "c1".into(),
        command: vec!["sh".into(), "-c".into()],
        streams: CommandStreams::from_query(streams),
    }
}

/// Sends a request, and returns the response's head and the transport behind it.
async fn ask(address: SocketAddr, method: &str, path: &str, fields: &str) -> (String, TcpStream) {
    let mut io = TcpStream::connect(address).await.unwrap();
    let request = format!("{method} {path} HTTP/1.1\r\nHost: node\r\n{fields}\r\n");
    io.write_all(request.as_bytes()).await.unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(soon(io.read_u8()).await.unwrap());
    }
    (String::from_utf8(head).unwrap(), io)
}

const SPDY: &str = "Connection: Upgrade\r\nUpgrade: SPDY/3.1\r\nContent-Length: 0\r\n\
                    X-Stream-Protocol-Version: v4.channel.k8s.io\r\n";

#[tokio::test]
async fn a_command_by_its_url() {
    let (cri, address) = serve(|_| ()).await;
    let url = cri.exec_url(exec("stdin=true&stdout=true")).unwrap();
    let path = url.strip_prefix(&format!("http://{address}")).unwrap();
    assert!(path.starts_with("/exec/"), "{url}");
    let (head, io) = ask(address, "POST", path, SPDY).await;
    assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
    let mut client = Peer::new(io, Version::Spdy31);
    for (id, kind) in [(1, "error"), (3, "stdin"), (5, "stdout")] {
        client.open(id, &[("streamtype", kind)]).await;
        soon(client.expect_reply(id)).await;
    }
    client.data(3, b"input", true).await;
    let (output, outcome) = output_and_outcome(&mut client, 5).await;
    assert_eq!(String::from_utf8_lossy(&output), "c1: sh -c\ninput");
    assert_eq!(outcome, CommandOutcome::Exited(3));
    // The token is spent.
    let (head, _) = ask(address, "POST", path, SPDY).await;
    assert!(head.starts_with("HTTP/1.1 404 "), "{head}");
}

#[tokio::test]
async fn port_forwards_by_both_names() {
    let (cri, address) = serve(|_| ()).await;
    for name in ["portforward", "port-forward"] {
        let request = PortForwardRequest {
            pod_sandbox_id: "pod".into(),
            ports: Vec::new(),
        };
        let url = cri.port_forward_url(request).unwrap();
        let path = url.strip_prefix(&format!("http://{address}")).unwrap();
        let path = path.replace("portforward", name);
        let fields = SPDY.replace("v4.channel.k8s.io", "portforward.k8s.io");
        let (head, io) = ask(address, "POST", &path, &fields).await;
        assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
        let mut client = Peer::new(io, Version::Spdy31);
        for (id, kind) in [(1, "error"), (3, "data")] {
            client
                .open(
                    id,
                    &[("streamtype", kind), ("port", "8080"), ("requestid", "0")],
                )
                .await;
            soon(client.expect_reply(id)).await;
        }
        assert_eq!(soon(client.expect_data(1)).await, b"pod:8080");
    }
}

#[tokio::test]
async fn tokens_are_spent_before_anything_is_checked() {
    let (cri, address) = serve(|_| ()).await;
    let path = |url: String| url.replace(&format!("http://{address}"), "");
    let attach = AttachRequest {
        container_id: "c1".into(),
        streams: CommandStreams::from_query("stdout=true"),
    };
    for (fields, wrong_kind, status) in [("", false, 400), (SPDY, true, 404)] {
        let url = path(cri.attach_url(attach.clone()).unwrap());
        let first = match wrong_kind {
            true => url.replace("attach", "exec"),
            false => url.clone(),
        };
        let (head, _) = ask(address, "GET", &first, fields).await;
        assert!(head.starts_with(&format!("HTTP/1.1 {status} ")), "{head}");
        let (head, mut io) = ask(address, "POST", &url, SPDY).await;
        assert!(head.starts_with("HTTP/1.1 404 "), "{head}");
        let mut body = [0; 19];
        soon(io.read_exact(&mut body)).await.unwrap();
        assert_eq!(&body, b"404 page not found\n");
    }
    for path in ["/", "/exec", "/exec/", "/exec/x", "/nothing/x", "/exec/x/y"] {
        let (head, _) = ask(address, "GET", path, "").await;
        assert!(head.starts_with("HTTP/1.1 404 "), "{path}: {head}");
    }
    let (head, _) = ask(address, "DELETE", "/exec/x", "").await;
    assert!(head.starts_with("HTTP/1.1 405 "), "{head}");
}

#[test]
fn requests_are_checked_and_counted() {
    let options = CriOptions::new("http://127.0.0.1:1/").with(|options| options.max_tokens = 1);
    let cri = CriServer::new(Echo, options).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap();
    let _entered = runtime.enter();
    let code = |error: lacewing_kube::cri::CriError| (error.grpc_code(), error.to_string());
    let wrong = ExecRequest {
        container_id: String::new(),
        ..exec("stdout=true")
    };
    assert_eq!(
        code(cri.exec_url(wrong).unwrap_err()),
        (3, "missing required container_id".into())
    );
    let (none, mut both) = (exec(""), exec("stdout=true&tty=true"));
    both.streams.stderr = true;
    assert_eq!(
        code(cri.exec_url(both).unwrap_err()).1,
        "tty and stderr cannot both be true"
    );
    let text = "one of stdin, stdout, or stderr must be set";
    assert_eq!(code(cri.exec_url(none).unwrap_err()).1, text);
    let wrong = PortForwardRequest {
        pod_sandbox_id: String::new(),
        ports: Vec::new(),
    };
    assert_eq!(code(cri.port_forward_url(wrong).unwrap_err()).0, 3);
    cri.exec_url(exec("stdout=true")).unwrap();
    let (full, text) = code(cri.exec_url(exec("stdout=true")).unwrap_err());
    assert_eq!(full, 8, "{text}");
    assert!(text.contains("max_tokens"), "{text}");
}

#[test]
fn urls_are_absolute() {
    for (base, start) in [
        ("http://[::1]:10010", "http://[::1]:10010/exec/"),
        ("https://node:1/", "https://node:1/exec/"),
        ("http://node:1/cri/", "http://node:1/cri/exec/"),
        ("http://node:1/cri/x", "http://node:1/cri/exec/"),
    ] {
        let cri = CriServer::new(Echo, CriOptions::new(base)).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .unwrap();
        let _entered = runtime.enter();
        let url = cri.exec_url(exec("stdout=true")).unwrap();
        assert!(url.starts_with(start), "{url}");
    }
    for base in ["", "/cri", "//node:1/", "node:1"] {
        assert!(
            CriServer::new(Echo, CriOptions::new(base)).is_err(),
            "{base}"
        );
    }
}
