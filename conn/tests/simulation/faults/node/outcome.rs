//! The state of a side after its last timer: empty.

use std::time::Instant;

use lacewing_conn::proto::Transmit;

use super::Node;

impl Node {
    /// Checks that nothing is left: no stream, no byte, no credit, no timer, no stream without an
    /// end.
    pub(crate) fn assert_done(&mut self, now: Instant) {
        let stats = self.engine.stats();
        let name = format!("{:?}", self.side);
        for (id, stream) in &self.streams {
            assert!(stream.answers.is_none(), "{name}: a handler is left");
            let whole = stream.fin || stream.reset || stream.left;
            assert!(whole, "{name}: stream {id} has no end: {stream:?}");
        }
        assert_eq!(stats.open_streams, 0, "{name}: streams are left");
        assert_eq!(stats.detached_handlers, 0, "{name}: handlers are left");
        assert_eq!(stats.buffered_bytes, 0, "{name}: bytes are held");
        assert_eq!(stats.output_bytes, 0, "{name}: output is left");
        assert_eq!(self.engine.poll_transmit(now), Transmit::Idle);
        assert_eq!(self.engine.poll_timeout(), None, "{name}: a timer is left");
        if !self.engine.is_closed() {
            let full = stats.receive_window.map_or(0, i64::from);
            // No setting makes the window smaller than the protocol's. The rest above the chosen
            // size is used up.
            let least = full.min(self.engine.limits().connection_window.into());
            let credit = least..=full;
            assert!(
                credit.contains(&stats.receive_credit),
                "{name}: credit leaked"
            );
        }
    }
}
