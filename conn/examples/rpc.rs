//! Remote calls of one's own on raw streams: a stream is a call. Its header list names the procedure,
//! the bytes up to the end of the caller's half are the arguments, and those of the other half the result.
//! Many calls share the connection, and a slow one holds up no other.
//!
//! ```text
//! cargo run -p lacewing-conn --example rpc
//! ```

use std::{error::Error, io::Write};

use http::{HeaderMap, HeaderValue};
use lacewing_conn::{
    Reason, Side, Version,
    driver::{Mux, MuxConfig, OpenOptions, RawStream},
};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

/// The longest arguments, and the longest result.
const MAX: u64 = 1 << 20;

#[tokio::main]
pub(crate) async fn main() -> Result<(), Box<dyn Error>> {
    run(&mut std::io::stdout()).await
}

pub(crate) async fn run(output: &mut impl Write) -> Result<(), Box<dyn Error>> {
    // Any transport will do: a socket, a pipe, TLS.
    let (here, there) = tokio::io::duplex(64 << 10);
    let (server, task) = Mux::server(there, Version::Spdy31, MuxConfig::new(Side::Server));
    tokio::spawn(task);
    tokio::spawn(serve(server));

    let (client, task) = Mux::client(here, Version::Spdy31, MuxConfig::new(Side::Client));
    let task = tokio::spawn(task);
    let (upper, reversed, unknown) = tokio::join!(
        call(&client, "upper", b"hello"),
        call(&client, "reverse", b"hello"),
        call(&client, "divide", b"1 0"),
    );
    writeln!(output, "{}", String::from_utf8(upper?)?)?;
    writeln!(output, "{}", String::from_utf8(reversed?)?)?;
    match unknown {
        Ok(_) => return Err("there is no such procedure".into()),
        Err(error) => writeln!(output, "divide: {error}")?,
    }
    client.shutdown();
    drop(client);
    task.await??;
    Ok(())
}

/// Calls a procedure.
async fn call(mux: &Mux, name: &'static str, arguments: &[u8]) -> Result<Vec<u8>, Box<dyn Error>> {
    let mut headers = HeaderMap::new();
    headers.insert("procedure", HeaderValue::from_static(name));
    let mut stream = mux.open(headers, OpenOptions::default()).await?;
    stream.write_all(arguments).await?;
    stream.shutdown().await?;
    let mut result = Vec::new();
    stream.take(MAX).read_to_end(&mut result).await?;
    Ok(result)
}

async fn serve(mux: Mux) {
    while let Some((headers, stream)) = mux.accept().await {
        tokio::spawn(async move {
            let name = headers.get("procedure").map(HeaderValue::as_bytes);
            // The caller learns of an error by the reset of its stream.
            let _ = answer(name.unwrap_or_default(), stream).await;
        });
    }
}

async fn answer(name: &[u8], mut stream: RawStream) -> std::io::Result<()> {
    let procedure: fn(&mut Vec<u8>) = match name {
        b"upper" => |bytes| bytes.make_ascii_uppercase(),
        b"reverse" => |bytes| bytes.reverse(),
        _ => {
            stream.reset(Reason::RefusedStream);
            return Ok(());
        }
    };
    stream.reply(HeaderMap::new());
    let mut bytes = Vec::new();
    (&mut stream).take(MAX).read_to_end(&mut bytes).await?;
    procedure(&mut bytes);
    stream.write_all(&bytes).await?;
    stream.shutdown().await
}
