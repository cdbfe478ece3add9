//! tshark as an independent decoder of what we send.
//!
//! A relay between the two programs records the bytes, and writes a capture
//! file. This needs no rights on the machine, and the file has no other
//! traffic.

mod pcap;
mod relay;

use super::fixture::{Fixture, MB_1, MEDIUM, SMALL, Security, Shared};
use super::http2::{get_parallel, lacewing};
use super::{Case, Outcome, netty};
use relay::Relay;
use std::process::Command;

pub(super) fn cases() -> Vec<Case> {
    vec![
        Case::new("http2/tshark/lacewing-to-lacewingd", |fixture| {
            decoded(fixture, &HTTP2, Shared::Lacewingd, |fixture, port| {
                get_parallel(fixture, "h2", Security::Plain, port, MEDIUM, 5).map(drop)
            })
        }),
        Case::new("http2/tshark/upload", |fixture| {
            decoded(fixture, &HTTP2, Shared::EchoPlain, |fixture, port| {
                upload(fixture, "h2", port)
            })
        }),
        Case::new("http2/tshark/curl-to-lacewingd", |fixture| {
            decoded(fixture, &HTTP2, Shared::Lacewingd, |fixture, port| {
                let mut curl = fixture.tool("curl")?;
                curl.args(["-sS", "-o", "/dev/null", "--http2-prior-knowledge"]);
                curl.arg(Security::Plain.url(port, SMALL));
                fixture.run(&mut curl, 20)?.success().map(drop)
            })
        }),
        Case::new("spdy/3/tshark/lacewing-to-lacewingd", |fixture| {
            decoded(fixture, &SPDY3, Shared::LacewingdSpdy3, |fixture, port| {
                get_parallel(fixture, "spdy/3", Security::Plain, port, MEDIUM, 5).map(drop)
            })
        }),
        Case::new("spdy/3/tshark/upload", |fixture| {
            decoded(fixture, &SPDY3, Shared::EchoPlainSpdy3, |fixture, port| {
                upload(fixture, "spdy/3", port)
            })
        }),
        Case::new("spdy/3/tshark/node-to-lacewingd", |fixture| {
            decoded(fixture, &SPDY3, Shared::LacewingdSpdy3, |fixture, port| {
                let mut node = fixture.node("spdy-client.js")?;
                node.args([
                    "spdy/3",
                    &port.to_string(),
                    "plain",
                    "get",
                    &format!("/{SMALL}"),
                ]);
                fixture.run(&mut node, 20)?.success().map(drop)
            })
        }),
        Case::new("spdy/3.1/tshark/netty-to-lacewingd", |fixture| {
            decoded(fixture, &SPDY3, Shared::Lacewingd, |fixture, port| {
                let mut netty = netty::client(fixture, Security::Plain, port)?;
                netty.args(["parallel", "5", &format!("/{SMALL}")]);
                fixture.run(&mut netty, 20)?.success().map(drop)
            })
        }),
        Case::new("spdy/3.1/tshark/lacewing-to-netty", |fixture| {
            decoded(fixture, &SPDY3, Shared::NettyPlain, |fixture, port| {
                get_parallel(fixture, "spdy/3.1", Security::Plain, port, SMALL, 5).map(drop)
            })
        }),
        Case::new("spdy/3.1/tshark/lacewing-to-node-0.10", |fixture| {
            decoded(fixture, &SPDY3, Shared::OldNodeSpdy31, |fixture, port| {
                get_parallel(fixture, "spdy/3.1", Security::Plain, port, SMALL, 5).map(drop)
            })
        }),
    ]
}

