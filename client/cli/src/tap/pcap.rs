//! The bytes of the connections as a packet capture. TLS is left out, so the packets are made up:
//! IPv4 or IPv6 and TCP around the bytes as they passed.

use std::{
    fs::File,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::Path,
    sync::{Mutex, PoisonError},
    time::{SystemTime, UNIX_EPOCH},
};

use etherparse::{PacketBuilder, PacketBuilderStep, TcpHeader};
use lacewing_client::Version;
use lacewing_conform::Side;
use pcap_file::{
    DataLink,
    pcap::{PcapHeader, PcapPacket, PcapWriter},
};

use crate::status::Failure;

/// The ports on which Wireshark looks for the protocols in cleartext.
const SPDY_PORT: u16 = 6121;
const HTTP_PORT: u16 = 80;

/// The bytes of one packet: below the longest that IP permits.
const MAX_PAYLOAD: usize = 32 << 10;

/// The receive window in the packets, which have no meaning for it.
const WINDOW: u16 = u16::MAX;

/// The file, shared by all connections.
pub(super) struct Capture {
    writer: Mutex<PcapWriter<File>>,
}

/// The numbers of a connection.
pub(super) struct Flow {
    client: SocketAddr,
    server: SocketAddr,
    client_next: u32,
    server_next: u32,
    opened: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Flags {
    Syn,
    SynAck,
    Ack,
    FinAck,
}

impl Capture {
    pub(super) fn create(path: &Path) -> Result<Self, Failure> {
        let failed = |error: &dyn std::fmt::Display| {
            Failure::local(format!("cannot write {} (--pcap): {error}", path.display()))
        };
        let file = File::create(path).map_err(|error| failed(&error))?;
        let header = PcapHeader {
            datalink: DataLink::RAW,
            ..PcapHeader::default()
        };
        let writer = PcapWriter::with_header(file, header);
        Ok(Self {
            writer: Mutex::new(writer.map_err(|error| failed(&error))?),
        })
    }

    /// Writes bytes of one side.
    pub(super) fn write(&self, flow: &mut Flow, sender: Side, bytes: &[u8]) -> Result<(), Failure> {
        let mut packets = Vec::new();
        if !std::mem::replace(&mut flow.opened, true) {
            packets.push(flow.packet(Side::Client, Flags::Syn, &[])?);
            packets.push(flow.packet(Side::Server, Flags::SynAck, &[])?);
            packets.push(flow.packet(Side::Client, Flags::Ack, &[])?);
        }
        for piece in bytes.chunks(MAX_PAYLOAD) {
            packets.push(flow.packet(sender, Flags::Ack, piece)?);
        }
        self.append(&packets)
    }

    /// Writes the end of one side.
    pub(super) fn end(&self, flow: &mut Flow, sender: Side) -> Result<(), Failure> {
        let packet = flow.packet(sender, Flags::FinAck, &[])?;
        self.append(&[packet])
    }

    /// Writes packets without a buffer, so that the file is whole whenever the program stops.
    fn append(&self, packets: &[Vec<u8>]) -> Result<(), Failure> {
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        for packet in packets {
            let length = u32::try_from(packet.len()).map_err(failed)?;
            let packet = PcapPacket::new(now, length, packet);
            writer.write_packet(&packet).map_err(failed)?;
        }
        Ok(())
    }
}

impl Flow {
    pub(super) fn new(client: SocketAddr, server: SocketAddr, version: Option<Version>) -> Self {
        let mut flow = Self {
            client,
            server,
            client_next: 0,
            server_next: 0,
            opened: false,
        };
        // One packet has addresses of one family.
        if client.is_ipv4() != server.is_ipv4() {
            let local = IpAddr::V4(Ipv4Addr::LOCALHOST);
            flow.client.set_ip(local);
            flow.server.set_ip(local);
        }
        flow.server.set_port(match version {
            None => server.port(),
            Some(Version::Http2) => HTTP_PORT,
            Some(_) => SPDY_PORT,
        });
        flow
    }

    fn packet(&mut self, sender: Side, flags: Flags, payload: &[u8]) -> Result<Vec<u8>, Failure> {
        let (from, to, next, acknowledged) = match sender {
            Side::Client => (
                self.client,
                self.server,
                &mut self.client_next,
                self.server_next,
            ),
            Side::Server => (
                self.server,
                self.client,
                &mut self.server_next,
                self.client_next,
            ),
        };
        let mut tcp = TcpHeader::new(from.port(), to.port(), *next, WINDOW);
        tcp.syn = matches!(flags, Flags::Syn | Flags::SynAck);
        tcp.fin = flags == Flags::FinAck;
        tcp.psh = !payload.is_empty();
        tcp.ack = flags != Flags::Syn;
        tcp.acknowledgment_number = acknowledged;
        // SYN and FIN count as a byte (RFC 9293 §3.4).
        let length = payload
            .len()
            .saturating_add(usize::from(tcp.syn || tcp.fin));
        let length = u32::try_from(length).map_err(failed)?;
        *next = next.wrapping_add(length);
        let builder: PacketBuilderStep<etherparse::IpHeaders> = match (from.ip(), to.ip()) {
            (IpAddr::V4(from), IpAddr::V4(to)) => {
                PacketBuilder::ipv4(from.octets(), to.octets(), 64)
            }
            (IpAddr::V6(from), IpAddr::V6(to)) => {
                PacketBuilder::ipv6(from.octets(), to.octets(), 64)
            }
            _ => return Err(failed("addresses of two families")),
        };
        let mut packet = Vec::new();
        builder
            .tcp_header(tcp)
            .write(&mut packet, payload)
            .map_err(failed)?;
        Ok(packet)
    }
}

fn failed(error: impl std::fmt::Display) -> Failure {
    Failure::local(format!("cannot write the capture: {error}"))
}
