//! A board that a server writes to, and the page that shows it.

use std::convert::Infallible;

use http::{Request, Response};
use lacewing_server::{
    RequestBody, ServerOptions,
    live::{Board, Page},
    serve_connection, service_fn,
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _, duplex},
    net::TcpStream,
};

use crate::support::{fetch, spoken};

async fn hello(_: Request<RequestBody>) -> Result<Response<String>, Infallible> {
    Ok(Response::new("hello".to_owned()))
}

/// A viewer's events so far.
struct Viewer {
    io: TcpStream,
    text: String,
}

impl Viewer {
    async fn come(page: &Page) -> Self {
        let mut io = TcpStream::connect(page.local_addr()).await.unwrap();
        let request = b"GET /events HTTP/1.0\r\nhost: 127.0.0.1\r\n\r\n";
        io.write_all(request).await.unwrap();
        let text = String::new();
        Self { io, text }
    }

    async fn read_until(&mut self, wanted: &str) {
        while !self.text.contains(wanted) {
            let mut bytes = [0; 4096];
            let len = self.io.read(&mut bytes).await.unwrap();
            assert!(len > 0, "{wanted} does not come: {}", self.text);
            self.text += &String::from_utf8_lossy(&bytes[..len]);
        }
    }
}

#[tokio::test]
async fn requests_of_all_protocols_are_on_the_page() {
    let board = Board::new("<test>");
    let address = ([127, 0, 0, 1], 0).into();
    let page = Page::bind(address, board.clone()).await.unwrap();
    let mut viewer = Viewer::come(&page).await;
    let serving = tokio::spawn(page.serve());
    viewer.read_until("event: snapshot").await;
    for protocol in spoken() {
        let (client, io) = duplex(16 << 10);
        let options = ServerOptions::default().board(board.clone());
        let connection = serve_connection(io, protocol, options, service_fn(hello));
        let connection = tokio::spawn(connection);
        let path = format!("/as-{}?secret", protocol.alpn().replace(['/', '.'], "-"));
        assert_eq!(fetch(client, protocol, &path).await, "hello");
        let _ = connection.await.unwrap();
        let shown = path.trim_end_matches("?secret");
        viewer
            .read_until(&format!("\"path\":\"{shown}\",\"status\":200"))
            .await;
        let place = format!("\"protocol\":\"{}\"", protocol.alpn());
        assert!(viewer.text.contains(&place), "{}", viewer.text);
    }
    assert!(!viewer.text.contains("secret"), "{}", viewer.text);
    serving.abort();
}
