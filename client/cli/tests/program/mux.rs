//! `lacewing mux`: byte streams over one connection.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    process::{Child, ChildStdin, Command, Stdio},
    thread,
};

use lacewing_client::Version;

/// A running side, killed at the end.
pub(crate) struct Side {
    child: Child,
    stdin: Option<ChildStdin>,
    said: BufReader<std::process::ChildStderr>,
}

impl Side {
    pub(crate) fn start(args: &[&str]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_lacewing"))
            .arg("mux")
            .args(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        Self {
            stdin: child.stdin.take(),
            said: BufReader::new(child.stderr.take().unwrap()),
            child,
        }
    }

    /// The address on which it says that it listens.
    pub(crate) fn address(&mut self) -> String {
        let mut line = String::new();
        self.said.read_line(&mut line).unwrap();
        let address = line.trim().rsplit(' ').next().unwrap();
        let _: SocketAddr = address.parse().unwrap();
        address.to_owned()
    }

    pub(crate) fn send(&mut self, bytes: &[u8]) {
        self.stdin.take().unwrap().write_all(bytes).unwrap();
    }

    /// Its output, and its exit code.
    pub(crate) fn finish(mut self) -> (Vec<u8>, Option<i32>) {
        let mut output = Vec::new();
        self.child
            .stdout
            .take()
            .unwrap()
            .read_to_end(&mut output)
            .unwrap();
        (output, self.child.wait().unwrap().code())
    }
}

impl Drop for Side {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn content(length: usize) -> Vec<u8> {
    (0..length).map(|at| (at * 31 % 251) as u8).collect()
}

#[test]
fn stdin_and_stdout_are_joined_both_ways() {
    for version in Version::ALL {
        let protocol = ["--protocol", version.alpn()];
        let mut server = Side::start(&[&protocol[..], &["--listen", "127.0.0.1:0"]].concat());
        let address = server.address();
        let mut client = Side::start(&[&protocol[..], &[&address]].concat());
        let (up, down) = (content(1_000_000), content(300_000));
        let (sent, answered) = (up.clone(), down.clone());
        let mut client_input = client.stdin.take().unwrap();
        let mut server_input = server.stdin.take().unwrap();
        thread::spawn(move || client_input.write_all(&sent));
        thread::spawn(move || server_input.write_all(&answered));
        let reading = thread::spawn(move || server.finish());
        let (output, code) = client.finish();
        assert!(output == down, "{version}: {} bytes", output.len());
        assert_eq!(code, Some(0), "{version}");
        let (output, code) = reading.join().unwrap();
        assert!(output == up, "{version}: {} bytes", output.len());
        assert_eq!(code, Some(0), "{version}");
    }
}

#[test]
fn kubernetes_peers_are_joined_too() {
    let mut server = Side::start(&["--kubernetes", "--listen", "127.0.0.1:0"]);
    let address = server.address();
    let mut client = Side::start(&["--kubernetes", "-H", "streamtype: data", &address]);
    client.send(b"hello");
    server.send(b"bye");
    let (output, code) = client.finish();
    assert_eq!((output.as_slice(), code), (&b"bye"[..], Some(0)));
    let (output, code) = server.finish();
    assert_eq!((output.as_slice(), code), (&b"hello"[..], Some(0)));
}

/// A peer that is killed, while stdin is open.
#[test]
fn a_peer_that_is_gone_ends_the_other_side() {
    for version in Version::ALL {
        let protocol = ["--protocol", version.alpn()];
        let mut server = Side::start(&[&protocol[..], &["--listen", "127.0.0.1:0"]].concat());
        let address = server.address();
        let mut client = Side::start(&[&protocol[..], &[&address]].concat());
        server.stdin.as_mut().unwrap().write_all(b"hello").unwrap();
        let mut hello = [0; 5];
        client
            .child
            .stdout
            .as_mut()
            .unwrap()
            .read_exact(&mut hello)
            .unwrap();
        drop(server);
        let open = client.stdin.take();
        let (output, code) = client.finish();
        assert_eq!((output.len(), code), (0, Some(56)), "{version}");
        drop(open);
    }
}

#[test]
fn tcp_connections_share_one_connection() {
    // An echo server, which sees the end of each half.
    let echo = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let target = echo.local_addr().unwrap().to_string();
    thread::spawn(move || {
        for stream in echo.incoming() {
            let mut stream = stream.unwrap();
            thread::spawn(move || {
                let mut bytes = Vec::new();
                stream.read_to_end(&mut bytes).unwrap();
                stream.write_all(&bytes).unwrap();
            });
        }
    });
    for version in Version::ALL {
        let protocol = ["--protocol", version.alpn()];
        let mut far =
            Side::start(&[&protocol[..], &["-l", "127.0.0.1:0", "--to", &target]].concat());
        let address = far.address();
        let mut near =
            Side::start(&[&protocol[..], &["--local", "127.0.0.1:0", &address]].concat());
        let local = near.address();
        let clients: Vec<_> = (0..10)
            .map(|number| {
                let local = local.clone();
                thread::spawn(move || {
                    let sent = content(50_000 + number);
                    let mut stream = TcpStream::connect(local).unwrap();
                    stream.write_all(&sent).unwrap();
                    stream.shutdown(Shutdown::Write).unwrap();
                    let mut echoed = Vec::new();
                    stream.read_to_end(&mut echoed).unwrap();
                    assert!(echoed == sent, "{} bytes", echoed.len());
                })
            })
            .collect();
        for client in clients {
            client.join().unwrap();
        }
        // The end of the connection is reported.
        drop(far);
        let (_, code) = near.finish();
        assert_eq!(code, Some(56), "{version}");
    }
}

#[test]
fn an_address_without_a_listener_is_an_error() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let address = listener.local_addr().unwrap().to_string();
    drop(listener);
    let (output, code) = Side::start(&[&address]).finish();
    assert_eq!((output.len(), code), (0, Some(7)));
}

#[test]
fn a_port_that_is_taken_is_named_with_a_remedy() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let (listen, port) = (address.to_string(), address.port());
    for args in [
        &["mux", "--listen", &listen][..],
        &["tap", &listen, "http://127.0.0.1:1"],
        &["conform", "--client", "--listen", &listen],
    ] {
        let (code, _, said) = super::lacewing::ended(&super::lacewing::run(args));
        assert_eq!(code, Some(23), "{args:?}: {said}");
        let remedy = format!(
            "cannot listen on {listen}: {}; another program has \
             port {port}: stop it, or choose another port",
            TcpListener::bind(address).unwrap_err()
        );
        assert!(said.contains(&remedy), "{args:?}: {said}");
    }
}
