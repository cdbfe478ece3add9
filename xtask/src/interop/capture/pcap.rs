//! Writing conversations as a capture file: each piece becomes a TCP segment
//! over IPv4, with the sequence numbers that a real connection would have.

use super::relay::{Conversation, From};
use std::io::Write;
use std::path::Path;

/// The file starts with an IPv4 header, without a link layer.
const LINKTYPE_IPV4: u32 = 228;
const IPV4_HEADER: usize = 20;
const TCP_HEADER: usize = 20;
const FLAG_FIN: u8 = 0x01;
const FLAG_SYN: u8 = 0x02;
const FLAG_PSH: u8 = 0x08;
const FLAG_ACK: u8 = 0x10;

/// Writes all conversations; the server's port is `port`, the clients' count
/// up from 40000.
pub(super) fn write(path: &Path, port: u16, conversations: &[Conversation]) -> std::io::Result<()> {
    let mut out = Vec::new();
    out.extend_from_slice(&0xa1b2_c3d4_u32.to_le_bytes());
    out.extend_from_slice(&2_u16.to_le_bytes());
    out.extend_from_slice(&4_u16.to_le_bytes());
    out.extend_from_slice(&[0; 8]);
    out.extend_from_slice(&0x0004_0000_u32.to_le_bytes());
    out.extend_from_slice(&LINKTYPE_IPV4.to_le_bytes());
    for (index, conversation) in conversations.iter().enumerate() {
        let client = 40_000 + u16::try_from(index % 20_000).unwrap_or(0);
        let mut tcp = Segments {
            out: &mut out,
            client,
            server: port,
            next: [1_000, 500_000],
        };
        tcp.push(From::Client, FLAG_SYN, &[]);
        tcp.push(From::Server, FLAG_SYN | FLAG_ACK, &[]);
        tcp.push(From::Client, FLAG_ACK, &[]);
        for (from, bytes) in &conversation.pieces {
            tcp.push(*from, FLAG_PSH | FLAG_ACK, bytes);
        }
        tcp.push(From::Client, FLAG_FIN | FLAG_ACK, &[]);
        tcp.push(From::Server, FLAG_FIN | FLAG_ACK, &[]);
    }
    std::fs::File::create(path)?.write_all(&out)
}

struct Segments<'a> {
    out: &'a mut Vec<u8>,
    client: u16,
    server: u16,
    /// The next sequence number of the client and of the server.
    next: [u32; 2],
}

impl Segments<'_> {
    fn push(&mut self, from: From, flags: u8, data: &[u8]) {
        let (me, other) = if from == From::Client { (0, 1) } else { (1, 0) };
        let length = IPV4_HEADER + TCP_HEADER + data.len();
        let record_length = u32::try_from(length).unwrap_or(u32::MAX).to_le_bytes();
        // Time does not matter to the dissectors; order does.
        self.out.extend_from_slice(&[0; 8]);
        self.out.extend_from_slice(&record_length);
        self.out.extend_from_slice(&record_length);

        let address = |side: usize| [10, 0, 0, if side == 0 { 1 } else { 2 }];
        let ip_length = u16::try_from(length).unwrap_or(u16::MAX).to_be_bytes();
        self.out
            .extend_from_slice(&[0x45, 0, ip_length[0], ip_length[1]]);
        self.out.extend_from_slice(&[0, 0, 0x40, 0, 64, 6, 0, 0]);
        self.out.extend_from_slice(&address(me));
        self.out.extend_from_slice(&address(other));

        let ports = if me == 0 {
            [self.client, self.server]
        } else {
            [self.server, self.client]
        };
        ports
            .iter()
            .for_each(|port| self.out.extend_from_slice(&port.to_be_bytes()));
        self.out.extend_from_slice(&self.next[me].to_be_bytes());
        let acknowledged = if flags & FLAG_ACK == 0 {
            0
        } else {
            self.next[other]
        };
        self.out.extend_from_slice(&acknowledged.to_be_bytes());
        self.out
            .extend_from_slice(&[0x50, flags, 0xff, 0xff, 0, 0, 0, 0]);
        self.out.extend_from_slice(data);

        let counts = flags & (FLAG_SYN | FLAG_FIN) != 0;
        let used = u32::try_from(data.len()).unwrap_or(0) + u32::from(counts);
        self.next[me] = self.next[me].wrapping_add(used);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_segment_is_an_ip_packet_with_running_sequence_numbers() {
        let mut out = Vec::new();
        let mut tcp = Segments {
            out: &mut out,
            client: 40_000,
            server: 80,
            next: [7, 9],
        };
        tcp.push(From::Client, FLAG_ACK, b"abc");
        tcp.push(From::Server, FLAG_ACK, b"");
        assert_eq!(tcp.next, [10, 9]);
        assert_eq!(out.len(), (16 + 43) + (16 + 40));
        let second = &out[16 + 43 + 16..];
        assert_eq!(second[20..28], [0, 80, 0x9c, 0x40, 0, 0, 0, 9]);
        assert_eq!(second[28..32], [0, 0, 0, 10]);
    }
}