/// The names that tshark has for a protocol and its fields.
struct Dissector {
    name: &'static str,
    /// A field that every frame has.
    frame: &'static str,
    /// A field that only a decompressed header block has.
    header: &'static str,
    /// The filter that finds a malformed frame.
    bad: &'static str,
    /// The number of the frame that opens a stream, and the length below which
    /// each but the first stays if header blocks are compressed.
    opens: Option<(&'static str, usize)>,
}

const HTTP2: Dissector = Dissector {
    name: "http2",
    frame: "http2.type",
    header: "http2.header.value",
    bad: "_ws.malformed || _ws.unreassembled",
    opens: None,
};
const SPDY3: Dissector = Dissector {
    name: "spdy",
    frame: "spdy.flags",
    header: "spdy.header.value",
    bad: "_ws.malformed || _ws.unreassembled || spdy.inflation_failed",
    // SYN_STREAM: ten octets and the block, of about 150 in the first.
    opens: Some(("1", 60)),
};

fn upload(fixture: &Fixture, protocol: &str, port: u16) -> Result<(), String> {
    let mut command = lacewing(fixture, protocol);
    command
        .args(["-X", "POST", "-T"])
        .arg(fixture.file(MB_1))
        .arg(Security::Plain.url(port, "echo"));
    let finished = fixture.run(&mut command, 30)?;
    let length = finished.stdout_length;
    finished.success()?;
    if length == fixture.length(MB_1) as u64 {
        Ok(())
    } else {
        Err(format!("{length} bytes came back"))
    }
}

/// Runs `exchange` through a recording relay, and has tshark read the record.
fn decoded(
    fixture: &Fixture,
    dissector: &Dissector,
    server: Shared,
    exchange: impl Fn(&Fixture, u16) -> Result<(), String>,
) -> Outcome {
    let target = fixture.port(server, Security::Plain)?;
    let relay = Relay::start(target)?;
    exchange(fixture, relay.port())?;
    let file = fixture.scratch("relay.pcap");
    pcap::write(&file, relay.port(), &relay.record()).map_err(|e| e.to_string())?;

    let tshark = |filter: &str, fields: &[&str]| -> Result<String, String> {
        let mut command: Command = fixture.tool("tshark")?;
        command
            .arg("-r")
            .arg(&file)
            .args(["-Y", filter, "-T", "fields"]);
        // Joining the bodies of SPDY's streams trips over a bug of tshark's own.
        command.args(["-o", "spdy.assemble_data_frames:FALSE"]);
        command.args([
            "-d",
            &format!("tcp.port=={},{}", relay.port(), dissector.name),
        ]);
        for field in fields {
            command.args(["-e", field]);
        }
        fixture.run(&mut command, 60)?.success()
    };
    let bad = tshark(dissector.bad, &["frame.number", "_ws.expert.message"])?;
    if !bad.trim().is_empty() {
        return Err(format!("malformed, in {}:\n{bad}", file.display()));
    }
    let types = tshark(dissector.name, &[dissector.frame])?;
    let frames = types
        .split(['\n', ','])
        .filter(|field| !field.is_empty())
        .count();
    let headers = tshark(dissector.name, &[dissector.header])?;
    if frames < 4 {
        return Err(format!(
            "only {frames} frames decoded of {}",
            file.display()
        ));
    }
    let request = headers.contains("GET") || headers.contains("POST");
    if !request || !headers.contains("200") {
        return Err(format!(
            "header blocks did not decode in {}:\n{headers}",
            file.display()
        ));
    }
    if let Some((number, most)) = dissector.opens {
        let heads = tshark(dissector.name, &["spdy.type", "spdy.length"])?;
        let lengths = lengths(&heads, number);
        if lengths.iter().skip(1).any(|length| *length > most) {
            return Err(format!("header blocks did not shrink: {lengths:?}"));
        }
        return Ok(format!("{frames} frames, heads of {lengths:?}"));
    }
    Ok(format!("{frames} frames"))
}

/// The lengths of the frames of one type, from lines of types and lengths. Lines
/// with DATA, which have a length and no type, are left out.
fn lengths(lines: &str, number: &str) -> Vec<usize> {
    let mut found = Vec::new();
    for line in lines.lines() {
        let (types, lengths) = line.split_once('\t').unwrap_or_default();
        if types.split(',').count() == lengths.split(',').count() {
            let both = types.split(',').zip(lengths.split(','));
            let these = both.filter(|(of, _)| *of == number);
            found.extend(these.filter_map(|(_, length)| length.parse::<usize>().ok()));
        }
    }
    found
}
