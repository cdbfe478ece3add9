//! `get` through HTTP proxies.

use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    process::Command,
    sync::{Arc, Mutex},
    thread,
};

use lacewing_client::Version;

use super::{
    lacewing::ended,
    servers::{self_signed, server},
};

/// The variables that name proxies.
const VARIABLES: [&str; 8] = [
    "http_proxy",
    "HTTP_PROXY",
    "https_proxy",
    "HTTPS_PROXY",
    "all_proxy",
    "ALL_PROXY",
    "no_proxy",
    "NO_PROXY",
];

/// Names and values of variables.
pub(super) type Variables<'a> = &'a [(&'a str, &'a str)];

/// A proxy that makes tunnels to this host, and the heads that it got.
pub(super) struct Proxy {
    pub(super) address: SocketAddr,
    heads: Arc<Mutex<Vec<String>>>,
}

impl Proxy {
    /// A proxy that answers with this status line, and tunnels if it is 200.
    pub(super) fn start(status: &'static str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let heads = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&heads);
        thread::spawn(move || {
            for client in listener.incoming() {
                let seen = Arc::clone(&seen);
                thread::spawn(move || tunnel(client.unwrap(), status, &seen));
            }
        });
        Self { address, heads }
    }

    fn heads(&self) -> Vec<String> {
        self.heads.lock().unwrap().clone()
    }
}

fn tunnel(mut client: TcpStream, status: &str, seen: &Mutex<Vec<String>>) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        if client.read_exact(&mut byte).is_err() {
            return;
        }
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).unwrap();
    let target = head.split(' ').nth(1).unwrap().to_owned();
    seen.lock().unwrap().push(head);
    let answer = format!("HTTP/1.1 {status}\r\n\r\n");
    client.write_all(answer.as_bytes()).unwrap();
    if !status.starts_with("200") {
        return;
    }
    join(client, target.rsplit(':').next().unwrap().parse().unwrap());
}

/// Copies both ways between a client and a port of this machine: whatever the name, the servers of
/// the tests are here.
pub(super) fn join(mut client: TcpStream, port: u16) {
    let server = TcpStream::connect((std::net::Ipv4Addr::LOCALHOST, port)).unwrap();
    let (mut from, mut to) = (client.try_clone().unwrap(), server.try_clone().unwrap());
    thread::spawn(move || copy(&mut from, &mut to));
    copy(&mut &server, &mut client);
}

fn copy(from: &mut impl std::io::Read, to: &mut TcpStream) {
    let _ = std::io::copy(from, to);
    let _ = to.shutdown(std::net::Shutdown::Write);
}

/// Runs `get` with these variables, and no others about proxies.
pub(super) fn get(variables: Variables<'_>, args: &[&str]) -> (Option<i32>, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_lacewing"));
    command.arg("get").args(args);
    for name in VARIABLES {
        command.env_remove(name);
    }
    for (name, value) in variables {
        command.env(name, value);
    }
    ended(&command.output().unwrap())
}

#[test]
fn every_protocol_passes_a_tunnel_and_names_are_the_proxys() {
    let proxy = Proxy::start("200 OK");
    let name = proxy.address.to_string();
    for version in Version::ALL {
        let port = server(version).port();
        let url = format!("http://no-such-host.invalid:{port}/hello");
        let args = ["-x", &name, "-p", version.alpn(), &url];
        let (code, out, said) = get(&[], &args);
        assert_eq!((code, out.as_str()), (Some(0), "hello world"), "{said}");
        let head = proxy.heads().pop().unwrap();
        let target = format!("no-such-host.invalid:{port}");
        let start = format!("CONNECT {target} HTTP/1.1\r\n");
        assert!(head.starts_with(&start), "{head}");
        assert!(head.contains(&format!("host: {target}\r\n")), "{head}");
        assert!(!head.contains("proxy-authorization"), "{head}");
    }
    let url = format!("https://localhost:{}/hello", self_signed().port());
    let args = ["-x", &name, "-k", "-w", " %{http_version}", &url];
    let (code, out, said) = get(&[], &args);
    assert_eq!((code, out.as_str()), (Some(0), "hello world 2"), "{said}");
}

