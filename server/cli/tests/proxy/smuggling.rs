//! Requests that two servers could understand differently: each is refused, or reaches the upstream
//! as one request of one meaning. Every front protocol, every kind of upstream.

use std::net::SocketAddr;

use lacewing_server::Protocol;

use crate::{
    attacker::{self, FRONTS, Front},
    program::{Directory, Running},
    recorder::{self, Record},
    reverse,
};

/// The upstreams, each behind a host name of its own.
struct Upstreams {
    records: Vec<(&'static str, Record)>,
    _diallers: Vec<Running>,
}

impl Upstreams {
    /// With those that dial in, by a second proxy before an upstream in HTTP/1.1.
    fn start(name: &str, options: &[&str]) -> (Self, Directory, Running) {
        let mut records = Vec::new();
        let mut routes = Vec::new();
        let mut add = |host, scheme: &str, (address, record): (SocketAddr, Record)| {
            records.push((host, record));
            routes.push(format!("{host}={scheme}://{address}"));
        };
        add("h1.test", "http", recorder::http1());
        add("h2.test", "h2c", recorder::multiplexed(Protocol::Http2));
        add(
            "s31.test",
            "spdy31",
            recorder::multiplexed(Protocol::Spdy31),
        );
        add("s3.test", "spdy3", recorder::multiplexed(Protocol::Spdy3));
        add("s2.test", "spdy2", recorder::multiplexed(Protocol::Spdy2));
        let directory = reverse::tokens(name);
        let tunnels = [("t2.test", "h2"), ("t31.test", "spdy/3.1")];
        let mut dialled = Vec::new();
        for (host, protocol) in tunnels {
            let (address, record) = recorder::http1();
            records.push((host, record));
            routes.push(format!("{host}=tunnel:{host}"));
            dialled.push((host, protocol, format!("http://{address}")));
        }
        let token = directory.path("token").display().to_string();
        let accepted = tunnels.map(|(host, _)| format!("{host}={token}"));
        let mut args = vec![
            "--https",
            "off",
            "--tunnel",
            &accepted[0],
            "--tunnel",
            &accepted[1],
        ];
        args.extend(options);
        for route in &routes {
            args.extend(["--proxy", route]);
        }
        let running = Running::start(&directory, &args);
        let dial = |(host, protocol, to): (&str, &str, String)| {
            let url = format!("http://{}/{host}", running.http);
            let options = ["--proxy", &to, "--dial-protocol", protocol];
            let dialler = reverse::dialler_to(&url, &directory, &options);
            let until = std::time::Instant::now() + std::time::Duration::from_secs(40);
            let request = format!("GET / HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n");
            while !running.send(&request).starts_with("HTTP/1.1 200") {
                assert!(std::time::Instant::now() < until, "{host} does not come");
                std::thread::sleep(std::time::Duration::from_millis(10));
            }
            dialler
        };
        let _diallers = dialled.into_iter().map(dial).collect();
        let all = Self { records, _diallers };
        (all, directory, running)
    }
}

/// What must happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Must {
    /// No upstream sees it.
    Refuse,
    /// The upstream gets one request, or none: it may have been whole before its fault arrived.
    OneAtMost,
    /// HTTP/2 refuses it. SPDY, which says nothing of it, passes one request without this.
    Drop(&'static str),
    /// The upstream gets one request; its text has the first of these and not the second.
    Pass(&'static str, &'static str),
}

use Must::{Drop, OneAtMost, Pass, Refuse};

const SMUGGLED: &str = "GET /smuggled HTTP/1.1\r\nhost: h1.test\r\n\r\n";

/// Heads in HTTP/1.1, and content. `HOST` stands for the upstream's name.
const HTTP1: &[(&str, Must)] = &[
    // Two lengths.
    (
        "POST / HTTP/1.1\r\nhost: HOST\r\ncontent-length: 0\r\ncontent-length: 42\r\n\r\n",
        Refuse,
    ),
    (
        "POST / HTTP/1.1\r\nhost: HOST\r\ncontent-length: 5, 6\r\n\r\nhello",
        Refuse,
    ),
    (
        "POST / HTTP/1.1\r\nhost: HOST\r\ncontent-length: +5\r\n\r\nhello",
        Refuse,
    ),
    (
        "POST / HTTP/1.1\r\nhost: HOST\r\ncontent-length: 0x5\r\n\r\nhello",
        Refuse,
    ),
    (
        "POST / HTTP/1.1\r\nhost: HOST\r\ncontent-length:\r\n\r\n",
        Refuse,
    ),
    (
        "POST / HTTP/1.1\r\nhost: HOST\r\ncontent-length: 5 5\r\n\r\nhello",
        Refuse,
    ),
    (
        "POST / HTTP/1.1\r\nhost: HOST\r\ncontent-length: -1\r\n\r\n",
        Refuse,
    ),
    (
        "POST / HTTP/1.1\r\nhost: HOST\r\ncontent-length: 99999999999999999999\r\n\r\n",
        Refuse,
    ),
    (
        "POST / HTTP/1.1\r\nhost: HOST\r\ncontent-length: 5\r\n\r\nhello",
        Pass("hello", "chunked"),
    ),
    // A length and chunks: the chunks count (RFC 9112 §6.3), and the length does not pass.
    (
        "POST / HTTP/1.1\r\nhost: HOST\r\ncontent-length: 4\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        Pass("POST ", "content-length: 4"),
    ),
    (
        "POST / HTTP/1.1\r\nhost: HOST\r\ntransfer-encoding: chunked\r\ncontent-length: 4\r\n\r\n0\r\n\r\n",
        Pass("POST ", "content-length: 4"),
    ),
    (
        "POST / HTTP/1.1\r\nhost: HOST\r\ntransfer-encoding: gzip\r\n\r\n",
        Refuse,
    ),
    (
        "POST / HTTP/1.1\r\nhost: HOST\r\ntransfer-encoding: chunked, identity\r\n\r\n0\r\n\r\n",
        Refuse,
    ),
    (
        "POST / HTTP/1.1\r\nhost: HOST\r\ntransfer-encoding: xchunked\r\n\r\n0\r\n\r\n",
        Refuse,
    ),
    (
        "POST / HTTP/1.1\r\nhost: HOST\r\ntransfer-encoding : chunked\r\n\r\n0\r\n\r\n",
        Refuse,
    ),
    (
        "POST / HTTP/1.0\r\nhost: HOST\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        Refuse,
    ),
    (
        "POST / HTTP/1.1\r\nhost: HOST\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
        Pass("hello", "content-length"),
    ),
    // Fields that hide others.
    (
        "GET / HTTP/1.1\r\nhost: HOST\r\nx: 1\r\n folded: 2\r\n\r\n",
        Refuse,
    ),
    ("GET / HTTP/1.1\r\nhost: HOST\r\nx: a\rb\r\n\r\n", Refuse),
    ("GET / HTTP/1.1\r\nhost: HOST\r\nx: a\0b\r\n\r\n", Refuse),
    ("GET / HTTP/1.1\r\nhost: HOST\r\nx y: a\r\n\r\n", Refuse),
    (
        "GET / HTTP/1.1\r\nhost: HOST\r\nx: a\nsmuggled: b\r\n\r\n",
        Pass("smuggled: b\r\n", "a\nsmuggled"),
    ),
    ("GET / HTTP/1.1\r\nhost: HOST\r\n: a\r\n\r\n", Refuse),
    ("GET / HTTP/1.1\r\nhost: HOST\r\nno colon\r\n\r\n", Refuse),
    (
        "GET / HTTP/1.1\r\nhost: HOST\r\nconnection: x-hop\r\nx-hop: 1\r\n\r\n",
        Pass("via: ", "x-hop"),
    ),
    (
        "GET / HTTP/1.1\r\nhost: HOST\r\nconnection: host\r\n\r\n",
        Refuse,
    ),
    (
        "POST / HTTP/1.1\r\nhost: HOST\r\nconnection: content-length\r\ncontent-length: 5\r\n\r\nhello",
        Refuse,
    ),
    (
        "GET / HTTP/1.1\r\nhost: HOST\r\nconnection: upgrade, http2-settings\r\nupgrade: h2c\r\nhttp2-settings: AAMAAABkAAQAAP__\r\n\r\n",
        Pass("via: ", "h2c"),
    ),
    (
        "GET / HTTP/1.1\r\nhost: HOST\r\ncontent_length: 9\r\n\r\n",
        Pass("via: ", "content_length"),
    ),
    (
        "GET / HTTP/1.1\r\nhost: HOST\r\nmy_field: 9\r\n\r\n",
        Pass("my_field: 9", "my-field"),
    ),
    (
        "GET / HTTP/1.1\r\nhost: HOST\r\nkeep-alive: 9\r\nproxy-connection: x\r\n\r\n",
        Pass("via: ", "keep-alive"),
    ),
    // The host.
    ("GET / HTTP/1.1\r\n\r\n", Refuse),
    (
        "GET / HTTP/1.1\r\nhost: HOST\r\nhost: other.test\r\n\r\n",
        Refuse,
    ),
    ("GET / HTTP/1.1\r\nhost: HOST@other.test\r\n\r\n", Refuse),
    ("GET / HTTP/1.1\r\nhost: HOST/x\r\n\r\n", Refuse),
    ("GET / HTTP/1.1\r\nhost: HOST, other.test\r\n\r\n", Refuse),
    (
        "GET http://HOST/ HTTP/1.1\r\nhost: other.test\r\n\r\n",
        Pass("HOST", "other.test"),
    ),
    ("GET http://u@HOST/ HTTP/1.1\r\nhost: HOST\r\n\r\n", Refuse),
    // The target.
    ("GET /a/../b HTTP/1.1\r\nhost: HOST\r\n\r\n", Refuse),
    ("GET /a/%2e%2e/b HTTP/1.1\r\nhost: HOST\r\n\r\n", Refuse),
    ("GET /a/..%2fb HTTP/1.1\r\nhost: HOST\r\n\r\n", Refuse),
    ("GET /a\\..\\b HTTP/1.1\r\nhost: HOST\r\n\r\n", Refuse),
    ("GET /a%5c..%5cb HTTP/1.1\r\nhost: HOST\r\n\r\n", Refuse),
    ("GET /%00 HTTP/1.1\r\nhost: HOST\r\n\r\n", Refuse),
    ("GET /% HTTP/1.1\r\nhost: HOST\r\n\r\n", Refuse),
    (
        "GET /a%2fb%20c HTTP/1.1\r\nhost: HOST\r\n\r\n",
        Pass("/a%2fb%20c", "a/b"),
    ),
    (
        "GET //a//b?x=../.. HTTP/1.1\r\nhost: HOST\r\n\r\n",
        Pass("//a//b?x=../..", "\n/"),
    ),
    ("GET /a b HTTP/1.1\r\nhost: HOST\r\n\r\n", Refuse),
    (
        "GET /\r\nsmuggled: 1 HTTP/1.1\r\nhost: HOST\r\n\r\n",
        Refuse,
    ),
    ("GET a HTTP/1.1\r\nhost: HOST\r\n\r\n", Refuse),
    ("GET * HTTP/1.1\r\nhost: HOST\r\n\r\n", Refuse),
    (
        "OPTIONS * HTTP/1.1\r\nhost: HOST\r\n\r\n",
        Pass("OPTIONS ", "smuggled"),
    ),
    ("CONNECT HOST:80 HTTP/1.1\r\nhost: HOST:80\r\n\r\n", Refuse),
    ("TRACE / HTTP/1.1\r\nhost: HOST\r\n\r\n", Refuse),
    ("G@T / HTTP/1.1\r\nhost: HOST\r\n\r\n", Refuse),
    ("GET / HTTP/1.2\r\nhost: HOST\r\n\r\n", Refuse),
    ("GET / HTTP/2.0\r\nhost: HOST\r\n\r\n", Refuse),
    // Chunks.
    (
        "POST / HTTP/1.1\r\nhost: HOST\r\ntransfer-encoding: chunked\r\n\r\n5;x=\"\r\n\"\r\nhello\r\n0\r\n\r\n",
        Refuse,
    ),
    (
        "POST / HTTP/1.1\r\nhost: HOST\r\ntransfer-encoding: chunked\r\n\r\n-1\r\nhello\r\n0\r\n\r\n",
        Refuse,
    ),
    (
        "POST / HTTP/1.1\r\nhost: HOST\r\ntransfer-encoding: chunked\r\n\r\n10000000000000005\r\nhello\r\n0\r\n\r\n",
        Refuse,
    ),
    // Content of a request that needs none, and one that waits for leave.
    (
        "GET / HTTP/1.1\r\nhost: HOST\r\ncontent-length: 5\r\n\r\nhello",
        Pass("hello", "smuggled"),
    ),
    (
        "POST / HTTP/1.1\r\nhost: HOST\r\nexpect: 100-continue\r\ncontent-length: 5\r\n\r\nhello",
        Pass("hello", "smuggled"),
    ),
    (
        "POST / HTTP/1.1\r\nhost: HOST\r\ncontent-length: 5\r\n\r\nhel",
        Refuse,
    ),
];

/// Checks what upstreams got of a case, which has a mark.
fn check(
    must: Must,
    front: Option<Front>,
    answered: bool,
    upstream: (&str, &Record),
    mark: &str,
) -> Result<(), String> {
    let (host, record) = upstream;
    let all = record.all();
    let bad = |text: &&String| text.contains("/smuggled") || text.starts_with("GARBAGE");
    if let Some(bad) = all.iter().find(bad) {
        return Err(format!("smuggled: {bad}"));
    }
    let marked = all.iter().filter(|text| text.contains(mark));
    // Content that broke off is no request.
    let got: Vec<_> = marked.filter(|text| !text.contains("\r\n\r\n(")).collect();
    let (with, without) = match must {
        Drop(without) if front != Some(Front::Http2) => ("via: ", without),
        Pass(with, without) => (with, without),
        OneAtMost if got.len() <= 1 => return Ok(()),
        OneAtMost => return Err(format!("{} requests: {got:?}", got.len())),
        Refuse | Drop(_) if answered || !got.is_empty() => {
            return Err(format!("not refused: {got:?}"));
        }
        Refuse | Drop(_) => return Ok(()),
    };
    let [text] = &*got else {
        return Err(format!(
            "answered: {answered}; {} requests: {got:?}",
            got.len()
        ));
    };
    let with = with.replace("HOST", host);
    if !answered || !text.contains(&with) || text.contains(without) {
        return Err(format!("{text:?} should have {with:?} and not {without:?}"));
    }
    Ok(())
}

#[test]
fn nothing_is_smuggled_from_http1() {
    let (upstreams, _directory, running) = Upstreams::start("lacewingd-smuggle-1", &[]);
    let mut wrong = Vec::new();
    for (host, record) in &upstreams.records {
        for (number, (text, must)) in HTTP1.iter().enumerate() {
            let mark = format!("x-case: {number}.");
            let marked = format!("\r\n{mark}\r\n\r\n");
            let request = text.replacen("\r\n\r\n", &marked, 1).replace("HOST", host);
            let answer = attacker::http1(running.http, request.as_bytes());
            let answered = answer.contains("HTTP/1.1 200 OK\r\n");
            if let Err(why) = check(*must, None, answered, (host, record), &mark) {
                wrong.push(format!("{host}: {text:?}: {why}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// A header list without `:authority`, which is added unless there is one; content.
type Case = (
    &'static [(&'static str, &'static [u8])],
    Option<&'static [u8]>,
    Must,
);

const GET: [(&str, &[u8]); 2] = [(":method", b"GET"), (":scheme", b"http")];

const MULTIPLEXED: &[Case] = &[
    (&[(":path", b"/")], None, Pass("via: ", "smuggled")),
    // Fields of HTTP/1.1.
    (
        &[(":path", b"/"), ("transfer-encoding", b"chunked")],
        Some(b"0\r\n\r\n"),
        Drop("smuggled"),
    ),
    (
        &[(":path", b"/"), ("connection", b"x"), ("x", b"1")],
        None,
        Drop("connection"),
    ),
    (
        &[(":path", b"/"), ("upgrade", b"h2c")],
        None,
        Drop("upgrade: "),
    ),
    (
        &[(":path", b"/"), ("keep-alive", b"1")],
        None,
        Drop("keep-alive: "),
    ),
    (
        &[(":path", b"/"), ("proxy-connection", b"1")],
        None,
        Drop("proxy-connection: "),
    ),
    (&[(":path", b"/"), ("te", b"gzip")], None, Drop("te: ")),
    (
        &[(":path", b"/"), ("te", b"trailers")],
        None,
        Pass("te: trailers", "gzip"),
    ),
    (
        &[(":path", b"/"), ("content_length", b"9")],
        None,
        Pass("via: ", "content_length"),
    ),
    (
        &[(":path", b"/"), ("x_forwarded_for", b"9")],
        None,
        Pass("via: ", "x_forwarded_for"),
    ),
    // Lengths.
    (
        &[(":path", b"/"), ("content-length", b"3")],
        Some(b"hello"),
        Refuse,
    ),
    (
        &[(":path", b"/"), ("content-length", b"9")],
        Some(b"hello"),
        Refuse,
    ),
    (&[(":path", b"/"), ("content-length", b"9")], None, Refuse),
    (
        &[(":path", b"/"), ("content-length", b"+5")],
        Some(b"hello"),
        Refuse,
    ),
    (
        &[(":path", b"/"), ("content-length", b"")],
        Some(b"hello"),
        Refuse,
    ),
    (
        &[(":path", b"/"), ("content-length", b"5,5")],
        Some(b"hello"),
        Refuse,
    ),
    (
        &[(":path", b"/"), ("content-length", b"5")],
        Some(b"hello"),
        Pass("hello", "chunked"),
    ),
    (
        &[(":path", b"/")],
        Some(b"hello"),
        Pass("hello", "smuggled"),
    ),
    (
        &[(":path", b"/"), ("content-length", b"0")],
        Some(SMUGGLED.as_bytes()),
        OneAtMost,
    ),
    // Line ends and other characters that no field has.
    (&[(":path", b"/"), ("x", b"a\r\nsmuggled: 1")], None, Refuse),
    (&[(":path", b"/"), ("x", b"a\nb")], None, Refuse),
    (&[(":path", b"/"), ("x", b"a\rb")], None, Refuse),
    (&[(":path", b"/"), ("x\r\nsmuggled", b"1")], None, Refuse),
    (&[(":path", b"/"), ("x y", b"1")], None, Refuse),
    (&[(":path", b"/"), ("x:", b"1")], None, Refuse),
    (&[(":path", b"/"), ("", b"1")], None, Refuse),
    (&[(":path", b"/ HTTP/1.1\r\nsmuggled: 1\r\n")], None, Refuse),
    (&[(":path", b"/\r\n\r\nGET /smuggled")], None, Refuse),
    (&[(":path", b"/a b")], None, Refuse),
    (&[(":path", b"/\x00")], None, Refuse),
    (&[(":path", b"")], None, Refuse),
    (&[(":path", b"a")], None, Refuse),
    (&[(":path", b"*")], None, Refuse),
    (&[(":path", b"/a/../b")], None, Refuse),
    (&[(":path", b"/a/%2E%2e/b")], None, Refuse),
    (&[(":path", b"/a%5c..%2fb")], None, Refuse),
    (&[(":path", b"/a\\b")], None, Refuse),
    (&[(":path", b"/a%2fb")], None, Pass("/a%2fb", "a/b")),
    // The host.
    (&[(":path", b"/"), (":authority", b"u@HOST")], None, Refuse),
    (
        &[(":path", b"/"), (":authority", b"HOST\r\nsmuggled: 1")],
        None,
        Refuse,
    ),
    (&[(":path", b"/"), (":authority", b"HOST/x")], None, Refuse),
];

/// Only of HTTP/2, where a list may have these.
const HTTP2: &[Case] = &[
    (&[(":path", b"/"), ("x", b"a\0b")], None, Refuse),
    (&[(":path", b"/"), ("host", b"other.test")], None, Refuse),
    (&[(":path", b"/"), ("Upper", b"1")], None, Refuse),
    (&[(":path", b"/"), ("x", b" 1")], None, Refuse),
    (&[(":path", b"/"), (":path", b"/smuggled")], None, Refuse),
    (&[(":path", b"/"), (":method", b"POST")], None, Refuse),
    (&[(":path", b"/"), (":unknown", b"1")], None, Refuse),
    (&[(":path", b"/"), (":status", b"200")], None, Refuse),
    (
        &[(":path", b"/"), (":protocol", b"websocket")],
        None,
        Refuse,
    ),
    (&[("x", b"1"), (":path", b"/")], None, Refuse),
    (
        &[
            (":path", b"/"),
            ("content-length", b"5"),
            ("content-length", b"6"),
        ],
        Some(b"hello"),
        Refuse,
    ),
    (
        &[(":path", b"/"), ("cookie", b"a=1"), ("cookie", b"b=2")],
        None,
        Pass("cookie: a=1; b=2", "smuggled"),
    ),
];

#[test]
fn nothing_is_smuggled_from_multiplexed_protocols() {
    for options in [&[][..], &["--protocols", "h2,spdy/3,spdy/2,http/1.1"]] {
        let (upstreams, _directory, running) = Upstreams::start("lacewingd-smuggle-m", options);
        let mut wrong = Vec::new();
        for front in FRONTS {
            for (host, record) in &upstreams.records {
                let more = if front == Front::Http2 { HTTP2 } else { &[] };
                for (number, (fields, content, must)) in MULTIPLEXED.iter().chain(more).enumerate()
                {
                    let mark = format!("{front:?}.{number}.");
                    let named = |name: &str| fields.iter().any(|(found, _)| *found == name);
                    let mut list: Vec<(&str, Vec<u8>)> = Vec::new();
                    for (name, value) in GET.iter().chain(*fields) {
                        let value = String::from_utf8_lossy(value).replace("HOST", host);
                        list.push((name, value.into_bytes()));
                    }
                    if !named(":authority") {
                        list.insert(2, (":authority", host.as_bytes().to_vec()));
                    }
                    list.push(("x-case", mark.clone().into_bytes()));
                    let list: Vec<_> = list
                        .iter()
                        .map(|(name, value)| (*name, &value[..]))
                        .collect();
                    let status = attacker::ask(running.http, front, &list, *content);
                    if let Err(why) = check(
                        *must,
                        Some(front),
                        status == 200,
                        (host, record),
                        &format!("x-case: {mark}"),
                    ) {
                        let shown: Vec<_> = fields
                            .iter()
                            .map(|(name, value)| (name, value.escape_ascii().to_string()))
                            .collect();
                        wrong.push(format!("{front:?} {host}: {shown:?}: {status}: {why}"));
                    }
                }
            }
        }
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    }
}
