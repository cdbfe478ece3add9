//! Stories for HPACK decoders: `hpack/tests/stories.txt`. Each is one context: a sequence of header
//! blocks. Together they have every representation, every form of a string and of an integer, and
//! table sizes from zero to large, with evictions. This encoder is deliberately simple, and shares
//! no code with the encoder under test.

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::path::Path;

use super::{Generated, read_rows};

/// The table sizes of the stories, and their changes.
const SIZES: &[&[usize]] = &[
    &[4096],
    &[0],
    &[64],
    &[256],
    &[1024],
    &[16_384],
    &[4096, 0, 4096],
    &[4096, 100, 1000, 4096],
    &[64, 8192, 64],
];

const BLOCKS: usize = 8;

pub fn generate(spec: &Path) -> Result<Generated, String> {
    let codes = huffman_codes(&spec.join("hpack_huffman.tsv"))?;
    let fixed = static_table(&spec.join("hpack_static_table.tsv"))?;
    let mut text = String::from(
        "# A story is one context: `story`, then blocks. `limit` is the largest table that the\n\
         # decoder allows from the next block on. `block` has the bytes in hexadecimal; the lines\n\
         # below it are its fields, name and value in hexadecimal, `-` for nothing.\n",
    );
    for (number, sizes) in SIZES.iter().enumerate() {
        let seed = u64::try_from(number).unwrap_or(0);
        let mut encoder = Encoder {
            codes: &codes,
            fixed: &fixed,
            table: VecDeque::new(),
            size: 0,
            max: 4096,
            random: Random(seed.wrapping_mul(0x9e37_79b9).wrapping_add(1)),
        };
        let _ = writeln!(text, "story {sizes:?}");
        for size in *sizes {
            story_at(&mut text, &mut encoder, *size);
        }
    }
    Ok(Generated {
        path: "hpack/tests/stories.txt",
        text,
    })
}

/// Blocks at one table size.
fn story_at(text: &mut String, encoder: &mut Encoder<'_>, size: usize) {
    let _ = writeln!(text, "limit {size}");
    for number in 0..BLOCKS {
        let mut block = Vec::new();
        if number == 0 {
            // The block signals the smallest size since the last block first (RFC 7541 §4.2), so
            // that no entry of a larger table remains.
            if encoder.max > size {
                encoder.resize(&mut block, size);
            } else {
                encoder.resize(&mut block, size / 2);
                encoder.resize(&mut block, size);
            }
        }
        let list = encoder.list(number);
        for (name, value) in &list {
            encoder.field(&mut block, name, value);
        }
        let _ = writeln!(text, "block {}", hex(&block));
        for (name, value) in list {
            let _ = writeln!(text, "{} {}", hex(&name), hex(&value));
        }
    }
}

type Field = (Vec<u8>, Vec<u8>);

/// A small generator of pseudo-random numbers: the stories are the same in every run.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        let number = usize::try_from(self.0 >> 33).unwrap_or(0);
        number % bound.max(1)
    }
}

struct Encoder<'a> {
    codes: &'a [(u32, u32)],
    fixed: &'a [Field],
    /// The latest entry first.
    table: VecDeque<Field>,
    size: usize,
    max: usize,
    random: Random,
}

