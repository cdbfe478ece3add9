//! `lacewing headers`: header blocks to JSON or text, and back.

mod codec;
mod document;
mod text;

use std::{
    io::{self, Read as _},
    path::{Path, PathBuf},
};

use clap::{Args, Subcommand};

use self::{
    codec::{BlockDecoder, BlockEncoder, SpdyCompression},
    document::{Case, Codec, Document, Field},
};
use crate::{console, hex, status::Failure};

/// The text of `lacewing headers --help` after the options.
pub(crate) const HELP: &str = "\
The input is JSON as nghttp2's inflatehd and deflatehd read and write it:

  {\"codec\": \"hpack\", \"cases\": [
    {\"seq\": 0, \"wire\": \"8287\", \"headers\": [{\":method\": \"GET\"}, {\":scheme\": \"https\"}]}
  ]}

To decode, a case needs `wire`; to encode, `headers`. All cases share one
compression context, in their order. The output of each direction is an input
of the other. A value that is no UTF-8 is {\"hex\": \"ff00\"}.

Examples:
  echo 828684 | lacewing headers decode --hex --text
  lacewing headers decode --dump-table story.json
  printf ':method: GET\\n:path: /\\n' | lacewing headers encode --text
  lacewing headers encode --codec spdy/3 story.json";

/// The arguments of `lacewing headers`.
#[derive(Clone, Debug, Args)]
pub(crate) struct Headers {
    #[command(subcommand)]
    direction: Direction,
}

#[derive(Clone, Debug, Subcommand)]
enum Direction {
    /// Decode header blocks (`wire`) to header lists
    Decode(Decode),
    /// Encode header lists (`headers`) to header blocks
    Encode(Encode),
}

#[derive(Clone, Debug, Args)]
struct Decode {
    #[command(flatten)]
    common: Common,

    /// Write the lists as text: a field a line, and a blank line after each list
    #[arg(short, long, conflicts_with = "dump_table")]
    text: bool,

    /// Read header blocks as hexadecimal digits, a block a line, instead of JSON
    #[arg(long)]
    hex: bool,
}

#[derive(Clone, Debug, Args)]
struct Encode {
    #[command(flatten)]
    common: Common,

    /// Read the lists as text: a field a line, and a blank line after each list
    #[arg(short, long)]
    text: bool,

    /// The compression of SPDY's blocks
    #[arg(long, value_enum, value_name = "NAME", default_value = "whole-field")]
    compression: SpdyCompression,
}

#[derive(Clone, Debug, Args)]
struct Common {
    /// The codec [default: the document's `codec`, or hpack]
    #[arg(short, long, value_enum, value_name = "NAME")]
    codec: Option<Codec>,

    /// SETTINGS_HEADER_TABLE_SIZE before the first block, in bytes. A case's
    /// `header_table_size` changes it
    #[arg(short = 's', long, value_name = "BYTES")]
    table_size: Option<usize>,

    /// Add HPACK's dynamic table after each block
    #[arg(short, long)]
    dump_table: bool,

    /// The input; - is stdin
    #[arg(value_name = "FILE", default_value = "-")]
    file: PathBuf,
}

pub(crate) fn run(headers: &Headers) -> Result<(), Failure> {
    match &headers.direction {
        Direction::Decode(decode) => run_decode(decode),
        Direction::Encode(encode) => run_encode(encode),
    }
}

fn run_decode(decode: &Decode) -> Result<(), Failure> {
    let common = &decode.common;
    let input = read(&common.file)?;
    let mut document = match decode.hex {
        true => blocks(&input),
        false => parse(&input, &common.file)?,
    };
    let codec = common.codec.or(document.codec).unwrap_or(Codec::Hpack);
    let mut decoder = BlockDecoder::new(codec);
    if let Some(size) = common.table_size {
        decoder.set_table_size(size);
    }
    let mut lists = Vec::new();
    for (number, case) in document.cases.iter_mut().enumerate() {
        let seq = *case
            .seq
            .get_or_insert(number.try_into().unwrap_or(u64::MAX));
        let decoded = decode_case(&mut decoder, case, common.dump_table);
        let fields = decoded.map_err(|error| Failure::input(format!("case {seq}: {error}")))?;
        if decode.text {
            text::write(&fields, &mut lists);
        }
    }
    if decode.text {
        return console::print_bytes(&lists);
    }
    document.codec = Some(codec);
    print(&document)
}

fn decode_case(
    decoder: &mut BlockDecoder,
    case: &mut Case,
    dump: bool,
) -> Result<Vec<Field>, String> {
    let wire = case.wire.as_deref();
    let wire = hex::decode(wire.ok_or("there is no `wire` to decode")?)?;
    if let Some(size) = case.header_table_size {
        decoder.set_table_size(size);
    }
    let fields = decoder.decode(&wire)?;
    // A list beside the block says what the block must be.
    if let Some(expected) = case.fields()? {
        let differs =
            |(one, other): (&Field, &Field)| one.name != other.name || one.value != other.value;
        if expected.len() != fields.len() || expected.iter().zip(&fields).any(differs) {
            return Err("the block does not decode to the `headers` beside it".into());
        }
    }
    case.set(&fields, &wire)?;
    case.header_table = if dump { decoder.table() } else { None };
    Ok(fields)
}

fn run_encode(encode: &Encode) -> Result<(), Failure> {
    let common = &encode.common;
    let input = read(&common.file)?;
    let mut document = match encode.text {
        true => lists(&input)?,
        false => parse(&input, &common.file)?,
    };
    let codec = common.codec.or(document.codec).unwrap_or(Codec::Hpack);
    let mut encoder = BlockEncoder::new(codec, encode.compression);
    // Shows the table, and proves that the blocks decode.
    let mut decoder = BlockDecoder::new(codec);
    if let Some(size) = common.table_size {
        encoder.set_table_size(size);
        decoder.set_table_size(size);
    }
    for (number, case) in document.cases.iter_mut().enumerate() {
        let seq = *case
            .seq
            .get_or_insert(number.try_into().unwrap_or(u64::MAX));
        let encoded = encode_case(&mut encoder, &mut decoder, case, common.dump_table);
        encoded.map_err(|error| Failure::input(format!("case {seq}: {error}")))?;
    }
    document.codec = Some(codec);
    print(&document)
}

fn encode_case(
    encoder: &mut BlockEncoder,
    decoder: &mut BlockDecoder,
    case: &mut Case,
    dump: bool,
) -> Result<(), String> {
    let fields = case.fields()?.ok_or("there are no `headers` to encode")?;
    if let Some(size) = case.header_table_size {
        encoder.set_table_size(size);
        decoder.set_table_size(size);
    }
    let wire = encoder.encode(&fields)?;
    decoder.decode(&wire)?;
    case.set(&fields, &wire)?;
    case.header_table = if dump { decoder.table() } else { None };
    Ok(())
}

/// A case for each line that is not blank.
fn blocks(input: &str) -> Document {
    let lines = input.lines().filter(|line| !line.trim().is_empty());
    let cases = lines.map(|line| Case {
        wire: Some(line.to_owned()),
        ..Case::default()
    });
    Document {
        codec: None,
        cases: cases.collect(),
    }
}

fn lists(input: &str) -> Result<Document, Failure> {
    let mut document = Document::default();
    for fields in text::read(input).map_err(Failure::input)? {
        let mut case = Case::default();
        case.set(&fields, &[]).map_err(Failure::input)?;
        document.cases.push(case);
    }
    Ok(document)
}

fn parse(input: &str, file: &Path) -> Result<Document, Failure> {
    serde_json::from_str(input)
        .map_err(|error| Failure::input(format!("{}: {error}", file.display())))
}

fn read(file: &Path) -> Result<String, Failure> {
    let read = match file.as_os_str() == "-" {
        true => {
            let mut text = String::new();
            io::stdin().read_to_string(&mut text).map(|_| text)
        }
        false => std::fs::read_to_string(file),
    };
    read.map_err(|error| Failure::unreadable(format!("cannot read {}: {error}", file.display())))
}

fn print(document: &Document) -> Result<(), Failure> {
    let json = serde_json::to_string_pretty(document).map_err(Failure::local)?;
    console::print(format_args!("{json}\n"))
}
