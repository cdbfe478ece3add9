//! `lacewing get` from a server of HTTP/2 that requires HTTP/1.1 for a request.

use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpListener},
    thread,
};

use super::{
    lacewing::{ended, run},
    support::any_port,
};

/// SETTINGS, their acknowledgement, and GOAWAY with HTTP_1_1_REQUIRED.
const REQUIRED: &[u8] = b"\0\0\0\x04\0\0\0\0\0\0\0\0\x04\x01\0\0\0\0\
                          \0\0\x08\x07\0\0\0\0\0\0\0\0\0\0\0\0\x0d";

fn requiring() -> SocketAddr {
    let listener = TcpListener::bind(any_port()).unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut heard = vec![0; 64 << 10];
            let length = stream.read(&mut heard).unwrap();
            let answer: &[u8] = match heard[..length].starts_with(b"PRI ") {
                true => REQUIRED,
                false => {
                    b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 6\r\n\r\nolder\n"
                }
            };
            stream.write_all(answer).unwrap();
            stream.shutdown(std::net::Shutdown::Write).unwrap();
            while stream.read(&mut heard).unwrap_or(0) > 0 {}
        }
    });
    address
}

#[test]
fn it_is_asked_again_in_http1() {
    for more in [&[][..], &["-v"], &["-d", "content"], &["--stat"]] {
        let url = format!("http://{}/", requiring());
        let (code, out, said) = ended(&run(&[&["get"], more, &[&url]].concat()));
        assert_eq!(code, Some(0), "{more:?}: {said}");
        assert!(out.contains("older\n"), "{more:?}: {out}");
    }
    // Whoever names HTTP/2 gets the reason.
    let url = format!("http://{}/", requiring());
    let (code, _, said) = ended(&run(&["get", "--protocol", "h2", &url]));
    assert_ne!(code, Some(0));
    assert!(said.contains("HTTP_1_1_REQUIRED"), "{said}");
}