#[test]
fn a_proxy_gets_its_credentials_and_the_server_does_not() {
    let proxy = Proxy::start("200 OK");
    let url = format!("http://{}/hello", server(Version::Http2));
    let in_url = format!("http://us%65r:pass@{}", proxy.address);
    let basic = "proxy-authorization: Basic dXNlcjpwYXNz\r\n";
    let (code, _, said) = get(&[], &["-v", "-x", &in_url, &url]);
    assert_eq!(code, Some(0), "{said}");
    assert!(proxy.heads()[0].contains(basic), "{:?}", proxy.heads());
    assert!(!said.contains("proxy-authorization"), "{said}");
    let name = proxy.address.to_string();
    let (code, _, said) = get(&[], &["-x", &name, "-U", "user:pass", &url]);
    assert_eq!(code, Some(0), "{said}");
    assert!(proxy.heads()[1].contains(basic), "{:?}", proxy.heads());
}

#[test]
fn the_environment_is_read_as_curl_reads_it() {
    let proxy = Proxy::start("200 OK");
    let name = format!("http://{}", proxy.address);
    let http = format!("http://{}/hello", server(Version::Http2));
    let https = format!("https://localhost:{}/hello", self_signed().port());
    let cases: [(Variables<'_>, &[&str], &str, bool); 11] = [
        (&[("http_proxy", &name)], &[], &http, true),
        // A client of a CGI program could set it.
        (&[("HTTP_PROXY", &name)], &[], &http, false),
        (&[("http_proxy", &name)], &[], &https, false),
        (&[("HTTPS_PROXY", &name)], &[], &https, true),
        (&[("ALL_PROXY", &name)], &[], &https, true),
        (&[("all_proxy", &name)], &[], &http, true),
        (
            &[("all_proxy", &name), ("no_proxy", "localhost")],
            &[],
            &https,
            false,
        ),
        (
            &[("all_proxy", &name), ("NO_PROXY", "*")],
            &[],
            &http,
            false,
        ),
        (
            &[("all_proxy", &name), ("no_proxy", "*")],
            &["--noproxy", "b.example"],
            &http,
            true,
        ),
        (&[("all_proxy", &name)], &["-x", ""], &http, false),
        (&[("no_proxy", "127.0.0.0/8")], &["-x", &name], &http, false),
    ];
    for (variables, args, url, proxied) in cases {
        let before = proxy.heads().len();
        let (code, out, said) = get(variables, &[&["-k", url], args].concat());
        assert_eq!((code, out.as_str()), (Some(0), "hello world"), "{said}");
        let tunnels = proxy.heads().len() - before;
        assert_eq!(
            tunnels,
            usize::from(proxied),
            "{variables:?} {args:?} {url}"
        );
    }
}

#[test]
fn a_proxy_that_makes_no_tunnel_is_named() {
    let url = "http://a.example/";
    let refusing = Proxy::start("407 Proxy Authentication Required");
    let closing = TcpListener::bind("127.0.0.1:0").unwrap();
    let closed = closing.local_addr().unwrap().to_string();
    thread::spawn(move || closing.incoming().for_each(drop));
    let refusing = refusing.address.to_string();
    let socks = [("all_proxy", "socks4://127.0.0.1:1")];
    let cases: [(Variables<'_>, &[&str], i32, &str); 8] = [
        (&[], &["-x", &refusing], 56, "407"),
        (
            &[],
            &["-x", &refusing],
            56,
            "give a name and a password by --proxy-user",
        ),
        (
            &[],
            &["-x", &refusing, "-U", "user:wrong"],
            56,
            "does not accept this name",
        ),
        (&[], &["-x", &closed], 56, "did not answer to CONNECT"),
        (&[], &["-x", "127.0.0.1:1"], 7, "the proxy 127.0.0.1:1"),
        (&[], &["-x", "no-such-host.invalid"], 5, "invalid:1080"),
        (
            &[],
            &["-x", "socks5h://127.0.0.1:1"],
            7,
            "the proxy 127.0.0.1:1",
        ),
        (&socks, &[], 2, "all_proxy: a proxy of socks4"),
    ];
    for (variables, args, code, text) in cases {
        let (ended, _, said) = get(variables, &[args, &[url]].concat());
        assert_eq!(ended, Some(code), "{args:?}: {said}");
        assert!(said.contains(text), "{args:?}: {said}");
    }
    let (code, _, said) = get(&[], &["-x", "socks4a://a", url]);
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("socks4a is not supported"), "{said}");
}

/// A proxy behind TLS: its own tunnel to the proxy that `Proxy` is.
fn secure_proxy(inner: SocketAddr, folder: &std::path::Path) -> SocketAddr {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    std::fs::write(folder.join("proxy.pem"), made.cert.pem()).unwrap();
    let key = rustls::pki_types::PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .unwrap();
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let (send, receive) = std::sync::mpsc::channel();
    thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        runtime.unwrap().block_on(async move {
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            send.send(listener.local_addr().unwrap()).unwrap();
            while let Ok((io, _)) = listener.accept().await {
                let acceptor = acceptor.clone();
                tokio::spawn(async move {
                    // A client that does not trust it ends the handshake.
                    let Ok(mut io) = acceptor.accept(io).await else {
                        return;
                    };
                    let mut inner = tokio::net::TcpStream::connect(inner).await.unwrap();
                    let _ = tokio::io::copy_bidirectional(&mut io, &mut inner).await;
                });
            }
        });
    });
    receive.recv().unwrap()
}

