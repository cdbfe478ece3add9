//! `lacewing decode`: bytes and packet captures to frames.

use std::{process::Output, time::Duration};

use etherparse::PacketBuilder;
use pcap_file::{
    DataLink,
    pcap::{PcapHeader, PcapPacket, PcapWriter},
    pcapng::{
        PcapNgWriter,
        blocks::{
            enhanced_packet::EnhancedPacketBlock, interface_description::InterfaceDescriptionBlock,
        },
    },
};

use super::lacewing::run_with;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const SETTINGS: &[u8] = b"\0\0\0\x04\0\0\0\0\0";
/// GET / over http, with END_STREAM.
const REQUEST: &[u8] = b"\0\0\x03\x01\x05\0\0\0\x01\x82\x86\x84";
const RESPONSE: &[u8] = b"\0\0\x01\x01\x05\0\0\0\x01\x88";
const SPDY_PING: &[u8] = b"\x80\x03\0\x06\0\0\0\x04\0\0\0\x01";

fn decode(args: &[&str], input: &[u8]) -> Output {
    run_with(&[&["decode"], args].concat(), input)
}

/// The lines of frames, without those of their fields.
fn frames(output: &Output) -> Vec<String> {
    let text = String::from_utf8(output.stdout.clone()).unwrap();
    let frames = text.lines().filter(|line| !line.contains("    "));
    frames.map(str::to_owned).collect()
}

