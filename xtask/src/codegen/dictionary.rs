//! `spdy-zlib/src/dictionary.rs` from `spec/spdy2.dict` and `spec/spdy3.dict`.

use std::fs;
use std::path::Path;

use super::{Generated, wrap};

/// Writes both dictionaries as arrays, each with its Adler-32 sum.
pub fn generate(spec: &Path) -> Result<Generated, String> {
    let mut text = String::from(
        "\n\
         //! The zlib dictionaries with which both sides of a connection start. The zlib\n\
         //! header of a stream names its dictionary by the Adler-32 sum (DICTID, RFC 1950).\n",
    );
    for (name, file, of) in [
        ("V2", "spdy2.dict", "SPDY/2, its final NUL included"),
        ("V3", "spdy3.dict", "SPDY/3 and SPDY/3.1"),
    ] {
        let file = spec.join(file);
        let bytes = fs::read(&file).map_err(|error| format!("{}: {error}", file.display()))?;
        text.push_str(&dictionary(name, of, &bytes));
    }
    Ok(Generated {
        path: "spdy-zlib/src/dictionary.rs",
        text,
    })
}

fn dictionary(name: &str, of: &str, bytes: &[u8]) -> String {
    let (id, length) = (adler32(bytes), bytes.len());
    let rows = wrap(bytes.iter().map(|byte| format!("0x{byte:02x}")));
    format!(
        "\n/// DICTID of [`{name}`].\n\
         pub(crate) const {name}_ID: u32 = 0x{id:08x};\n\n\
         /// The dictionary of {of}.\n\
         #[rustfmt::skip]\n\
         pub(crate) static {name}: [u8; {length}] = [\n{rows}];\n"
    )
}

/// RFC 1950, section 8.2.
fn adler32(bytes: &[u8]) -> u32 {
    let (a, b) = bytes.iter().fold((1u32, 0u32), |(a, b), &byte| {
        let a = (a + u32::from(byte)) % 65_521;
        (a, (b + a) % 65_521)
    });
    b << 16 | a
}
