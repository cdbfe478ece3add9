//! Packet captures: the TCP segments of a PCAP or pcapng file, in their order.

use std::{
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use etherparse::{EtherType, LaxNetSlice, LaxSlicedPacket, TransportSlice};
use pcap_file::{
    DataLink, PcapError,
    pcap::PcapReader,
    pcapng::{Block, PcapNgReader},
};

/// The first bytes of PCAP files, for each byte order and unit of time, and of pcapng.
const MAGICS: [[u8; 4]; 5] = [
    [0xa1, 0xb2, 0xc3, 0xd4],
    [0xd4, 0xc3, 0xb2, 0xa1],
    [0xa1, 0xb2, 0x3c, 0x4d],
    [0x4d, 0x3c, 0xb2, 0xa1],
    PCAPNG,
];
const PCAPNG: [u8; 4] = [0x0a, 0x0d, 0x0d, 0x0a];

/// The lengths of the headers of Linux' cooked captures (`tcpdump -i any`).
const SLL: usize = 16;
const SLL2: usize = 20;

/// A TCP segment.
pub(super) struct Segment<'a> {
    /// Since 1970.
    pub(super) time: Duration,
    pub(super) from: SocketAddr,
    pub(super) to: SocketAddr,
    pub(super) sequence: u32,
    pub(super) syn: bool,
    pub(super) ack: bool,
    pub(super) payload: &'a [u8],
}

/// Returns whether these are the first bytes of a capture.
pub(super) fn is_capture(bytes: &[u8]) -> bool {
    MAGICS.iter().any(|magic| bytes.starts_with(magic))
}

/// Passes every TCP segment to `sink`. Returns the number of packets that are no TCP, or that the
/// capture cut off.
///
/// # Errors
///
/// The file is broken.
pub(super) fn segments(
    bytes: &[u8],
    mut sink: impl FnMut(&Segment<'_>),
) -> Result<usize, PcapError> {
    let mut passed_over = 0_usize;
    let mut packet = |time, link, data: &[u8], whole| match segment(time, link, data) {
        Some(segment) if whole => sink(&segment),
        _ => passed_over = passed_over.saturating_add(1),
    };
    if bytes.starts_with(&PCAPNG) {
        let mut reader = PcapNgReader::new(bytes)?;
        // The reader lends a block and cannot be asked for its interface meanwhile.
        let mut links = Vec::new();
        while let Some(block) = reader.next_block() {
            match block? {
                Block::SectionHeader(_) => links.clear(),
                Block::InterfaceDescription(interface) => links.push(interface.linktype),
                Block::EnhancedPacket(block) => {
                    let interface = usize::try_from(block.interface_id).unwrap_or(usize::MAX);
                    if let Some(link) = links.get(interface) {
                        let whole = is_whole(&block.data, block.original_len);
                        packet(block.timestamp, *link, &block.data, whole);
                    }
                }
                Block::SimplePacket(block) => {
                    if let Some(link) = links.first() {
                        let whole = is_whole(&block.data, block.original_len);
                        packet(Duration::ZERO, *link, &block.data, whole);
                    }
                }
                _ => {}
            }
        }
    } else {
        let mut reader = PcapReader::new(bytes)?;
        let link = reader.header().datalink;
        while let Some(block) = reader.next_packet() {
            let block = block?;
            let whole = is_whole(&block.data, block.orig_len);
            packet(block.timestamp, link, &block.data, whole);
        }
    }
    Ok(passed_over)
}

/// A capture with a small snap length has the start of a packet alone.
fn is_whole(data: &[u8], original: u32) -> bool {
    usize::try_from(original).is_ok_and(|original| data.len() >= original)
}

fn segment(time: Duration, link: DataLink, data: &[u8]) -> Option<Segment<'_>> {
    // Tolerates what offloading leaves in headers, such as a length of 0.
    let packet = match link {
        DataLink::ETHERNET => LaxSlicedPacket::from_ethernet(data).ok()?,
        DataLink::RAW | DataLink::IPV4 | DataLink::IPV6 => LaxSlicedPacket::from_ip(data).ok()?,
        // The family of the address, then IP.
        DataLink::NULL | DataLink::LOOP => LaxSlicedPacket::from_ip(data.get(4..)?).ok()?,
        DataLink::LINUX_SLL => after(data.get(14..16)?, data.get(SLL..)?),
        DataLink::LINUX_SLL2 => after(data.get(..2)?, data.get(SLL2..)?),
        _ => return None,
    };
    let (source, destination): (IpAddr, IpAddr) = match packet.net.as_ref()? {
        LaxNetSlice::Ipv4(ip) => (
            ip.header().source_addr().into(),
            ip.header().destination_addr().into(),
        ),
        LaxNetSlice::Ipv6(ip) => (
            ip.header().source_addr().into(),
            ip.header().destination_addr().into(),
        ),
        LaxNetSlice::Arp(_) => return None,
    };
    let Some(TransportSlice::Tcp(tcp)) = packet.transport else {
        return None;
    };
    Some(Segment {
        time,
        from: SocketAddr::new(source, tcp.source_port()),
        to: SocketAddr::new(destination, tcp.destination_port()),
        sequence: tcp.sequence_number(),
        syn: tcp.syn(),
        ack: tcp.ack(),
        payload: tcp.payload(),
    })
}

/// The packet behind an EtherType.
fn after<'a>(ether_type: &[u8], payload: &'a [u8]) -> LaxSlicedPacket<'a> {
    let number = ether_type
        .iter()
        .fold(0_u16, |number, byte| number << 8 | u16::from(*byte));
    LaxSlicedPacket::from_ether_type(EtherType(number), payload)
}
