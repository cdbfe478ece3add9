//! The options that have curl's names, over HTTP/1.1 and the other protocols.

use std::{
    fs,
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    path::PathBuf,
    sync::{Arc, Mutex},
};

use lacewing_client::Version;

use super::{
    lacewing::{ended, run_with},
    servers::server,
};

/// What the program did: exit code, stdout, stderr.
pub(super) type Ended = (i32, String, String);

fn lacewing(args: &[&str], stdin: &[u8]) -> Ended {
    let (code, out, said) = ended(&run_with(&[&["get"], args].concat(), stdin));
    (code.unwrap(), out, said)
}

pub(super) fn get(args: &[&str]) -> Ended {
    lacewing(args, b"")
}

/// A server of HTTP/1.1 alone, and the requests that it got. Each connection carries one.
pub(super) struct Http1 {
    address: SocketAddr,
    seen: Arc<Mutex<Vec<String>>>,
}

impl Http1 {
    /// `answer` gets the head and the number of requests before.
    pub(super) fn start(answer: impl Fn(&str, usize) -> String + Send + 'static) -> Self {
        Self::start_with(answer, false)
    }

    /// With `html`, it answers the first bytes of HTTP/2 as Python's http.server does.
    fn start_with(answer: impl Fn(&str, usize) -> String + Send + 'static, html: bool) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let requests = Arc::clone(&seen);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let Some(request) = read(&mut stream) else {
                    continue;
                };
                if request.starts_with("PRI ") && html {
                    let _ = stream.write_all(b"<!DOCTYPE HTML>\n<p>Bad request version");
                    continue;
                }
                if request.starts_with("PRI ") {
                    let _ =
                        stream.write_all(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n");
                    continue;
                }
                let mut requests = requests.lock().unwrap();
                let number = requests.len();
                requests.push(request.clone());
                drop(requests);
                let _ = stream.write_all(answer(&request, number).as_bytes());
            }
        });
        Self { address, seen }
    }

    pub(super) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub(super) fn requests(&self) -> Vec<String> {
        self.seen.lock().unwrap().clone()
    }
}

/// A head, and the content that it announces.
fn read(stream: &mut TcpStream) -> Option<String> {
    let mut bytes = Vec::new();
    let mut byte = [0];
    while !bytes.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte).ok()?;
        bytes.push(byte[0]);
    }
    let head = String::from_utf8(bytes.clone()).unwrap();
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "));
    let mut content = vec![0; length.map_or(0, |length| length.trim().parse().unwrap())];
    stream.read_exact(&mut content).ok()?;
    if head.contains("transfer-encoding: chunked") {
        while !content.ends_with(b"\r\n\r\n") {
            stream.read_exact(&mut byte).ok()?;
            content.push(byte[0]);
        }
    }
    Some(head + &String::from_utf8(content).unwrap())
}

