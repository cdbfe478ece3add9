//! Raw streams of SPDY/3.1 that belong to others. The peer opens such streams too: there is a
//! parent, and one child of it from each side.
//!
//! ```text
//! raw_family serve ADDR   the server's part, connection after connection
//! raw_family client ADDR  the client's part, once
//! ```

use std::time::Duration;

use http::{HeaderMap, HeaderValue};
use lacewing_conn::{Side, Version};
use lacewing_conn::driver::{Mux, MuxConfig, OpenOptions, RawStream};
use lacewing_interop_peers::Error;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

const OF_THE_CLIENT: &[u8] = b"of the client";
const OF_THE_SERVER: &[u8] = b"of the server";

#[tokio::main]
async fn main() -> Result<(), Error> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    match args[..] {
        ["serve", address] => {
            let listener = TcpListener::bind(address).await?;
            loop {
                let (io, _) = listener.accept().await?;
                let (mux, connection) = Mux::server(io, Version::Spdy31, MuxConfig::kubernetes(Side::Server));
                tokio::spawn(connection);
                // The first connection only asks whether we listen.
                if let Err(error) = serve(mux).await {
                    println!("{error}");
                }
            }
        }
        ["client", address] => {
            let io = TcpStream::connect(address).await?;
            let (mux, connection) = Mux::client(io, Version::Spdy31, MuxConfig::kubernetes(Side::Client));
            tokio::spawn(connection);
            tokio::time::timeout(Duration::from_secs(20), client(mux)).await?
        }
        _ => Err("usage: raw_family serve|client ADDR".into()),
    }
}

async fn serve(mux: Mux) -> Result<(), Error> {
    let (_, mut parent) = mux.accept().await.ok_or("no stream came")?;
    parent.reply(HeaderMap::new());
    let theirs = child(&mux, &parent).await?;
    echo(theirs, OF_THE_CLIENT).await?;
    let ours = open_child(&mux, &parent).await?;
    talk(ours, OF_THE_SERVER).await?;
    parent.read_to_end(&mut Vec::new()).await?;
    parent.shutdown().await?;
    mux.closed().await?;
    Ok(())
}

async fn client(mux: Mux) -> Result<(), Error> {
    let mut headers = HeaderMap::new();
    headers.insert("children", HeaderValue::from_static("yes"));
    let mut parent = mux.open(headers, OpenOptions::default()).await?;
    parent.recv_reply().await?;
    let ours = open_child(&mux, &parent).await?;
    let id = ours.id();
    talk(ours, OF_THE_CLIENT).await?;
    let theirs = child(&mux, &parent).await?;
    println!("parent {}, children {id} and {}", parent.id(), theirs.id());
    echo(theirs, OF_THE_SERVER).await?;
    parent.shutdown().await?;
    parent.read_to_end(&mut Vec::new()).await?;
    Ok(())
}

/// The child that the peer opens.
async fn child(mux: &Mux, parent: &RawStream) -> Result<RawStream, Error> {
    let (_, stream) = mux.accept().await.ok_or("no child came")?;
    if stream.parent() == Some(parent.id()) {
        Ok(stream)
    } else {
        Err(format!("{stream:?} is no child of {parent:?}").into())
    }
}

async fn open_child(mux: &Mux, parent: &RawStream) -> Result<RawStream, Error> {
    let options = OpenOptions::default().with(|options| options.parent = Some(parent.id()));
    Ok(mux.open(HeaderMap::new(), options).await?)
}

/// Says something on a stream of ours, and expects it back.
async fn talk(mut stream: RawStream, text: &[u8]) -> Result<(), Error> {
    stream.recv_reply().await?;
    // Go's spdystream writes its reply before it notes that it did, and drops
    // DATA that comes in between.
    tokio::time::sleep(Duration::from_millis(20)).await;
    stream.write_all(text).await?;
    expect(&mut stream, text).await?;
    stream.shutdown().await?;
    stream.read_to_end(&mut Vec::new()).await?;
    Ok(())
}

/// Sends back what the peer says on its stream.
async fn echo(mut stream: RawStream, text: &[u8]) -> Result<(), Error> {
    stream.reply(HeaderMap::new());
    expect(&mut stream, text).await?;
    stream.write_all(text).await?;
    stream.shutdown().await?;
    stream.read_to_end(&mut Vec::new()).await?;
    Ok(())
}

async fn expect(stream: &mut RawStream, text: &[u8]) -> Result<(), Error> {
    let mut came = vec![0; text.len()];
    stream.read_exact(&mut came).await?;
    if came == text {
        Ok(())
    } else {
        Err(format!("{:?} came", String::from_utf8_lossy(&came)).into())
    }
}
