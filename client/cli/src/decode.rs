//! `lacewing decode`: bytes or packet captures to frames.

mod capture;
mod flows;

use std::{
    io::{self, Read as _},
    path::PathBuf,
};

use clap::{Args, ValueEnum};
use lacewing_conform::{FrameLog, Side, Version};

use self::flows::Flows;
use crate::{
    console,
    detect::{Content, detect},
    frame_output::{Form, Output},
    frame_text::{FrameFilter, group},
    hex, parse,
    status::Failure,
};

/// The text of `lacewing decode --help` after the options.
pub(crate) const HELP: &str = "\
Prints a line for each frame, and an indented line for each of its fields, as
`lacewing get -v` does. The bytes are those of one direction of a connection
from its start: header compression needs all that came before.

A capture shows every cleartext connection in it: the seconds since its first
packet, the number of the connection, and the direction (> from the client).
Connections over TLS are named and not shown.

Examples:
  lacewing decode dump.pcapng
  tcpdump -i lo -w - port 8080 | lacewing decode -
  echo 000004080000000000000003e8 | lacewing decode --protocol h2
  lacewing decode --protocol spdy/3.1 --from server stream.bin";

/// The arguments of `lacewing decode`.
#[derive(Clone, Debug, Args)]
pub(crate) struct Decode {
    /// The protocol: h2, spdy/3.1, spdy/3 or spdy/2 [default: by the first bytes]
    #[arg(short, long, value_name = "PROTOCOL", value_parser = parse::protocol)]
    protocol: Option<Version>,

    /// The sender of the bytes. Captures have both [default: by the first bytes]
    #[arg(long, value_enum, value_name = "SIDE")]
    from: Option<Sender>,

    /// The form of the input
    #[arg(short, long, value_enum, value_name = "FORMAT", default_value = "auto")]
    format: Format,

    /// Print one JSON object a frame
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    filter: FrameFilter,

    /// The input; - is stdin
    #[arg(value_name = "FILE", default_value = "-")]
    file: PathBuf,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Sender {
    Client,
    Server,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// A capture or digits where the content looks so, else raw
    Auto,
    /// Hexadecimal digits; white space, commas, colons and 0x may stand between bytes
    Hex,
    /// The bytes themselves
    Raw,
    /// PCAP or pcapng
    Pcap,
}

pub(crate) fn run(decode: &Decode) -> Result<(), Failure> {
    let bytes = read(decode)?;
    let format = match decode.format {
        Format::Auto => format_of(&bytes),
        format => format,
    };
    match format {
        Format::Pcap => run_capture(decode, &bytes),
        Format::Hex => {
            let text =
                std::str::from_utf8(&bytes).map_err(|_| Failure::input("the input is no text"))?;
            run_bytes(decode, &hex::decode(text).map_err(Failure::input)?)
        }
        _ => run_bytes(decode, &bytes),
    }
}

fn read(decode: &Decode) -> Result<Vec<u8>, Failure> {
    let read = match decode.file.as_os_str() == "-" {
        true => {
            let mut bytes = Vec::new();
            io::stdin().read_to_end(&mut bytes).map(|_| bytes)
        }
        false => std::fs::read(&decode.file),
    };
    read.map_err(|error| {
        Failure::unreadable(format!("cannot read {}: {error}", decode.file.display()))
    })
}

fn format_of(bytes: &[u8]) -> Format {
    let is_digit = |byte: &u8| byte.is_ascii_hexdigit() || b" \t\r\n,:x".contains(byte);
    match bytes {
        _ if capture::is_capture(bytes) => Format::Pcap,
        _ if bytes.iter().all(is_digit) => Format::Hex,
        _ => Format::Raw,
    }
}

fn run_bytes(decode: &Decode, bytes: &[u8]) -> Result<(), Failure> {
    let (version, detected) = match (decode.protocol, detect(bytes)) {
        (Some(version), Content::Frames(found, side)) if found == version => (version, side),
        (Some(version), _) => (version, None),
        (None, Content::Frames(version, side)) => (version, side),
        (None, Content::Tls) => {
            return Err(Failure::input(
                "these bytes are TLS: only cleartext can be decoded",
            ));
        }
        (None, _) => {
            return Err(Failure::input(
                "the first bytes are of no known protocol: name it by --protocol",
            ));
        }
    };
    let sender = match decode.from {
        Some(Sender::Client) => Side::Client,
        Some(Sender::Server) => Side::Server,
        None => detected.unwrap_or(Side::Server),
    };
    let mut log = FrameLog::new(version, sender);
    let mut lines = Vec::new();
    log.decode(bytes, &mut lines);
    for frame in group(lines) {
        if !decode.filter.admits(&frame) {
            continue;
        }
        match decode.json {
            true => {
                let object = serde_json::Value::from(frame.json(sender));
                console::print(format_args!("{object}\n"))?;
            }
            false => console::print(frame.marked(""))?,
        }
    }
    match log.unfinished() {
        _ if log.is_lost() => Err(Failure::input("the rest of the bytes cannot be decoded")),
        0 => Ok(()),
        bytes => Err(Failure::input(format!(
            "the last frame is incomplete: it has {bytes} bytes so far"
        ))),
    }
}

fn run_capture(decode: &Decode, bytes: &[u8]) -> Result<(), Failure> {
    let form = match decode.json {
        true => Form::Json,
        false => Form::Text,
    };
    let mut output = Output::new(&decode.filter, form);
    let mut flows = Flows::default();
    let mut written = Ok(());
    let passed_over = capture::segments(bytes, |segment| {
        if written.is_ok() {
            flows.take(segment, decode.protocol, &mut output);
            written = output.write();
        }
    });
    written?;
    let beyond = flows.passed_over;
    flows.finish(&mut output);
    output.write()?;
    if beyond > 0 {
        console::note(format_args!(
            "{beyond} segments belong to connections beyond the first 100,000"
        ));
    }
    match passed_over {
        Ok(0) => Ok(()),
        Ok(packets) => {
            console::note(format_args!(
                "{packets} packets were cut off by the capture, or are no TCP"
            ));
            Ok(())
        }
        Err(error) => Err(Failure::input(format!(
            "{}: {error}",
            decode.file.display()
        ))),
    }
}
