//! Bodies over SPDY that are shorter than their `content-length`. The drafts let a client ignore
//! the length (SPDY/3 §3.2.2), so no error of the protocol tells the user.

use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpListener},
};

use bytes::BytesMut;
use lacewing_client::Version;
use lacewing_frames::spdy::{Compression, Encoder, WireVersion};

use super::curl::get;

/// What arrived is kept, the missing part is named, and the exit code is that of curl.
#[test]
fn a_short_body_over_spdy_is_code_18() {
    for version in [Version::Spdy2, Version::Spdy3, Version::Spdy31] {
        for (method, length, sent, code) in [
            ("GET", "10", &b"half"[..], 18),
            ("GET", "10", b"", 18),
            ("GET", "4", b"half", 0),
            // More than the length is no loss: all of it is there.
            ("GET", "3", b"half", 0),
            // The length that a GET would have.
            ("HEAD", "10", b"", 0),
        ] {
            let url = format!("http://{}/", server(version, length, sent));
            let ask = ["--protocol", version.alpn(), "-X", method, &url];
            let (ended, out, said) = get(&ask);
            let context = format!("{version} {method} {length}: {said}");
            assert_eq!(ended, code, "{context}");
            assert_eq!(out.as_bytes(), sent, "{context}");
            if code != 0 {
                let missing = format!("not complete: {} bytes of {length}", sent.len());
                assert!(said.contains(&missing), "{context}");
                assert!(said.contains("content-length"), "{context}");
            }
        }
    }
}

/// A server of one request, which is answered with this length and this body.
fn server(version: Version, length: &'static str, body: &'static [u8]) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        // The request is the first SYN_STREAM.
        let mut head = [0; 8];
        while (head[0], head[3]) != (0x80, 1) {
            stream.read_exact(&mut head).unwrap();
            let length = u32::from_be_bytes([0, head[5], head[6], head[7]]);
            stream.read_exact(&mut vec![0; length as usize]).unwrap();
        }
        let (wire, names) = match version {
            Version::Spdy2 => (WireVersion::V2, ["status", "version"]),
            _ => (WireVersion::V3, [":status", ":version"]),
        };
        let mut bytes = BytesMut::new();
        let mut encoder = Encoder::new(wire, Compression::Zlib(6));
        encoder
            .syn_reply(&mut bytes, 1, false, |block| {
                let fields = [(names[0], "200"), (names[1], "HTTP/1.1")];
                for (name, value) in fields.into_iter().chain([("content-length", length)]) {
                    block.field(name.as_bytes(), [value.as_bytes()]);
                }
            })
            .unwrap();
        encoder.data_head(&mut bytes, 1, body.len() as u32, true);
        bytes.extend_from_slice(body);
        stream.write_all(&bytes).unwrap();
        while stream.read(&mut [0; 4096]).unwrap_or(0) > 0 {}
    });
    address
}
