//! Sessions over WebSocket, against any client.

use bytes::Bytes;
use http::Request;
use lacewing_kube::{
    CommandOutcome,
    server::{CommandOffer, CommandStreams, ForwardOffer},
};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

/// The subprotocols; the first byte of an input chooses one.
const PROTOCOLS: [&str; 4] = [
    "v5.channel.k8s.io",
    "v4.channel.k8s.io",
    "v4.base64.channel.k8s.io",
    "base64.channel.k8s.io",
];

/// Bytes that the pipe to the server takes: more than any input makes.
const PIPE: usize = 64 << 10;

/// A command in a terminal, whose stdin is read to its end.
pub fn channels(input: &[u8]) {
    let Some((first, script)) = input.split_first() else {
        return;
    };
    let protocol = PROTOCOLS[usize::from(*first) % PROTOCOLS.len()];
    let streams = CommandStreams::from_query("stdin=true&stdout=true&tty=true");
    crate::run(async {
        let mut request = request(protocol);
        let Ok((_, pending)) = CommandOffer::new(streams).accept(&mut request) else {
            panic!("a valid request for {protocol}");
        };
        let server = client(script).await;
        let Ok(mut session) = pending.serve_on(server, Bytes::new()).await else {
            return;
        };
        if let Some(mut stdin) = session.stdin.take() {
            let mut input = Vec::new();
            // The client is gone, or has broken a rule.
            let _ = stdin.read_to_end(&mut input).await;
            assert!(input.len() <= script.len());
        }
        if let Some(sizes) = &mut session.sizes {
            while sizes.next().await.is_some() {}
        }
        let _ = session.finish(CommandOutcome::Success).await;
    });
}

/// SPDY inside WebSocket messages, up to the end of the client.
pub fn tunnel(script: &[u8]) {
    crate::run(async {
        let mut request = request("SPDY/3.1+portforward.k8s.io");
        let Ok((_, pending)) = ForwardOffer::new().accept(&mut request) else {
            panic!("a valid request");
        };
        let server = client(script).await;
        let mut session = pending.serve_on(server, Bytes::new()).await;
        while let Some(forward) = session.accept().await {
            forward.fail("no pod").await;
        }
    });
}

fn request(protocol: &str) -> Request<()> {
    let request = Request::get("/exec")
        .header("connection", "Upgrade")
        .header("upgrade", "websocket")
        .header("sec-websocket-version", "13")
        .header("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==")
        .header("sec-websocket-protocol", protocol);
    request.body(()).expect("a request")
}

/// A transport on which the client has sent all of a script, and then closed. The script has
/// frames: a byte with FIN and the opcode, a byte with the length, and that much content. Each
/// gets a mask, which a random input would hardly have.
async fn client(mut script: &[u8]) -> DuplexStream {
    let (mut client, server) = tokio::io::duplex(PIPE);
    while let Some(([first, length], rest)) = script.split_first_chunk() {
        let length = usize::from(*length).min(125).min(rest.len());
        let (content, rest) = rest.split_at(length);
        let masked_length = 0x80 | u8::try_from(length).unwrap_or_default();
        let head = [*first, masked_length, 0, 0, 0, 0];
        let frame = [&head, content].concat();
        client.write_all(&frame).await.expect("room in the pipe");
        script = rest;
    }
    server
}