impl Encoder<'_> {
    /// A header list: common fields, repeated fields, and unusual ones.
    fn list(&mut self, number: usize) -> Vec<Field> {
        let mut list = vec![
            (b":method".to_vec(), b"GET".to_vec()),
            (b":path".to_vec(), format!("/{}", number % 3).into_bytes()),
        ];
        for _ in 0..self.random.below(4) {
            let entry = self.random.below(self.fixed.len());
            list.extend(self.fixed.get(entry).cloned());
        }
        for _ in 0..2 {
            let entry = self.random.below(self.table.len());
            list.extend(self.table.get(entry).cloned());
        }
        // Lengths around the largest integer of one byte, for every prefix.
        let lengths = [0, 1, 14, 15, 16, 62, 63, 64, 126, 127, 128, 254, 255, 400];
        let length = lengths.get(self.random.below(lengths.len()));
        let length = *length.unwrap_or(&0);
        let name = format!("x-{}", self.random.below(9)).into_bytes();
        let value = (0..length)
            .map(|place| match self.random.below(3) {
                0 => b'0'.wrapping_add(u8::try_from(place % 10).unwrap_or(0)),
                1 => b' '.wrapping_add(u8::try_from(self.random.below(95)).unwrap_or(0)),
                _ => u8::try_from(self.random.below(256)).unwrap_or(0),
            })
            .collect();
        list.push((name, value));
        list
    }

    /// One field, in any of its legal forms.
    fn field(&mut self, out: &mut Vec<u8>, name: &[u8], value: &[u8]) {
        let whole = self.find(|(n, v)| n == name && v == value);
        if let Some(index) = whole.filter(|_| self.random.below(4) > 0) {
            return integer(out, 0x80, 7, index);
        }
        let named = self.find(|(n, _)| n == name);
        let named = named.filter(|_| self.random.below(4) > 0).unwrap_or(0);
        let (form, prefix) = match self.random.below(4) {
            0 => (0x00, 4),
            1 => (0x10, 4),
            _ => (0x40, 6),
        };
        integer(out, form, prefix, named);
        if named == 0 {
            self.string(out, name);
        }
        self.string(out, value);
        if form == 0x40 {
            self.add((name.to_vec(), value.to_vec()));
        }
    }

    /// The first matching entry of both tables, static before dynamic.
    fn find(&self, fits: impl Fn(&Field) -> bool) -> Option<usize> {
        let mut all = self.fixed.iter().chain(&self.table);
        all.position(fits).map(|place| place + 1)
    }

    fn add(&mut self, field: Field) {
        self.size += cost(&field);
        self.table.push_front(field);
        self.evict();
    }

    fn resize(&mut self, out: &mut Vec<u8>, max: usize) {
        integer(out, 0x20, 5, max);
        self.max = max;
        self.evict();
    }

    fn evict(&mut self) {
        while self.size > self.max {
            let Some(field) = self.table.pop_back() else {
                return;
            };
            self.size -= cost(&field);
        }
    }

    fn string(&mut self, out: &mut Vec<u8>, text: &[u8]) {
        if self.random.below(2) == 0 {
            integer(out, 0x00, 7, text.len());
            return out.extend_from_slice(text);
        }
        let (mut bytes, mut bits, mut count) = (Vec::new(), 0u64, 0);
        for byte in text {
            let (code, length) = *self.codes.get(usize::from(*byte)).unwrap_or(&(0, 0));
            bits = (bits << length) | u64::from(code);
            count += length;
            while count >= 8 {
                count -= 8;
                bytes.push(u8::try_from((bits >> count) & 0xff).unwrap_or(0));
            }
        }
        if count > 0 {
            let padded = (bits << (8 - count)) | ((1 << (8 - count)) - 1);
            bytes.push(u8::try_from(padded & 0xff).unwrap_or(0));
        }
        integer(out, 0x80, 7, bytes.len());
        out.extend_from_slice(&bytes);
    }
}

fn cost((name, value): &Field) -> usize {
    name.len() + value.len() + 32
}

/// RFC 7541 §5.1.
fn integer(out: &mut Vec<u8>, form: u8, prefix: u32, value: usize) {
    let most = (1 << prefix) - 1;
    let byte = |value: usize| u8::try_from(value).unwrap_or(u8::MAX);
    if value < most {
        return out.push(form | byte(value));
    }
    out.push(form | byte(most));
    let mut rest = value - most;
    while rest >= 0x80 {
        out.push(byte(rest % 0x80) | 0x80);
        rest /= 0x80;
    }
    out.push(byte(rest));
}

fn hex(bytes: &[u8]) -> String {
    if bytes.is_empty() {
        return "-".to_owned();
    }
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// For each symbol: the code, and its length in bits.
fn huffman_codes(file: &Path) -> Result<Vec<(u32, u32)>, String> {
    let wrong = |row: &[String]| format!("{}: {row:?}", file.display());
    read_rows(file)?
        .iter()
        .map(|row| {
            let [_, code, bits, ..] = row.as_slice() else {
                return Err(wrong(row));
            };
            let code = u32::from_str_radix(code.trim_start_matches("0x"), 16);
            let code = code.map_err(|_| wrong(row))?;
            Ok((code, bits.parse().map_err(|_| wrong(row))?))
        })
        .collect()
}

fn static_table(file: &Path) -> Result<Vec<Field>, String> {
    let bytes = |text: &String| text.clone().into_bytes();
    Ok(read_rows(file)?
        .iter()
        .map(|row| {
            let name = row.get(1).map(bytes).unwrap_or_default();
            (name, row.get(2).map(bytes).unwrap_or_default())
        })
        .collect())
}
