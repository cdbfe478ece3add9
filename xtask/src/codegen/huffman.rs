//! The Huffman code of RFC 7541, appendix B: `hpack/src/huffman/table.rs`.

use std::path::Path;

use super::{Generated, read_rows, wrap};

/// The number of input bits for one look-up of the decoder. The table has `2^WIDTH` entries of four
/// bytes. 12 bits hold two of the common symbols (5 or 6 bits each). The table leaves most of a
/// first-level cache to other data.
const WIDTH: u32 = 12;

/// A row of appendix B.
struct Code {
    symbol: u16,
    /// Right-aligned.
    code: u32,
    bits: u32,
}

pub fn generate(spec: &Path) -> Result<Generated, String> {
    let codes = read(&spec.join("hpack_huffman.tsv"))?;
    let text = format!(
        "//! The Huffman code of RFC 7541, appendix B.

/// The number of input bits that index [`DECODE`].
pub(super) const WIDTH: u32 = {WIDTH};

/// For each symbol: its code, left-aligned in the word. The lowest byte is the code's length in
/// bits.
#[rustfmt::skip]
pub(super) static ENCODE: [u64; 256] = [
{encode}];

/// For the *complement* of the next [`WIDTH`] bits of input. The lowest byte is the number of used
/// bits. The number of the symbols' bits (8 or 16) follows, and then two bytes of symbols. All bytes
/// are 0 for a longer code.
#[rustfmt::skip]
pub(super) static DECODE: [u32; 1 << WIDTH] = [
{decode}];

/// The codes longer than [`WIDTH`], one row for each length. A row has the first bit pattern (of
/// 32, left-aligned) beyond that length, and the length. It also has the number to add to a
/// right-aligned code for its place in [`LONG_SYMBOLS`].
#[rustfmt::skip]
pub(super) static LONG_CODES: [(u64, u32, u32); {long_rows}] = [
{long}];

/// The symbols of the codes longer than [`WIDTH`], in the order of their codes. The last one is the
/// end-of-string symbol.
#[rustfmt::skip]
pub(super) static LONG_SYMBOLS: [u16; {long_count}] = [
{long_symbols}];
",
        encode = wrap(encode_table(&codes)),
        decode = wrap(decode_table(&codes)),
        long_rows = long_rows(&codes).len(),
        long = wrap(
            long_rows(&codes)
                .into_iter()
                .map(|(end, bits, bias)| format!("({end:#x}, {bits}, {bias:#x})"))
        ),
        long_count = long_symbols(&codes).len(),
        long_symbols = wrap(long_symbols(&codes).iter().map(u16::to_string)),
    );
    Ok(Generated {
        path: "hpack/src/huffman/table.rs",
        text,
    })
}

fn read(file: &Path) -> Result<Vec<Code>, String> {
    let wrong = |row: &[String]| format!("{}: not a row: {row:?}", file.display());
    let mut codes = Vec::new();
    for row in read_rows(file)? {
        let [symbol, hex, bits, ..] = row.as_slice() else {
            return Err(wrong(&row));
        };
        codes.push(Code {
            symbol: symbol.parse().map_err(|_| wrong(&row))?,
            code: u32::from_str_radix(hex, 16).map_err(|_| wrong(&row))?,
            bits: bits.parse().map_err(|_| wrong(&row))?,
        });
    }
    if codes.len() != 257 {
        return Err(format!(
            "{}: {} symbols, not 257",
            file.display(),
            codes.len()
        ));
    }
    Ok(codes)
}

fn encode_table(codes: &[Code]) -> impl Iterator<Item = String> {
    codes.iter().take(256).map(|code| {
        let aligned = u64::from(code.code) << (64 - code.bits);
        format!("{:#018x}", aligned | u64::from(code.bits))
    })
}

fn decode_table(codes: &[Code]) -> impl Iterator<Item = String> {
    (0..1u32 << WIDTH).rev().map(|pattern| {
        let Some(first) = leading(codes, pattern, WIDTH) else {
            return "0".to_owned();
        };
        let mut entry = u32::from(first.symbol) << 16;
        let mut used = first.bits;
        let mut symbol_bits = 8;
        let left = WIDTH - first.bits;
        if let Some(second) = leading(codes, pattern & ((1 << left) - 1), left) {
            entry |= u32::from(second.symbol) << 24;
            used += second.bits;
            symbol_bits = 16;
        }
        format!("{:#010x}", entry | symbol_bits << 8 | used)
    })
}

/// The code at the start of the `width` bits of `pattern`, if they contain all of it.
fn leading(codes: &[Code], pattern: u32, width: u32) -> Option<&Code> {
    codes
        .iter()
        .find(|code| code.bits <= width && pattern >> (width - code.bits) == code.code)
}

fn long_codes(codes: &[Code]) -> Vec<&Code> {
    let mut long: Vec<&Code> = codes.iter().filter(|code| code.bits > WIDTH).collect();
    long.sort_by_key(|code| u64::from(code.code) << (32 - code.bits));
    long
}

fn long_symbols(codes: &[Code]) -> Vec<u16> {
    long_codes(codes).iter().map(|code| code.symbol).collect()
}

/// The code is canonical: codes of one length are consecutive numbers, and shorter codes precede
/// longer ones. The decoder finds the length by a comparison with the first pattern beyond each
/// length.
fn long_rows(codes: &[Code]) -> Vec<(u64, u32, u32)> {
    let mut rows: Vec<(u64, u32, u32)> = Vec::new();
    for (place, code) in (0u32..).zip(long_codes(codes)) {
        let end = u64::from(code.code + 1) << (32 - code.bits);
        let bias = place.wrapping_sub(code.code);
        match rows.last_mut() {
            Some(row) if row.1 == code.bits => {
                assert_eq!(row.2, bias, "the code is not canonical");
                row.0 = end;
            }
            _ => rows.push((end, code.bits, bias)),
        }
    }
    rows
}
