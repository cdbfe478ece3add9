//! The engine by hand: a client on a blocking socket, without tokio and without a driver. It fetches
//! one resource in cleartext, by prior knowledge.
//!
//! ```text
//! cargo run -p lacewing-conn --no-default-features --example engine -- 127.0.0.1:8080 /README.md h2
//! ```

use std::{
    error::Error,
    io::{ErrorKind, Read, Write},
    net::TcpStream,
    time::Instant,
};

use bytes::{Buf, BytesMut};
use http::Method;
use lacewing_conn::{
    Side, Version,
    proto::{Config, Engine, Event, Head, OpenOptions, Transmit},
};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [address, path, protocol] = arguments.as_slice() else {
        return Err("usage: engine ADDR PATH PROTOCOL".into());
    };
    let transport = TcpStream::connect(address)?;
    transport.set_nodelay(true)?;
    let url = format!("http://{address}{path}");
    fetch(transport, protocol.parse()?, &url, &mut std::io::stdout())
}

/// Writes the status and the content to `output`.
pub(crate) fn fetch(
    mut transport: TcpStream,
    version: Version,
    url: &str,
    output: &mut impl Write,
) -> Result<(), Box<dyn Error>> {
    // Time and randomness are the caller's. The seed should come from the operating system.
    let seed = u64::from(std::process::id());
    let config = Config::new(version, Side::Client);
    let mut engine = Engine::new(config, Instant::now(), seed);
    let head = Head::request(Method::GET, url.parse()?);
    engine.open(Instant::now(), head, OpenOptions::without_content())?;
    let mut input = BytesMut::new();
    loop {
        // 1. Events, until there are none.
        while let Some(event) = engine.poll_event(Instant::now(), &mut input) {
            match event {
                Event::Reply { head, fin, .. } => {
                    let status = head.status().map_or(0, |status| status.as_u16());
                    writeln!(output, "{status}")?;
                    if fin {
                        engine.shutdown(Instant::now());
                    }
                }
                Event::Data { stream, data, fin } => {
                    output.write_all(&data)?;
                    // Credit for the server: without it, the window stays empty.
                    let mut stream = engine.stream(Instant::now(), stream);
                    stream.release(data.len());
                    if fin {
                        engine.shutdown(Instant::now());
                    }
                }
                Event::Reset { error, .. } => return Err(error.into()),
                Event::Closed { error } => return Err(error.into()),
                _ => {}
            }
        }
        // 2. Output, until there is none. A client without uploads is never asked for a body.
        while engine.poll_transmit(Instant::now()) == Transmit::Write
            || engine.output().has_remaining()
        {
            let written = transport.write(engine.output().chunk())?;
            engine.output().advance(written);
        }
        if engine.is_closed() {
            return Ok(());
        }
        // 3. Sleep until there is input, or a deadline.
        let now = Instant::now();
        let deadline = engine.poll_timeout();
        let wait = deadline.map(|at| at.saturating_duration_since(now));
        // A timeout of zero would mean none.
        transport
            .set_read_timeout(wait.map(|wait| wait.max(std::time::Duration::from_millis(1))))?;
        let mut buffer = [0; 16 << 10];
        match transport.read(&mut buffer) {
            Ok(0) => engine.handle_eof(Instant::now()),
            Ok(length) => input.extend_from_slice(buffer.get(..length).unwrap_or_default()),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                engine.handle_timeout(Instant::now());
            }
            Err(error) => return Err(error.into()),
        }
    }
}
