//! `lacewing conform` over sockets.
#![cfg(feature = "cli")]

use std::{convert::Infallible, process::Stdio};

use http::{Request, Response};
use lacewing_server::{Incoming, Server, service_fn};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::TcpListener,
    process::Command,
};

fn tool(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_lacewing"));
    command.arg("conform").args(arguments).kill_on_drop(true);
    command
}

async fn server() -> String {
    let server = Server::builder().bind(([127, 0, 0, 1], 0).into());
    let server = server.build().await.unwrap();
    let address = server.local_addrs().next().unwrap();
    let service = service_fn(|_: Request<Incoming>| async {
        Ok::<_, Infallible>(Response::new(String::from("hello, world")))
    });
    tokio::spawn(server.serve(service));
    format!("http://{address}/")
}

#[tokio::test]
async fn a_server_is_tested_and_reported() {
    let reports = std::env::temp_dir().join(format!("lacewing-conform-{}", std::process::id()));
    std::fs::create_dir_all(&reports).unwrap();
    let (junit, json) = (reports.join("r.xml"), reports.join("r.json"));
    let (junit, json) = (junit.to_str().unwrap(), json.to_str().unwrap());
    let url = server().await;
    let arguments = [
        &url, "--strict", "--only", "6.7", "--only", "4.1/1", "--junit", junit, "--json", json,
    ];
    let output = tool(&arguments).output().await.unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(0), "{text}");
    assert!(text.contains("7 passed, 0 failed"), "{text}");

    let junit = std::fs::read_to_string(junit).unwrap();
    assert_eq!(junit.matches("<testcase ").count(), 7, "{junit}");
    let json = std::fs::read_to_string(json).unwrap();
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["passed"], 7);
    assert_eq!(json["cases"][0]["id"], "4.1/1");
    std::fs::remove_dir_all(&reports).unwrap();
}

#[tokio::test]
async fn a_server_that_is_none_fails() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    // It sends back what it gets.
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let (mut from, mut to) = stream.split();
                tokio::io::copy(&mut from, &mut to).await
            });
        }
    });
    let arguments = [url.as_str(), "--timeout", "0.2", "--only", "6.7"];
    let output = tool(&arguments).output().await.unwrap();
    assert_eq!(output.status.code(), Some(3));
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("6.7/1 failed (MUST)"), "{text}");
}

#[tokio::test]
async fn clients_are_tested_one_case_a_connection() {
    let arguments = ["--client", "--listen", "127.0.0.1:0", "--only", "3.4/3"];
    let mut child = tool(&arguments)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let line = lines.next_line().await.unwrap().unwrap();
    let address = line
        .split("http://")
        .nth(1)
        .and_then(|rest| rest.split('/').next());
    // A client that takes its leave of a server that begins with an
    // acknowledgement.
    let mut stream = tokio::net::TcpStream::connect(address.unwrap())
        .await
        .unwrap();
    let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
    stream.write_all(preface).await.unwrap();
    let mut answer = [0; 9];
    stream.read_exact(&mut answer).await.unwrap();
    assert_eq!(answer, *b"\0\0\0\x04\x01\0\0\0\0");
    drop(stream);
    let output = child.wait_with_output().await.unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(0), "{text}");
    assert!(text.contains("1 passed, 0 failed"), "{text}");
}