fn said(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

#[test]
fn bytes_are_decoded_in_every_form() {
    let sent = [PREFACE, SETTINGS, REQUEST].concat();
    let digits: String = sent.iter().map(|byte| format!("{byte:02X} ")).collect();
    for (args, input) in [
        (&[][..], sent.as_slice()),
        (&[], digits.as_bytes()),
        (&["--format", "raw", "--protocol", "h2"], &sent),
        (&["--format", "hex", "--from", "client"], digits.as_bytes()),
    ] {
        let output = decode(args, input);
        assert_eq!(output.status.code(), Some(0), "{}", said(&output));
        let frames = frames(&output);
        assert!(frames[1].starts_with("SETTINGS"), "{frames:?}");
        assert!(frames[2].starts_with("HEADERS stream=1"), "{frames:?}");
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(text.contains("    :method: GET"), "{text}");
    }
    let output = decode(&[], SPDY_PING);
    assert!(frames(&output)[0].starts_with("PING"));
    // Frames from the middle of a connection need the name of the protocol.
    let ping = b"\0\0\x08\x06\0\0\0\0\0abcdefgh";
    let output = decode(&[], ping);
    assert_eq!(output.status.code(), Some(1));
    assert!(said(&output).contains("--protocol"));
    let output = decode(&["--protocol", "h2"], ping);
    assert!(frames(&output)[0].starts_with("PING"));
}

#[test]
fn a_file_that_cannot_be_read_is_code_26() {
    for args in [
        &["decode", "none.pcap"][..],
        &["headers", "decode", "none.json"],
    ] {
        let output = super::lacewing::run(args);
        assert_eq!(output.status.code(), Some(26), "{}", said(&output));
        assert!(
            said(&output).contains("cannot read none."),
            "{}",
            said(&output)
        );
    }
}

#[test]
fn an_end_in_the_middle_of_a_frame_is_told() {
    let whole = [PREFACE, SETTINGS, REQUEST].concat();
    let output = decode(&[], &whole[..whole.len() - 1]);
    assert_eq!(output.status.code(), Some(1));
    assert!(said(&output).contains("incomplete"), "{}", said(&output));
    assert_eq!(frames(&output).len(), 2);
    let output = decode(&["--format", "hex"], b"0");
    assert_eq!(output.status.code(), Some(1));
    // An index into an empty table.
    let broken = b"\0\0\x01\x01\x05\0\0\0\x01\xff";
    let output = decode(&["--protocol", "h2"], broken);
    assert_eq!(output.status.code(), Some(1));
}

/// A packet of a connection between these ports.
fn packet(from: u16, to: u16, sequence: u32, flags: &str, payload: &[u8]) -> Vec<u8> {
    let builder = PacketBuilder::ethernet2([1; 6], [2; 6])
        .ipv4([127, 0, 0, 1], [127, 0, 0, 1], 64)
        .tcp(from, to, sequence, 1000);
    let builder = match flags {
        "syn" => builder.syn(),
        "syn-ack" => builder.syn().ack(1),
        _ => builder.ack(1),
    };
    let mut packet = Vec::new();
    builder.write(&mut packet, payload).unwrap();
    packet
}

fn pcap(packets: &[Vec<u8>]) -> Vec<u8> {
    let mut writer = PcapWriter::with_header(
        Vec::new(),
        PcapHeader {
            datalink: DataLink::ETHERNET,
            ..PcapHeader::default()
        },
    )
    .unwrap();
    for (number, packet) in packets.iter().enumerate() {
        let time = Duration::from_millis(1_700_000_000_000 + number as u64);
        let length = packet.len() as u32;
        let packet = PcapPacket::new(time, length, packet);
        writer.write_packet(&packet).unwrap();
    }
    writer.into_writer()
}

fn pcapng(packets: &[Vec<u8>]) -> Vec<u8> {
    let mut writer = PcapNgWriter::new(Vec::new()).unwrap();
    let interface = InterfaceDescriptionBlock {
        linktype: DataLink::ETHERNET,
        snaplen: 0,
        options: Vec::new(),
    };
    writer.write_pcapng_block(interface).unwrap();
    for packet in packets {
        let block = EnhancedPacketBlock {
            interface_id: 0,
            timestamp: Duration::from_secs(1_700_000_000),
            original_len: packet.len() as u32,
            data: packet.into(),
            options: Vec::new(),
        };
        writer.write_pcapng_block(block).unwrap();
    }
    writer.into_inner()
}

#[test]
fn a_capture_shows_both_directions_of_each_connection() {
    let hello = [PREFACE, SETTINGS].concat();
    let after = 1 + hello.len() as u32;
    let (first, rest) = REQUEST.split_at(5);
    let packets = [
        packet(40_001, 80, 0, "syn", b""),
        packet(80, 40_001, 500, "syn-ack", b""),
        packet(40_001, 80, 1, "", &hello),
        packet(80, 40_001, 501, "", SETTINGS),
        // Out of order, with a part twice.
        packet(40_001, 80, after + 5, "", rest),
        packet(40_001, 80, after, "", &REQUEST[..7]),
        packet(40_001, 80, after, "", first),
        packet(80, 40_001, 501 + 9, "", RESPONSE),
        // Another connection, without its start.
        packet(40_002, 6121, 77, "", SPDY_PING),
        packet(6121, 40_002, 99, "", SPDY_PING),
        packet(40_003, 443, 5, "", b"\x16\x03\x01\x00\x10"),
    ];
    for capture in [pcap(&packets), pcapng(&packets)] {
        let output = decode(&[], &capture);
        assert_eq!(output.status.code(), Some(0), "{}", said(&output));
        let frames = frames(&output);
        let have = |connection: &str, start: &str| {
            let mark = format!("{connection} {start}");
            frames.iter().filter(|line| line.contains(&mark)).count()
        };
        assert_eq!(have("[1] >", "SETTINGS"), 1, "{frames:#?}");
        assert_eq!(have("[1] <", "SETTINGS"), 1, "{frames:#?}");
        assert_eq!(have("[1] >", "HEADERS stream=1"), 1, "{frames:#?}");
        assert_eq!(have("[1] <", "HEADERS stream=1"), 1, "{frames:#?}");
        assert_eq!(have("[2] >", "PING"), 1, "{frames:#?}");
        assert_eq!(have("[2] <", "PING"), 1, "{frames:#?}");
        assert!(
            frames
                .last()
                .unwrap()
                .contains("[3] 127.0.0.1:40003 speaks TLS")
        );
        assert!(
            frames[0].contains("127.0.0.1:40001 -> 127.0.0.1:80, h2"),
            "{frames:#?}"
        );
    }
}

#[test]
fn what_a_capture_lacks_is_told() {
    let hello = [PREFACE, SETTINGS].concat();
    let after = hello.len() as u32;
    let packets = [
        packet(40_001, 80, 0, "", &hello),
        packet(40_001, 80, after + 100, "", REQUEST),
        packet(80, 40_001, 0, "", &SETTINGS[..4]),
    ];
    let output = decode(&[], &pcap(&packets));
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(
        text.contains("[1] 12 bytes of the client follow a gap"),
        "{text}"
    );
    assert!(
        text.contains("[1] 4 bytes of an incomplete frame of the server"),
        "{text}"
    );
    // The file ends in a packet.
    let whole = pcap(&packets);
    let output = decode(&[], &whole[..whole.len() - 3]);
    assert_eq!(output.status.code(), Some(1));
    assert!(!frames(&output).is_empty());
}
