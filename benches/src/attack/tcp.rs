//! The kernel's view of a connection on loopback: a close that cannot reach a
//! peer that reads nothing is seen there.

use std::fs;
use std::net::SocketAddr;

/// Returns whether the victim's end of a connection is still open: its socket is
/// ESTABLISHED or CLOSE_WAIT in `/proc/net/tcp`. `None` where nothing is known.
pub(crate) fn is_held(victim: SocketAddr, ours: SocketAddr) -> Option<bool> {
    let table = fs::read_to_string("/proc/net/tcp").ok()?;
    Some(state(&table, victim.port(), ours.port()).is_some_and(|state| state == 1 || state == 8))
}

/// The state of the socket between two ports.
fn state(table: &str, local: u16, remote: u16) -> Option<u8> {
    let port = |address: &str| u16::from_str_radix(address.rsplit(':').next()?, 16).ok();
    table.lines().skip(1).find_map(|line| {
        let mut words = line.split_whitespace().skip(1);
        let ports = (port(words.next()?)?, port(words.next()?)?);
        let state = u8::from_str_radix(words.next()?, 16).ok()?;
        (ports == (local, remote)).then_some(state)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_socket_is_found_by_its_ports() {
        let table = "  sl  local_address rem_address   st\n\
             0: 0100007F:1F90 0100007F:C350 01 00000000:00000000\n\
             1: 0100007F:C350 0100007F:1F90 08 00000000:00000000\n";
        assert_eq!(state(table, 0x1f90, 0xc350), Some(1));
        assert_eq!(state(table, 0xc350, 0x1f90), Some(8));
        assert_eq!(state(table, 1, 2), None);
    }
}