#[test]
fn a_proxy_may_be_behind_tls() {
    let proxy = Proxy::start("200 OK");
    let folder = super::curl::scratch("secure-proxy");
    let port = secure_proxy(proxy.address, &folder).port();
    let proxied = format!("https://user:pass@localhost:{port}");
    let ca = folder.join("proxy.pem");
    let ca = ca.to_str().unwrap();
    let http = format!("http://{}/hello", server(Version::Spdy31));
    let https = format!("https://localhost:{}/hello", self_signed().port());
    for args in [
        &["--proxy-cacert", ca, "-p", "spdy/3.1", &http][..],
        &["--proxy-insecure", "-p", "spdy/3.1", &http],
        // TLS in TLS.
        &["--proxy-cacert", ca, "-k", &https],
    ] {
        let (code, out, said) = get(&[], &[&["-x", &proxied], args].concat());
        assert_eq!((code, out.as_str()), (Some(0), "hello world"), "{said}");
        let head = proxy.heads().pop().unwrap();
        assert!(
            head.contains("proxy-authorization: Basic dXNlcjpwYXNz"),
            "{head}"
        );
    }
    let asked = proxy.heads().len();
    // --insecure is for servers.
    for args in [&[][..], &["--insecure"]] {
        let (code, _, said) = get(&[], &[&["-x", &proxied, &http], args].concat());
        assert_eq!(code, Some(60), "{said}");
        assert!(said.contains("--proxy-cacert"), "{said}");
    }
    assert_eq!(proxy.heads().len(), asked);
    let (code, _, said) = get(
        &[],
        &["-x", &proxied, "--proxy-cacert", "/no/ca.pem", &http],
    );
    assert_eq!(code, Some(77), "{said}");
    // A port of HTTP without TLS.
    let plain = format!("https://localhost:{}", proxy.address.port());
    let args = [
        "-x",
        &plain,
        "--proxy-insecure",
        "--connect-timeout",
        "2",
        &http,
    ];
    let (code, _, said) = get(&[], &args);
    assert!(matches!(code, Some(28 | 35)), "{said}");
}

/// A proxy that makes no tunnels for http, and answers requests for whole URLs by itself: with the
/// first line, the number of its connection, and the content.
fn forwarding() -> Proxy {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let heads = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&heads);
    thread::spawn(move || {
        for (number, client) in listener.incoming().enumerate() {
            let (client, seen) = (client.unwrap(), Arc::clone(&seen));
            thread::spawn(move || forward(client, number, &seen));
        }
    });
    Proxy { address, heads }
}

