//! `load --mux`: raw streams, and the peer that echoes them.

use std::{
    fs,
    io::{BufRead as _, BufReader},
    process::{Child, Command, Stdio},
};

use http::HeaderMap;
use lacewing_client::Version;
use lacewing_conn::driver::{Mux, MuxConfig};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::{Side, load, on_thread};
use crate::{curl::scratch, support::pattern};

/// `lacewing mux --echo`, killed at the end.
struct Echo {
    child: Child,
    url: String,
}

impl Echo {
    fn start(args: &[&str]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_lacewing"))
            .args(["mux", "--listen", "127.0.0.1:0", "--echo"])
            .args(args)
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let mut said = BufReader::new(child.stderr.take().unwrap());
        said.read_line(&mut line).unwrap();
        let address = line.trim().rsplit(' ').next().unwrap();
        let url = format!("http://{address}/");
        Self { child, url }
    }
}

impl Drop for Echo {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// More than the first windows, so that both sides wait for credit.
#[test]
fn streams_come_back_whole_in_every_protocol() {
    let file = scratch("load-mux").join("block");
    fs::write(&file, pattern(200_000)).unwrap();
    let data = format!("@{}", file.display());
    for version in Version::ALL {
        let protocol = ["--protocol", version.alpn()];
        let echo = Echo::start(&protocol);
        let args = ["--mux", "-d", &data, "-n", "150", "-m", "20", "-c", "2"];
        let (code, report, said) = load(&[&args[..], &protocol, &[&echo.url]].concat());
        assert_eq!((code, said.as_str()), (Some(0), ""), "{report}");
        assert!(
            report.contains("load of raw streams to http://"),
            "{report}"
        );
        assert!(report.contains("raw streams    150 echoed"), "{report}");
        assert!(report.contains("150 answered, 0 failed"), "{report}");
        let received = format!("{} bytes of content", 150 * 200_000);
        assert!(report.contains(&received), "{version}: {report}");
    }
}

/// Without `--protocol`, both commands speak the same.
#[test]
fn empty_streams_count_too_and_the_loop_may_be_open() {
    let echo = Echo::start(&[]);
    let (code, report, _) = load(&["--mux", "-n", "50", "-m", "5", &echo.url]);
    assert_eq!(code, Some(0), "{report}");
    assert!(report.contains("protocol       spdy/3.1"), "{report}");
    let pace = [
        "--mux", "-d", "ping", "--rate", "200", "-n", "100", "-m", "50",
    ];
    let (code, report, _) = load(&[&pace[..], &["--report", "json", &echo.url]].concat());
    assert_eq!(code, Some(0), "{report}");
    let report: serde_json::Value = serde_json::from_str(&report).unwrap();
    assert_eq!(report["requests"]["answered"], 100, "{report:#}");
    assert_eq!(report["responseTime"]["n"], 100, "{report:#}");
}

/// A peer that sends back less, or other bytes.
#[test]
fn what_does_not_come_back_is_a_failure() {
    let (send, receive) = std::sync::mpsc::channel();
    on_thread(async move {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        send.send(listener.local_addr().unwrap()).unwrap();
        let (io, _) = listener.accept().await.unwrap();
        let config = MuxConfig::new(Side::Server);
        let (mux, connection) = Mux::server(io, Version::Spdy31, config);
        let connection = tokio::spawn(connection);
        let mut number = 0;
        while let Some((_, mut stream)) = mux.accept().await {
            stream.reply(HeaderMap::new());
            let mut sent = Vec::new();
            stream.read_to_end(&mut sent).await.unwrap();
            number += 1;
            match number {
                1 => sent.truncate(3),
                2 => sent[4] ^= 1,
                _ => {}
            }
            // The other side may give the stream up.
            let _ = stream.write_all(&sent).await;
            let _ = stream.shutdown().await;
        }
        let _ = connection.await;
    });
    let url = format!("http://{}/", receive.recv().unwrap());
    let args = [
        "--mux",
        "-d",
        "0123456789",
        "-n",
        "5",
        "--max-error-rate",
        "1%",
    ];
    let (code, report, _) = load(&[&args[..], &[&url]].concat());
    assert_eq!(code, Some(1), "{report}");
    assert!(report.contains("3 answered, 2 failed"), "{report}");
    assert!(report.contains("3 bytes of 10 came back"), "{report}");
    assert!(report.contains("other bytes came back"), "{report}");
}

#[test]
fn what_raw_streams_have_not_is_refused() {
    for args in [
        &["--protocol", "http/1.1"][..],
        &["-X", "PUT"],
        &["--har", "x.har"],
    ] {
        let (code, _, said) = load(&[args, &["--mux", "http://127.0.0.1:1/"]].concat());
        assert_eq!(code, Some(2), "{args:?}: {said}");
    }
}
