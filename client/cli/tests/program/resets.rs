//! What `lacewing get` says of a response that the server resets.

use std::convert::Infallible;

use bytes::Bytes;
use http::{Request, Response};
use http_body::Frame;
use http_body_util::StreamBody;
use lacewing_client::Version;
use lacewing_server::{Protocol, RequestBody, Server, service_fn};

use super::{
    lacewing::{ended, run},
    servers::serve,
    support::any_port,
};

/// A server whose response fails after four bytes.
fn resetting(version: Version) -> String {
    let service = service_fn(|_: Request<RequestBody>| async {
        let pieces = [
            Ok(Frame::data(Bytes::from_static(b"half"))),
            Err(std::io::Error::other("broken")),
        ];
        let body = StreamBody::new(futures_util::stream::iter(pieces));
        let mut response = Response::new(body);
        response
            .headers_mut()
            .insert("x-from", "us".parse().unwrap());
        Ok::<_, Infallible>(response)
    });
    let protocol = Protocol::from_alpn(version.alpn().as_bytes()).unwrap();
    let server = Server::builder().bind(any_port());
    let server = server.options(|options| options.protocols([protocol]));
    format!("http://{}/", serve(server, service).unwrap())
}

/// The head and the bytes that came are written; the message has who ended the stream, and why.
#[test]
fn a_reset_is_told_with_its_code_behind_what_came() {
    for version in Version::ALL {
        let url = resetting(version);
        let (code, out, said) = ended(&run(&["get", "-i", "--protocol", version.alpn(), &url]));
        assert_eq!(code, Some(92), "{version}: {said}");
        assert!(out.contains("x-from: us"), "{version}: {out}");
        assert!(out.ends_with("half"), "{version}: {out}");
        for part in ["ended by the peer", "INTERNAL_ERROR", "after 4 bytes"] {
            assert!(said.contains(part), "{version}, {part}: {said}");
        }
    }
}
