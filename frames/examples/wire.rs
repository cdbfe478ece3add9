//! Frames alone: the same request in HTTP/2 and in SPDY/3.1, frame by frame, without a connection.
//!
//! ```text
//! cargo run -p lacewing-frames --example wire
//! ```

use std::{error::Error, io::Write};

use lacewing_frames::{
    bytes::{Bytes, BytesMut},
    http2::{self, HeadersHead, Sensitivity},
    spdy::{self, Compression, SynStreamHead, WireVersion},
};

fn main() -> Result<(), Box<dyn Error>> {
    run(&mut std::io::stdout())
}

pub(crate) fn run(output: &mut impl Write) -> Result<(), Box<dyn Error>> {
    http2(output)?;
    spdy(output)
}

fn http2(output: &mut impl Write) -> Result<(), Box<dyn Error>> {
    let mut wire = BytesMut::new();
    let mut encoder = http2::Encoder::new();
    encoder.headers(&mut wire, HeadersHead::new(1, false), |block| {
        block.field(b":method", b"PUT", Sensitivity::Normal);
        block.field(b":path", b"/note", Sensitivity::Normal);
    });
    encoder.data_head(&mut wire, 1, 5, true);
    wire.extend_from_slice(b"hello");
    writeln!(output, "HTTP/2, {} bytes:", wire.len())?;
    let limits = http2::DecoderLimits::default();
    let mut decoder = http2::Decoder::<Vec<(http2::HeaderField, Sensitivity)>>::new(limits);
    // It takes whole frames from the buffer, and waits for the rest of others.
    while let Some(message) = decoder.decode(&mut wire)? {
        match message {
            http2::Message::Headers {
                stream_id, list, ..
            } => {
                for (field, _) in list? {
                    let name = String::from_utf8_lossy(field.name());
                    let value = String::from_utf8_lossy(field.value());
                    writeln!(output, "  stream {stream_id}: {name} = {value}")?;
                }
            }
            http2::Message::Data {
                stream_id,
                payload,
                fin,
                ..
            } => {
                let length = payload.len();
                writeln!(
                    output,
                    "  stream {stream_id}: {length} bytes, the last: {fin}"
                )?;
            }
            other => writeln!(output, "  {other:?}")?,
        }
    }
    Ok(())
}

fn spdy(output: &mut impl Write) -> Result<(), Box<dyn Error>> {
    let mut wire = BytesMut::new();
    let mut encoder = spdy::Encoder::new(WireVersion::V3, Compression::default());
    encoder.syn_stream(&mut wire, SynStreamHead::new(1), |block| {
        block.field(b":method", [b"PUT"]);
        block.field(b":path", [b"/note"]);
    })?;
    spdy::Frame::Data(spdy::Data {
        fin: true,
        ..spdy::Data::new(1, Bytes::from_static(b"hello"))
    })
    .encode(WireVersion::V3, &mut wire)?;
    writeln!(output, "SPDY/3.1, {} bytes:", wire.len())?;
    let limits = spdy::DecoderLimits::default();
    let mut decoder = spdy::Decoder::<Vec<(Bytes, Bytes)>>::new(WireVersion::V3, limits);
    while let Some(message) = decoder.decode(&mut wire)? {
        match message {
            spdy::Message::SynStream {
                stream_id, block, ..
            } => {
                for (name, value) in block.list? {
                    let name = String::from_utf8_lossy(&name);
                    let value = String::from_utf8_lossy(&value);
                    writeln!(output, "  stream {stream_id}: {name} = {value}")?;
                }
            }
            spdy::Message::Data {
                stream_id,
                payload,
                fin,
                ..
            } => {
                let length = payload.len();
                writeln!(
                    output,
                    "  stream {stream_id}: {length} bytes, the last: {fin}"
                )?;
            }
            other => writeln!(output, "  {other:?}")?,
        }
    }
    Ok(())
}
