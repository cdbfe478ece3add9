//! Servers under the same load, in turns: the CPU time of each for a unit of work.

use super::contender::Contender;
use super::server::Pinned;
use super::statistics::Sample;
use super::workload::Unit;
use std::time::{Duration, Instant};

/// A server that works less than this part of the time waits for the load generator.
const BUSY: f64 = 0.7;

/// The load of one turn.
pub(super) struct Turns {
    pub(super) rounds: usize,
    pub(super) requests: u64,
    pub(super) unit: Unit,
}

/// The figures of all contenders, in the order in which they were given.
pub(super) struct Measured {
    pub(super) figures: Vec<(Contender, Sample)>,
    /// The load did not keep ours busy.
    pub(super) idles: bool,
}

impl Turns {
    /// Puts the load on each server in each round, beginning with another one every time.
    pub(super) fn measure(
        &self,
        servers: Vec<(Contender, Pinned)>,
        load: impl Fn(u16) -> Result<(), String>,
    ) -> Result<Measured, String> {
        let with_sample = |(contender, server)| (contender, server, Sample::default());
        let mut servers: Vec<_> = servers.into_iter().map(with_sample).collect();
        let (mut cpu, mut wall) = (Duration::ZERO, Duration::ZERO);
        let count = servers.len();
        // Round 0 warms up: allocator, branch predictors, socket buffers.
        for round in 0..=self.rounds {
            for turn in 0..count {
                let (contender, server, sample) = &mut servers[(turn + round) % count];
                let (before, started) = (server.cpu()?, Instant::now());
                load(server.port()).map_err(|error| format!("{}: {error}", contender.name()))?;
                let spent = server.cpu()? - before;
                if round > 0 {
                    sample.push(self.unit.figure(spent.as_secs_f64(), self.requests));
                    if contender.is_ours() {
                        cpu += spent;
                        wall += started.elapsed();
                    }
                }
            }
        }
        let figures = servers
            .into_iter()
            .map(|(contender, _, sample)| (contender, sample));
        Ok(Measured {
            figures: figures.collect(),
            idles: cpu.as_secs_f64() < BUSY * wall.as_secs_f64(),
        })
    }
}
