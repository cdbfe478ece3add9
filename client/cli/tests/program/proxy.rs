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
type Variables<'a> = &'a [(&'a str, &'a str)];

/// A proxy that makes tunnels to this host, and the heads that it got.
struct Proxy {
    address: SocketAddr,
    heads: Arc<Mutex<Vec<String>>>,
}

impl Proxy {
    /// A proxy that answers with this status line, and tunnels if it is 200.
    fn start(status: &'static str) -> Self {
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
    // Whatever the name, the servers of the tests are here.
    let port = target.rsplit(':').next().unwrap().parse().unwrap();
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
fn get(variables: Variables<'_>, args: &[&str]) -> (Option<i32>, String, String) {
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
    let socks = [("all_proxy", "socks5://127.0.0.1:1")];
    let cases: [(Variables<'_>, &[&str], i32, &str); 6] = [
        (&[], &["-x", &refusing], 56, "407"),
        (&[], &["-x", &refusing], 56, "--proxy-user"),
        (&[], &["-x", &closed], 56, "did not answer to CONNECT"),
        (&[], &["-x", "127.0.0.1:1"], 7, "the proxy 127.0.0.1:1"),
        (&[], &["-x", "no-such-host.invalid"], 5, "invalid:1080"),
        (&socks, &[], 2, "all_proxy: a proxy of socks5"),
    ];
    for (variables, args, code, text) in cases {
        let (ended, _, said) = get(variables, &[args, &[url]].concat());
        assert_eq!(ended, Some(code), "{args:?}: {said}");
        assert!(said.contains(text), "{args:?}: {said}");
    }
    let (code, _, said) = get(&[], &["-x", "socks5://a", url]);
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("socks5 is not supported"), "{said}");
}
