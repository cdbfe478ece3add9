//! Ways to a server other than plain TCP. TLS and the choice of a protocol are
//! the client's in all of them.
//!
//! ```text
//! dialling URL at 127.0.0.1:8443       # as curl's --resolve
//! dialling URL from 192.0.2.7          # as curl's --interface
//! dialling URL unix /run/app.sock      # as curl's --unix-socket
//! dialling URL proxy 127.0.0.1:3128    # CONNECT to a proxy of HTTP/1.1
//! dialling URL h2-proxy 127.0.0.1:3128 # CONNECT to a proxy of HTTP/2
//! ```

use std::io::Write as _;
use std::{error::Error, io, net::SocketAddr};

use http::{Request, Uri};
use http_body_util::BodyExt as _;
use lacewing_client::{
    Body, BoxError, Client, ClientOptions, Connection, Origin, Tcp, Tunnel, Version, dial_fn,
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

/// The longest answer that is read from a proxy.
const MAX_HEAD: usize = 8 << 10;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let [url, way, place] = arguments.as_slice() else {
        return Err("usage: dialling URL (at|from|unix|proxy|h2-proxy) WHERE".into());
    };
    let url: Uri = url.parse()?;
    // What `http` origins speak; `https` origins are asked.
    let builder = Client::builder().cleartext_protocol(Version::Http2);
    let builder = match *way {
        "at" => {
            let host = url.host().unwrap_or_default();
            builder.dial(Tcp::new().resolve_to(host, [place.parse()?]))
        }
        "from" => builder.dial(Tcp::new().local_address(place.parse()?)),
        #[cfg(unix)]
        "unix" => builder.dial(lacewing_client::Unix::new(*place)),
        "proxy" => {
            let proxy: SocketAddr = place.parse()?;
            builder.dial(dial_fn(move |origin| through_http1(proxy, origin)))
        }
        "h2-proxy" => {
            // All origins share the connection to the proxy.
            let io = TcpStream::connect(*place).await?;
            let config = ClientOptions::default();
            let (proxy, task) = Connection::handshake(io, Version::Http2, config);
            tokio::spawn(task);
            builder.dial(dial_fn(move |origin| through_http2(proxy.clone(), origin)))
        }
        _ => return Err("no such way".into()),
    };
    let client = builder.build();
    let response = client
        .request(Request::get(url).body(Body::empty())?)
        .await?;
    let _ = writeln!(
        std::io::stdout(),
        "{} by {:?}",
        response.status(),
        response.version()
    );
    let body = response.into_body().collect().await?.to_bytes();
    let _ = writeln!(std::io::stdout(), "{}", String::from_utf8_lossy(&body));
    Ok(())
}

/// A tunnel through a proxy that speaks HTTP/1.1 (RFC 9110 §9.3.6).
async fn through_http1(proxy: SocketAddr, origin: Origin) -> io::Result<TcpStream> {
    let mut io = TcpStream::connect(proxy).await?;
    let target = target(&origin);
    let request = format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n\r\n");
    io.write_all(request.as_bytes()).await?;
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        if head.len() == MAX_HEAD {
            return Err(io::Error::other("the proxy's answer has no end"));
        }
        // Byte by byte: what follows is the origin's.
        head.push(io.read_u8().await?);
    }
    let line = head.split(|byte| *byte == b'\r').next().unwrap_or_default();
    if !line.starts_with(b"HTTP/1.1 2") {
        let line = String::from_utf8_lossy(line).into_owned();
        return Err(io::Error::other(format!("the proxy refuses: {line}")));
    }
    Ok(io)
}

/// A tunnel through a proxy that speaks HTTP/2 (RFC 9113 §8.5).
async fn through_http2(proxy: Connection, origin: Origin) -> Result<Tunnel, BoxError> {
    let request = Request::connect(target(&origin)).body(())?;
    let (_, tunnel) = proxy.tunnel(request).await?;
    Ok(tunnel)
}

/// `host:port`, an IPv6 address in its brackets.
fn target(origin: &Origin) -> String {
    let (host, port) = (origin.host(), origin.port());
    if host.contains(':') {
        format!("[{host}]:{port}")
    } else {
        format!("{host}:{port}")
    }
}
