//! HPACK alone: what the header lists of three requests cost, as text and as blocks, and what
//! the decoder makes of them.
//!
//! ```text
//! cargo run -p lacewing-hpack --example headers
//! ```

use std::{error::Error, io::Write};

use lacewing_hpack::{
    Decoder, Encoder, HeaderField, ListLimits, Sensitivity,
    bytes::{Bytes, BytesMut},
};

fn main() -> Result<(), Box<dyn Error>> {
    run(&mut std::io::stdout())
}

pub(crate) fn run(output: &mut impl Write) -> Result<(), Box<dyn Error>> {
    // One of each for a direction of a connection. Their tables stay in step, block by block.
    let mut encoder = Encoder::new();
    let mut decoder = Decoder::<HeaderField>::new(4096);
    for path in ["/", "/style.css", "/"] {
        let fields: [(&[u8], &[u8], Sensitivity); 4] = [
            (b":method", b"GET", Sensitivity::Normal),
            (b":path", path.as_bytes(), Sensitivity::Normal),
            (
                b"user-agent",
                b"an-example/1.0 (by hand)",
                Sensitivity::Normal,
            ),
            // Never in a table, so that nobody can guess it by the sizes of blocks.
            (b"authorization", b"Bearer sesame", Sensitivity::Sensitive),
        ];
        let mut block = BytesMut::new();
        let mut list = encoder.block(&mut block);
        for (name, value, sensitivity) in fields {
            list.field(name, value, sensitivity);
        }
        let block = Bytes::from(block);
        let text: usize = fields
            .iter()
            .map(|(name, value, _)| name.len() + value.len() + 4)
            .sum();
        writeln!(
            output,
            "{path}: {text} bytes as text, {} as a block",
            block.len()
        )?;
        // A list beyond the limits is an error, after which the next block still decodes.
        let limits = ListLimits::default().with(|limits| limits.max_fields = 100);
        let decoded = decoder.decode_to_vec(&block, limits)?;
        let same = decoded
            .iter()
            .zip(fields)
            .all(|((field, _), (name, value, _))| field == &HeaderField::new(name, value));
        if !same || decoded.len() != fields.len() {
            return Err("the lists differ".into());
        }
    }
    Ok(())
}