pub(super) fn ok(body: &str) -> String {
    format!(
        "HTTP/1.1 200 OK\r\nx-a: 1\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
}

pub(super) fn to(status: u16, location: &str) -> String {
    // The server closes: a POST is not sent again for a connection that was reused and is gone.
    format!(
        "HTTP/1.1 {status} Moved\r\nconnection: close\r\nlocation: {location}\r\n\
         content-length: 0\r\n\r\n"
    )
}

pub(super) fn scratch(name: &str) -> PathBuf {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = fs::remove_dir_all(&path);
    fs::create_dir_all(&path).unwrap();
    path
}

/// Without an option, HTTP/2 is tried first, and its answer says that there is only HTTP/1.1.
#[test]
fn a_server_of_http1_is_fetched_with_and_without_the_option() {
    let server = Http1::start(|_, _| ok("hello"));
    for args in [&["--http1.1"][..], &[]] {
        let url = server.url("/x");
        let (code, out, said) = get(&[args, &[&url]].concat());
        assert_eq!(
            (code, out.as_str(), said.as_str()),
            (0, "hello", ""),
            "{args:?}"
        );
    }
    let (code, _, said) = get(&["-p", "h2", &server.url("/x")]);
    assert_eq!(code, 16, "{said}");
    assert_eq!(server.requests().len(), 2);
}

#[test]
fn an_answer_without_a_head_is_one_of_http1_too() {
    let server = Http1::start_with(|_, _| ok("hello"), true);
    let (code, out, said) = get(&[&server.url("/x")]);
    assert_eq!((code, out.as_str(), said.as_str()), (0, "hello", ""));
}

#[test]
fn heads_are_printed_on_request_over_every_protocol() {
    for version in Version::ALL {
        let url = format!("http://{}/hello", server(version));
        let name = match version {
            Version::Http2 => "HTTP/2 200 \r\n",
            _ => "HTTP/1.1 200 OK\r\n",
        };
        let (code, out, _) = get(&["-i", "-p", version.alpn(), &url]);
        assert_eq!(code, 0);
        assert!(out.starts_with(name), "{out:?}");
        assert!(out.ends_with("\r\n\r\nhello world"), "{out:?}");
        let (code, out, _) = get(&["-I", "-p", version.alpn(), &url]);
        assert_eq!(code, 0);
        assert!(
            out.starts_with(name) && out.ends_with("\r\n\r\n"),
            "{out:?}"
        );
    }
}

#[test]
fn redirects_are_followed_and_counted_and_secrets_stay() {
    let other = Http1::start(|_, _| ok("there"));
    let there = other.url("/there");
    let server = Http1::start(move |request, _| match request.split(' ').nth(1).unwrap() {
        "/a/start" => to(302, "next?q=1"),
        "/a/next?q=1" => to(301, &there),
        "/loop" => to(302, "/loop"),
        "/bad" => to(302, "ftp://a.example/"),
        _ => ok("no"),
    });
    let url = server.url("/a/start");
    let (code, out, _) = get(&["-w", "%{redirect_url}", &url]);
    assert_eq!((code, out), (0, server.url("/a/next?q=1")));
    let secrets = [
        "-H",
        "authorization: Basic x",
        "-H",
        "cookie: a=b",
        "-H",
        "x-mine: 1",
    ];
    let format = [
        "-L",
        "-d",
        "form",
        "-w",
        " %{num_redirects} %{url_effective} %{method}",
    ];
    let (code, out, said) = get(&[&secrets[..], &format, &[&url]].concat());
    assert_eq!(code, 0, "{said}");
    assert_eq!(out, format!("there 2 {} GET", other.url("/there")));
    let requests = server.requests();
    let after = &requests[requests.len() - 1];
    assert!(
        after.starts_with("GET /a/next?q=1 ") && after.contains("authorization"),
        "{after}"
    );
    assert!(!after.contains("content-type"), "{after}");
    let last = &other.requests()[0];
    assert!(last.contains("x-mine: 1"), "{last}");
    assert!(
        !last.contains("authorization") && !last.contains("cookie"),
        "{last}"
    );
    // What is sent again is the content, not what is left of stdin.
    let moved = Http1::start(|request, _| match request.contains("/moved") {
        true => to(307, "/end"),
        false => ok("end"),
    });
    let url = moved.url("/moved");
    let (code, _, said) = get(&["--http1.1", "-L", "--data-raw", "again", &url]);
    assert_eq!(code, 0, "{said}");
    assert!(moved.requests()[1].ends_with("\r\n\r\nagain"));
    let args = ["--http1.1", "-L", "--data-binary", "@-", &url];
    let (code, _, said) = lacewing(&args, b"once");
    assert_eq!(code, 65, "{said}");
    let (code, _, said) = get(&["-L", "--max-redirs", "3", &server.url("/loop")]);
    assert_eq!(code, 47, "{said}");
    let (code, _, said) = get(&["-L", &server.url("/bad")]);
    assert_eq!(code, 2, "{said}");
    assert!(said.contains("ftp"), "{said}");
}

#[test]
fn data_is_sent_as_curl_sends_it() {
    let folder = scratch("data");
    let file = folder.join("lines");
    fs::write(&file, "a=1\r\nb=2\n").unwrap();
    let at = format!("@{}", file.display());
    let plain = file.to_str().unwrap();
    let server = Http1::start(|_, _| ok(""));
    let url = server.url("/");
    let form = "content-type: application/x-www-form-urlencoded";
    let cases: [(&[&str], &str, &str, &str); 9] = [
        (&["-d", "x=1", "-d", "y=2"], "POST", form, "x=1&y=2"),
        (&["-d", &at], "POST", form, "a=1b=2"),
        (&["-d", "@-"], "POST", form, "stdin"),
        (&["--data-binary", &at], "POST", form, "a=1\r\nb=2\n"),
        (
            &["--data-binary", "@-"],
            "POST",
            "transfer-encoding: chunked",
            "5\r\nstdin\r\n0\r\n\r\n",
        ),
        (&["--data-raw", &at], "POST", form, &at),
        (
            &["--json", "{}"],
            "POST",
            "content-type: application/json",
            "{}",
        ),
        (&["-T", plain], "PUT", "content-length: 9", "a=1\r\nb=2\n"),
        (
            &["--trailer", "x-sum: 7", "-d", "x"],
            "POST",
            "trailer: x-sum",
            "1\r\nx\r\n0\r\nx-sum: 7\r\n\r\n",
        ),
    ];
    for (args, method, field, body) in cases {
        let args = [&["--http1.1"], args, &[&url]].concat();
        let (code, _, said) = lacewing(&args, b"stdin");
        assert_eq!(code, 0, "{args:?}: {said}");
        let request = server.requests().pop().unwrap();
        let (head, content) = request.split_once("\r\n\r\n").unwrap();
        assert!(
            head.starts_with(method) && head.contains(field),
            "{args:?}: {head}"
        );
        assert_eq!(content, body, "{args:?}");
    }
    // What used to upload a file says what to write now.
    for old in [plain, "-"] {
        let (code, _, said) = get(&["-d", old, &url]);
        assert_eq!(code, 2);
        assert!(said.contains("--data-binary @"), "{said}");
    }
    let (code, _, said) = get(&["--json", "{}", "-d", "x", &url]);
    assert_eq!(code, 2, "{said}");
}

#[test]
fn fail_decides_about_the_body_and_the_exit_code() {
    for version in Version::ALL {
        let url = format!("http://{}/nothing", server(version));
        for (args, code, body, message) in [
            (&[][..], 0, "no such page", ""),
            (&["-f"], 22, "", "404"),
            (&["--fail-with-body"], 22, "no such page", "404"),
            (&["-sf"], 22, "", ""),
            (&["-sSf"], 22, "", "404"),
        ] {
            let args = [args, &["-p", version.alpn(), &url]].concat();
            let (got, out, said) = get(&args);
            assert_eq!((got, out.as_str()), (code, body), "{args:?}: {said}");
            assert_eq!(said.is_empty(), message.is_empty(), "{args:?}: {said}");
            assert!(said.contains(message), "{args:?}: {said}");
        }
    }
}

#[test]
fn write_out_has_the_protocol_and_the_times() {
    for version in Version::ALL {
        let url = format!("http://{}/bytes/1000", server(version));
        let format = "%{response_code} %{http_version} %{size_download} %{remote_ip} %{exitcode}";
        let (code, out, _) = get(&["-o", "/dev/null", "-w", format, "-p", version.alpn(), &url]);
        let name = if version == Version::Http2 {
            "2"
        } else {
            version.alpn()
        };
        assert_eq!((code, out), (0, format!("200 {name} 1000 127.0.0.1 0")));
        let (_, out, _) = get(&[
            "-o",
            "/dev/null",
            "-w",
            "%{json}",
            "-p",
            version.alpn(),
            &url,
        ]);
        let all: serde_json::Value = serde_json::from_str(&out).unwrap();
        let time = |name: &str| all[name].as_f64().unwrap();
        assert!(time("time_connect") > 0.0, "{out}");
        assert!(time("time_pretransfer") >= time("time_connect"), "{out}");
        assert!(
            time("time_starttransfer") >= time("time_pretransfer"),
            "{out}"
        );
        assert!(time("time_total") >= time("time_starttransfer"), "{out}");
    }
    let server = Http1::start(|_, _| ok("body"));
    let format = "%header{X-A} %{header_json} %{http_version}%{stderr}err";
    let (code, out, said) = get(&["--http1.1", "-w", format, &server.url("/")]);
    assert_eq!(code, 0);
    assert_eq!(
        out,
        "body1 {\"content-length\":[\"4\"],\"x-a\":[\"1\"]} 1.1"
    );
    assert_eq!(said, "err");
    let (code, out, _) = get(&["-w", "%{exitcode} %{errormsg}", "http://127.0.0.1:1/"]);
    assert_eq!(code, 7);
    assert!(
        out.starts_with("7 http://127.0.0.1:1/: cannot connect"),
        "{out}"
    );
    let (code, _, said) = get(&["-w", "%{nothing}", "http://127.0.0.1:1/"]);
    assert_eq!(code, 2, "{said}");
}

#[test]
fn a_fetch_ends_by_max_time() {
    for version in Version::ALL {
        let url = format!("http://{}/never", server(version));
        let (code, _, said) = get(&["-m", "0.2", "-p", version.alpn(), &url]);
        assert_eq!(code, 28, "{said}");
        assert!(said.contains("--max-time"), "{said}");
    }
}

#[test]
fn passing_failures_are_tried_again() {
    let server = Http1::start(|_, number| match number {
        0 => "HTTP/1.1 503 Service Unavailable\r\nretry-after: 0\r\ncontent-length: 4\r\n\r\nbusy"
            .into(),
        1 => "HTTP/1.1 500 Oops\r\ncontent-length: 4\r\n\r\noops".into(),
        _ => ok("done"),
    });
    let args = ["--http1.1", "--retry", "2", "--retry-delay", "0.01"];
    let (code, out, said) = get(&[&args[..], &[&server.url("/")]].concat());
    assert_eq!((code, out.as_str()), (0, "done"), "{said}");
    assert_eq!(said.matches("trying again").count(), 2, "{said}");
    // The last answer is the answer.
    let server = Http1::start(|_, _| "HTTP/1.1 503 Busy\r\ncontent-length: 4\r\n\r\nbusy".into());
    let (code, out, _) = get(&[&args[..], &["-s", &server.url("/")]].concat());
    assert_eq!((code, out.as_str()), (0, "busy"));
    assert_eq!(server.requests().len(), 3);
    // Other failures are not.
    let server = Http1::start(|_, _| "HTTP/1.1 404 Gone\r\ncontent-length: 0\r\n\r\n".into());
    let (code, _, _) = get(&[&args[..], &["-f", &server.url("/")]].concat());
    assert_eq!((code, server.requests().len()), (22, 1));
    // Unless all are.
    let all = ["--retry-all-errors", "-f", &server.url("/")];
    let (code, _, said) = get(&[&args[..], &all].concat());
    assert_eq!((code, server.requests().len()), (22, 1 + 3), "{said}");
    let broken = Http1::start(|_, number| match number {
        0 => "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf".into(),
        _ => ok("whole"),
    });
    let file = scratch("retry-all-errors").join("file");
    let output = ["-o", file.to_str().unwrap(), &broken.url("/")];
    let (code, _, said) = get(&[&args[..], &["--retry-all-errors"], &output].concat());
    assert_eq!(code, 0, "{said}");
    assert_eq!(fs::read_to_string(&file).unwrap(), "whole");
    // The command line and files are as they are.
    let output = ["-o", "/no/such/folder/file", &server.url("/")];
    let (code, _, said) = get(&[&args[..], &["--retry-all-errors"], &output].concat());
    assert_eq!(code, 23, "{said}");
    assert!(!said.contains("trying again"), "{said}");
}

#[test]
fn a_url_is_fetched_several_times() {
    for version in Version::ALL {
        let url = format!("http://{}/hello", server(version));
        let args = ["-p", version.alpn(), "--multiply", "20", "-o", "/dev/null"];
        let told = ["-w", "%{http_code} %{remote_port}\\n", "--stat"];
        let (code, out, said) = get(&[&args[..], &told, &[&url, &url]].concat());
        assert_eq!(code, 0, "{said}");
        let lines: Vec<_> = out.lines().collect();
        assert_eq!(lines.len(), 40, "{out}");
        assert!(lines.iter().all(|line| line.starts_with("200 ")), "{out}");
        assert_eq!(said.matches(" /hello").count(), 40, "{said}");
    }
    // Bodies at once would mix.
    let url = format!("http://{}/hello", server(Version::Http2));
    let (code, _, said) = get(&["--multiply", "2", &url]);
    assert_eq!(code, 2, "{said}");
    assert!(said.contains("--multiply fetches"), "{said}");
    assert!(
        said.contains("/dev/null") && said.contains("--parallel 1"),
        "{said}"
    );
    let (code, _, said) = get(&["--multiply", "2", "-o", "one.txt", &url]);
    assert!(code == 2 && said.contains("with --multiply"), "{said}");
    let (code, out, said) = get(&["--multiply", "2", "--parallel", "1", &url]);
    assert_eq!(
        (code, out.as_str()),
        (0, "hello worldhello world"),
        "{said}"
    );
}

#[test]
fn help_has_groups_and_ends_in_examples() {
    let (code, out, _) = get(&["--help"]);
    assert_eq!(code, 0);
    for group in [
        "Request:",
        "Output:",
        "Protocol:",
        "Connection:",
        "Exit codes",
    ] {
        assert!(out.contains(group), "{group}");
    }
    let examples = out.split("Examples:").nth(1).unwrap();
    assert!(
        examples.trim_end().ends_with("https://example.org/"),
        "{examples}"
    );
}

/// Colours are for terminals.
#[test]
fn the_frame_log_is_plain_in_a_pipe() {
    let url = format!("http://{}/hello", server(Version::Http2));
    let (code, _, said) = get(&["-v", &url]);
    assert_eq!(code, 0);
    assert!(
        said.contains("> HEADERS") && !said.contains('\x1b'),
        "{said}"
    );
}
