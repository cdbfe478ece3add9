//! What `get` saves: whole downloads, parts that are resumed, and those that end early.

use std::{
    fs,
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpListener},
    process::Command,
};

use super::curl::{Http1, get, ok, scratch};

#[test]
fn a_download_is_resumed_where_it_ended() {
    const WHOLE: &str = "0123456789";
    let server = Http1::start(|request, _| {
        let start = request
            .lines()
            .find_map(|line| line.strip_prefix("range: bytes="));
        let Some(start) = start else { return ok(WHOLE) };
        let start: usize = start.trim_end_matches('-').parse().unwrap();
        if start >= WHOLE.len() {
            return "HTTP/1.1 416 No\r\ncontent-range: bytes */10\r\ncontent-length: 0\r\n\r\n"
                .into();
        }
        if request.contains("/whole") {
            return ok(WHOLE);
        }
        let rest = &WHOLE[start..];
        let length = rest.len();
        format!(
            "HTTP/1.1 206 Partial\r\ncontent-range: bytes {start}-9/10\r\ncontent-length: {length}\r\n\r\n{rest}"
        )
    });
    let file = scratch("resume").join("file");
    let path = file.to_str().unwrap();
    let url = server.url("/x");
    for before in ["0123", "", WHOLE] {
        fs::write(&file, before).unwrap();
        let (code, _, said) = get(&["--http1.1", "-C", "-", "-o", path, &url]);
        assert_eq!(code, 0, "{said}");
        assert_eq!(fs::read_to_string(&file).unwrap(), WHOLE, "{before}");
    }
    fs::write(&file, "012345xxx").unwrap();
    let (code, _, _) = get(&["--http1.1", "-C", "6", "-o", path, &url]);
    assert_eq!(
        (code, fs::read_to_string(&file).unwrap().as_str()),
        (0, WHOLE)
    );
    fs::write(&file, "0123").unwrap();
    let (code, _, said) = get(&["--http1.1", "-C", "-", "-o", path, &server.url("/whole")]);
    assert_eq!(code, 33, "{said}");
    assert_eq!(
        fs::read_to_string(&file).unwrap(),
        "0123",
        "it is as it was"
    );
    let (code, _, said) = get(&["-C", "-", &url]);
    assert_eq!(code, 2, "{said}");
    let (code, _, _) = get(&["--http1.1", "-r", "7-", &url]);
    assert_eq!(code, 0);
    assert!(server.requests().pop().unwrap().contains("range: bytes=7-"));
}

#[test]
fn a_body_that_ends_early_is_code_18_and_what_came_is_kept() {
    for head in ["content-length: 9", "transfer-encoding: chunked"] {
        let server = Http1::start(move |_, _| {
            let body = if head.contains("chunked") {
                "4\r\nhalf\r\n"
            } else {
                "half"
            };
            format!("HTTP/1.1 200 OK\r\n{head}\r\n\r\n{body}")
        });
        let (code, out, said) = get(&["--http1.1", &server.url("/")]);
        assert_eq!((code, out.as_str()), (18, "half"), "{said}");
        assert!(said.contains("incomplete"), "{said}");
    }
    let address = short_h2();
    let (code, _, said) = get(&[&format!("http://{address}/")]);
    assert_eq!(code, 18, "{said}");
    assert!(said.contains("content-length"), "{said}");
    let server = Http1::start(|_, _| String::new());
    let (code, _, said) = get(&["--http1.1", &server.url("/")]);
    assert_eq!(code, 52, "{said}");
}

/// A server of HTTP/2 that announces 10 bytes and sends 4.
fn short_h2() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let _ = stream.read_exact(&mut [0; 24]);
        // The request is the first HEADERS frame.
        let mut head = [0; 9];
        while head[3] != 1 {
            stream.read_exact(&mut head).unwrap();
            let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
            stream.read_exact(&mut vec![0; length as usize]).unwrap();
        }
        // SETTINGS; HEADERS: `:status: 200` and `content-length: 10`; DATA with END_STREAM.
        let settings = *b"\x00\x00\x00\x04\x00\x00\x00\x00\x00";
        let headers = *b"\x00\x00\x06\x01\x04\x00\x00\x00\x01\x88\x0f\x0d\x0210";
        let data = *b"\x00\x00\x04\x00\x01\x00\x00\x00\x01half";
        stream
            .write_all(&[&settings[..], &headers, &data].concat())
            .unwrap();
        while stream.read(&mut [0; 4096]).unwrap_or(0) > 0 {}
    });
    address
}

#[test]
fn remote_name_writes_a_plain_name_here() {
    let server = Http1::start(|_, _| ok("body"));
    let folder = scratch("remote-name");
    let url = server.url("/a/../b/file.txt?x");
    let output = Command::new(env!("CARGO_BIN_EXE_lacewing"))
        .args([
            "get",
            "--http1.1",
            "-O",
            "-w",
            "%{filename_effective}",
            &url,
        ])
        .current_dir(&folder)
        .output()
        .unwrap();
    assert_eq!(String::from_utf8(output.stdout).unwrap(), "file.txt");
    assert_eq!(fs::read_to_string(folder.join("file.txt")).unwrap(), "body");
}