fn forward(mut client: TcpStream, number: usize, seen: &Mutex<Vec<String>>) {
    loop {
        let (mut head, mut byte) = (Vec::new(), [0]);
        while !head.ends_with(b"\r\n\r\n") {
            match client.read(&mut byte) {
                Ok(1) => head.push(byte[0]),
                _ => return,
            }
        }
        let head = String::from_utf8(head).unwrap();
        seen.lock().unwrap().push(head.clone());
        let line = head.lines().next().unwrap();
        let mut lengths = head
            .lines()
            .filter_map(|line| line.strip_prefix("content-length: "));
        let mut content = vec![0; lengths.next().map_or(0, |length| length.parse().unwrap())];
        client.read_exact(&mut content).unwrap();
        let content = String::from_utf8(content).unwrap();
        let body = format!("{line} {number} {content}");
        let answer = match line.starts_with("CONNECT") {
            true => "HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n".to_owned(),
            false => format!(
                "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}",
                body.len()
            ),
        };
        client.write_all(answer.as_bytes()).unwrap();
    }
}

/// As curl does: requests for http URLs go to the proxy in HTTP/1.1, with the whole URL.
#[test]
fn a_proxy_forwards_requests_of_http1() {
    let proxy = forwarding();
    let name = format!("http://user:pass@{}", proxy.address);
    let url = "http://a.example/x?y";
    for (args, out) in [
        (
            &["--http1.1", url][..],
            "GET http://a.example/x?y HTTP/1.1 0 ",
        ),
        (
            &["--http1.1", "-d", "hi", "http://a.example:81"],
            "POST http://a.example:81/ HTTP/1.1 1 hi",
        ),
        // Without an option a tunnel is asked for first, which this proxy refuses.
        (
            &[url, "http://a.example/z"],
            "GET http://a.example/x?y HTTP/1.1 3 GET http://a.example/z HTTP/1.1 3 ",
        ),
    ] {
        let (code, body, said) = get(&[], &[&["-x", &name], args].concat());
        assert_eq!((code, body.as_str()), (Some(0), out), "{said}");
    }
    let heads = proxy.heads();
    for head in &heads {
        assert!(
            head.contains("proxy-authorization: Basic dXNlcjpwYXNz\r\n"),
            "{head}"
        );
    }
    assert!(heads[0].contains("\r\nhost: a.example\r\n"), "{}", heads[0]);
    assert_eq!(
        heads
            .iter()
            .filter(|head| head.starts_with("CONNECT"))
            .count(),
        1
    );
    // A tunnel if that is asked for, and for https.
    for args in [
        &["--http1.1", "--proxytunnel", url][..],
        &["--proxytunnel", url],
        &["https://a.example/"],
    ] {
        let (code, _, said) = get(&[], &[&["-x", &name], args].concat());
        assert_eq!(code, Some(56), "{said}");
        assert!(said.contains("403 Forbidden"), "{said}");
    }
    // In another protocol there is nothing to forward.
    let (code, _, said) = get(&[], &["-x", &name, "-p", "spdy/3.1", url]);
    assert_eq!(code, Some(56), "{said}");
}

/// The proxy's credentials go to the proxy alone.
#[test]
fn a_server_does_not_get_the_credentials_for_a_proxy() {
    let server = forwarding();
    let url = format!("http://{}/", server.address);
    let args = [
        "--http1.1",
        "-x",
        "http://user:pass@127.0.0.1:1",
        "--noproxy",
        "127.0.0.1",
    ];
    let (code, out, said) = get(&[], &[&args[..], &[&url]].concat());
    assert_eq!(
        (code, out.as_str()),
        (Some(0), "GET / HTTP/1.1 0 "),
        "{said}"
    );
    assert!(
        !server.heads()[0].contains("proxy-authorization"),
        "{:?}",
        server.heads()
    );
}
